"""Rows of demand, from CSV, JSON or a trace of requests.

A file of demand has a row for each server and hour: ``hour``, ``server``, ``arrival_rate_rps``, and
where they differ from the fleet's ``input_tokens`` and ``output_tokens``; a forecast has a further
column ``quantile``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from data.csv_records import csv_records
from data.decode import decode_json, read_text
from stoker.domain.errors import InvalidInputError, Problem

_SECONDS_PER_HOUR = 3600.0
_MOST_PROBLEMS = 20
_MOST_HOURS = 9000
_LEAST_PART_OF_AN_HOUR = 0.1
"""Of the last hour of a trace, for it to be an hour by itself."""
_COLUMNS = ("hour", "server", "arrival_rate_rps", "input_tokens", "output_tokens", "quantile")
_NEEDED = _COLUMNS[:3]


@dataclass(frozen=True, slots=True)
class DemandRow:
    """A row of a file of demand.

    Attributes:
        hour: Hour, counted from 0.
        server: Name of the server.
        arrival_rate_rps: Requests offered per second.
        input_tokens: Mean input tokens; None for those of the fleet.
        output_tokens: Mean output tokens; None for those of the fleet.
        quantile: Quantile of a forecast; None for a rate that is no forecast.
    """

    hour: int
    server: str
    arrival_rate_rps: float
    input_tokens: float | None = None
    output_tokens: float | None = None
    quantile: float | None = None


def read_demand_rows(path: str | Path) -> tuple[DemandRow, ...]:
    """Return the rows of a file of demand: JSON by the ending ``.json``, otherwise CSV.

    Raises:
        InvalidInputError: The file cannot be read, or every problem in it (the first few).
    """
    file = Path(path)
    text = read_text(file)
    if file.suffix == ".json":
        return _rows(_json_records(text, str(path)), str(path))
    return _rows(_csv_records(text, str(path)), str(path))


def parse_demand_rows(value: object) -> tuple[DemandRow, ...]:
    """Return the rows of a decoded list of them.

    Raises:
        InvalidInputError: Every problem in it (the first few).
    """
    return _rows(_listed_records(value, ""), "")


def demand_rows_of_trace(
    requests: Iterable[tuple[float, float, float]], server: str, duration_s: float | None = None
) -> tuple[DemandRow, ...]:
    """Return the demand of a trace of requests, for one server.

    Hours count from the first request: times may be those of a clock. An hour that the trace does
    not cover whole is counted by the part that it does, and the last one with the hour before it
    where that is less than a tenth: a request by itself would be a rate out of all proportion. An
    hour that the trace covers without a request has none.

    Args:
        requests: Arrival in seconds, input tokens and output tokens of each request.
        server: Name of the server.
        duration_s: Seconds that the trace covers from its first request on; None for the time to
            its last one.

    Raises:
        InvalidInputError: It covers more hours than can be planned.
    """
    ordered = sorted(requests)
    if not ordered:
        return ()
    began = ordered[0][0]
    covered = max(ordered[-1][0] - began, 1.0) if duration_s is None else duration_s
    hours = max(1, math.ceil(covered / _SECONDS_PER_HOUR - _LEAST_PART_OF_AN_HOUR))
    if hours > _MOST_HOURS:
        message = f"the trace covers {hours:,} hours"
        raise InvalidInputError([Problem("arrival_s", message, f"at most {_MOST_HOURS:,}")])
    counted: list[list[tuple[float, float, float]]] = [[] for _ in range(hours)]
    for item in ordered:
        if item[0] - began <= covered:
            counted[min(int((item[0] - began) / _SECONDS_PER_HOUR), hours - 1)].append(item)
    rows = []
    for hour, own in enumerate(counted):
        end = covered if hour == hours - 1 else (hour + 1) * _SECONDS_PER_HOUR
        count = len(own)
        rows.append(
            DemandRow(
                hour,
                server,
                count / (end - hour * _SECONDS_PER_HOUR),
                sum(item[1] for item in own) / count if count else None,
                sum(item[2] for item in own) / count if count else None,
            )
        )
    return tuple(rows)


def read_trace_demand(path: str | Path, server: str) -> tuple[DemandRow, ...]:
    """Return the demand of a trace in CSV: ``arrival_s,in_tokens,out_tokens``, others ignored.

    Raises:
        InvalidInputError: The file cannot be read, or every problem in it (the first few).
    """
    problems = DemandProblems(str(path))
    requests = []
    for place, record in _csv_records(read_text(Path(path)), str(path)):
        values = [
            _number(record, name, place, problems, needed=True)
            for name in ("arrival_s", "in_tokens", "out_tokens")
        ]
        if None not in values:
            requests.append((values[0] or 0.0, values[1] or 0.0, values[2] or 0.0))
    problems.raise_if_any()
    if not requests:
        raise InvalidInputError([Problem("", "holds no request", "at least one row", str(path))])
    try:
        return demand_rows_of_trace(requests, server)
    except InvalidInputError as error:
        named = [replace(problem, file=str(path)) for problem in error.problems]
        raise InvalidInputError(named) from error


class DemandProblems:
    """What is wrong, up to a number that a reader can take in."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []

    def add(self, path: str, message: str, allowed: str = "") -> None:
        """Note a problem, each once."""
        problem = Problem(path, message, allowed, self.file)
        if problem not in self.found:
            self.found.append(problem)

    def raise_if_any(self) -> None:
        """Raise the first of them.

        Raises:
            InvalidInputError: There is any.
        """
        if self.found:
            shown = self.found[:_MOST_PROBLEMS]
            more = len(self.found) - len(shown)
            if more:
                shown.append(Problem("", f"and {more} more problems", "", self.file))
            raise InvalidInputError(shown)


