"""The replica-analysis JSON: cases, often as lines of a file.

A line is a case, ``{"RPS": ..., "maxBatchSize": ..., ...}``, or carries one under ``"input"``
(whatever stands beside it is ignored). Keys match without regard to case, as readers of this
format expect; unknown ones are refused, for a misspelt target would otherwise count as none.
The answers are those of `data.replica_answers`.

Pure functions; reading and writing files is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from data.curve_fields import read_curve
from data.json_lines import cut, decode_line, shown
from data.overlap_fields import read_overlap
from data.replica_fields import (
    LARGEST_BATCH,
    LARGEST_COUNT,
    PARAMETERS,
    CaseDocument,
    allowed_values,
)
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import (
    LinearParameters,
    ServiceParameters,
    TokenWorkParameters,
    all_zero,
)
from stoker.domain.replica import DEFAULT_TOKEN_BUDGET, ReplicaCase, ReplicaQuestion

__all__ = [
    "LARGEST_BATCH",
    "LARGEST_COUNT",
    "case_of",
    "parse_case",
    "parse_document",
    "parse_line",
]

_Case = TypeVar("_Case", bound=CaseDocument)

_WRAPPER = "input"

_READERS: Mapping[str, Callable[[object, str, str], ServiceParameters]] = {
    "curve": read_curve,
    "overlap": read_overlap,
}
"""Fields in place of `alpha`, `beta` and `gamma`, and what reads them."""


def parse_case(document: object, question: ReplicaQuestion, *, file: str = "") -> ReplicaCase:
    """Read a case from decoded JSON.

    Args:
        document: The case, or an object that carries it under ``input``.
        question: What will be asked of it: `ReplicaQuestion.SOLVE` needs an arrival rate, or
            clients in its place.
        file: Name of the file for messages; empty for a request body.

    Returns:
        The case. ``delta`` given makes it a `linear` one, otherwise it is `token-work`; targets
        of 0, null or absent are None, and so is an arrival rate of 0.

    Raises:
        InvalidInputError: With every problem found.
    """
    needs_rate = question is ReplicaQuestion.SOLVE
    return case_of(parse_document(document, CaseDocument, needs_rate=needs_rate, file=file), file)


def parse_document(
    document: object,
    model: type[_Case],
    *,
    needs_rate: bool,
    file: str = "",
    instead: Mapping[str, object] | None = None,
) -> _Case:
    """Read the fields of a case from decoded JSON.

    Args:
        document: The case, or an object that carries it under ``input``.
        model: The fields it may have.
        needs_rate: Whether it must tell an arrival rate, or clients in its place.
        file: Name of the file for messages.
        instead: Values of fields that may be left out here though a case needs them.

    Raises:
        InvalidInputError: With every problem found.
    """
    allowed = allowed_values(model)
    given, problems = _named_fields(_unwrap(document, file), allowed, file)
    fields = {**(instead or {}), **given}
    problems += _service_problems(fields, allowed, file)
    parsed: _Case | None = None
    try:
        parsed = model.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems += [_problem(details, fields, allowed, file) for details in found]
    if needs_rate and fields.get("RPS") in (None, 0) and fields.get("concurrency") is None:
        message = f"is {shown(fields['RPS'])}" if "RPS" in fields else "is missing"
        problems.append(Problem("RPS", message, "an arrival rate above 0", file))
    if parsed is None or problems:
        raise InvalidInputError(problems)
    return parsed


def _service_problems(
    fields: dict[str, object], allowed: Mapping[str, str], file: str
) -> list[Problem]:
    """Read curve or overlap parameters in place; return what is wrong with them, or with none."""
    told = [name for name in _READERS if name in fields]
    if not told:
        missing = [name for name in PARAMETERS if name not in fields]
        return [Problem(name, "is missing", allowed[name], file) for name in missing]
    first, *others = told
    both = [name for name in (*PARAMETERS, "delta", *others) if name in fields]
    a_first = "a curve" if first == "curve" else "overlap parameters"
    problems = [
        Problem(name, f"is given beside {a_first}", f"parameters or {a_first}", file)
        for name in both
    ]
    for name in told:
        try:
            fields[name] = _READERS[name](fields[name], name, file)
        except InvalidInputError as error:
            problems += error.problems
            del fields[name]
    return problems


def parse_line(line: bytes, question: ReplicaQuestion) -> ReplicaCase | None:
    """Read a case from one line of a file.

    Args:
        line: The line in UTF-8, with or without its end.
        question: What will be asked of the case.

    Returns:
        The case; None where the line is blank.

    Raises:
        InvalidInputError: The line is not JSON, or not a case.
    """
    document = decode_line(line)
    return None if document is None else parse_case(document, question)


def _unwrap(document: object, file: str) -> dict[object, object]:
    """Return the object that holds the case itself."""
    found = document
    where = ""
    if isinstance(document, dict):
        wrapped = [key for key in document if isinstance(key, str) and key.lower() == _WRAPPER]
        if wrapped:
            where, found = wrapped[0], document[wrapped[0]]
    if not isinstance(found, dict):
        allowed = "an object that holds a case, or one that carries it under 'input'"
        raise InvalidInputError([Problem(where, f"is {shown(found)}", allowed, file)])
    return found


def _named_fields(
    case: dict[object, object], names: Iterable[str], file: str
) -> tuple[dict[str, object], list[Problem]]:
    """Return the fields under the format's own spelling, nulls left out."""
    spellings = {name.lower(): name for name in names}
    fields: dict[str, object] = {}
    problems = []
    for key, value in case.items():
        name = str(key)
        name = spellings.get(name.lower(), name)
        if name in fields:
            message = "is given more than once, in different spellings"
            problems.append(Problem(name, message, "one value for each field", file))
        elif value is not None:
            fields[name] = value
    return fields, problems


