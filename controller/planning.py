"""The plan of a cycle: only onto accelerators that the servers have workloads for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.memory import Transition
from controller.offered import Offer, as_named, offer_to, with_offers
from controller.places import agrees, planned_variant, unclear
from controller.transition import ABORT
from controller.world import (
    fleet_now,
    free_cards,
    order_of,
    room_for,
    running_variant,
    variants_of,
)
from optimizer.configurations.current import profiles_by_pair
from optimizer.fallback import made_without_search
from optimizer.planner import plan_fleet
from optimizer.sharing.refuse import refuse_shared
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.cluster import (
    ClusterState,
    VariantState,
    WorkloadKind,
    WorkloadRef,
)
from stoker.domain.control.configurations import Configurations, configurations_of
from stoker.domain.control.settings import ServerControl
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.reasons import Rejection
from stoker.domain.server import Server
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
    *,
    writes_batch_limits: bool = False,
) -> Planned:
    """Return the plan for these loads with what the cluster has.

    Servers in `moving` count as being where they go to, so that a plan does not change its mind
    halfway for the price of going on; those on their way back are planned where they came from.
    Servers in `staying` may not move to another accelerator now, and are planned where they are.

    A plan that cannot be carried out helps nobody. It is made again with those servers kept where
    they are that it sends to an accelerator that they have no workload for, or no free card for the
    first new replica on, or that would be served there in part alone: these must be free to grow
    where they are.

    Of the configurations of a model on an accelerator a server gets those that it has workloads
    for, and batch limits that are not written now are no larger than those of the pods. Servers
    whose largest number of replicas does not carry their load are planned without it, as they are
    to get as many as they may have.
    """
    variants = variants_of(cluster)
    back = frozenset(name for name, each in (moving or {}).items() if each.back)
    pinned = staying | back | _called_back(variants)
    unbounded: frozenset[str] = frozenset()
    settings = replace(fleet.settings, time_limit_s=_limit(fleet.settings, time_limit_s))
    headed = {
        name: each.source if each.back else each.target for name, each in (moving or {}).items()
    }
    fixed = frozenset(
        each.name
        for each in fleet.servers
        if not writes_batch_limits
        or each.name in staying
        or each.name in (moving or {})
        or any(_takes_no_limit(one) for one in variants.get(each.name, ()))
    )
    told = _Told(fleet, variants, headed, fixed)
    bounded = fleet_now(fleet, loads, cluster, controls, pinned, headed=headed)
    while True:
        now = fleet_now(fleet, loads, cluster, controls, pinned, unbounded, headed)
        own, names = with_offers(now, told.offers(now, pinned))
        try:
            # Workloads are those of one server each.
            refuse_shared(fleet, "the control loop")
            plan = as_named(plan_fleet(own, settings), names)
        except StokerError as error:
            return Planned(bounded, None, str(error))
        # A plan that no search looked for may leave out more than it must: it scales nobody.
        if plan.status is PlanStatus.TIME_LIMIT or made_without_search(plan.notes):
            return Planned(bounded, None, f"no plan was found within {settings.time_limit_s:g} s")
        astray = (told.astray(plan) | told.without_room(plan, cluster)) - pinned
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


def _takes_no_limit(variant: VariantState) -> bool:
    """Return whether batch limits are never written to a workload."""
    return variant.ref.kind is WorkloadKind.LEADER_WORKER_SET


@dataclass(frozen=True, slots=True)
class _Told:
    """What plans are held against: the workloads that there are, and where servers are headed."""

    fleet: Fleet
    variants: Variants
    headed: Mapping[str, WorkloadRef]
    fixed: frozenset[str]
    configurations: Configurations = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "configurations", configurations_of(self.fleet))

    def offers(self, now: Fleet, pinned: frozenset[str]) -> dict[str, Offer]:
        """Return what servers are offered, by name, of those that are matched with their plans."""
        found = {}
        profiles = profiles_by_pair(now)
        for server in now.servers:
            own = self.variants.get(server.name, ())
            if own and not unclear(server, own, running_variant(own), self.configurations):
                found[server.name] = offer_to(
                    server,
                    own,
                    self._at(server) if server.name in pinned else None,
                    profiles,
                    self.configurations,
                    fixed=server.name in self.fixed,
                    analysis=now.settings.analysis,
                )
        return found

    def astray(self, plan: Plan) -> frozenset[str]:
        """Return the servers that are to go where they cannot, or should not, go."""
        servers = {each.name: each for each in self.fleet.servers}
        return frozenset(
            each.server for each in plan.allocations if self._astray(servers[each.server], each)
        )

    def without_room(self, plan: Plan, cluster: ClusterState | None) -> frozenset[str]:
        """Return the servers that are to move and for whose first new replica no card is free."""
        free = free_cards(cluster)
        placed = {each.server: each for each in plan.allocations}
        found = set()
        for server in sorted(self.fleet.servers, key=lambda each: order_of(self.fleet, each)):
            own = self.variants.get(server.name, ())
            running = running_variant(own)
            one = placed.get(server.name)
            if running is None or one is None or one.accelerator is None:
                continue
            if agrees(server, running, one, self.configurations):
                continue
            target = planned_variant(server, own, one, self.configurations)
            if target is None or target.replicas_wanted > 0:
                continue  # it cannot begin, or has begun
            if not any(each.replicas_wanted for each in own):
                continue  # nothing runs that would have to be replaced
            if not room_for(target, free):
                found.add(server.name)
            elif free is not None:
                free[target.card_type] -= target.cards_per_replica or 0
        return frozenset(found)

    def _at(self, server: Server) -> VariantState | None:
        """Return the workload that a server counts as being on."""
        own = self.variants.get(server.name, ())
        headed = self.headed.get(server.name)
        return next((each for each in own if each.ref == headed), None) or running_variant(own)

    def _astray(self, server: Server, placed: PlannedAllocation) -> bool:
        own = self.variants.get(server.name, ())
        if placed.accelerator is None or not own:
            return False
        target = planned_variant(server, own, placed, self.configurations)
        if target is None:
            return True
        if target == self._at(server) or not any(each.replicas_wanted for each in own):
            return False
        limit = target.max_batch
        if server.name in self.fixed and limit is not None and limit < placed.max_batch:
            return True
        # What serves in full or in part where it is would be taken down for a part elsewhere.
        return not placed.fully_served


def _cramped(plan: Plan) -> frozenset[str]:
    """Return the servers that are left out for their largest number of replicas."""
    return frozenset(
        each.server for each in plan.unplaced if Rejection.REPLICA_BOUND in each.rejections.values()
    )


def _limit(settings: OptimizerSettings, time_limit_s: float) -> float:
    own = settings.time_limit_s
    return time_limit_s if own is None else min(own, time_limit_s)
