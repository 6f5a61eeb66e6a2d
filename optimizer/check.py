"""The last look at every plan: its rules re-checked in integers, by nothing that made it.

Reads the fleet and the finished plan alone, never the candidate table or the solver's model. A
plan that fails is a bug in Stoker, and is not handed out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from optimizer.check_pools import left_as_it_runs, pool_faults
from optimizer.configurations.bundles import whole_cards
from optimizer.configurations.counting import UnitCounts
from optimizer.configurations.slices import fewest_cards
from stoker.domain.accelerator import Slice
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.plan import Plan
from stoker.domain.server import Server

TARGET_TOLERANCE = 1e-6
"""Relative amount by which a predicted latency may exceed its target."""

PERCENTILE_TOLERANCE = 1e-3
"""The same of a percentile, which is read off a distribution that is itself tabulated."""

_MONEY_TOLERANCE = 1e-9
_RATE_TOLERANCE = 1e-9


def check_plan(fleet: Fleet, plan: Plan, *, unlimited: bool, own_predictions: bool) -> None:
    """Check a plan against the fleet that it was made for.

    Cards by type within capacity (or no more than what runs for servers of unknown load, which is
    kept as it is), replicas within minimum and maximum, accelerators as
    `keep_accelerator` demands, latencies within targets and rates covered for servers served in
    full, every server accounted for once, and cards, costs and counts that add up.

    Args:
        fleet: The fleet.
        plan: The plan.
        unlimited: Whether capacity was to be ignored.
        own_predictions: Whether the latencies, rates and costs are Stoker's own; somebody else's
            are taken as they are.

    Raises:
        PlanCheckError: Naming everything that is wrong.
    """
    unknown = frozenset(server.name for server in fleet.servers if server.load is None)
    faults = [
        *_accounting(fleet, plan),
        *_cards(fleet, plan, unlimited=unlimited),
        *_kept(fleet, plan),
        *_money(plan),
        *_counts(fleet, plan),
        *pool_faults(fleet, plan, unknown),
    ]
    servers = {server.name: server for server in fleet.servers}
    unit_costs = {item.name: item.cost_per_hour for item in fleet.accelerators}
    units = UnitCounts(fleet)
    for allocation in plan.allocations:
        server = servers.get(allocation.server)
        if server is None:
            continue
        if server.load is not None:
            faults += _placement(server, allocation)
        if own_predictions:
            faults += _promises(server, allocation)
            # What stands in pools has their prices, which are checked with them.
            if not allocation.placements:
                faults += _prices(allocation, unit_costs, units)
    if faults:
        raise PlanCheckError("the plan broke its own rules: " + "; ".join(faults))


def _accounting(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """Every server is served in full or listed as unplaced, and allocated at most once."""
    expected = [server.name for server in fleet.servers]
    known = set(expected)
    allocated = [allocation.server for allocation in plan.allocations]
    unplaced = [item.server for item in plan.unplaced]
    for kind, names in (("allocations", allocated), ("unplaced", unplaced)):
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{name} stands {count} times in {kind}"
            if name not in known:
                yield f"{kind} name an unknown server {name}"
    served = {item.server for item in plan.allocations if item.fully_served}
    missing = set(unplaced)
    for name in expected:
        if (name in served) == (name in missing):
            yield f"{name} is {'both' if name in served else 'neither'} served and unplaced"


def _cards(fleet: Fleet, plan: Plan, *, unlimited: bool) -> Iterator[str]:
    """Cards are counted from the accelerators, and lie within capacity."""
    cards = {item.name: item for item in fleet.accelerators}
    units = UnitCounts(fleet)
    capacity: Counter[str] = Counter()
    for item in fleet.capacity:
        capacity[item.card_type] += item.count
    told = set(capacity)
    for pool in fleet.pools:
        if pool.card_type not in told:
            capacity[pool.card_type] += pool.cards
    unknown = {server.name for server in fleet.servers if server.load is None}
    used: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    slices: defaultdict[str, Counter[Slice]] = defaultdict(Counter)
    cut: Counter[str] = Counter()
    for allocation in plan.allocations:
        total = 0
        for accelerator, count in units.parts(allocation):
            unit = cards[accelerator]
            card_type, taken = unit.card_type, whole_cards(unit, count)
            if unit.slice is not None and allocation.server not in unknown:
                # A card that several servers share counts for one of them. Over pools, slices of
                # one server may stand on more cards than would hold them together.
                taken = allocation.cards if plan.pools else min(taken, allocation.cards)
                slices[card_type][unit.slice] += count
                cut[card_type] += taken
            used[card_type] += taken
            kept[card_type] += taken if allocation.server in unknown else 0
            total += taken
        if total != allocation.cards:
            yield f"{allocation.server} claims {allocation.cards} cards and uses {total}"
    for card_type, own in slices.items():
        if cut[card_type] < fewest_cards(own):
            yield f"{cut[card_type]} cards of {card_type} do not hold the slices cut from them"
    claimed = {item.card_type: item for item in plan.usage}
    for card_type in sorted({*used, *claimed, *capacity}):
        usage = claimed.get(card_type)
        if usage is None or usage.used != used[card_type]:
            yield f"usage of {card_type} does not add up to {used[card_type]} cards"
        elif usage.available != (None if unlimited else capacity[card_type]):
            yield f"usage of {card_type} claims {usage.available} cards available"
        if not unlimited and used[card_type] > max(capacity[card_type], kept[card_type]):
            yield f"{used[card_type]} cards of {card_type} used of {capacity[card_type]}"


def _kept(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """What runs for a server of unknown load is neither changed nor left out."""
    accelerators = {item.name for item in fleet.accelerators}
    planned = {
        item.server: (item.accelerator, item.replicas, item.fully_served)
        for item in plan.allocations
    }
    for server in fleet.servers:
        if server.load is None:
            now = server.current
            runs = now is not None and now.replicas > 0 and now.accelerator in accelerators
            expected = (now.accelerator, now.replicas, False) if runs and now else None
            if planned.get(server.name) != expected:
                yield f"{server.name} is not kept as it is, though its load is unknown"


def _money(plan: Plan) -> Iterator[str]:
    """Costs and values add up."""
    cost = math.fsum(item.cost_per_hour for item in plan.allocations)
    if not _same_money(cost, plan.cost_per_hour):
        yield f"cost {plan.cost_per_hour} is not the sum {cost} of the allocations"
    value = math.fsum(item.value for item in plan.allocations if item.fully_served)
    if not _same_money(value, plan.objective):
        yield f"objective {plan.objective} is not the total value {value}"
    usage = math.fsum(item.cost_per_hour for item in plan.usage)
    if not _same_money(usage, cost):
        yield f"cost by card type {usage} is not the cost {cost}"
    for item in plan.allocations:
        if item.mix:
            parts = math.fsum(part.cost_per_hour for part in item.mix)
            if not _same_money(parts, item.cost_per_hour):
                yield f"{item.server}: the parts of its mix do not add up to its cost"


def _counts(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """Counts by priority are those of the servers."""
    priorities = {item.name: item.priority for item in fleet.service_classes}
    members: Counter[int] = Counter()
    served: Counter[int] = Counter()
    names = {item.server for item in plan.allocations if item.fully_served}
    for server in fleet.servers:
        priority = priorities.get(server.service_class)
        if priority is None:
            return
        members[priority] += 1
        served[priority] += server.name in names
    for service in plan.services:
        if service.servers != members[service.priority]:
            yield f"priority {service.priority} has {members[service.priority]} servers"
        if service.served != served[service.priority]:
            yield (
                f"priority {service.priority}: {served[service.priority]} servers are served, "
                f"the plan says {service.served}"
            )
        if service.bound is not None and service.bound < service.served:
            yield f"priority {service.priority} has a bound below its count"


def _placement(server: Server, allocation: PlannedAllocation) -> Iterator[str]:
    """Replicas lie within their bounds, on an accelerator that is allowed."""
    name, replicas = server.name, allocation.replicas
    if sum(count for _, count in parts_of(allocation)) != replicas:
        yield f"{name}: the replicas of its parts are not {replicas}"
    if any(count < 1 for _, count in parts_of(allocation)):
        yield f"{name} has a part without replicas"
    if allocation.accelerator is None:
        if replicas or server.min_replicas or server.load is None or not server.load.is_zero:
            yield f"{name} has an empty allocation, though it needs replicas"
        return
    if allocation.fully_served and replicas < server.min_replicas:
        yield f"{name} has {replicas} replicas, below its minimum {server.min_replicas}"
    # What may not change stays as it is, though more runs than the server is to have.
    bound = allocation.fully_served or not left_as_it_runs(allocation, server.current)
    if bound and server.max_replicas is not None and replicas > server.max_replicas:
        yield f"{name} has {replicas} replicas, above its maximum {server.max_replicas}"
    pinned = server.keep_accelerator and server.current is not None and server.current.accelerator
    if pinned and {accelerator for accelerator, _ in parts_of(allocation)} != {pinned}:
        yield f"{name} does not stay on {pinned}"


def _promises(server: Server, allocation: PlannedAllocation) -> Iterator[str]:
    """A server served in full keeps its targets and its replicas carry the whole load."""
    idle = server.load is not None and server.load.is_zero
    if not allocation.fully_served or idle or allocation.accelerator is None:
        return
    targets = (
        (
            "TTFT",
            allocation.ttft_target_ms,
            [allocation.ttft_ms, *(p.ttft_ms for p in allocation.mix)],
        ),
        ("ITL", allocation.itl_target_ms, [allocation.itl_ms, *(p.itl_ms for p in allocation.mix)]),
    )
    for kind, target, latencies in targets:
        if target is None or (kind == Latency.ITL.short and _gapless(server)):
            continue
        for latency in latencies:
            if latency is None or not latency <= target * (1.0 + TARGET_TOLERANCE):
                yield f"{server.name}: {kind} {latency} ms is not within {target} ms"
    if allocation.targets is not None:
        for statistic, limit_ms in allocation.targets.limits():
            if statistic.latency is Latency.ITL and _gapless(server):
                continue
            for figures in allocation.mix or (allocation,):
                known = figures.latencies.get(statistic.latency)
                if known is None:
                    continue
                value = known.at(statistic.percentile)
                if value is None or not value <= limit_ms * (1.0 + PERCENTILE_TOLERANCE):
                    yield f"{server.name}: {statistic} {value} ms is not within {limit_ms} ms"
    rates = [(part.max_rate_rps, part.replicas) for part in allocation.mix] or [
        (allocation.max_rate_rps, allocation.replicas)
    ]
    carried = math.fsum(rate * replicas for rate, replicas in rates)
    if not carried >= allocation.arrival_rate_rps * (1.0 - _RATE_TOLERANCE):
        yield (
            f"{server.name}: its replicas carry {carried} requests/s of "
            f"{allocation.arrival_rate_rps}"
        )


def _gapless(server: Server) -> bool:
    """Tell whether requests have one token each: no time between tokens can miss a target."""
    return server.load is not None and server.load.output_tokens <= 1


def _prices(
    allocation: PlannedAllocation,
    unit_costs: dict[str, float],
    units: UnitCounts,
) -> Iterator[str]:
    """The cost is that of the accelerators."""
    cost = math.fsum(
        unit_costs[accelerator] * count for accelerator, count in units.parts(allocation)
    )
    if not _same_money(cost, allocation.cost_per_hour):
        yield f"{allocation.server} costs {cost}, the plan says {allocation.cost_per_hour}"


def parts_of(allocation: PlannedAllocation) -> list[tuple[str, int]]:
    """Return accelerator and replicas of each part; nothing for an empty allocation."""
    if allocation.mix:
        return [(part.accelerator, part.replicas) for part in allocation.mix]
    if allocation.accelerator is None:
        return []
    return [(allocation.accelerator, allocation.replicas)]


def _same_money(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_MONEY_TOLERANCE, abs_tol=_MONEY_TOLERANCE)
