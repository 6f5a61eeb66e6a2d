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
from dataclasses import dataclass, field

from stoker.domain.accelerator import Slice
from stoker.domain.limits import Combination, Limits, ObjectiveName, Objectives, Survival
from stoker.domain.nodes import Node
from stoker.domain.pools import NO_WISHES, Pool, PoolWishes, PriceKind, QuotaGroup
from tests.support.naive_cards import naive_cards, naive_per_card, naive_share
from tests.support.naive_fitting import fit

EPS = 1e-9


@dataclass(frozen=True)
class Offer:
    """A candidate: a configuration with what its replicas take, cost and draw.

    With prefill replicas it is two pools that are taken whole: one replica that takes all cards.
    On a slice of a card, cards are cut in the pools where its replicas stand.
    """

    accelerator: int
    card_type: str
    cards: int
    unit_cost: float
    replicas: int
    watts: float | None = 100.0
    idle_watts: float | None = 20.0
    target_use: float = 0.5
    configuration: int = 0
    batch: int = 1
    prefill: int = 0
    decode: int = 0
    slice: Slice | None = None

    @property
    def share(self) -> float:
        """Cards of a replica, a slice by its share of one."""
        return self.cards if self.slice is None else naive_share(self.slice)

    def held_by(self, cards: int) -> int:
        """How many replicas so many cards hold with nobody else on them."""
        if self.slice is None:
            return cards // self.cards
        return cards * naive_per_card(self.slice)

    @property
    def key(self) -> tuple[int, int, int, int]:
        """What no other offer of the server has, in the order of candidates."""
        return self.accelerator, self.configuration, self.prefill, self.batch


@dataclass(frozen=True)
class Now:
    """What runs for a server; for two pools the replicas of both."""

    accelerator: int
    replicas: int
    configuration: int = 0
    prefill: int = 0
    batch: int | None = None
    where: tuple[int, ...] | None = None  # replicas by pool, where that is told

    def stays(self, offer: Offer) -> bool:
        """Whether an offer keeps accelerator, configuration and way of serving."""
        return (self.accelerator, self.configuration, self.prefill > 0) == (
            offer.accelerator,
            offer.configuration,
            offer.prefill > 0,
        )

    def units(self, offer: Offer) -> int:
        """How many replicas of an offer it is; 0 where it is none or another split."""
        if not self.stays(offer):
            return 0
        if not offer.prefill:
            return self.replicas
        return int((offer.prefill, offer.decode) == (self.prefill, self.replicas - self.prefill))

    def same_batch(self, offer: Offer) -> bool:
        return self.batch in (None, offer.batch)

    def same_place(self, offer: Offer, where: tuple[int, ...]) -> bool:
        if self.where is None:
            return True
        if not offer.prefill:
            return where == self.where
        return [n > 0 for n in where] == [n > 0 for n in self.where]


@dataclass(frozen=True)
class Client:
    """A server: its priority, class, load, offers, bounds, wishes, and what runs now."""

    priority: int
    rate: float
    offers: tuple[Offer, ...]
    group: int = 0  # service class among those of its priority
    most: int = 10_000
    wishes: PoolWishes = NO_WISHES
    now: Now | None = None


@dataclass(frozen=True)
class Instance:
    """Servers, pools and rules."""

    clients: tuple[Client, ...]
    pools: tuple[Pool, ...]
    quotas: tuple[QuotaGroup, ...] = ()
    limits: Limits = field(default_factory=Limits)
    objectives: Objectives = field(default_factory=Objectives)
    penalty: float = 0.1
    nodes: tuple[Node, ...] = ()  # each names its pool; none where nodes do not count


@dataclass(frozen=True)
class Way:
    """One way to treat a server."""

    offer: Offer | None
    where: tuple[int, ...]  # replicas by pool
    serves: bool
    changed: bool
    share: float  # of the load that is carried
    value: float

    @property
    def total(self) -> int:
        return sum(self.where)


@dataclass(frozen=True)
class BestPlan:
    """What the best plans have in common."""

    served: tuple[int, ...]
    stages: tuple[float, ...]
    cards: int
    plans: int


def pool_price(pool: Pool, offer: Offer) -> float:
    if pool.price_per_card_hour is not None:
        return pool.price_per_card_hour * offer.share
    return pool.price_factor * offer.unit_cost


