"""Demand by hour, from CSV or JSON: as told, folded from weeks of history, or from a trace.

A file of demand has a row for each server and hour: ``hour``, ``server``, ``arrival_rate_rps``, and
where they differ from the fleet's ``input_tokens`` and ``output_tokens``; a forecast has a further
column ``quantile``. Hours that are missing are unknown. They are an error unless the caller says
how to fill them, and never zero.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.decode import decode_json, read_text
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.horizon import HourlyDemand, Missing
from stoker.domain.server import Server
from stoker.domain.workload import Load

HOURS_PER_WEEK = 168
_SECONDS_PER_HOUR = 3600.0
_MOST_PROBLEMS = 20
_MOST_HOURS = 9000
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


def hourly_demand(
    rows: Sequence[DemandRow],
    servers: Sequence[Server],
    *,
    quantile: float | None = None,
    weekly: bool = False,
    missing: Missing = Missing.ERROR,
    file: str = "",
) -> HourlyDemand:
    """Return the demand of each server by hour.

    Args:
        rows: Rows of a file.
        servers: Servers of the fleet, which say all of a load that rows do not.
        quantile: Of a forecast, which of its quantiles (between two that are told it is
            interpolated); of history, which quantile of the weeks. None takes rates as told.
        weekly: Whether hours are history, of which the hours of a week are taken: hour 0 is the
            first hour of the week.
        missing: What an hour without a row means.
        file: Name of the file, for errors.

    Raises:
        InvalidInputError: Hours are missing or told twice, a server is unknown, or the quantile
            lies outside of the forecast's.
    """
    problems = _Problems(file)
    known = {server.name: server for server in servers}
    told: dict[str, dict[int, list[DemandRow]]] = {name: {} for name in known}
    for row in rows:
        if row.server not in known:
            allowed = ", ".join(sorted(known)[:5])
            problems.add("server", f'"{row.server}" is no server of the fleet', allowed)
        else:
            told[row.server].setdefault(row.hour, []).append(row)
    forecast = any(row.quantile is not None for row in rows)
    if weekly and quantile is None:
        problems.add("quantile", "is missing", "with history, a number above 0 and up to 1")
    if forecast and quantile is None:
        problems.add("quantile", "is missing", "with a forecast, one that lies within its own")
    problems.raise_if_any()
    hours = 1 + max((row.hour for row in rows), default=-1)
    if weekly and hours < HOURS_PER_WEEK:
        problems.add("hour", f"history of {hours} hours", f"at least {HOURS_PER_WEEK} hours")
    loads = []
    for name, server in known.items():
        single = {
            hour: _one(found, quantile, forecast, problems) for hour, found in told[name].items()
        }
        if weekly:
            single = _folded(single, quantile or 1.0)
        length = HOURS_PER_WEEK if weekly else hours
        loads.append(_filled(server, single, length, missing, problems))
    problems.raise_if_any()
    words = "history" if weekly else ("forecast" if forecast else "hourly rates")
    return HourlyDemand(tuple(known), tuple(loads), quantile if weekly or forecast else None, words)


def demand_rows_of_trace(
    requests: Iterable[tuple[float, float, float]], server: str, duration_s: float | None = None
) -> tuple[DemandRow, ...]:
    """Return the demand of a trace of requests, for one server.

    An hour that the trace does not cover whole is counted by the part that it does; one that it
    covers without a request has none.

    Args:
        requests: Arrival in seconds from 0, input tokens and output tokens of each request.
        server: Name of the server.
        duration_s: Seconds that the trace covers; None for the time of its last request.
    """
    ordered = sorted(requests)
    if not ordered:
        return ()
    covered = max(ordered[-1][0], 1.0) if duration_s is None else duration_s
    rows = []
    for hour in range(max(1, math.ceil(covered / _SECONDS_PER_HOUR))):
        start, end = hour * _SECONDS_PER_HOUR, min((hour + 1) * _SECONDS_PER_HOUR, covered)
        own = [item for item in ordered if start <= item[0] < end or item[0] == end == covered]
        count = len(own)
        rows.append(
            DemandRow(
                hour,
                server,
                count / (end - start),
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
    problems = _Problems(str(path))
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
    return demand_rows_of_trace(requests, server)


class _Problems:
    """What is wrong, up to a number that a reader can take in."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []

    def add(self, path: str, message: str, allowed: str = "") -> None:
        problem = Problem(path, message, allowed, self.file)
        if problem not in self.found:
            self.found.append(problem)

    def raise_if_any(self) -> None:
        if self.found:
            shown = self.found[:_MOST_PROBLEMS]
            more = len(self.found) - len(shown)
            if more:
                shown.append(Problem("", f"and {more} more problems", "", self.file))
            raise InvalidInputError(shown)


