"""Demand by hour from rows: as told, folded from weeks of history, or at a forecast's quantile.

Hours that are missing are unknown. They are an error unless the caller says how to fill them, and
never zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from data.demand_rows import DemandProblems, DemandRow
from stoker.domain.horizon import HourlyDemand, Missing
from stoker.domain.server import Server
from stoker.domain.workload import Load

HOURS_PER_WEEK = 168


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
    problems = DemandProblems(file)
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
    if quantile is not None and rows and not (weekly or forecast):
        allowed = "none with rates told as they are; one with history (--weekly) or a forecast"
        problems.add("quantile", f"{quantile:g} has nothing to choose from", allowed)
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


def _one(
    found: Sequence[DemandRow], quantile: float | None, forecast: bool, problems: DemandProblems
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
    problems: DemandProblems,
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


def _load(server: Server, row: DemandRow, problems: DemandProblems) -> Load | None:
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
