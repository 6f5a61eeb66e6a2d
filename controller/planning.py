"""The plan of a cycle: only onto accelerators that the servers have workloads for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.memory import Transition
from controller.transition import ABORT
from controller.world import (
    fleet_now,
    free_cards,
    order_of,
    room_for,
    running_variant,
    variants_of,
)
from optimizer.fallback import made_without_search
from optimizer.planner import plan_fleet
from optimizer.sharing.refuse import refuse_shared
from stoker.domain.control.cluster import ClusterState, VariantState
from stoker.domain.control.settings import ServerControl
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus, Rejection
from stoker.domain.settings import OptimizerSettings
from stoker.domain.workload import Load


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, or why there is none.

    Attributes:
        fleet: The fleet that was planned.
        plan: The plan; None where there is none.
        failure: Why there is none, in words; empty where there is one.
    """

    fleet: Fleet
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
) -> Planned:
    """Return the plan for these loads with what the cluster has.

    Servers in `moving` count as being where they go to, so that a plan does not change its mind
    halfway for the price of going on; those on their way back are planned where they came from.
    Servers in `staying` may not move to another accelerator now,
    and are planned where they are.

    A plan that cannot be carried out helps nobody. It is made again with those servers kept where
    they are that it sends to an accelerator that they have no workload for, or no free card for the
    first new replica on: these must be free to grow where they are. Servers whose largest number of
    replicas does not carry their load are planned without it, as they are to get as many as they
    may have.
    """
    variants = variants_of(cluster)
    back = frozenset(name for name, each in (moving or {}).items() if each.back)
    pinned = staying | back | _called_back(variants)
    unbounded: frozenset[str] = frozenset()
    settings = replace(fleet.settings, time_limit_s=_limit(fleet.settings, time_limit_s))
    headed = {
        name: each.source if each.back else each.target for name, each in (moving or {}).items()
    }
    bounded = fleet_now(fleet, loads, cluster, controls, pinned, headed=headed)
    while True:
        now = fleet_now(fleet, loads, cluster, controls, pinned, unbounded, headed)
        try:
            # Workloads are those of one server each.
            refuse_shared(fleet, "the control loop")
            plan = plan_fleet(now, settings)
        except StokerError as error:
            return Planned(bounded, None, str(error))
        # A plan that no search looked for may leave out more than it must: it scales nobody.
        if plan.status is PlanStatus.TIME_LIMIT or made_without_search(plan.notes):
            return Planned(bounded, None, f"no plan was found within {settings.time_limit_s:g} s")
        astray = (_astray(plan, variants) | _without_room(plan, fleet, cluster)) - pinned
        cramped = _cramped(plan) - unbounded
        # What cannot be served where it came from need not go back there.
        lost = back & {each.server for each in plan.unplaced} & loads.keys() - cramped
        if not astray and not cramped and not lost:
            return Planned(bounded, plan)
        pinned = (pinned | astray) - lost
        back -= lost
        unbounded |= cramped


Variants = Mapping[str, tuple[VariantState, ...]]


def _called_back(variants: Variants) -> frozenset[str]:
    """Return the servers that an annotation keeps from moving, and that are not moving yet."""
    return frozenset(
        name
        for name, found in variants.items()
        if any(each.annotations.get(ABORT) == "true" for each in found)
        and sum(each.replicas_wanted > 0 for each in found) <= 1
    )


def _astray(plan: Plan, variants: Variants) -> frozenset[str]:
    """Return the servers that are to go where they have no workload."""
    return frozenset(
        each.server
        for each in plan.allocations
        if each.accelerator is not None
        and variants.get(each.server)
        and each.accelerator not in {one.accelerator for one in variants[each.server]}
    )


def _without_room(plan: Plan, fleet: Fleet, cluster: ClusterState | None) -> frozenset[str]:
    """Return the servers that are to move and for whose first new replica no card is free."""
    variants = variants_of(cluster)
    free = free_cards(cluster)
    placed = {each.server: each.accelerator for each in plan.allocations}
    found = set()
    for server in sorted(fleet.servers, key=lambda each: order_of(fleet, each)):
        own = variants.get(server.name, ())
        running = running_variant(own)
        accelerator = placed.get(server.name)
        if running is None or accelerator in (None, running.accelerator):
            continue
        target = next((each for each in own if each.accelerator == accelerator), None)
        if target is None or target.replicas_wanted > 0:
            continue  # it cannot begin, or has begun
        if not any(each.replicas_wanted for each in own):
            continue  # nothing runs that would have to be replaced
        if not room_for(target, free):
            found.add(server.name)
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
