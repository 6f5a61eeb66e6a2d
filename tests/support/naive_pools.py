"""Plans over pools by trying everything: written from the rules, knowing no model and no array.

An instance is a handful of servers with a few offers each. Every way to treat every server is
enumerated, every combination is held against every rule, and the best is sorted out in the order
that the rules name.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator

from stoker.domain.limits import Combination, ObjectiveName
from stoker.domain.pools import Pool, PriceKind
from tests.support.naive_cards import naive_cards
from tests.support.naive_fitting import fit
from tests.support.naive_ways import (
    set_ways,
    way_cost,
    ways,
)
from tests.support.pool_terms import EPS, BestPlan, Client, Instance, Together, Way


def fits(instance: Instance, plan: tuple[Way, ...]) -> bool:
    """Whether a plan keeps every limit that is not a server's own, changes apart."""
    limits = instance.limits
    cards = [cards_in(plan, pool) for pool in range(len(instance.pools))]
    cost = power = idle = 0.0
    replicas = 0
    for way in plan:
        if way.offer is None:
            continue
        cost += way_cost(instance, way)
        power += way.total * (way.offer.watts or 0.0)
        idle += way.total * (way.offer.idle_watts or 0.0)
        replicas += way.total * way.offer.counts_as
    if any(used > pool.usable for used, pool in zip(cards, instance.pools, strict=True)):
        return False
    if instance.nodes and not stand_on_nodes(instance, plan):
        return False
    for quota in instance.quotas:
        members = [k for k, pool in enumerate(instance.pools) if pool.quota_group == quota.name]
        if sum(cards[k] for k in members) > quota.cards:
            return False
    for used, limit in (
        (cost, limits.budget_per_hour),
        (power, limits.power_w),
        (idle, limits.idle_power_w),
        (replicas, limits.max_replicas),
    ):
        if limit is not None and used > limit + EPS:
            return False
    if limits.max_spot_share is not None:
        shares = [
            (pool.price_kind, n * way.offer.share)
            for way in plan
            if way.offer is not None
            for pool, n in zip(instance.pools, way.where, strict=True)
        ]
        spot = sum(share for kind, share in shares if kind is PriceKind.SPOT)
        if spot > limits.max_spot_share * sum(share for _, share in shares) + EPS:
            return False
    return True


def cards_in(plan: tuple[Way, ...], pool: int) -> int:
    """Return the cards that a plan takes of a pool, cut ones included."""
    return sum(
        way.where[pool] * way.offer.cards for way in plan if way.offer and not way.offer.slice
    ) + cut_in(plan, pool)


def cut_in(plan: tuple[Way, ...], pool: int) -> int:
    """Return the fewest cards of a pool that hold the slices taken there."""
    return naive_cards(
        [
            way.offer.slice
            for way in plan
            if way.offer and way.offer.slice
            for _ in range(way.where[pool])
        ]
    )


def stand_on_nodes(instance: Instance, plan: tuple[Way, ...]) -> bool:
    """Whether the replicas of every pool have a place on its nodes."""
    for index, pool in enumerate(instance.pools):
        counts: Counter[int] = Counter()
        for way in plan:
            if way.offer is not None and way.where[index] and not way.offer.slice:
                counts[way.offer.cards] += way.where[index]
        if cut_in(plan, index):
            counts[1] += cut_in(plan, index)
        if not fit([node for node in instance.nodes if node.pool == pool.name], counts):
            return False
    return True


def spilled(instance: Instance, plan: tuple[Way, ...]) -> float:
    total = 0.0
    for index, way in enumerate(plan):
        if way.offer is None:
            continue
        for pool, n in zip(instance.pools, way.where, strict=True):
            ranks = [rank_of(instance.clients[member], pool) for member in way.members or (index,)]
            total += max(ranks) * n * way.offer.share
    return float(total)


def rank_of(client: Client, pool: Pool) -> int:
    wanted = client.wishes.prefer_pools
    return wanted.index(pool.name) if pool.name in wanted else len(wanted)


def objective(instance: Instance, name: ObjectiveName, plan: tuple[Way, ...]) -> float:
    if name is ObjectiveName.COST:
        return math.fsum(way.value for way in plan)
    if name is ObjectiveName.ENERGY:
        return math.fsum(way.total * (way.offer.watts or 0.0) for way in plan if way.offer)
    if name is ObjectiveName.SLO_SLACK:
        return math.fsum(way.use for way in plan)
    if name is ObjectiveName.CHANGES:
        return float(sum(way.changed for way in plan))
    return max(shortfalls(instance, plan), default=0.0)