def way_cost(instance: Instance, way: Way) -> float:
    if way.offer is None:
        return 0.0
    return sum(
        n * pool_price(pool, way.offer) for n, pool in zip(way.where, instance.pools, strict=True)
    )


def value_of(
    instance: Instance, client: Client, offer: Offer, where: tuple[int, ...], *, part: bool
) -> float:
    """Cost of the change, with penalty, starts of replicas and expected interruptions."""
    moved = client.now is None or not client.now.stays(offer)
    hours = instance.limits.replica_start_s / 3600.0
    running = 0.0 if part else current_cost(client)
    value = -running + (instance.penalty * running if moved else 0.0)
    if not part:
        before = 0 if client.now is None else client.now.units(offer)
        started = max(0, sum(where) - before)
        value += started * offer.unit_cost * hours / instance.limits.plan_hours
    for n, pool in zip(where, instance.pools, strict=True):
        price = pool_price(pool, offer)
        value += n * price * (1.0 + (instance.penalty if moved else 0.0))
        value += n * price * pool.interruptions_per_hour * hours
    return value


def current_cost(client: Client) -> float:
    """Cost of what runs, at the accelerator's own price."""
    if client.now is None:
        return 0.0
    for offer in client.offers:
        if client.now.units(offer):
            return offer.unit_cost * client.now.units(offer)
    return 0.0


def spreads(
    instance: Instance, client: Client, offer: Offer, most: int
) -> Iterator[tuple[int, ...]]:
    """Yield every way to put up to so many replicas in the pools that the server may use."""
    rooms = []
    for pool in instance.pools:
        fine = pool.card_type == offer.card_type
        fine = fine and (not client.wishes.pools or pool.name in client.wishes.pools)
        rooms.append(min(offer.held_by(pool.usable), most) if fine else 0)
    for where in itertools.product(*(range(room + 1) for room in rooms)):
        if 1 <= sum(where) <= most:
            yield where


def spot_fine(instance: Instance, client: Client, where: tuple[int, ...]) -> bool:
    share = client.wishes.max_spot_share
    if share is None:
        share = instance.limits.max_server_spot_share
    if share is None:
        return True
    spot = sum(
        n
        for n, pool in zip(where, instance.pools, strict=True)
        if pool.price_kind is PriceKind.SPOT
    )
    return spot <= share * sum(where) + EPS


def rules_kept(instance: Instance, client: Client, offer: Offer, where: tuple[int, ...]) -> bool:
    """Whether zones, shares and survival are as asked for a server served in full."""
    total = sum(where)
    zones: Counter[tuple[str | None, str | None]] = Counter()
    for n, pool in zip(where, instance.pools, strict=True):
        if n:
            zones[pool.region, pool.zone] += n
    if len(zones) < client.wishes.spread_zones:
        return False
    share = client.wishes.max_zone_share
    if share is not None and any(n > share * total + EPS for n in zones.values()):
        return False
    survive = instance.limits.headroom.survive
    if survive is Survival.REPLICA:
        return total - 1 >= offer.replicas
    if survive is Survival.ZONE:
        return total - max(zones.values()) >= offer.replicas
    if survive is Survival.NODE:
        for n, pool in zip(where, instance.pools, strict=True):
            told = [*pool.node_cards, *(n.cards for n in instance.nodes if n.pool == pool.name)]
            node = max(told, default=pool.cards)
            lost = min(n, max(1, offer.held_by(node)))
            if total - lost < offer.replicas:
                return False
    return True


def power_wanted(instance: Instance) -> bool:
    limits = instance.limits
    return (
        limits.power_w is not None
        or limits.idle_power_w is not None
        or instance.objectives.includes(ObjectiveName.ENERGY)
    )


def minimal_total(instance: Instance, client: Client, offer: Offer) -> int:
    survive = instance.limits.headroom.survive
    return max(offer.replicas + (1 if survive else 0), client.wishes.spread_zones)


def may_grow(instance: Instance, client: Client) -> bool:
    wishes = client.wishes
    share = wishes.max_spot_share
    if share is None:
        share = instance.limits.max_server_spot_share
    return (
        instance.limits.headroom.survive in (Survival.NODE, Survival.ZONE)
        or (wishes.max_zone_share is not None and wishes.max_zone_share < 1)
        or (wishes.spread_zones > 1 and share is not None and share < 1)
    )


