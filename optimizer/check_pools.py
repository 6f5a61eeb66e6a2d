"""Rules of pools, limits and headroom, re-checked on a finished plan in integers.

Reads the fleet and the plan alone, as `optimizer.check` does, and shares nothing with the model
that made the plan.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from optimizer.configurations.slices import fewest_cards, slices_per_card
from optimizer.pooled.pool_nodes import largest_node, nodes_by_pool
from stoker.domain.accelerator import Accelerator, PowerCurve, Slice
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Survival
from stoker.domain.plan import Plan, PlannedAllocation, PoolPlacement
from stoker.domain.pools import NO_WISHES, Pool, PriceKind
from stoker.domain.routing import Router
from stoker.domain.server import Allocation

_MONEY = 1e-9
_LIMIT = 1e-6
"""Relative amount by which a limit on a sum may be exceeded: what a solver's tolerance may do."""
_SHARE = 1e-9


def pool_faults(fleet: Fleet, plan: Plan, unknown_load: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with a plan over pools.

    Args:
        fleet: The fleet, its surge in its loads.
        plan: The plan.
        unknown_load: Servers of unknown load, which are kept in places that nobody knows.
    """
    if not plan.pools:
        if not fleet.is_plain:
            yield "the plan does not say where replicas stand"
        return
    pools = _pools(fleet)
    placed = [item for item in plan.allocations if item.server not in unknown_load]
    current = {server.name: server.current for server in fleet.servers}
    for item in placed:
        now = current.get(item.server)
        yield from _placed(fleet, pools, item, now)
    yield from _pool_cards(fleet, plan, pools)
    yield from _cut_cards(fleet, plan)
    yield from _limits(fleet, plan)
    yield from _changes(fleet, plan)
    yield from _power(fleet, placed)


def _pools(fleet: Fleet) -> dict[str, Pool]:
    pools = {pool.name: pool for pool in fleet.pools}
    pooled = {pool.card_type for pool in fleet.pools}
    alone = {
        item.card_type: Pool(item.card_type, item.card_type, item.count)
        for item in fleet.capacity
        if item.card_type not in pooled
    }
    return pools | alone


def _placed(
    fleet: Fleet, pools: dict[str, Pool], item: PlannedAllocation, now: Allocation | None
) -> Iterator[str]:
    """One allocation: where it stands, what it costs there, and its own rules."""
    name = item.server
    stand = item.replicas if item.cards or item.placements else 0
    if sum(part.replicas for part in item.placements) != stand and not item.pools:
        yield f"{name}: its placements do not add up to {item.replicas} replicas"
    if sum(part.cards for part in item.placements) != item.cards:
        yield f"{name}: its placements do not add up to {item.cards} cards"
    accelerator = next((a for a in fleet.accelerators if a.name == item.accelerator), None)
    wishes = fleet.wishes.get(name, NO_WISHES)
    cost = 0.0
    for part in item.placements:
        pool = pools.get(part.pool)
        if pool is None or pool.card_type != item.card_type:
            yield f"{name} stands in {part.pool}, which has no cards of {item.card_type}"
            continue
        if wishes.pools and part.pool not in wishes.pools:
            yield f"{name} stands in {part.pool}, which it may not use"
        if pool.price_per_card_hour is not None:
            cards = _shares(accelerator, part) if item.sliced else part.cards
            price = pool.price_per_card_hour * cards
        elif accelerator is not None:
            units = part.replicas if item.sliced else part.cards / accelerator.cards
            price = accelerator.cost_per_hour * units * pool.price_factor
        else:
            price = part.cost_per_hour
        if not math.isclose(price, part.cost_per_hour, rel_tol=_MONEY, abs_tol=_MONEY):
            yield f"{name} costs {price} in {part.pool}, the plan says {part.cost_per_hour}"
        cost += part.cost_per_hour
    if not math.isclose(cost, item.cost_per_hour, rel_tol=_MONEY, abs_tol=_MONEY):
        yield f"{name}: its placements cost {cost}, the plan says {item.cost_per_hour}"
    if item.fully_served:
        yield from _spread(fleet, pools, item)
    if item.fully_served or not _as_it_runs(item, now):
        yield from _server_limits(fleet, item)


def _as_it_runs(item: PlannedAllocation, now: Allocation | None) -> bool:
    """Return whether an allocation is what runs, left as it is."""
    return now is not None and (now.accelerator, now.replicas) == (item.accelerator, item.replicas)


def _spread(fleet: Fleet, pools: dict[str, Pool], item: PlannedAllocation) -> Iterator[str]:
    """Zones, shares and survival of a server that is served in full."""
    name, wishes = item.server, fleet.wishes.get(item.server, NO_WISHES)
    survive = fleet.limits.headroom.survive
    total = sum(part.replicas for part in item.placements)
    if not total:
        return
    zones: Counter[tuple[str | None, str | None]] = Counter()
    for part in item.placements:
        zones[pools[part.pool].place] += part.replicas
    largest = max(zones.values())
    if len(zones) < wishes.spread_zones:
        yield f"{name} stands in {len(zones)} zones, not in {wishes.spread_zones}"
    if wishes.max_zone_share is not None and largest > wishes.max_zone_share * total + _SHARE:
        yield f"{name} has {largest} of {total} replicas in one zone"
    if survive is None:
        return
    need = total - item.spare_replicas
    lost = 1 if survive is Survival.REPLICA else largest
    if survive is Survival.NODE:
        nodes, _ = nodes_by_pool(fleet.nodes, pools.values())
        lost = max(
            _lost_with_node(fleet, item, p, largest_node(pools[p.pool], nodes))
            for p in item.placements
        )
    if total - lost < need:
        yield f"{name} has {total - lost} replicas after the loss of a {survive.value}, of {need}"
    loaded = item.arrival_rate_rps > 0 and item.router is Router.RANDOM and not item.pools
    if loaded and need * item.max_rate_rps < item.arrival_rate_rps * (1 - _MONEY):
        yield f"{name}: {need} replicas do not carry {item.arrival_rate_rps} requests/s"


def _lost_with_node(fleet: Fleet, item: PlannedAllocation, part: PoolPlacement, node: int) -> int:
    """Return how many replicas in a pool one of its nodes may take with it."""
    if item.sliced:
        kind = next(a.slice for a in fleet.accelerators if a.name == item.accelerator)
        held = node * slices_per_card(kind) if kind is not None else node
    else:
        held = node * part.replicas // part.cards
    return min(part.replicas, max(1, held))


def _shares(accelerator: Accelerator | None, part: PoolPlacement) -> float:
    """Return the cards of replicas on slices, each by its share of a card."""
    kind = None if accelerator is None else accelerator.slice
    if kind is None:
        return part.cards
    return part.replicas * (kind.sevenths / 7 if kind.sevenths else 1 / kind.parts)


def _server_limits(fleet: Fleet, item: PlannedAllocation) -> Iterator[str]:
    """Replicas and spot cards of one server."""
    limits, wishes = fleet.limits, fleet.wishes.get(item.server, NO_WISHES)
    total = sum(part.replicas for part in item.placements)
    most = limits.max_replicas_per_server
    if most is not None and total > most:
        yield f"{item.server} has {total} replicas, above the limit of {most} for a server"
    share = wishes.max_spot_share
    if share is None:
        share = limits.max_server_spot_share
    spot = sum(p.replicas for p in item.placements if p.price_kind is PriceKind.SPOT)
    if share is not None and spot > share * total + _SHARE:
        yield f"{item.server} has {spot} of {total} replicas on spot cards"


def _pool_cards(fleet: Fleet, plan: Plan, pools: dict[str, Pool]) -> Iterator[str]:
    """Cards of pools and quotas, and the plan's own account of pools."""
    used: Counter[str] = Counter()
    for item in plan.allocations:
        for part in item.placements:
            used[part.pool] += part.cards
    for name, cards in used.items():
        if name in pools and cards > pools[name].usable:
            yield f"{cards} cards of pool {name} used of {pools[name].usable}"
    for usage in plan.pools:
        if usage.used != used[usage.pool]:
            yield f"usage of pool {usage.pool} does not add up to {used[usage.pool]} cards"
    by_quota: defaultdict[str, int] = defaultdict(int)
    for name, cards in used.items():
        group = pools[name].quota_group if name in pools else None
        if group is not None:
            by_quota[group] += cards
    for quota in fleet.quotas:
        if by_quota[quota.name] > quota.cards:
            yield f"{by_quota[quota.name]} cards of quota {quota.name} used of {quota.cards}"


def _cut_cards(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """Cards of each pool hold the slices that are cut from them, and are no more than it takes."""
    kinds = {item.name: item.slice for item in fleet.accelerators}
    slices: defaultdict[str, Counter[Slice]] = defaultdict(Counter)
    cards: Counter[str] = Counter()
    for item in plan.allocations:
        kind = kinds.get(item.accelerator or "")
        if kind is None:
            continue
        for part in item.placements:
            slices[part.pool][kind] += part.replicas
            cards[part.pool] += part.cards
    for pool, own in slices.items():
        if cards[pool] != fewest_cards(own):
            yield f"{cards[pool]} cards of pool {pool} for slices that take {fewest_cards(own)}"


def _limits(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """Budget, replicas and spot cards over the whole plan."""
    limits = fleet.limits
    kept = {item.server for item in plan.allocations if not item.placements and item.cards}
    kept_cost = math.fsum(i.cost_per_hour for i in plan.allocations if i.server in kept)
    kept_replicas = sum(i.replicas for i in plan.allocations if i.server in kept)
    budget = limits.budget_per_hour
    if budget is not None and plan.cost_per_hour > max(budget, kept_cost) * (1 + _LIMIT) + _MONEY:
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
        (part.price_kind, _shares(accelerators.get(item.accelerator or ""), part))
        for item in plan.allocations
        for part in item.placements
    ]
    cards = math.fsum(share for _, share in parts)
    spot = math.fsum(share for kind, share in parts if kind is PriceKind.SPOT)
    if spot > limits.max_spot_share * cards + _SHARE:
        yield f"{spot:g} of {cards:g} cards are spot"


def _changes(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """Servers for which something else runs than now."""
    claimed = next((item for item in plan.limits if item.name == "max_changes"), None)
    if claimed is None:
        return
    given = {item.server: item for item in plan.allocations if item.placements}
    kept = {item.server for item in plan.allocations if not item.placements and item.cards}
    changes = 0
    for server in fleet.servers:
        if server.load is None or server.name in kept:
            continue
        now, item = server.current, given.get(server.name)
        if now is None or now.accelerator is None or now.replicas < 1:
            changes += item is not None
        else:
            changes += item is None or _differs(item, now)
    if changes > claimed.used + _SHARE:
        yield f"{changes} servers change, the plan says {claimed.used:g}"
    if claimed.used > claimed.limit and not any("fewest" in note for note in plan.notes):
        yield f"{claimed.used:g} servers change of {claimed.limit:g}"


def _differs(item: PlannedAllocation, now: Allocation) -> bool:
    """Return whether an allocation is anything else than what runs, as far as that is told."""
    # Prefill and decode pools stand as one.
    replicas = item.replicas if item.pools else sum(part.replicas for part in item.placements)
    if (item.accelerator, replicas) != (now.accelerator, now.replicas):
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