def _problem(
    details: ErrorDetails, fields: Mapping[str, object], allowed: Mapping[str, str], file: str
) -> Problem:
    name = str(details["loc"][0])
    if details["type"] == "extra_forbidden":
        return Problem(cut(name), "is not a field of a case", ", ".join(allowed), file)
    if details["type"] == "missing":
        return Problem(name, "is missing", allowed[name], file)
    return Problem(name, f"is {shown(fields[name])}", allowed[name], file)


def case_of(document: CaseDocument, file: str = "") -> ReplicaCase:
    """Return the case of a document that passed its checks.

    Raises:
        InvalidInputError: All parameters are 0.
    """
    parameters = _parameters(document)
    if all_zero(parameters):
        names = "alpha, beta, gamma" + (", delta" if document.delta is not None else "")
        raise InvalidInputError([Problem(names, "are all 0", "at least one above 0", file)])
    return ReplicaCase(
        parameters=parameters,
        input_tokens=document.input_tokens,
        output_tokens=document.output_tokens,
        max_batch=document.max_batch,
        max_queue=document.max_queue,
        arrival_rate_rps=document.rps or None,
        ttft_ms=document.target_ttft or None,
        itl_ms=document.target_itl or None,
        tps=document.target_tps or None,
        token_budget=document.token_budget or DEFAULT_TOKEN_BUDGET,
        arrival_cv=document.arrival_cv,
        input_cv=document.input_cv,
        output_cv=document.output_cv,
        kv_tokens=document.kv_tokens,
        prefix_hit_rate=document.prefix_hit_rate,
        concurrency=document.concurrency,
        percentiles=tuple(sorted(set(document.percentiles))),
        target_percentile=document.target_percentile,
        engine_terms=document.engine_terms(),
    )


def _parameters(document: CaseDocument) -> ServiceParameters:
    given = document.curve or document.overlap
    if given is not None:
        return given
    if document.delta is None:
        return TokenWorkParameters(document.alpha, document.beta, document.gamma)
    return LinearParameters(document.alpha, document.beta, document.gamma, document.delta)
