"""Logs of requests that others publish, read as traces.

Three layouts are known by their names of columns: the Azure LLM inference traces of 2023 and 2024
(https://github.com/Azure/AzurePublicDataset), BurstGPT (https://github.com/HPMLL/BurstGPT), and
Mooncake (https://github.com/kvcache-ai/Mooncake), which is JSON lines.

Pure functions; reading files is the caller's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from data.csv_records import csv_records
from data.json_lines import decode_line
from data.simulation_lines import MOST_TOKENS
from stoker.domain.errors import InvalidInputError, Problem

_MOST_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request of a log.

    Attributes:
        arrival_s: When it came, in seconds, from wherever the log counts.
        input_tokens: Its input tokens.
        output_tokens: Its output tokens.
        model: The model it was for; empty where the log does not say.
    """

    arrival_s: float
    input_tokens: int
    output_tokens: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class RequestLog:
    """The requests of a log that got an answer, by arrival.

    Attributes:
        layout: Whose layout the log has.
        requests: The requests, the first at second 0.
        without_output: How many more got no output token: they failed.
    """

    layout: str
    requests: tuple[LoggedRequest, ...]
    without_output: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """How somebody writes a log: names of time, input and output tokens, and of the model."""

    name: str
    columns: tuple[str, str, str]
    seconds: Callable[[str], float]
    allowed: str
    model: str = ""


def _clock_time(text: str) -> float:
    """Return the seconds of a date and time, taken as UTC where it tells no zone."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _milliseconds(text: str) -> float:
    return float(text) / 1000.0


_LAYOUTS = (
    _Layout(
        "Azure LLM inference",
        ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
        _clock_time,
        "a date and time",
    ),
    _Layout(
        "BurstGPT", ("Timestamp", "Request tokens", "Response tokens"), float, "seconds", "Model"
    ),
    _Layout(
        "Mooncake", ("timestamp", "input_length", "output_length"), _milliseconds, "milliseconds"
    ),
)


def parse_request_log(lines: Iterable[str], *, file: str = "") -> RequestLog:
    """Return the requests of a log, in CSV or JSON lines, in any order.

    Args:
        lines: The lines.
        file: Name of the file, for errors.

    Raises:
        InvalidInputError: Its layout is none of those known, a value cannot be read, or no request
            got an output token.
    """
    layout, rows = _rows(iter(lines), file)
    requests: list[LoggedRequest] = []
    problems: list[Problem] = []
    without_output = 0
    for line, row in rows:
        try:
            request = _request(layout, row)
        except (ValueError, OverflowError):
            values = ", ".join(row.get(name, "nothing") for name in layout.columns)
            allowed = f"{layout.allowed}; input and output tokens from 0 to {MOST_TOKENS:,}"
            problems.append(Problem(f"line {line}", f"is {values}", allowed, file))
            if len(problems) == _MOST_PROBLEMS:
                break
            continue
        if request.output_tokens:
            requests.append(request)
        else:
            without_output += 1
    if problems:
        raise InvalidInputError(problems)
    if not requests:
        message = "has no request with an output token"
        raise InvalidInputError([Problem("", message, "one or more", file)])
    requests.sort(key=lambda each: each.arrival_s)
    first_s = requests[0].arrival_s
    from_first = (
        LoggedRequest(each.arrival_s - first_s, each.input_tokens, each.output_tokens, each.model)
        for each in requests
    )
    return RequestLog(layout.name, tuple(from_first), without_output)


def trace_lines(log: RequestLog) -> Iterator[str]:
    """Yield the lines of a trace in CSV, with the column `model` where the log tells models."""
    models = any(each.model for each in log.requests)
    yield "arrival_s,in_tokens,out_tokens" + (",model" if models else "")
    for each in log.requests:
        told = f"{each.arrival_s:.6f}".rstrip("0").rstrip(".")
        row = f"{told},{each.input_tokens},{each.output_tokens}"
        yield f'{row},"{each.model.replace(chr(34), chr(34) * 2)}"' if models else row


def _rows(lines: Iterator[str], file: str) -> tuple[_Layout, Iterator[tuple[int, dict[str, str]]]]:
    """Return the layout of a log, and its rows: number of the line, and texts by column."""
    blank = 0
    head = ""
    for head in lines:
        if head.strip():
            break
        blank += 1
    whole = itertools.chain([head], lines)
    if head.lstrip().startswith("{"):
        rows = _json_rows(whole, blank + 1, file)
        first = next(rows)
        return _layout_of(tuple(first[1]), file), itertools.chain([first], rows)
    records = csv_records(whole, file=file)
    return _layout_of(records.columns, file), ((blank + n, row) for n, row in records.rows)


def _layout_of(columns: tuple[str, ...], file: str) -> _Layout:
    found = next((each for each in _LAYOUTS if set(each.columns) <= set(columns)), None)
    if found is None:
        allowed = "; or ".join(f"{', '.join(each.columns)} ({each.name})" for each in _LAYOUTS)
        told = ", ".join(columns) or "nothing"
        raise InvalidInputError([Problem("columns", f"are {told}", allowed, file)])
    return found


def _json_rows(lines: Iterable[str], first: int, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    for line, text in enumerate(lines, first):
        try:
            row = decode_line(text.encode())
        except InvalidInputError as error:
            problems = (Problem(f"line {line}", p.message, p.allowed, file) for p in error.problems)
            raise InvalidInputError(list(problems)) from None
        if row is None:
            continue
        if not isinstance(row, dict):
            raise InvalidInputError(
                [Problem(f"line {line}", "is no JSON object", "one JSON object a line", file)]
            )
        yield line, {key: str(value) for key, value in row.items()}


def _request(layout: _Layout, row: dict[str, str]) -> LoggedRequest:
    time, inputs, outputs = (row.get(name, "") for name in layout.columns)
    arrival_s, tokens = layout.seconds(time), (float(inputs), float(outputs))
    if not math.isfinite(arrival_s) or not all(0 <= each <= MOST_TOKENS for each in tokens):
        raise ValueError
    return LoggedRequest(
        arrival_s, round(tokens[0]), round(tokens[1]), row.get(layout.model, "").strip()
    )