def shortfalls(instance: Instance, plan: tuple[Way, ...]) -> list[float]:
    """Return the share of its load that each service class with any goes without, worst first."""
    found = []
    for group in {(client.priority, client.group) for client in instance.clients}:
        members = [
            k
            for k, client in enumerate(instance.clients)
            if (client.priority, client.group) == group
        ]
        total = sum(instance.clients[k].rate for k in members)
        if total > 0:
            carried = sum(instance.clients[k].rate * plan[k].share for k in members)
            found.append(1.0 - carried / total)
    return sorted(found, reverse=True)


def stage_values(instance: Instance, plan: tuple[Way, ...]) -> list[tuple[float, float]]:
    """Return what is minimized in turn, each with its tolerance."""
    terms = instance.objectives.terms
    stages = []
    if any(client.wishes.prefer_pools for client in instance.clients):
        stages.append((spilled(instance, plan), 0.0))
    if instance.objectives.combine is Combination.WEIGHTED:
        total = sum(term.weight * objective(instance, term.name, plan) for term in terms)
        stages.append((total, 0.0))
    else:
        for term in terms:
            stages.append((objective(instance, term.name, plan), term.tolerance))
            if term.name is ObjectiveName.FAIRNESS:
                worst = shortfalls(instance, plan)
                stages += [(sum(worst[:k]), term.tolerance) for k in range(2, len(worst) + 1)]
    if not instance.objectives.includes(ObjectiveName.COST):
        stages.append((objective(instance, ObjectiveName.COST, plan), 0.0))
    return stages


def combinations(instance: Instance, most: int) -> int:
    """Return the number of plans that there are to try, at most so many."""
    counts = [len(ways(instance, index)) for index in range(len(instance.clients))]
    together = {item: len(set_ways(instance, item)) for item in instance.sets}
    total = 0
    for chosen in disjoint(instance.sets):
        covered = {member for item in chosen for member in item.members}
        own = [count for index, count in enumerate(counts) if index not in covered]
        total += math.prod(own) * math.prod(together[item] for item in chosen)
    return min(total, most)


def disjoint(sets: tuple[Together, ...]) -> Iterator[tuple[Together, ...]]:
    """Yield every choice of sets no two of which have a server in common, none included."""
    if not sets:
        yield ()
        return
    first, *rest = sets
    for chosen in disjoint(tuple(rest)):
        yield chosen
        if all(not set(first.members) & set(item.members) for item in chosen):
            yield (first, *chosen)


def every_plan(instance: Instance) -> Iterator[tuple[Way, ...]]:
    """Yield every plan, limits that all servers have in common apart."""
    choices = [ways(instance, index) for index in range(len(instance.clients))]
    together = {item: set_ways(instance, item) for item in instance.sets}
    for chosen in disjoint(instance.sets):
        covered = {member for item in chosen for member in item.members}
        own = [index for index in range(len(choices)) if index not in covered]
        for alone in itertools.product(*(choices[index] for index in own)):
            for common in itertools.product(*(together[item] for item in chosen)):
                plan = dict(zip(own, alone, strict=True))
                for item, parts in zip(chosen, common, strict=True):
                    plan |= dict(zip(item.members, parts, strict=True))
                yield tuple(plan[index] for index in range(len(choices)))


def best_plan(instance: Instance) -> BestPlan:
    """Return the best plan over pools."""
    priorities = sorted({client.priority for client in instance.clients})
    plans = [plan for plan in every_plan(instance) if fits(instance, plan)]
    if instance.limits.max_changes is not None:
        least = min(sum(way.changed for way in plan) for plan in plans)
        allowed = max(least, instance.limits.max_changes)
        plans = [plan for plan in plans if sum(way.changed for way in plan) <= allowed]

    def served(plan: tuple[Way, ...]) -> tuple[int, ...]:
        return tuple(
            sum(
                way.serves
                for client, way in zip(instance.clients, plan, strict=True)
                if client.priority == priority
            )
            for priority in priorities
        )

    vector = max(served(plan) for plan in plans)
    plans = [plan for plan in plans if served(plan) == vector]
    values = [stage_values(instance, plan) for plan in plans]
    reached = []
    remaining = list(range(len(plans)))
    for stage in range(len(values[0])):
        least_value = min(values[k][stage][0] for k in remaining)
        slack = values[0][stage][1] * abs(least_value) + EPS * max(1.0, abs(least_value))
        remaining = [k for k in remaining if values[k][stage][0] <= least_value + slack]
        reached.append(least_value)
    cards = min(
        sum(cards_in(plans[k], pool) for pool in range(len(instance.pools))) for k in remaining
    )
    # Later stages may give away within tolerances: what all remaining plans share is the last.
    return BestPlan(vector, tuple(reached), cards, len(plans))
