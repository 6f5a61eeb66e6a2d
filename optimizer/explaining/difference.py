"""Two plans compared: what changed for each server, and what of its own is different in both.

A plan tells loads, targets, prices and cards, so the causes need no fleet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from stoker.domain.allocation import MixPart, PlannedAllocation
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.plan import Plan
from stoker.domain.plan_difference import (
    Cause,
    CauseKind,
    PlanDifference,
    ServerChange,
    ServerDifference,
)
from stoker.domain.slo import SloTarget

_TOLERANCE = 1e-9
_NO_TARGET = SloTarget(model="")


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
    cards = tuple(_cards(before, after))
    differences = []
    for name in names:
        old, new = first.get(name), second.get(name)
        change = _change(name, old, new, known_before, known_after)
        if change is None:
            continue
        cost = (new.cost_per_hour if new else 0.0) - (old.cost_per_hour if old else 0.0)
        causes = tuple(_causes(before, after, old, new, cards, change))
        differences.append(ServerDifference(name, change, old, new, cost, causes))
    return PlanDifference(
        currency=after.currency,
        cost_before=before.cost_per_hour,
        cost_after=after.cost_per_hour,
        servers=tuple(differences),
        unchanged=len(names) - len(differences),
        served_before={item.priority: item.served for item in before.services},
        served_after={item.priority: item.served for item in after.services},
        newly_served=tuple(name for name in names if name in served_after - served_before),
        no_longer_served=tuple(name for name in names if name in served_before - served_after),
        cards=_used(before, after),
        causes=(*_analysis(before, after), *cards),
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
    if _hardware(old) != _hardware(new):
        return ServerChange.MOVED
    if set(old.shared_with) != set(new.shared_with):
        return ServerChange.SHARED
    if [part.replicas for part in _parts(old)] != [part.replicas for part in _parts(new)]:
        return ServerChange.RESIZED
    same = (
        old.max_batch == new.max_batch
        and old.prefill_replicas == new.prefill_replicas
        and _close(old.cost_per_hour, new.cost_per_hour)
    )
    return None if same else ServerChange.CHANGED


def _causes(
    before: Plan,
    after: Plan,
    old: PlannedAllocation | None,
    new: PlannedAllocation | None,
    cards: tuple[Cause, ...],
    change: ServerChange,
) -> Iterator[Cause]:
    """Yield what is different for a server in both plans; the others where nothing is."""
    if change in (ServerChange.ADDED, ServerChange.REMOVED):
        return
    found: list[Cause] = []
    if old is not None and new is not None:
        found += _own_causes(old, new)
    found += _analysis(before, after)
    touched = {part.card_type for item in (old, new) if item for part in _parts(item)}
    if change is not ServerChange.RESIZED or not found:
        # What a server was taken off, or could not have, is of no type of its own.
        found += [item for item in cards if item.of in touched or old is None or new is None]
    yield from found or [Cause(CauseKind.OTHERS)]


def _own_causes(old: PlannedAllocation, new: PlannedAllocation) -> Iterator[Cause]:
    if not _close(old.arrival_rate_rps, new.arrival_rate_rps):
        yield _figures(CauseKind.LOAD, old.arrival_rate_rps, new.arrival_rate_rps)
    if (old.targets or _NO_TARGET) != (new.targets or _NO_TARGET):
        yield Cause(CauseKind.TARGETS, _told(old.targets), _told(new.targets))
    if old.mix or new.mix or _hardware(old) != _hardware(new):
        return
    if (set(old.shared_with), old.counted_with) != (set(new.shared_with), new.counted_with):
        return  # common replicas are paid for by one of those who share them, and carry all of them
    if old.replicas and new.replicas:
        price = old.cost_per_hour / old.replicas, new.cost_per_hour / new.replicas
        if not _close(*price):
            yield _figures(CauseKind.PRICE, *price)
    if old.max_batch != new.max_batch:
        yield Cause(CauseKind.BATCH, str(old.max_batch), str(new.max_batch))
    same = old.targets == new.targets
    if same and not _close(old.max_rate_rps, new.max_rate_rps):
        yield _figures(CauseKind.CARRIES, old.max_rate_rps, new.max_rate_rps)


def _cards(before: Plan, after: Plan) -> Iterator[Cause]:
    """Yield the card types of which there are more or fewer."""
    old = {item.card_type: item.available for item in before.usage}
    new = {item.card_type: item.available for item in after.usage}
    for card_type in dict.fromkeys((*old, *new)):
        was, is_now = old.get(card_type, 0), new.get(card_type, 0)
        if was != is_now:
            yield Cause(CauseKind.CARDS, _count(was), _count(is_now), card_type)


def _used(before: Plan, after: Plan) -> dict[str, int]:
    old = {item.card_type: item.used for item in before.usage}
    new = {item.card_type: item.used for item in after.usage}
    changes = {name: new.get(name, 0) - old.get(name, 0) for name in dict.fromkeys((*old, *new))}
    return {name: change for name, change in changes.items() if change}


def _analysis(before: Plan, after: Plan) -> tuple[Cause, ...]:
    if before.analysis is after.analysis:
        return ()
    return (Cause(CauseKind.ANALYSIS, before.analysis.value, after.analysis.value),)


def _parts(item: PlannedAllocation) -> tuple[PlannedAllocation | MixPart, ...]:
    return item.mix or (item,)


def _hardware(item: PlannedAllocation) -> tuple[object, ...]:
    """Return what an allocation is on: accelerators, configurations, and the way of serving.

    What a replica of them costs and carries cannot be compared with a replica of others.
    """
    return item.serving, *((part.accelerator, part.configuration) for part in _parts(item))


def _figures(kind: CauseKind, before: float, after: float) -> Cause:
    return Cause(kind, f"{before:.4g}", f"{after:.4g}")


def _told(target: SloTarget | None) -> str:
    """Return targets in words: ``mean TTFT 500 ms, p95 ITL 40 ms``."""
    if target is None:
        return "none"
    parts = [f"{statistic} {limit:.6g} ms" for statistic, limit in target.limits()]
    parts += [] if target.tps is None else [f"{target.tps:.6g} tokens/s"]
    return ", ".join(parts) or "none"


def _count(cards: int | None) -> str:
    return "any" if cards is None else str(cards)


def _close(before: float, after: float) -> bool:
    if math.isnan(before) or math.isnan(after):
        return math.isnan(before) and math.isnan(after)
    return math.isclose(before, after, rel_tol=_TOLERANCE, abs_tol=1e-12)
