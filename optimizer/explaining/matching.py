"""A written plan found again among the candidates of a fleet; or why it is not of that fleet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from optimizer.explaining.decision import Decision, part_of, placed_decision, replicas_each
from optimizer.explaining.problem import rows_of
from optimizer.placement import Placement
from optimizer.table import EMPTY, CandidateTable
from stoker.domain.allocation import MixPart, PlannedAllocation
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.plan_change import OwnAllocation

_TOLERANCE = 1e-9


def matched_decision(fleet: Fleet, table: CandidateTable, plan: Plan) -> Decision:
    """Return the decision of a plan, in rows of the table.

    Args:
        fleet: The fleet that the plan is said to be of.
        table: Its candidates.
        plan: The plan.

    Raises:
        InvalidInputError: The plan is not of this fleet: every allocation that does not fit it.
    """
    problems = list(_strangers(fleet, plan))
    index = {name: server for server, name in enumerate(table.servers)}
    entries: list[tuple[int, int]] = []
    served = np.zeros(len(table.servers), dtype=np.bool_)
    for item in plan.allocations:
        server = index.get(item.server)
        if server is None or fleet.servers[server].load is None:
            continue
        if fleet.sharing and item.shared_with:
            continue  # no row of one server (optimizer.explaining.shared)
        if _runs_on(table, server, item):
            continue  # no row either: it is told as it stands
        rate = float(table.total_rate_rps[server])
        if not math.isclose(rate, item.arrival_rate_rps, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
            problems.append(
                Problem(
                    f"allocations.{item.server}.arrival_rate_rps",
                    f"{item.arrival_rate_rps:g} in the plan, {rate:g} in the fleet",
                    "a plan of this fleet",
                )
            )
            continue
        for part in item.mix or (item,):
            found = _row(table, server, item, part, plain=fleet.is_plain)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                entries.append((found, _count(table, found, part.replicas)))
        served[server] = item.fully_served
    if problems:
        raise InvalidInputError(problems)
    entries.sort()
    placement = Placement(
        row=np.array([row for row, _ in entries], dtype=np.int64),
        replicas=np.array([count for _, count in entries], dtype=np.int64),
        served=served,
    )
    slack = None if plan.bound is None else max(0.0, plan.objective - plan.bound)
    decision = placed_decision(table, placement, slack)
    if fleet.is_plain:
        return decision
    told = {index[item.server]: item for item in plan.allocations if item.server in index}
    return replace(
        decision,
        own=tuple(
            _as_told(own, told[server]) if server in told and _stands(own, told[server]) else own
            for server, own in enumerate(decision.own)
        ),
        objectives=plan.objectives,
    )


def _runs_on(table: CandidateTable, server: int, item: PlannedAllocation) -> bool:
    """Whether what runs is left as it is though it is no candidate, its figures unknown."""
    rows = rows_of(table, server)
    candidates = range(rows.start, rows.stop)
    on = (
        row for row in candidates if table.accepted[row] and _name(table, row) == item.accelerator
    )
    unknown = math.isnan(item.arrival_rate_rps) and not item.fully_served
    return unknown and bool(item.placements) and next(on, None) is None


def _stands(own: OwnAllocation, item: PlannedAllocation) -> bool:
    """Whether a server has replicas of its own somewhere, of a candidate or not."""
    return bool(own.parts or (item.placements and not item.shared_with))


def _as_told(own: OwnAllocation, item: PlannedAllocation) -> OwnAllocation:
    """Return what a server gets at what it costs in its pools."""
    return replace(
        own,
        cost_per_hour=item.cost_per_hour,
        value=item.value if own.served else 0.0,
        placements=tuple((part.pool, part.replicas) for part in item.placements),
    )


def _strangers(fleet: Fleet, plan: Plan) -> Iterator[Problem]:
    """Yield the servers that only one of plan and fleet has."""
    known = {server.name for server in fleet.servers}
    planned = [item.server for item in plan.allocations] + [item.server for item in plan.unplaced]
    allowed = "a plan of this fleet"
    for name in dict.fromkeys(planned):
        if name not in known:
            yield Problem(f"allocations.{name}", "the fleet has no such server", allowed)
    for name in sorted(known.difference(planned)):
        yield Problem("allocations", f"the plan has no word on server {name}", allowed)


def _row(
    table: CandidateTable,
    server: int,
    item: PlannedAllocation,
    part: PlannedAllocation | MixPart,
    *,
    plain: bool,
) -> int | Problem:
    """Return the row that an allocation is of; of several the one that is most like it.

    With pools and limits a plan may have spare replicas, and prices are those of pools.
    """
    where = f"allocations.{item.server}"
    rows = rows_of(table, server)
    candidates = [
        row
        for row in range(rows.start, rows.stop)
        if table.accepted[row] and _name(table, row) == part.accelerator
    ]
    on = "no accelerator" if part.accelerator is None else part.accelerator
    if not candidates:
        message = f"it is on {on}, which is no candidate of the server in this fleet"
        return Problem(f"{where}.accelerator", message, "a plan of this fleet")

    planned = part.configuration, item.prefill_replicas

    def unlike(row: int) -> tuple[bool, bool, bool, bool]:
        count = int(table.replicas[row])
        if not plain and item.pools:
            count = _count(table, row, part.replicas)
        found = part_of(table, row, count)
        return (
            (found.configuration, found.prefill_replicas) != planned,
            int(table.max_batch[row]) != part.max_batch,
            whole and found.replicas != part.replicas,
            plain
            and not _same(_cost(table, row, _count(table, row, part.replicas)), part.cost_per_hour),
        )

    whole = bool(item.pools) or (plain and item.fully_served and not item.mix)
    row = min(candidates, key=unlike)
    way, batch, count, cost = unlike(row)
    if way:
        return Problem(
            f"{where}.configuration",
            f"{_way(*planned)} in the plan, which is no candidate of the server in this fleet",
            "a plan of this fleet",
        )
    if batch:
        return Problem(
            f"{where}.max_batch",
            f"{part.max_batch} in the plan, {int(table.max_batch[row])} with this fleet on {on}",
            "a plan of this fleet",
        )
    if count:
        return Problem(
            f"{where}.replicas",
            f"{part.replicas} in the plan, and this fleet needs "
            f"{part_of(table, row, int(table.replicas[row])).replicas} on {on}",
            "a plan of this fleet",
        )
    if cost:
        return Problem(
            f"{where}.cost_per_hour",
            f"{part.cost_per_hour:g} in the plan, "
            f"{_cost(table, row, _count(table, row, part.replicas)):g} at this fleet's prices",
            "a plan of this fleet",
        )
    return row


def _count(table: CandidateTable, row: int, replicas: int) -> int:
    """Return how many of a row so many replicas are: of two pools, or on slices, one of all."""
    return replicas // replicas_each(table, row)


def _cost(table: CandidateTable, row: int, count: int) -> float:
    if count == table.replicas[row]:
        return float(table.cost_per_hour[row])
    return float(table.unit_cost_per_hour[row]) * count


def _way(configuration: str, prefill: int) -> str:
    """Return a configuration and a way of serving in words."""
    name = configuration or "no configuration"
    return f"{name} with {prefill} prefill replicas" if prefill else name


def _name(table: CandidateTable, row: int) -> str | None:
    index = int(table.accelerator[row])
    return None if index == EMPTY else table.accelerators[index]


def _same(ours: float, theirs: float) -> bool:
    return math.isclose(ours, theirs, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