def _csv_records(text: str, file: str) -> list[tuple[str, Mapping[str, object]]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    if not reader.fieldnames:
        raise InvalidInputError([Problem("", "the file is empty", "a heading and rows", file)])
    records: list[tuple[str, Mapping[str, object]]] = []
    for record in reader:
        cells = {key: value for key, value in record.items() if key and value not in (None, "")}
        records.append((f"line {reader.line_num}", cells))
    return records


def _json_records(text: str, file: str) -> list[tuple[str, Mapping[str, object]]]:
    value = decode_json(text, file).value
    rows = value.get("demand") if isinstance(value, dict) else value
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
    problems = _Problems(file)
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
    problems: _Problems,
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
    if not (math.isfinite(number) and number >= 0):
        problems.add(path, f"{number:g} is out of bounds", "a finite number of 0 or more")
        return None
    return number


def _one(
    found: Sequence[DemandRow], quantile: float | None, forecast: bool, problems: _Problems
) -> DemandRow:
    """Return the one row of a server's hour; of a forecast the one at the quantile."""
    first = found[0]
    where = f"{first.server}, hour {first.hour}"
    if not forecast:
        if len(found) > 1:
            problems.add(where, f"{len(found)} rows", "one row for each server and hour")
        return first
    ordered = sorted(found, key=lambda row: row.quantile or 0.0)
    told = [row.quantile for row in ordered]
    if None in told or len(set(told)) != len(told):
        problems.add(where, "rows without a quantile, or two of the same", "each quantile once")
        return first
    levels = [level or 0.0 for level in told]
    asked = quantile or 0.0
    if not levels[0] <= asked <= levels[-1]:
        allowed = f"from {levels[0]:g} to {levels[-1]:g}, as the forecast tells"
        problems.add(where, f"the quantile {asked:g} is not within the forecast's", allowed)
        return first
    above = next(at for at, level in enumerate(levels) if level >= asked)
    if levels[above] == asked:
        return ordered[above]
    low, high = ordered[above - 1], ordered[above]
    share = (asked - levels[above - 1]) / (levels[above] - levels[above - 1])
    rate = low.arrival_rate_rps + share * (high.arrival_rate_rps - low.arrival_rate_rps)
    return replace(high, arrival_rate_rps=rate, quantile=asked)


def _folded(single: Mapping[int, DemandRow], quantile: float) -> dict[int, DemandRow]:
    """Return the hours of a week: of each the quantile of its weeks.

    It is the smallest of the rates seen that at least that share of the weeks does not exceed.
    """
    weeks: dict[int, list[DemandRow]] = {}
    for hour, row in single.items():
        weeks.setdefault(hour % HOURS_PER_WEEK, []).append(row)
    folded = {}
    for hour, rows in weeks.items():
        ordered = sorted(rows, key=lambda row: row.arrival_rate_rps)
        at = max(0, math.ceil(quantile * len(ordered) - 1e-9) - 1)
        folded[hour] = replace(ordered[at], hour=hour)
    return folded


def _filled(
    server: Server,
    single: Mapping[int, DemandRow],
    hours: int,
    missing: Missing,
    problems: _Problems,
) -> tuple[Load, ...]:
    """Return a server's load in every hour."""
    absent = [hour for hour in range(hours) if hour not in single]
    if absent and (missing is Missing.ERROR or not single):
        shown = ", ".join(f"{hour}" for hour in absent[:5])
        more = f", ... ({len(absent)} of {hours})" if len(absent) > 5 else ""
        allowed = "a row for each hour; or --missing previous or largest"
        if not single:
            allowed = "at least one row for each server of the fleet"
        problems.add(server.name, f"hours without a row: {shown}{more}", allowed)
        return ()
    largest = max(single.values(), key=lambda row: row.arrival_rate_rps, default=None)
    last = single[min(single)] if single else None
    loads = []
    for hour in range(hours):
        row = single.get(hour)
        if row is None:
            row = largest if missing is Missing.LARGEST else last
        else:
            last = row
        assert row is not None  # refused above where nothing is known
        load = _load(server, row, problems)
        if load is None:
            return ()
        loads.append(load)
    return tuple(loads)


def _load(server: Server, row: DemandRow, problems: _Problems) -> Load | None:
    base = server.load
    tokens = (row.input_tokens, row.output_tokens)
    if base is None and None in tokens and row.arrival_rate_rps > 0:
        problems.add(
            server.name,
            "the fleet does not know its load, and its rows do not tell tokens",
            "input_tokens and output_tokens in its rows",
        )
        return None
    known = base or Load(0.0, 0.0, 0.0)
    return replace(
        known,
        arrival_rate_rps=row.arrival_rate_rps,
        input_tokens=known.input_tokens if tokens[0] is None else tokens[0],
        output_tokens=known.output_tokens if tokens[1] is None else tokens[1],
        throughput_rps=None,
    )
