"""The replica-analysis JSON: one case in, one answer out, often as lines of a file.

A line is a case, ``{"RPS": ..., "maxBatchSize": ..., ...}``, or carries one under ``"input"``
(whatever stands beside it is ignored). Keys match without regard to case, as readers of this
format expect; unknown ones are refused, for a misspelt target would otherwise count as none.
Answers keep the field names of the original programs, and hold no NaN or infinity.

Pure functions; reading and writing files is the caller's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from data.replica_fields import ALLOWED, FIELDS, LARGEST_BATCH, LARGEST_COUNT, CaseDocument
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import LinearParameters, TokenWorkParameters, all_zero
from stoker.domain.replica import DEFAULT_TOKEN_BUDGET, AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import ReplicaAnswer

__all__ = [
    "LARGEST_BATCH",
    "LARGEST_COUNT",
    "AnswerDocument",
    "answer_document",
    "format_line",
    "parse_case",
    "parse_line",
    "problem_document",
]

AnswerDocument = dict[str, float | int | str | bool | None]
"""An answer as a JSON object."""

_WRAPPER = "input"
_SPELLINGS: dict[str, str] = {name.lower(): name for name in FIELDS}
_SHOWN_LENGTH = 60


def parse_case(document: object, question: ReplicaQuestion, *, file: str = "") -> ReplicaCase:
    """Read a case from decoded JSON.

    Args:
        document: The case, or an object that carries it under ``input``.
        question: What will be asked of it: `ReplicaQuestion.SOLVE` needs an arrival rate.
        file: Name of the file for messages; empty for a request body.

    Returns:
        The case. ``delta`` given makes it a `linear` one, otherwise it is `token-work`; targets
        of 0, null or absent are None, and so is an arrival rate of 0.

    Raises:
        InvalidInputError: With every problem found.
    """
    fields, problems = _named_fields(_unwrap(document, file), file)
    parsed: CaseDocument | None = None
    try:
        parsed = CaseDocument.model_validate(fields)
    except ValidationError as error:
        problems += [_problem(details, file) for details in error.errors(include_url=False)]
    if question is ReplicaQuestion.SOLVE and fields.get("RPS") in (None, 0):
        message = f"is {_shown(fields['RPS'])}" if "RPS" in fields else "is missing"
        problems.append(Problem("RPS", message, "an arrival rate above 0", file))
    if parsed is None or problems:
        raise InvalidInputError(problems)
    case = _to_case(parsed)
    if all_zero(case.parameters):
        names = "alpha, beta, gamma" + (", delta" if parsed.delta is not None else "")
        raise InvalidInputError([Problem(names, "are all 0", "at least one above 0", file)])
    return case


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
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _malformed(f"is not UTF-8 text: {error.reason} at byte {error.start}") from None
    if not text:
        return None
    try:
        document: object = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise _malformed(f"is not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise _malformed("is nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise _malformed(f"cannot be read: {error}") from None
    return parse_case(document, question)


def answer_document(answer: ReplicaAnswer, *, line: int | None = None) -> AnswerDocument:
    """Return an answer as a JSON object, in the field names of the format.

    An invalid case has no figures: only ``status`` and ``message``. A figure that is not known
    is null. As in the original programs, ``RPSTargetTTFT`` and ``RPSTargetITL`` are 0 where the
    question was not about targets.

    Args:
        answer: The answer.
        line: Line number of the case, from 1, told where it is invalid; None where there are
            no lines.
    """
    if answer.status is AnswerStatus.INVALID:
        return _invalid(answer.message, line)
    document: AnswerDocument = {}
    if answer.question is ReplicaQuestion.CONCURRENCY:
        document["concurrency"] = answer.batch
    document |= {
        "offeredRPS": _known(answer.arrival_rate_rps),
        "throughput": _known(answer.throughput_rps),
        "avgRespTime": _known(answer.response_ms),
        "avgWaitTime": _known(answer.wait_ms),
        "avgNumInServ": _known(answer.mean_in_service),
        "avgTTFT": _known(answer.ttft_ms),
        "avgITL": _known(answer.itl_ms),
        "maxRPS": _known(answer.max_rate_rps),
    }
    if answer.question is ReplicaQuestion.SOLVE:
        document |= {"RPSTargetTTFT": 0.0, "RPSTargetITL": 0.0}
    else:
        document |= {
            "RPSTargetTTFT": _known(answer.ttft_rate_rps),
            "RPSTargetITL": _known(answer.itl_rate_rps),
        }
        if answer.tps_rate_rps is not None:
            document["RPSTargetTPS"] = _known(answer.tps_rate_rps)
    if answer.question is ReplicaQuestion.CONCURRENCY:
        document |= {
            "M_ITL": answer.itl_batch,
            "M_TPF": answer.prefill_batch,
            "feasible": answer.status is AnswerStatus.OK,
        }
    document |= {
        "utilization": _known(answer.utilization),
        "blocking": _known(answer.blocking),
        "status": answer.status.value,
        "message": answer.message,
    }
    return document


def problem_document(problems: Sequence[Problem], *, line: int | None = None) -> AnswerDocument:
    """Return the answer to a case that could not be read.

    Args:
        problems: What is wrong with it.
        line: Its line number, from 1; None where there are no lines.
    """
    return _invalid("; ".join(str(problem) for problem in problems), line)


def format_line(document: Mapping[str, float | int | str | bool | None]) -> str:
    """Return an answer as one line of strict JSON, without its end."""
    return json.dumps(document, allow_nan=False)


def _invalid(message: str, line: int | None) -> AnswerDocument:
    text = message if line is None else f"line {line}: {message}"
    return {"status": AnswerStatus.INVALID.value, "message": text}


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


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
        raise InvalidInputError([Problem(where, f"is {_shown(found)}", allowed, file)])
    return found


def _named_fields(case: dict[object, object], file: str) -> tuple[dict[str, object], list[Problem]]:
    """Return the fields under the format's own spelling, nulls left out."""
    fields: dict[str, object] = {}
    problems = []
    for key, value in case.items():
        name = str(key)
        name = _SPELLINGS.get(name.lower(), name)
        if name in fields:
            message = "is given more than once, in different spellings"
            problems.append(Problem(name, message, "one value for each field", file))
        elif value is not None:
            fields[name] = value
    return fields, problems


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse an object that names a key twice; JSON would silently keep the last."""
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [key for key, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError([Problem(_cut(repeated), "is given more than once")])
    return result


def _problem(details: ErrorDetails, file: str) -> Problem:
    name = str(details["loc"][0])
    if details["type"] == "extra_forbidden":
        return Problem(_cut(name), "is not a field of a case", ", ".join(FIELDS), file)
    allowed = ALLOWED[name]
    if details["type"] == "missing":
        return Problem(name, "is missing", allowed, file)
    return Problem(name, f"is {_shown(details['input'])}", allowed, file)


def _malformed(message: str) -> InvalidInputError:
    return InvalidInputError([Problem("", message, "one JSON object a line")])


def _shown(value: object) -> str:
    """Return a value as JSON for a message, cut where it is long."""
    try:
        return _cut(json.dumps(value))
    except (RecursionError, TypeError, ValueError):
        return f"a {type(value).__name__} that is too large to show"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."


def _to_case(document: CaseDocument) -> ReplicaCase:
    parameters = (
        TokenWorkParameters(document.alpha, document.beta, document.gamma)
        if document.delta is None
        else LinearParameters(document.alpha, document.beta, document.gamma, document.delta)
    )
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
    )
