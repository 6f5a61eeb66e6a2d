"""What batch servers get that cannot be served in full: as many replicas as the others leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from controller.batch import BatchProgress
from controller.memory import Memory
from controller.planning import Planned
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.reasons import UnplacedReason
from stoker.domain.server import Server
from stoker.domain.usage import CardUsage

_TRIED_RPS = 1e-3
_WITHIN = 1.0 - 1e-9


def fill_leftover(planned: Planned, memory: Memory, at: float) -> tuple[Planned, tuple[str, ...]]:
    """Give cards that nobody uses to batch servers that were not placed, the most urgent first.

    A batch server that cannot be served in full is better served in part: what it does not do now
    is less to do later. Only in fleets whose cards are counts alone, without pools and limits.

    Args:
        planned: The plan of all servers.
        memory: What batch servers have left to do, and what the others asked for lately.
        at: Now, in seconds since the epoch.

    Returns:
        The plan with what was given to them, and which of them will be late, in words.
    """
    plan, fleet = planned.plan, planned.fleet
    if plan is None:
        return planned, ()
    servers = {each.name: each for each in fleet.servers}
    work = {name: each.batch for name, each in memory.servers.items() if each.batch is not None}
    if not work:
        return planned, ()
    missing = {each.server for each in plan.unplaced}
    given = {each.server: each for each in plan.allocations if each.server in missing}
    hungry = any(
        each.server not in work and each.reason is UnplacedReason.CAPACITY for each in plan.unplaced
    )
    if hungry:
        plan = replace(
            plan,
            allocations=tuple(
                _not_grown(servers[each.server], each) if each.server in work else each
                for each in plan.allocations
            ),
        )
    left = {item.card_type: item.count for item in fleet.capacity}
    for usage in plan.usage:
        left[usage.card_type] = left.get(usage.card_type, 0) - usage.used
    for card_type, cards in _asked_for_lately(plan, memory).items():
        left[card_type] = left.get(card_type, 0) - cards
    added: list[PlannedAllocation] = []
    notes = []
    for name in sorted(work, key=lambda each: (work[each].deadline, each)):
        server = servers.get(name)
        if server is None or server.load is None:
            continue
        if name not in missing:
            placed = next((each for each in plan.allocations if each.server == name), None)
            if placed is not None and _carries(server, placed) < server.load.arrival_rate_rps:
                notes.append(_late(fleet, server, work[name], placed, placed, at))
            continue
        one = _alone(planned, server, _TRIED_RPS) if _counts_alone(fleet) else None
        # What the plan gives it in part is its own to begin with.
        mine = None if one is None else given.get(name)
        free = dict(left) if mine is None else _with_back(left, mine)
        got = None if one is None else _part(planned, server, one, free)
        if got is not None:
            got = _not_grown(server, got) if hungry else got
            left = _with_back(free, got, -1)
            added.append(got)
        notes.append(_late(fleet, server, work[name], one, got, at))
    if added:
        names = {each.server for each in added}
        kept = tuple(each for each in plan.allocations if each.server not in names)
        plan = replace(
            plan,
            allocations=(*kept, *added),
            usage=tuple(
                _with(each, added, [given[name] for name in sorted(names & given.keys())])
                for each in plan.usage
            ),
        )
    plan = replace(plan, cost_per_hour=sum(each.cost_per_hour for each in plan.allocations))
    return replace(planned, plan=plan), tuple(notes)


def _asked_for_lately(plan: Plan, memory: Memory) -> dict[str, int]:
    """Return cards by type that the others do not need now, but did within their window.

    Needs that come and go with the noise of a forecast must not have batch servers come and go.
    """
    found: dict[str, int] = {}
    for each in plan.allocations:
        own = memory.server(each.server)
        if own.batch is not None or not each.replicas or each.card_type is None:
            continue
        most = max((w.replicas for w in own.wanted if w.accelerator == each.accelerator), default=0)
        more = max(0, most - each.replicas) * (each.cards // each.replicas)
        found[each.card_type] = found.get(each.card_type, 0) + more
    return found


def _counts_alone(fleet: Fleet) -> bool:
    return fleet.is_plain and not fleet.sharing and not fleet.settings.placement


def _alone(planned: Planned, server: Server, rate_rps: float) -> PlannedAllocation | None:
    """Return what a server would get at a rate if it were alone; None for nothing.

    It stays where it is, on what it was offered there: half a service is no reason to move.
    """
    assert server.load is not None
    own = replace(
        planned.offered.server(server.name),
        load=replace(server.load, arrival_rate_rps=rate_rps),
        min_replicas=0,
        max_replicas=server.max_replicas,
    )
    settings = replace(planned.fleet.settings, unlimited=True, solver=None, heterogeneous=False)
    try:
        plan = planned.offered.alone(own).planned(settings)
    except StokerError:
        return None
    found = plan.allocations[0] if plan.allocations and not plan.unplaced else None
    return found if found is not None and found.replicas > 0 and found.card_type else None


def _part(
    planned: Planned, server: Server, one: PlannedAllocation, left: Mapping[str, int]
) -> PlannedAllocation | None:
    """Return as many replicas as cards are left for, which may be none."""
    room = left.get(one.card_type or "", 0) // (one.cards // one.replicas)
    most = room if server.max_replicas is None else min(room, server.max_replicas)
    if most < 1 or server.load is None:
        return replace(
            one,
            replicas=0,
            cards=0,
            cost_per_hour=0.0,
            value=0.0,
            arrival_rate_rps=0.0,
            fully_served=False,
        )
    rate = min(server.load.arrival_rate_rps, most * one.max_rate_rps * _WITHIN)
    found = _alone(planned, server, rate)
    if found is None or found.replicas > most or found.card_type != one.card_type:
        return None
    return replace(found, fully_served=False)


def _not_grown(server: Server, got: PlannedAllocation) -> PlannedAllocation:
    """Return no more replicas than run: cards are short for those who come before."""
    running = 0 if server.current is None else server.current.replicas
    if got.replicas <= running:
        return got
    share = running / got.replicas
    return replace(
        got,
        replicas=running,
        cards=round(got.cards * share),
        cost_per_hour=got.cost_per_hour * share,
        fully_served=False,
    )


def _carries(server: Server, got: PlannedAllocation | None) -> float:
    """Return the rate that replicas carry, as many of them as the server may have."""
    if got is None:
        return 0.0
    replicas = (
        got.replicas if server.max_replicas is None else min(got.replicas, server.max_replicas)
    )
    # Of a load that is carried in full, replicas carry at least that.
    slack = 1.0 + 1e-6 if got.replicas == replicas else 1.0
    return replicas * got.max_rate_rps * slack


def _with_back(left: Mapping[str, int], one: PlannedAllocation, sign: int = 1) -> dict[str, int]:
    """Return the cards left with those of an allocation, or without them."""
    name = one.card_type or ""
    return {**left, name: left.get(name, 0) + sign * one.cards}


def _with(
    usage: CardUsage, added: Sequence[PlannedAllocation], gone: Sequence[PlannedAllocation]
) -> CardUsage:
    """Return the use of a card type with what was added, and without what that replaces."""
    more = [each for each in added if each.card_type == usage.card_type]
    less = [each for each in gone if each.card_type == usage.card_type]
    return replace(
        usage,
        used=usage.used + sum(each.cards for each in more) - sum(each.cards for each in less),
        cost_per_hour=usage.cost_per_hour
        + sum(each.cost_per_hour for each in more)
        - sum(each.cost_per_hour for each in less),
    )


def _late(
    fleet: Fleet,
    server: Server,
    work: BatchProgress,
    one: PlannedAllocation | None,
    got: PlannedAllocation | None,
    at: float,
) -> str:
    """Say that a server does not keep its deadline as things are, and whether it ever could."""
    assert server.load is not None
    needed = server.load.arrival_rate_rps
    carried = _carries(server, got)
    words = (
        f"batch {server.name}: {work.left_tokens:.3g} tokens left until its deadline in "
        f"{max(0.0, work.deadline - at):.0f} s need {needed:.3g} requests/s; what the others leave "
        f"carries {carried:.3g}"
    )
    if one is None or one.replicas < 1:
        return words
    cards = next((each.count for each in fleet.capacity if each.card_type == one.card_type), 0)
    most = cards // (one.cards // one.replicas)
    bound = server.max_replicas
    if bound is not None and bound < most:
        most = bound
        limit = f"max_replicas {bound}"
    else:
        limit = f"all {cards} cards of {one.card_type}"
    if most * one.max_rate_rps < needed:
        words += f"; {limit} would carry {most * one.max_rate_rps:.3g}: the deadline cannot be met"
    return words
