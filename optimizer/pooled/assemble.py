"""A plan with its pools: where replicas stand, what limits are used, why servers are left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from optimizer.configurations.bundles import sharing_note, whole_cards
from optimizer.gap import bound_and_gap
from optimizer.placement import Outcome
from optimizer.pooled.answer import PooledAnswer
from optimizer.pooled.cut import counted_with
from optimizer.table import CandidateTable
from stoker.domain.accelerator import Slice
from stoker.domain.allocation import PlannedAllocation, PoolPlacement
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, Unplaced
from stoker.domain.usage import CardUsage, PoolUsage


def with_pools(fleet: Fleet, table: CandidateTable, outcome: Outcome, plan: Plan) -> Plan:
    """Return a plan with what its outcome decided about pools.

    Args:
        fleet: What was planned for.
        table: The candidate table.
        outcome: What was decided.
        plan: The plan as it is without pools: costs at the accelerators' own prices.
    """
    answer = outcome.pooled
    if answer is None:
        return plan
    index = {server.name: position for position, server in enumerate(fleet.servers)}
    cards = pool_cards(answer)
    allocations = tuple(
        _placed(item, index[item.server], answer, cards) for item in plan.allocations
    )
    objective = math.fsum(item.value for item in allocations if item.fully_served)
    scale = math.fsum(abs(item.value) + item.cost_per_hour for item in allocations)
    bound, gap = bound_and_gap(objective, outcome.bound, scale)
    return replace(
        plan,
        status=outcome.status,
        objective=objective,
        bound=bound,
        gap=gap,
        cost_per_hour=math.fsum(item.cost_per_hour for item in allocations),
        allocations=allocations,
        unplaced=tuple(_unplaced(item, index, table, answer) for item in plan.unplaced),
        usage=_usage(plan, allocations),
        pools=_pools(answer, allocations),
        limits=answer.limits,
        objectives=answer.objectives,
        notes=plan.notes + _slice_notes(fleet, allocations),
    )


def pool_cards(answer: PooledAnswer) -> Mapping[tuple[int, int], int]:
    """Return the cards that count for each server in each pool, by index of both.

    A card on which several servers have slices counts for the first of them.
    """
    found: dict[tuple[int, int], int] = {}
    cut: dict[int, dict[int, tuple[Slice, int]]] = {}
    for server, entry in answer.entries.items():
        for pool, replicas in entry.replicas.items():
            if entry.kind is None:
                found[server, pool] = replicas * entry.cards_per_replica
            else:
                cut.setdefault(pool, {})[server] = (entry.kind, replicas)
    for pool, taken in cut.items():
        for server, cards in counted_with(taken).items():
            found[server, pool] = cards
    return found


def _placed(
    item: PlannedAllocation,
    server: int,
    answer: PooledAnswer,
    cards: Mapping[tuple[int, int], int],
) -> PlannedAllocation:
    entry = answer.entries.get(server)
    if entry is None:
        return item
    placements = tuple(
        PoolPlacement(
            pool=answer.pools[pool].name,
            replicas=replicas * entry.counts_as,
            cards=cards[server, pool],
            price_kind=answer.pools[pool].price_kind,
            cost_per_hour=replicas * entry.price[pool],
        )
        for pool, replicas in sorted(entry.replicas.items())
    )
    return replace(
        item,
        cards=sum(part.cards for part in placements),
        cost_per_hour=math.fsum(part.cost_per_hour for part in placements),
        value=entry.value,
        placements=placements,
        spare_replicas=entry.spare,
        power_w=entry.power_w,
        idle_power_w=entry.idle_power_w,
    )


def _unplaced(
    item: Unplaced, index: dict[str, int], table: CandidateTable, answer: PooledAnswer
) -> Unplaced:
    """Return why a server is left out, with the causes and rejections that pools add."""
    server = index[item.server]
    rejections = dict(item.rejections)
    for row in range(int(table.row_start[server]), int(table.row_start[server + 1])):
        reason = answer.rejections.get(row)
        if reason is not None:
            rejections[table.accelerators[int(table.accelerator[row])]] = reason
    cause = answer.causes.get(server)
    if cause is None:
        return replace(item, rejections=rejections)
    return Unplaced(item.server, cause.reason, cause.detail, cause.remedy, rejections)


def _usage(plan: Plan, allocations: tuple[PlannedAllocation, ...]) -> tuple[CardUsage, ...]:
    """Return the use of card types in their pools, and what it costs there."""
    costs: dict[str, list[float]] = {}
    used: Counter[str] = Counter()
    for item in allocations:
        if item.card_type is not None:
            costs.setdefault(item.card_type, []).append(item.cost_per_hour)
            used[item.card_type] += item.cards
    return tuple(
        replace(
            item,
            used=used[item.card_type],
            cost_per_hour=math.fsum(costs.get(item.card_type, [])),
        )
        for item in plan.usage
    )


def _slice_notes(fleet: Fleet, allocations: tuple[PlannedAllocation, ...]) -> tuple[str, ...]:
    """Return what a reader should know of cards that several servers share, a sentence a type."""
    accelerators = {item.name: item for item in fleet.accelerators}
    alone: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for item in allocations:
        if not item.sliced or item.accelerator is None or item.card_type is None:
            continue
        unit = accelerators[item.accelerator]
        for part in item.placements:
            alone[item.card_type] += whole_cards(unit, part.replicas)
            counted[item.card_type] += part.cards
    return tuple(
        sharing_note(card_type, cards, alone[card_type])
        for card_type, cards in counted.items()
        if cards < alone[card_type]
    )


def _pools(
    answer: PooledAnswer, allocations: tuple[PlannedAllocation, ...]
) -> tuple[PoolUsage, ...]:
    parts = [part for item in allocations for part in item.placements]
    found = []
    for pool in answer.pools:
        own = [part for part in parts if part.pool == pool.name]
        replicas = sum(part.replicas for part in own)
        found.append(
            PoolUsage(
                pool=pool.name,
                card_type=pool.card_type,
                region=pool.region,
                zone=pool.zone,
                cluster=pool.cluster,
                price_kind=pool.price_kind,
                used=sum(part.cards for part in own),
                available=pool.usable,
                replicas=replicas,
                cost_per_hour=math.fsum(part.cost_per_hour for part in own),
                interruptions_per_hour=replicas * pool.interruptions_per_hour,
            )
        )
    return tuple(found)
