"""Cases of `stoker simulate`: those of the replica-analysis JSON, with some more fields.

Pure functions; reading files is the caller's.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from data.replica_lines import parse_case
from data.simulation_fields import FIELDS, SimulationDocument
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.replica import ReplicaCase, ReplicaQuestion

_SPELLINGS = {name.lower(): name for name in FIELDS}
_COLUMNS = ("arrival_s", "in_tokens", "out_tokens")
_MOST_TOKENS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SimulationCase:
    """One replica, its load, and how it is simulated.

    Attributes:
        case: The replica and its mean load.
        arrival_cv: Coefficient of variation of the times between arrivals.
        input_cv: Coefficient of variation of the input tokens.
        output_cv: Coefficient of variation of the output tokens.
        kv_tokens: KV capacity in tokens; None for no limit.
        prefix_hit_rate: Share of each prompt whose KV is there already.
        concurrency: Clients of a closed loop; None for arrivals at the case's rate.
        percents: Percentiles to report.
        requests: Requests to simulate.
        seed: Seed of the random draws.
    """

    case: ReplicaCase
    arrival_cv: float
    input_cv: float
    output_cv: float
    kv_tokens: int | None
    prefix_hit_rate: float
    concurrency: int | None
    percents: tuple[float, ...]
    requests: int
    seed: int


@dataclass(frozen=True, slots=True)
class TraceRows:
    """A trace of requests.

    Attributes:
        arrival_ms: Arrival times from the first one, ascending.
        input_tokens: Input tokens of each request.
        output_tokens: Output tokens of each request.
    """

    arrival_ms: tuple[float, ...]
    input_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]


def parse_simulation_line(line: bytes) -> SimulationCase | None:
    """Read a case from one line of a file; None where the line is blank.

    Raises:
        InvalidInputError: The line is not JSON, or not a case.
    """
    try:
        text = line.decode("utf-8-sig").strip()
        document: object = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            [Problem("", f"is not JSON: {error}", "one JSON object a line")]
        ) from None
    return parse_simulation(document) if text else None


def parse_simulation(document: object, *, file: str = "", traced: bool = False) -> SimulationCase:
    """Read a case from decoded JSON.

    Args:
        document: The case, or an object that carries it under ``input``.
        file: Name of the file for messages.
        traced: A trace brings arrivals and lengths, so that the case needs none.

    Raises:
        InvalidInputError: With every problem found.
    """
    found = document
    if isinstance(document, dict):
        found = next((v for k, v in document.items() if str(k).lower() == "input"), document)
    own: dict[str, object] = {}
    rest: object = found
    if isinstance(found, dict):
        rest = {key: value for key, value in found.items() if str(key).lower() not in _SPELLINGS}
        own = {
            _SPELLINGS[str(key).lower()]: value
            for key, value in found.items()
            if str(key).lower() in _SPELLINGS and value is not None
        }
        if traced:
            present = {str(key).lower() for key in rest}
            for name in ("avgInputTokens", "avgOutputTokens"):
                if name.lower() not in present:
                    rest[name] = 1
    problems: list[Problem] = []
    parsed: SimulationDocument | None = None
    case: ReplicaCase | None = None
    try:
        parsed = SimulationDocument.model_validate(own)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            name = str(details["loc"][0])
            message = f"is {json.dumps(own[name], default=str)[:60]}"
            problems.append(Problem(name, message, FIELDS[name], file))
    rateless = traced or own.get("concurrency") is not None
    try:
        question = ReplicaQuestion.TARGET if rateless else ReplicaQuestion.SOLVE
        case = parse_case(rest, question, file=file)
    except InvalidInputError as error:
        problems += error.problems
    if case is None or parsed is None or problems:
        raise InvalidInputError(problems)
    return SimulationCase(
        case=case,
        arrival_cv=parsed.arrival_cv,
        input_cv=parsed.input_cv,
        output_cv=parsed.output_cv,
        kv_tokens=parsed.kv_tokens,
        prefix_hit_rate=parsed.prefix_hit_rate,
        concurrency=parsed.concurrency,
        percents=parsed.percentiles,
        requests=parsed.requests,
        seed=parsed.seed,
    )


def parse_trace(lines: Iterable[str], *, file: str = "") -> TraceRows:
    """Read a trace from CSV with the columns ``arrival_s, in_tokens, out_tokens`` and any others.

    Rows may stand in any order; they are sorted by arrival, and times count from the first one.

    Raises:
        InvalidInputError: A column is missing, a value cannot be read, or there is no row.
    """
    reader = csv.DictReader(lines)
    absent = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if absent:
        columns = ", ".join(_COLUMNS)
        raise InvalidInputError(
            [
                Problem(name, "is missing", f"a column of the header: {columns}", file)
                for name in absent
            ]
        )
    rows: list[tuple[float, int, int]] = []
    problems: list[Problem] = []
    for row in reader:
        try:
            arrival, tokens_in, tokens_out = (float(row[name] or "nan") for name in _COLUMNS)
            if not (math.isfinite(arrival) and 0 <= tokens_in <= _MOST_TOKENS):
                raise ValueError
            if not 1 <= tokens_out <= _MOST_TOKENS:
                raise ValueError
            rows.append((arrival, round(tokens_in), round(tokens_out)))
        except (TypeError, ValueError):
            values = ", ".join(str(row[name]) for name in _COLUMNS)
            allowed = "finite seconds; input tokens of 0 or more; output tokens of 1 or more"
            problems.append(Problem(f"line {reader.line_num}", f"is {values}", allowed, file))
            if len(problems) == 10:
                break
    if problems or not rows:
        raise InvalidInputError(problems or [Problem("", "has no rows", "one or more", file)])
    rows.sort(key=lambda one: one[0])
    start = rows[0][0]
    return TraceRows(
        tuple(1000 * (arrival - start) for arrival, _, _ in rows),
        tuple(tokens for _, tokens, _ in rows),
        tuple(tokens for _, _, tokens in rows),
    )