def ways(instance: Instance, index: int) -> list[Way]:
    """Return every way to treat a server."""
    client = instance.clients[index]
    empty = tuple(0 for _ in instance.pools)
    found = [Way(None, empty, False, client.now is not None, 0.0, 0.0)]
    limits = instance.limits
    most = client.most
    if limits.max_replicas_per_server is not None:
        most = min(most, limits.max_replicas_per_server)
    partly = instance.objectives.includes(ObjectiveName.FAIRNESS)
    staying = limits.max_changes is not None or instance.objectives.includes(ObjectiveName.CHANGES)
    for offer in client.offers:
        if power_wanted(instance) and offer.watts is None:
            continue
        least = minimal_total(instance, client, offer)
        if least > most:
            continue
        top = most if may_grow(instance, client) else least
        for where in spreads(instance, client, offer, max(top, least)):
            total = sum(where)
            sound = spot_fine(instance, client, where)
            if least <= total and sound and rules_kept(instance, client, offer, where):
                same = as_it_runs(client, offer, where)
                value = value_of(instance, client, offer, where, part=False)
                found.append(Way(offer, where, True, not same, 1.0, value))
            if partly and total < offer.replicas and sound:
                value = value_of(instance, client, offer, where, part=True)
                found.append(Way(offer, where, False, True, total / offer.replicas, value))
    if staying and client.now is not None:
        found += list(staying_ways(instance, client))
    return found


def as_it_runs(client: Client, offer: Offer, where: tuple[int, ...]) -> bool:
    """Whether that is what runs now, as far as it is told: to the batch limit and the pools."""
    now = client.now
    if now is None or not now.units(offer):
        return False
    return sum(where) == now.units(offer) and now.same_batch(offer) and now.same_place(offer, where)


def staying_ways(instance: Instance, client: Client) -> Iterator[Way]:
    """Yield what runs left as it is, which serves nobody in full unless it is enough."""
    assert client.now is not None
    now = client.now
    found = sorted((offer for offer in client.offers if now.units(offer)), key=lambda o: o.key)
    # With a batch limit that no offer has, it is told by the first of them.
    nearest = next((offer for offer in found if now.same_batch(offer)), found[0] if found else None)
    for offer in found:
        if power_wanted(instance) and offer.watts is None:
            continue
        count = now.units(offer)
        for where in spreads(instance, client, offer, count):
            if sum(where) != count or not now.same_place(offer, where):
                continue
            value = value_of(instance, client, offer, where, part=False)
            share = min(1.0, count / offer.replicas)
            if offer == nearest:
                yield Way(offer, where, False, False, share, value)
            if not now.same_batch(offer):
                continue
            most = client.most
            if instance.limits.max_replicas_per_server is not None:
                most = min(most, instance.limits.max_replicas_per_server)
            if (
                count >= minimal_total(instance, client, offer)
                and minimal_total(instance, client, offer) <= most
                and spot_fine(instance, client, where)
                and rules_kept(instance, client, offer, where)
            ):
                yield Way(offer, where, True, False, 1.0, value)


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
        replicas += way.total
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
    for client, way in zip(instance.clients, plan, strict=True):
        wanted = client.wishes.prefer_pools
        if not wanted or way.offer is None:
            continue
        for pool, n in zip(instance.pools, way.where, strict=True):
            rank = wanted.index(pool.name) if pool.name in wanted else len(wanted)
            total += rank * n * way.offer.share
    return float(total)


def objective(instance: Instance, name: ObjectiveName, plan: tuple[Way, ...]) -> float:
    if name is ObjectiveName.COST:
        return math.fsum(way.value for way in plan)
    if name is ObjectiveName.ENERGY:
        return math.fsum(way.total * (way.offer.watts or 0.0) for way in plan if way.offer)
    if name is ObjectiveName.SLO_SLACK:
        return math.fsum(way.offer.target_use for way in plan if way.offer and way.serves)
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
    total = 1
    for index in range(len(instance.clients)):
        total *= len(ways(instance, index))
        if total > most:
            return most
    return total


def best_plan(instance: Instance) -> BestPlan:
    """Return the best plan over pools."""
    choices = [ways(instance, index) for index in range(len(instance.clients))]
    priorities = sorted({client.priority for client in instance.clients})
    plans = [plan for plan in itertools.product(*choices) if fits(instance, plan)]
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
