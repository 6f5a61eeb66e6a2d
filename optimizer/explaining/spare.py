"""Which rules ask for the replicas of a plan over pools that its load does not need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from optimizer.check_pools import known_pools, lost_with_node
from optimizer.pooled.pool_nodes import largest_node, nodes_by_pool
from stoker.domain.allocation import PlannedAllocation, PoolPlacement
from stoker.domain.explanation import SpareRule
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Survival
from stoker.domain.nodes import Node
from stoker.domain.plan import Plan
from stoker.domain.pools import NO_WISHES, Pool, PriceKind

_ROUNDING = 1e-9
_SURVIVAL = {
    Survival.REPLICA: SpareRule.REPLICA_LOST,
    Survival.NODE: SpareRule.NODE_LOST,
    Survival.ZONE: SpareRule.ZONE_LOST,
}


def spare_rules(fleet: Fleet, plan: Plan) -> Mapping[str, tuple[SpareRule, ...]]:
    """Return the rules that ask for spare replicas, by the server that has some.

    One spare replica is taken from each of the pools in turn. Where that breaks a rule each time,
    the rules broken are those that ask for it. Where it does not, and as many replicas run now, it
    is what runs that the plan keeps.

    Args:
        fleet: The fleet that the plan is of.
        plan: The plan.
    """
    rules = _Rules.of(fleet, plan)
    hosts = {item.server: item for item in plan.allocations if item.spare_replicas}
    return {
        item.server: rules.asking(hosts[item.counted_with or item.server])
        for item in plan.allocations
        if (item.counted_with or item.server) in hosts
    }


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a fleet asks of where replicas stand.

    Attributes:
        fleet: The fleet.
        pools: Its pools by name.
        nodes: Nodes by pool.
        cards: Cards that the plan uses, those of spot pools first, then all.
    """

    fleet: Fleet
    pools: dict[str, Pool]
    nodes: Mapping[str, list[Node]]
    cards: tuple[int, int]

    @classmethod
    def of(cls, fleet: Fleet, plan: Plan) -> _Rules:
        pools = known_pools(fleet)
        nodes, _ = nodes_by_pool(fleet.nodes, pools.values())
        spot = sum(item.used for item in plan.pools if item.price_kind is PriceKind.SPOT)
        return cls(fleet, pools, nodes, (spot, sum(item.used for item in plan.pools)))

    def asking(self, item: PlannedAllocation) -> tuple[SpareRule, ...]:
        """Return the rules that ask for the spare replicas of an allocation."""
        if item.pools and _taken_together(item) == item.replicas:
            # Replicas of both pools are spare, none of which could be spared with another.
            return (SpareRule.REPLICA_LOST,)
        broken = [
            set(self._broken(item, index))
            for index, part in enumerate(item.placements)
            if part.replicas
        ]
        if broken and all(broken):
            found = set().union(*broken)
            return tuple(rule for rule in SpareRule if rule in found)
        members = {item.server, *item.shared_with}
        kept = any(
            server.current is not None and server.current.replicas == item.replicas
            for server in self.fleet.servers
            if server.name in members
        )
        return (SpareRule.CURRENT,) if kept else ()

    def _broken(self, item: PlannedAllocation, index: int) -> Iterator[SpareRule]:
        """Yield the rules that an allocation breaks with one replica less in a place.

        Of two pools it is one deployment of both, as neither is of use without the other.
        """
        taken = item.placements[index]
        one = _taken_together(item)
        each = taken.cards * one // taken.replicas
        parts = [
            replace(part, replicas=part.replicas - one, cards=part.cards - each)
            if place == index
            else part
            for place, part in enumerate(item.placements)
        ]
        parts = [part for part in parts if part.replicas]
        total = sum(part.replicas for part in parts)
        zones: Counter[tuple[str | None, str | None]] = Counter()
        for part in parts:
            zones[self.pools[part.pool].place] += part.replicas
        largest = max(zones.values(), default=0)
        survive = self.fleet.limits.headroom.survive
        need = total + one - item.spare_replicas
        if survive is not None and total - self._lost(item, parts, survive, largest) < need:
            yield _SURVIVAL[survive]
        wishes = [
            self.fleet.wishes.get(name, NO_WISHES) for name in (item.server, *item.shared_with)
        ]
        if len(zones) < max(wish.spread_zones for wish in wishes):
            yield SpareRule.ZONES
        shares = [wish.max_zone_share for wish in wishes if wish.max_zone_share is not None]
        if shares and largest > min(shares) * total + _ROUNDING:
            yield SpareRule.ZONE_SHARE
        if self._too_much_spot(item, parts, taken, each):
            yield SpareRule.SPOT_SHARE

    def _lost(
        self, item: PlannedAllocation, parts: list[PoolPlacement], survive: Survival, largest: int
    ) -> int:
        """Return how many replicas the largest single loss takes."""
        if survive is Survival.REPLICA:
            return 1
        if survive is Survival.ZONE:
            return largest
        return max(
            (
                lost_with_node(
                    self.fleet, item, part, largest_node(self.pools[part.pool], self.nodes)
                )
                for part in parts
            ),
            default=0,
        )

    def _too_much_spot(
        self, item: PlannedAllocation, parts: list[PoolPlacement], taken: PoolPlacement, each: int
    ) -> bool:
        """Whether too many replicas of the server, or cards of the plan, are spot then."""
        limits = self.fleet.limits
        spot = sum(part.replicas for part in parts if part.price_kind is PriceKind.SPOT)
        total = sum(part.replicas for part in parts)
        for name in (item.server, *item.shared_with):
            share = self.fleet.wishes.get(name, NO_WISHES).max_spot_share
            if share is None:
                share = limits.max_server_spot_share
            if share is not None and spot > share * total + _ROUNDING:
                return True
        if limits.max_spot_share is None:
            return False
        spot_cards, cards = self.cards
        spot_cards -= each if taken.price_kind is PriceKind.SPOT else 0
        return spot_cards > limits.max_spot_share * (cards - each) + _ROUNDING


def _taken_together(item: PlannedAllocation) -> int:
    """Return how many replicas come and go together: those of a deployment of two pools, else 1.

    Deployments are alike, and each stands in one pool of cards: so few that this can be.
    """
    if not item.pools:
        return 1
    counts = [part.replicas for part in item.placements]
    for deployments in range(1, item.replicas):
        one, left = divmod(item.replicas, deployments)
        alike = all(part.replicas % deployments == 0 for part in item.pools)
        if not left and alike and all(count % one == 0 for count in counts):
            return one
    return 1
