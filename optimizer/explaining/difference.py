"""Two plans compared: what changed for each server, and what of its own is different in both.

A plan tells loads, targets, prices and cards, so the causes need no fleet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from optimizer.explaining.causes import (
    causes_of_server,
    causes_of_whole,
    close,
    hardware,
    parts_of,
)
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.plan import Plan
from stoker.domain.plan_difference import (
    Cause,
    CauseKind,
    PlanDifference,
    ServerChange,
    ServerDifference,
)


def compare_plans(before: Plan, after: Plan) -> PlanDifference:
    """Return what differs from one plan to another.

    Raises:
        InvalidInputError: They are in different currencies.
    """
    if before.currency != after.currency:
        message = f"the plans are in {before.currency} and {after.currency}"
        raise InvalidInputError([Problem("currency", message, "two plans in one currency")])
    first = {item.server: item for item in before.allocations}
    second = {item.server: item for item in after.allocations}
    names = list(dict.fromkeys((*_servers(after), *_servers(before))))
    known_before, known_after = set(_servers(before)), set(_servers(after))
    served_before = {name for name, item in first.items() if item.fully_served}
    served_after = {name for name, item in second.items() if item.fully_served}
    whole = causes_of_whole(before, after)
    differences = []
    for name in names:
        old, new = first.get(name), second.get(name)
        change = _change(name, old, new, known_before, known_after)
        if change is None:
            continue
        cost = (new.cost_per_hour if new else 0.0) - (old.cost_per_hour if old else 0.0)
        causes = tuple(causes_of_server(before, after, old, new, whole, change))
        differences.append(ServerDifference(name, change, old, new, cost, causes))
    return PlanDifference(
        currency=after.currency,
        cost_before=before.cost_per_hour,
        cost_after=after.cost_per_hour,
        servers=tuple(_with_a_cause(item, others=len(differences) > 1) for item in differences),
        unchanged=len(names) - len(differences),
        served_before={item.priority: item.served for item in before.services},
        served_after={item.priority: item.served for item in after.services},
        newly_served=tuple(name for name in names if name in served_after - served_before),
        no_longer_served=tuple(name for name in names if name in served_before - served_after),
        cards=_used(before, after),
        causes=whole,
    )


def _servers(plan: Plan) -> Iterator[str]:
    """Yield the servers of a plan, allocated or not, in its order."""
    seen = set()
    for item in plan.allocations:
        seen.add(item.server)
        yield item.server
    for lacking in plan.unplaced:
        if lacking.server not in seen:
            yield lacking.server


def _change(
    name: str,
    old: PlannedAllocation | None,
    new: PlannedAllocation | None,
    before: set[str],
    after: set[str],
) -> ServerChange | None:
    """Return what happened to a server; None where nothing did."""
    if name not in before:
        return ServerChange.ADDED
    if name not in after:
        return ServerChange.REMOVED
    was, is_now = bool(old and old.fully_served), bool(new and new.fully_served)
    if was and not is_now:
        return ServerChange.LOST
    if is_now and not was:
        return ServerChange.SERVED
    if old is None or new is None:
        return None if old is new else ServerChange.MOVED
    if hardware(old) != hardware(new):
        return ServerChange.MOVED
    if set(old.shared_with) != set(new.shared_with):
        return ServerChange.SHARED
    if [part.replicas for part in parts_of(old)] != [part.replicas for part in parts_of(new)]:
        return ServerChange.RESIZED
    if old.placements and new.placements and _places(old) != _places(new):
        return ServerChange.PLACED
    same = (
        old.max_batch == new.max_batch
        and old.prefill_replicas == new.prefill_replicas
        and close(old.cost_per_hour, new.cost_per_hour)
    )
    return None if same else ServerChange.CHANGED


def _with_a_cause(item: ServerDifference, *, others: bool) -> ServerDifference:
    """Return a difference that says so where nothing of its own tells why."""
    if item.causes or item.change in (ServerChange.ADDED, ServerChange.REMOVED):
        return item
    return replace(item, causes=(Cause(CauseKind.OTHERS if others else CauseKind.UNTOLD),))


def _places(item: PlannedAllocation) -> dict[str, int]:
    return {part.pool: part.replicas for part in item.placements}


def _used(before: Plan, after: Plan) -> dict[str, int]:
    old = {item.card_type: item.used for item in before.usage}
    new = {item.card_type: item.used for item in after.usage}
    changes = {name: new.get(name, 0) - old.get(name, 0) for name in dict.fromkeys((*old, *new))}
    return {name: change for name, change in changes.items() if change}
