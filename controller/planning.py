"""The plan of a cycle: only onto accelerators that the servers have workloads for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.world import fleet_now, variants_of
from optimizer.planner import plan_fleet
from optimizer.sharing.refuse import refuse_shared
from stoker.domain.control.cluster import ClusterState
from stoker.domain.control.settings import ServerControl
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
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
) -> Planned:
    """Return the plan for these loads with what the cluster has.

    Servers in `staying` may not move to another accelerator now, and are planned where they are.

    Where a plan sends a server to an accelerator that it has no workload for, it is made again with
    that server kept where it is: a plan that cannot be carried out helps nobody.
    """
    variants = variants_of(cluster)
    pinned = staying
    settings = replace(fleet.settings, time_limit_s=_limit(fleet.settings, time_limit_s))
    while True:
        now = fleet_now(fleet, loads, cluster, controls, pinned)
        try:
            # Workloads are those of one server each.
            refuse_shared(fleet, "the control loop")
            plan = plan_fleet(now, settings)
        except StokerError as error:
            return Planned(now, None, str(error))
        if plan.status is PlanStatus.TIME_LIMIT:
            return Planned(now, None, f"no plan was found within {settings.time_limit_s:g} s")
        astray = {
            each.server
            for each in plan.allocations
            if each.accelerator is not None
            and variants.get(each.server)
            and each.accelerator not in {one.accelerator for one in variants[each.server]}
        } - pinned
        if not astray:
            return Planned(now, plan)
        pinned |= astray


def _limit(settings: OptimizerSettings, time_limit_s: float) -> float:
    own = settings.time_limit_s
    return time_limit_s if own is None else min(own, time_limit_s)
