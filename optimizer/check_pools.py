"""Rules of pools, limits and headroom, re-checked on a finished plan in integers.

Reads the fleet and the plan alone, as `optimizer.check` does, and shares nothing with the model
that made the plan.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from optimizer.check_pool_limits import MONEY, SHARE, card_shares, plan_limit_faults
from optimizer.configurations.slices import fewest_cards, slices_per_card
from optimizer.pooled.pool_nodes import largest_node, nodes_by_pool
from stoker.domain.accelerator import Slice
from stoker.domain.allocation import PlannedAllocation, PoolPlacement
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Survival
from stoker.domain.plan import Plan
from stoker.domain.pools import NO_WISHES, Pool, PriceKind
from stoker.domain.routing import Router
from stoker.domain.server import Allocation


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
    pools = known_pools(fleet)
    placed = [item for item in plan.allocations if item.server not in unknown_load]
    current = {server.name: server.current for server in fleet.servers}
    hosts = {item.server: item for item in placed}
    for item in placed:
        now = current.get(item.server)
        yield from _placed(fleet, pools, item, now)
        if item.counted_with in hosts:
            # What a server asks of its replicas, it asks of those that it shares.
            stands = hosts[item.counted_with]
            common = replace(
                item, placements=stands.placements, spare_replicas=stands.spare_replicas
            )
            yield from _where(pools, fleet, common)
            yield from _spread(fleet, pools, common)
            yield from _server_limits(fleet, common)
    yield from _pool_cards(fleet, plan, pools)
    yield from _cut_cards(fleet, plan)
    yield from plan_limit_faults(fleet, plan, placed)


def known_pools(fleet: Fleet) -> dict[str, Pool]:
    """Return the pools of a fleet by name, those that card types without one stand for included."""
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
    if sum(part.replicas for part in item.placements) != stand:
        yield f"{name}: its placements do not add up to {item.replicas} replicas"
    if sum(part.cards for part in item.placements) != item.cards:
        yield f"{name}: its placements do not add up to {item.cards} cards"
    accelerator = next((a for a in fleet.accelerators if a.name == item.accelerator), None)
    yield from _where(pools, fleet, item)
    cost = 0.0
    for part in item.placements:
        pool = pools.get(part.pool)
        if pool is None or pool.card_type != item.card_type:
            yield f"{name} stands in {part.pool}, which has no cards of {item.card_type}"
            continue
        if pool.price_per_card_hour is not None:
            cards = card_shares(accelerator, part) if item.sliced else part.cards
            price = pool.price_per_card_hour * cards
        elif accelerator is not None:
            units = part.replicas if item.sliced else part.cards / accelerator.cards
            price = accelerator.cost_per_hour * units * pool.price_factor
        else:
            price = part.cost_per_hour
        if not math.isclose(price, part.cost_per_hour, rel_tol=MONEY, abs_tol=MONEY):
            yield f"{name} costs {price} in {part.pool}, the plan says {part.cost_per_hour}"
        cost += part.cost_per_hour
    if not math.isclose(cost, item.cost_per_hour, rel_tol=MONEY, abs_tol=MONEY):
        yield f"{name}: its placements cost {cost}, the plan says {item.cost_per_hour}"
    if item.fully_served:
        yield from _spread(fleet, pools, item)
    if item.fully_served or not left_as_it_runs(item, now):
        yield from _server_limits(fleet, item)


def _where(pools: dict[str, Pool], fleet: Fleet, item: PlannedAllocation) -> Iterator[str]:
    """Replicas stand in pools that the server may use."""
    wishes = fleet.wishes.get(item.server, NO_WISHES)
    for part in item.placements:
        if part.pool in pools and wishes.pools and part.pool not in wishes.pools:
            yield f"{item.server} stands in {part.pool}, which it may not use"


def left_as_it_runs(item: PlannedAllocation, now: Allocation | None) -> bool:
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
    if wishes.max_zone_share is not None and largest > wishes.max_zone_share * total + SHARE:
        yield f"{name} has {largest} of {total} replicas in one zone"
    if survive is None:
        return
    need = total - item.spare_replicas
    lost = 1 if survive is Survival.REPLICA else largest
    if survive is Survival.NODE:
        nodes, _ = nodes_by_pool(fleet.nodes, pools.values())
        lost = max(
            lost_with_node(fleet, item, p, largest_node(pools[p.pool], nodes))
            for p in item.placements
        )
    if survive is Survival.REPLICA and any(part.replicas < 2 for part in item.pools):
        yield f"{name} has a pool of one replica, whose loss it does not survive"
    if total - lost < need:
        yield f"{name} has {total - lost} replicas after the loss of a {survive.value}, of {need}"
    loaded = item.arrival_rate_rps > 0 and item.router is Router.RANDOM and not item.pools
    if loaded and need * item.max_rate_rps < item.arrival_rate_rps * (1 - MONEY):
        yield f"{name}: {need} replicas do not carry {item.arrival_rate_rps} requests/s"


def lost_with_node(fleet: Fleet, item: PlannedAllocation, part: PoolPlacement, node: int) -> int:
    """Return how many replicas in a pool one of its nodes may take with it.

    Args:
        fleet: The fleet, for what slices are of a card.
        item: The allocation.
        part: Where some of its replicas stand.
        node: Cards of the largest node of that pool.
    """
    if item.sliced:
        kind = next(a.slice for a in fleet.accelerators if a.name == item.accelerator)
        held = node * slices_per_card(kind) if kind is not None else node
    else:
        held = node * part.replicas // part.cards
    return min(part.replicas, max(1, held))


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
    if share is not None and spot > share * total + SHARE:
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
