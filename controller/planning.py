"""The plan of a cycle: only onto what servers have workloads for, with limits that pods have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.batch import behind_the_others, classes_behind
from controller.memory import Transition
from controller.offers import Offers, Variants
from controller.places import agrees, planned_variant
from controller.stand_ins import OfferedFleet, with_offers
from controller.transition import ABORT
from controller.whereabouts import Place, Whereabouts
from controller.world import (
    fleet_now,
    free_cards,
    order_of,
    room_for,
    running_variant,
    variants_of,
)
from optimizer.fallback import made_without_search
from optimizer.predictors import refuse_beyond
from optimizer.sharing.refuse import refuse_shared
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.cluster import ClusterState
from stoker.domain.control.settings import ServerControl
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.reasons import Rejection
from stoker.domain.server import Server
from stoker.domain.settings import DEFAULT_ANALYSIS, OptimizerSettings
from stoker.domain.workload import Load


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, or why there is none.

    Attributes:
        fleet: The fleet as it is now, with all bounds on replicas: decisions are made for it.
        offered: The fleet that was planned, with what each server was offered.
        plan: The plan; None where there is none.
        failure: Why there is none, in words; empty where there is one.
    """

    fleet: Fleet
    offered: OfferedFleet
    plan: Plan | None
    failure: str = ""


def plan_now(
    fleet: Fleet,
    loads: Mapping[str, Load],
    cluster: ClusterState | None,
    controls: Mapping[str, ServerControl],
    time_limit_s: float,
    staying: frozenset[str] = frozenset(),
    moving: Mapping[str, Transition] | None = None,
    *,
    writable: frozenset[str] = frozenset(),
) -> Planned:
    """Return the plan for these loads with what the cluster has.

    Servers in `moving` count as being where they go to, so that a plan does not change its mind
    halfway for the price of going on; those on their way back are planned where they came from.
    Servers in `staying` may not move to another accelerator now, and are planned where they are.
    Servers with work to do by a deadline come after all others.

    Each server is offered the accelerators and configurations that it has workloads for. A plan
    that cannot be carried out helps nobody. It is made again without the places that have no free
    card for the first new replica of a server that it sends there; and with those servers kept
    where they are that would be served in part alone elsewhere: these must be free to grow where
    they are.

    Batch limits are no larger than those of the pods, but for those of servers in `writable` where
    they are. Servers whose largest number of replicas does not carry their load are planned without
    it, as they are to get as many as they may have.
    """
    variants, moving = variants_of(cluster), moving or {}
    back = frozenset(name for name, each in moving.items() if each.back)
    pinned = staying | back | _called_back(variants)
    unbounded: frozenset[str] = frozenset()
    full: frozenset[tuple[str, Place]] = frozenset()
    settings = replace(fleet.settings, time_limit_s=_limit(fleet.settings, time_limit_s))
    headed = {name: each.source if each.back else each.target for name, each in moving.items()}
    classes = classes_behind(fleet, controls)
    behind = behind_the_others(fleet, controls)
    bounded = fleet_now(behind, loads, cluster, controls, pinned, headed=headed)
    try:
        # Workloads are those of one server each.
        refuse_shared(fleet, "the control loop")
        refuse_beyond(fleet, settings.analysis or DEFAULT_ANALYSIS)
    except StokerError as error:
        return Planned(bounded, with_offers(bounded, {}), None, str(error))
    offers = Offers(behind, variants, headed, writable - moving.keys())
    offers = replace(offers, chosen=offers.chosen_alone(bounded, settings))
    while True:
        now = fleet_now(behind, loads, cluster, controls, pinned, unbounded, headed)
        offered = with_offers(now, offers.by_server(now, pinned, full), classes)
        try:
            plan = offered.planned(settings)
        except StokerError as error:
            return Planned(bounded, offered, None, offered.said(str(error)))
        # A plan that no search looked for may leave out more than it must: it scales nobody.
        if plan.status is PlanStatus.TIME_LIMIT or made_without_search(plan.notes):
            words = f"no plan was found within {settings.time_limit_s:g} s"
            return Planned(bounded, offered, None, words)
        astray = _astray(offers, plan) - pinned
        taken = _without_room(offers, plan, cluster, pinned) - full
        cramped = _cramped(plan) - unbounded
        # What cannot be served where it came from need not go back there.
        lost = back & {each.server for each in plan.unplaced} & loads.keys() - cramped
        if not astray and not taken and not cramped and not lost:
            return Planned(bounded, offered, offers.with_missing(plan, now))
        pinned = (pinned | astray) - lost
        back -= lost
        full |= taken
        unbounded |= cramped


def _called_back(variants: Variants) -> frozenset[str]:
    """Return the servers that an annotation keeps from moving, and that are not moving yet."""
    return frozenset(
        name
        for name, found in variants.items()
        if any(each.annotations.get(ABORT) == "true" for each in found)
        and sum(each.replicas_wanted > 0 for each in found) <= 1
    )


def _astray(offers: Offers, plan: Plan) -> frozenset[str]:
    """Return the servers that are to go where they cannot, or should not, go."""
    servers = {each.name: each for each in offers.fleet.servers}
    return frozenset(
        each.server for each in plan.allocations if _goes_astray(offers, servers[each.server], each)
    )


def _goes_astray(offers: Offers, server: Server, placed: PlannedAllocation) -> bool:
    own = offers.variants.get(server.name, ())
    if placed.accelerator is None or not own:
        return False
    target = planned_variant(server, own, placed, offers.configurations)
    if target is None:
        return True
    if target == offers.at(server) or not any(each.replicas_wanted for each in own):
        return False
    # What serves in full or in part where it is would be taken down for a part elsewhere.
    return not placed.fully_served


def _without_room(
    offers: Offers, plan: Plan, cluster: ClusterState | None, pinned: frozenset[str]
) -> frozenset[tuple[str, Place]]:
    """Return the places without a free card for servers that are to move to one of them."""
    fleet, free = offers.fleet, free_cards(cluster)
    placed = {each.server: each for each in plan.allocations}
    found: set[tuple[str, Place]] = set()
    for server in sorted(fleet.servers, key=lambda each: order_of(fleet, each)):
        own = offers.variants.get(server.name, ())
        running = running_variant(own)
        one = placed.get(server.name)
        if running is None or one is None or one.accelerator is None or server.name in pinned:
            continue
        if agrees(server, running, one, offers.configurations):
            continue
        target = planned_variant(server, own, one, offers.configurations)
        if target is None or target.replicas_wanted > 0:
            continue  # it cannot begin, or has begun
        if not any(each.replicas_wanted for each in own):
            continue  # nothing runs that would have to be replaced
        if not room_for(target, free):
            places = Whereabouts(own, None).places(server, offers.configurations)
            found |= {
                (server.name, place)
                for place, each in places.items()
                if not each.replicas_wanted and not room_for(each, free)
            }
        elif free is not None:
            free[target.card_type] -= target.cards_per_replica or 0
    return frozenset(found)


def _cramped(plan: Plan) -> frozenset[str]:
    """Return the servers that are left out for their largest number of replicas."""
    return frozenset(
        each.server for each in plan.unplaced if Rejection.REPLICA_BOUND in each.rejections.values()
    )


def _limit(settings: OptimizerSettings, time_limit_s: float) -> float:
    own = settings.time_limit_s
    return time_limit_s if own is None else min(own, time_limit_s)
