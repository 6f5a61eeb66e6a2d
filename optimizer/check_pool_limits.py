"""Limits on a whole plan over pools, re-checked on the finished plan alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from stoker.domain.accelerator import Accelerator, PowerCurve
from stoker.domain.allocation import PlannedAllocation, PoolPlacement
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.pools import PriceKind
from stoker.domain.server import Allocation

MONEY = 1e-9
SHARE = 1e-9
_LIMIT = 1e-6
"""Relative amount by which a limit on a sum may be exceeded: what a solver's tolerance may do."""


def plan_limit_faults(fleet: Fleet, plan: Plan, placed: list[PlannedAllocation]) -> Iterator[str]:
    """Yield what is wrong with a plan over pools as a whole, cards and quotas apart.

    Args:
        fleet: The fleet, its surge in its loads.
        plan: The plan.
        placed: Its allocations of servers whose load is known.
    """
    yield from _limits(fleet, plan)
    yield from _changes(fleet, plan)
    yield from _power(fleet, placed)


def card_shares(accelerator: Accelerator | None, part: PoolPlacement) -> float:
    """Return the cards of replicas on slices, each by its share of a card."""
    kind = None if accelerator is None else accelerator.slice
    if kind is None:
        return part.cards
    return part.replicas * (kind.sevenths / 7 if kind.sevenths else 1 / kind.parts)


def _limits(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """Budget, replicas and spot cards over the whole plan."""
    limits = fleet.limits
    kept = {item.server for item in plan.allocations if not item.placements and item.cards}
    kept_cost = math.fsum(i.cost_per_hour for i in plan.allocations if i.server in kept)
    kept_replicas = sum(i.replicas for i in plan.allocations if i.server in kept)
    budget = limits.budget_per_hour
    if budget is not None and plan.cost_per_hour > max(budget, kept_cost) * (1 + _LIMIT) + MONEY:
        yield f"the plan costs {plan.cost_per_hour} of a budget of {budget}"
    replicas = kept_replicas + sum(
        part.replicas for item in plan.allocations for part in item.placements
    )
    if limits.max_replicas is not None and replicas > max(limits.max_replicas, kept_replicas):
        yield f"the plan has {replicas} replicas of {limits.max_replicas}"
    if limits.max_spot_share is None:
        return
    accelerators = {item.name: item for item in fleet.accelerators}
    parts = [
        (part.price_kind, card_shares(accelerators.get(item.accelerator or ""), part))
        for item in plan.allocations
        for part in item.placements
    ]
    cards = math.fsum(share for _, share in parts)
    spot = math.fsum(share for kind, share in parts if kind is PriceKind.SPOT)
    if spot > limits.max_spot_share * cards + SHARE:
        yield f"{spot:g} of {cards:g} cards are spot"


def _changes(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """Servers for which something else runs than now."""
    claimed = next((item for item in plan.limits if item.name == "max_changes"), None)
    if claimed is None:
        return
    given = {item.server: item for item in plan.allocations if item.placements or item.shared_with}
    kept = {item.server for item in plan.allocations if not item.placements and item.cards}
    changes = 0
    for server in fleet.servers:
        if server.load is None or server.name in kept:
            continue
        now, item = server.current, given.get(server.name)
        if item is not None and item.shared_with:
            changes += not _together_as_now(fleet, item, given)
        elif now is None or now.accelerator is None or now.replicas < 1:
            changes += item is not None
        else:
            changes += item is None or _differs(item, now)
    if changes > claimed.used + SHARE:
        yield f"{changes} servers change, the plan says {claimed.used:g}"
    if claimed.used > claimed.limit and not any("fewest" in note for note in plan.notes):
        yield f"{claimed.used:g} servers change of {claimed.limit:g}"


def _together_as_now(
    fleet: Fleet, item: PlannedAllocation, given: Mapping[str, PlannedAllocation]
) -> bool:
    """Return whether common replicas are what runs now, which one of those who share them tells."""
    host = given[item.counted_with or item.server]
    names = {item.server, *item.shared_with}
    running = [
        server.current
        for server in fleet.servers
        if server.name in names and server.current is not None and server.current.replicas > 0
    ]
    return len(running) == 1 and not _differs(host, running[0])


def _differs(item: PlannedAllocation, now: Allocation) -> bool:
    """Return whether an allocation is anything else than what runs, as far as that is told."""
    if (item.accelerator, item.replicas) != (now.accelerator, now.replicas):
        return True
    if item.prefill_replicas != now.prefill_replicas:
        return True
    if now.configuration is not None and item.configuration != now.configuration:
        return True
    # What serves nobody in full may be left as it runs, though no candidate has its batch limit.
    if item.fully_served and now.max_batch not in (None, item.max_batch):
        return True
    if not now.in_pools:
        return False
    if item.pools:
        return {part.pool for part in item.placements} != {name for name, _ in now.in_pools}
    return {part.pool: part.replicas for part in item.placements} != dict(now.in_pools)


def _power(fleet: Fleet, placed: list[PlannedAllocation]) -> Iterator[str]:
    """Power of replicas by the curves of their accelerators, within its limits."""
    limits = fleet.limits
    curves = {item.name: (item.power, item.cards) for item in fleet.accelerators}
    loaded, idle = [], []
    for item in placed:
        if item.accelerator is None or not item.placements:
            continue
        curve, cards = curves[item.accelerator]
        if curve is None:
            limited = limits.power_w is not None or limits.idle_power_w is not None
            if limited or item.power_w is not None:
                yield f"{item.server} draws a power that nobody knows"
            continue
        units = item.replicas if item.sliced else item.cards / cards
        loaded.append(item.power_w or 0.0)
        idle.append(units * curve.idle_w)
        exact = not item.spare_replicas and item.fully_served and item.utilization is not None
        power = units * _watts(curve, item.utilization or 0.0)
        if exact and not math.isclose(power, item.power_w or 0.0, rel_tol=_LIMIT, abs_tol=_LIMIT):
            yield f"{item.server} draws {power} W, the plan says {item.power_w}"
    for name, total, limit in (
        ("power", math.fsum(loaded), limits.power_w),
        ("power without load", math.fsum(idle), limits.idle_power_w),
    ):
        if limit is not None and total > limit * (1 + _LIMIT) + _LIMIT:
            yield f"{name} of {total} W is above {limit} W"


def _watts(curve: PowerCurve, utilization: float) -> float:
    """Return the power of one unit at a utilization, by its curve."""
    load, knee = min(max(utilization, 0.0), 1.0), curve.mid_utilization
    if load <= knee:
        return curve.idle_w + (curve.mid_w - curve.idle_w) * load / knee
    return curve.mid_w + (curve.full_w - curve.mid_w) * (load - knee) / (1.0 - knee)
