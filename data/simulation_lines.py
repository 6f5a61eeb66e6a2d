"""Cases of `stoker simulate`: those of the replica-analysis JSON, with some more fields.

Pure functions; reading files is the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from data.csv_records import csv_records
from data.json_lines import decode_line
from data.replica_lines import case_of, parse_document
from data.simulation_fields import SimulationDocument
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.replica import ReplicaCase
from stoker.domain.replica_system import PoolSizes, RoutedReplicas

_COLUMNS = ("arrival_s", "in_tokens", "out_tokens")
MOST_TOKENS = 1_000_000_000
"""Most input, or output, tokens of a request."""
MOST_SLOTS = 20_000_000
"""Most replicas times batch limit of one simulation, which keeps them all in memory."""

_TRACED = {"avgInputTokens": 1, "avgOutputTokens": 1}
"""Lengths in place of those that a trace brings."""


@dataclass(frozen=True, slots=True)
class SimulationCase:
    """One replica with its load, and how it is simulated.

    Attributes:
        case: The replica and its load.
        requests: Requests to simulate.
        seed: Seed of the random draws.
    """

    case: ReplicaCase
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
    document = decode_line(line)
    return None if document is None else parse_simulation(document)


def parse_simulation(document: object, *, file: str = "", traced: bool = False) -> SimulationCase:
    """Read a case from decoded JSON.

    Args:
        document: The case, or an object that carries it under ``input``.
        file: Name of the file for messages.
        traced: A trace brings arrivals and lengths, so that the case needs none.

    Raises:
        InvalidInputError: With every problem found.
    """
    parsed = parse_document(
        document,
        SimulationDocument,
        needs_rate=not traced,
        file=file,
        instead=_TRACED if traced else None,
    )
    case = case_of(parsed, file)
    _check_size(case, traced=traced, file=file)
    return SimulationCase(case, parsed.requests, parsed.seed)


def _check_size(case: ReplicaCase, *, traced: bool, file: str) -> None:
    """Refuse replicas whose slots memory has no room for, and cards that nothing can split.

    Raises:
        InvalidInputError: There are too many slots, or cards to split under a trace.
    """
    system = case.system
    if isinstance(system, RoutedReplicas):
        field, replicas, batch = "replicas", system.replicas, case.max_batch
    else:
        batch = max(case.max_batch, system.prefill.max_batch)
        if isinstance(system.sizes, PoolSizes):
            field = "prefillReplicas and decodeReplicas"
            replicas = system.sizes.prefill + system.sizes.decode
        else:
            field, replicas = "cards", system.sizes.cards
            if traced:
                instead = "prefillReplicas and decodeReplicas: the split rests on mean lengths"
                raise InvalidInputError([Problem(field, "is given with a trace", instead, file)])
    if replicas * batch > MOST_SLOTS:
        message = f"make {replicas * batch:,} slots, with batch limits of {batch:,}"
        raise InvalidInputError([Problem(field, message, f"at most {MOST_SLOTS:,}", file)])


def parse_trace(lines: Iterable[str], *, file: str = "") -> TraceRows:
    """Read a trace from CSV with the columns ``arrival_s, in_tokens, out_tokens`` and any others.

    Rows may stand in any order; they are sorted by arrival, and times count from the first one.

    Raises:
        InvalidInputError: A column is missing or there twice, a row has too many cells,
            a value cannot be read, or there is no row.
    """
    records = csv_records(lines, file=file)
    absent = [name for name in _COLUMNS if name not in records.columns]
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
    for line, row in records.rows:
        try:
            arrival, tokens_in, tokens_out = (float(row.get(name, "nan")) for name in _COLUMNS)
            if not (math.isfinite(arrival) and 0 <= tokens_in <= MOST_TOKENS):
                raise ValueError
            if not 1 <= tokens_out <= MOST_TOKENS:
                raise ValueError
            rows.append((arrival, round(tokens_in), round(tokens_out)))
        except ValueError:
            values = ", ".join(row.get(name, "nothing") for name in _COLUMNS)
            allowed = (
                f"finite seconds; input tokens from 0 to {MOST_TOKENS:,}; output tokens from 1"
            )
            problems.append(Problem(f"line {line}", f"is {values}", allowed, file))
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