def _csv_records(text: str, file: str) -> list[tuple[str, Mapping[str, object]]]:
    # Lines may end as on any system, so that no end of a line is read as a part of a field.
    records = csv_records(io.StringIO(text, newline=""), file=file)
    if not records.columns:
        raise InvalidInputError([Problem("", "the file is empty", "a heading and rows", file)])
    return [(f"line {line}", cells) for line, cells in records.rows]


def _json_records(text: str, file: str) -> list[tuple[str, Mapping[str, object]]]:
    value = decode_json(text, file).value
    return _listed_records(value.get("demand") if isinstance(value, dict) else value, file)


def _listed_records(rows: object, file: str) -> list[tuple[str, Mapping[str, object]]]:
    if not isinstance(rows, list):
        raise InvalidInputError(
            [Problem("demand", "is not a list", "a list of rows, on its own or as `demand`", file)]
        )
    records: list[tuple[str, Mapping[str, object]]] = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            problem = Problem(f"[{index}]", "is not a mapping", ", ".join(_COLUMNS), file)
            raise InvalidInputError([problem])
        records.append((f"[{index}]", {key: cell for key, cell in row.items() if cell is not None}))
    return records


def _rows(records: Iterable[tuple[str, Mapping[str, object]]], file: str) -> tuple[DemandRow, ...]:
    problems = DemandProblems(file)
    rows = []
    for place, record in records:
        hour = _number(record, "hour", place, problems, needed=True)
        rate = _number(record, "arrival_rate_rps", place, problems, needed=True)
        server = record.get("server")
        if not isinstance(server, str) or not server:
            problems.add(f"{place}: server", "is missing", "the name of a server of the fleet")
            continue
        if hour is not None and (hour != int(hour) or hour >= _MOST_HOURS):
            allowed = f"a whole number from 0, below {_MOST_HOURS}"
            problems.add(f"{place}: hour", f"{hour:g} is no hour", allowed)
            continue
        tokens = [_number(record, name, place, problems) for name in _COLUMNS[3:5]]
        quantile = _number(record, "quantile", place, problems)
        if quantile is not None and not 0.0 < quantile <= 1.0:
            problems.add(f"{place}: quantile", f"{quantile:g} is out of bounds", "above 0, up to 1")
        if hour is not None and rate is not None:
            rows.append(DemandRow(int(hour), server, rate, tokens[0], tokens[1], quantile))
    problems.raise_if_any()
    if not rows:
        raise InvalidInputError(
            [Problem("", "holds no rows", f"rows of {', '.join(_NEEDED)}", file)]
        )
    return tuple(rows)


def _number(
    record: Mapping[str, object],
    name: str,
    place: str,
    problems: DemandProblems,
    *,
    needed: bool = False,
) -> float | None:
    value = record.get(name)
    path = f"{place}: {name}"
    if value is None:
        if needed:
            problems.add(path, "is missing", "a number of 0 or more")
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        problems.add(path, f"{value!r} is not a number", "a number of 0 or more")
        return None
    try:
        number = float(value)
    except ValueError:
        problems.add(path, f'"{value}" is not a number', "a number of 0 or more")
        return None
    except OverflowError:
        problems.add(path, "is too large a number", "a finite number of 0 or more")
        return None
    if not (math.isfinite(number) and number >= 0):
        problems.add(path, f"{number:g} is out of bounds", "a finite number of 0 or more")
        return None
    return number
