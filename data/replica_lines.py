"""The replica-analysis JSON: cases, often as lines of a file.

A line is a case, ``{"RPS": ..., "maxBatchSize": ..., ...}``, or carries one under ``"input"``
(whatever stands beside it is ignored). Keys match without regard to case, as readers of this
format expect; unknown ones are refused, for a misspelt target would otherwise count as none.
The answers are those of `data.replica_answers`.

Pure functions; reading and writing files is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from data.given_fields import allowed_values, field_problem, named_fields
from data.json_lines import decode_line, shown
from data.network_fields import PREFILL_PARAMETERS, NetworkDocument, network_problems
from data.replica_fields import LARGEST_BATCH, LARGEST_COUNT
from data.service_fields import check_parameters, parse_service, read_service
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.replica import DEFAULT_TOKEN_BUDGET, ReplicaCase, ReplicaQuestion

__all__ = [
    "LARGEST_BATCH",
    "LARGEST_COUNT",
    "case_of",
    "parse_case",
    "parse_document",
    "parse_line",
]

_Case = TypeVar("_Case", bound=NetworkDocument)

_WRAPPER = "input"


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
    return case_of(
        parse_document(document, NetworkDocument, needs_rate=needs_rate, file=file), file
    )


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
    given, problems = named_fields(_unwrap(document, file), allowed, file)
    fields = {**(instead or {}), **given}
    problems += network_problems(fields, allowed, file)
    problems += read_service(fields, allowed, file)
    problems += _read_prefill(fields, file)
    parsed: _Case | None = None
    try:
        parsed = model.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems += [field_problem(details, fields, allowed, file) for details in found]
    if needs_rate and fields.get("RPS") in (None, 0) and fields.get("concurrency") is None:
        message = f"is {shown(fields['RPS'])}" if "RPS" in fields else "is missing"
        problems.append(Problem("RPS", message, "an arrival rate above 0", file))
    if parsed is None or problems:
        raise InvalidInputError(problems)
    return parsed


def _read_prefill(fields: dict[str, object], file: str) -> list[Problem]:
    """Read the parameters of prefill replicas in place; return what is wrong with them."""
    name = PREFILL_PARAMETERS
    if name not in fields:
        return []
    try:
        fields[name] = parse_service(fields[name], name, file)
    except InvalidInputError as error:
        del fields[name]
        return list(error.problems)
    return []


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


def case_of(document: NetworkDocument, file: str = "") -> ReplicaCase:
    """Return the case of a document that passed its checks.

    Raises:
        InvalidInputError: All parameters are 0, or cards are too few for two pools.
    """
    check_parameters(document, file)
    return ReplicaCase(
        parameters=document.parameters(),
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
        system=document.system(file),
    )
