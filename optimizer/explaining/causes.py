"""What is different in two plans, and may be why a server has something else in the second."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from stoker.domain.allocation import MixPart, PlannedAllocation
from stoker.domain.limits import ObjectiveName
from stoker.domain.plan import Plan
from stoker.domain.plan_difference import Cause, CauseKind, ServerChange
from stoker.domain.slo import SloTarget

_TOLERANCE = 1e-9
_NO_TARGET = SloTarget(model="")
_COST = ObjectiveName.COST.value
_FAIRNESS = ObjectiveName.FAIRNESS.value


def causes_of_whole(before: Plan, after: Plan) -> tuple[Cause, ...]:
    """Return what is different for two plans as a whole, how they were made first."""
    return (*_made(before, after), *_cards(before, after), *_pools(before, after))


def causes_of_server(
    before: Plan,
    after: Plan,
    old: PlannedAllocation | None,
    new: PlannedAllocation | None,
    whole: Sequence[Cause],
    change: ServerChange,
) -> Iterator[Cause]:
    """Yield what is different for a server in both plans; nothing where nothing is told to be.

    Args:
        before: The first plan.
        after: The second.
        old: What the server has in the first.
        new: What it has in the second.
        whole: What is different for the plans as a whole.
        change: What happened to it.
    """
    if change in (ServerChange.ADDED, ServerChange.REMOVED):
        return
    found: list[Cause] = []
    if old is not None and new is not None:
        found += _own_causes(old, new, after.surge / before.surge)
    found += [item for item in whole if item.kind in (CauseKind.ANALYSIS, CauseKind.SURGE)]
    if change is not ServerChange.RESIZED or not found:
        touched = _touched(old, new)
        # What a server was taken off, or could not have, is of no type of its own.
        anything = old is None or new is None
        kinds = (CauseKind.CARDS, CauseKind.POOL)
        found += [x for x in whole if x.kind in kinds and (anything or x.of in touched)]
        found += [x for x in whole if x.kind in _HOW]
    yield from found


_HOW = (CauseKind.METHOD, CauseKind.LIMIT, CauseKind.OBJECTIVES)


def parts_of(item: PlannedAllocation) -> tuple[PlannedAllocation | MixPart, ...]:
    """Return the parts of an allocation: itself, where it is no mix."""
    return item.mix or (item,)


def hardware(item: PlannedAllocation) -> tuple[object, ...]:
    """Return what an allocation is on: accelerators, configurations, and the way of serving.

    What a replica of them costs and carries cannot be compared with a replica of others.
    """
    return item.serving, *((part.accelerator, part.configuration) for part in parts_of(item))


def close(before: float, after: float) -> bool:
    """Return whether two figures differ by rounding alone; unknown ones are alike."""
    if math.isnan(before) or math.isnan(after):
        return math.isnan(before) and math.isnan(after)
    return math.isclose(before, after, rel_tol=_TOLERANCE, abs_tol=1e-12)


def _touched(old: PlannedAllocation | None, new: PlannedAllocation | None) -> set[str | None]:
    """Return the types of cards, and the pools, that a server has in either plan."""
    items = [item for item in (old, new) if item is not None]
    types = {part.card_type for item in items for part in parts_of(item)}
    return types | {part.pool for item in items for part in item.placements}


def _own_causes(old: PlannedAllocation, new: PlannedAllocation, surge: float) -> Iterator[Cause]:
    """Yield what is different for a server, the surge of both plans apart."""
    # A target of tokens per second may ask for more than the load, whatever the surge.
    rates = old.arrival_rate_rps, old.arrival_rate_rps * surge
    if not any(close(rate, new.arrival_rate_rps) for rate in rates):
        yield _figures(CauseKind.LOAD, old.arrival_rate_rps, new.arrival_rate_rps)
    if (old.targets or _NO_TARGET) != (new.targets or _NO_TARGET):
        yield Cause(CauseKind.TARGETS, _told(old.targets), _told(new.targets))
    if old.mix or new.mix or hardware(old) != hardware(new):
        return
    if (set(old.shared_with), old.counted_with) != (set(new.shared_with), new.counted_with):
        return  # common replicas are paid for by one of those who share them, and carry all of them
    if old.replicas and new.replicas:
        price = old.cost_per_hour / old.replicas, new.cost_per_hour / new.replicas
        if not close(*price):
            yield _figures(CauseKind.PRICE, *price)
    if old.max_batch != new.max_batch:
        yield Cause(CauseKind.BATCH, str(old.max_batch), str(new.max_batch))
    same = old.targets == new.targets
    if same and not close(old.max_rate_rps, new.max_rate_rps):
        yield _figures(CauseKind.CARRIES, old.max_rate_rps, new.max_rate_rps)


def _made(before: Plan, after: Plan) -> Iterator[Cause]:
    """Yield what is different in how two plans were made."""
    if before.analysis is not after.analysis:
        yield Cause(CauseKind.ANALYSIS, before.analysis.value, after.analysis.value)
    if before.method != after.method:
        yield Cause(CauseKind.METHOD, before.method, after.method)
    if not close(before.surge, after.surge):
        yield _figures(CauseKind.SURGE, before.surge, after.surge)
    old = {item.name: item.limit for item in before.limits}
    new = {item.name: item.limit for item in after.limits}
    for name in dict.fromkeys((*old, *new)):
        was, is_now = old.get(name), new.get(name)
        if was is None or is_now is None or not close(was, is_now):
            yield Cause(CauseKind.LIMIT, _limit(was), _limit(is_now), name)
    if _objectives(before) != _objectives(after):
        yield Cause(CauseKind.OBJECTIVES, _objectives(before), _objectives(after))


def _objectives(plan: Plan) -> str:
    """Return what a plan is to be best at: ``energy, cost``; stages of fairness are one."""
    names = [item.name for item in plan.objectives if not item.name.startswith(f"{_FAIRNESS}_")]
    return ", ".join(names) or _COST


def _cards(before: Plan, after: Plan) -> Iterator[Cause]:
    """Yield the card types of which there are more or fewer."""
    old = {item.card_type: item.available for item in before.usage}
    new = {item.card_type: item.available for item in after.usage}
    for card_type in dict.fromkeys((*old, *new)):
        was, is_now = old.get(card_type, 0), new.get(card_type, 0)
        if was != is_now:
            yield Cause(CauseKind.CARDS, _count(was), _count(is_now), card_type)


def _pools(before: Plan, after: Plan) -> Iterator[Cause]:
    """Yield the pools with more or fewer cards, where both plans have pools beside card types."""
    old = {item.pool: item.available for item in before.pools if item.pool != item.card_type}
    new = {item.pool: item.available for item in after.pools if item.pool != item.card_type}
    for pool in dict.fromkeys((*old, *new)) if old and new else ():
        was, is_now = old.get(pool, 0), new.get(pool, 0)
        if was != is_now:
            yield Cause(CauseKind.POOL, _count(was), _count(is_now), pool)


def _figures(kind: CauseKind, before: float, after: float) -> Cause:
    return Cause(kind, _figure(before), _figure(after))


def _figure(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.4g}"


def _limit(limit: float | None) -> str:
    return "none" if limit is None else f"{limit:.6g}"


def _told(target: SloTarget | None) -> str:
    """Return targets in words: ``mean TTFT 500 ms, p95 ITL 40 ms``."""
    if target is None:
        return "none"
    parts = [f"{statistic} {limit:.6g} ms" for statistic, limit in target.limits()]
    parts += [] if target.tps is None else [f"{target.tps:.6g} tokens/s"]
    return ", ".join(parts) or "none"


def _count(cards: int | None) -> str:
    return "any" if cards is None else str(cards)
