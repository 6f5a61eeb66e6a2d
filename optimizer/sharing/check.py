"""The last look at common replicas, by nothing that made the plan."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan


def check_sharing_of_plan(fleet: Fleet, plan: Plan) -> None:
    """Check who shares replicas in a plan against the fleet that it was made for.

    Raises:
        PlanCheckError: Naming everything that is wrong.
    """
    faults = list(_faults(fleet, plan))
    if faults:
        raise PlanCheckError("the plan broke its own rules: " + "; ".join(faults))


def _faults(fleet: Fleet, plan: Plan) -> Iterator[str]:
    group_of = {name: group for group in fleet.sharing for name in group.servers}
    by_name = {item.server: item for item in plan.allocations}
    for item in plan.allocations:
        if not item.shared_with:
            if item.counted_with is not None or item.engine_priority is not None:
                yield f"{item.server} shares with nobody, and says with whom it is counted"
            continue
        together = [item.server, *item.shared_with]
        members = [by_name[name] for name in together if name in by_name]
        if len(members) != len(together) or len(set(together)) != len(together):
            yield f"{item.server} shares with servers that the plan does not have"
            continue
        groups = {group_of[name].name for name in together if name in group_of}
        if len(groups) != 1 or any(name not in group_of for name in together):
            yield f"{item.server} shares with servers that are in no group with it"
        if any({one.server, *one.shared_with} != set(together) for one in members):
            yield f"{item.server} and those it shares with do not say the same"
        if len({_replicas(one) for one in members}) != 1:
            yield f"{item.server} does not have the same replicas as those it shares with"
        hosts = [one.server for one in members if one.counted_with is None]
        if len(hosts) != 1 or any(one.counted_with not in (None, hosts[0]) for one in members):
            yield f"the replicas of {item.server} are not counted once"
        if item.counted_with is not None and (item.cards or item.cost_per_hour or item.value):
            yield f"{item.server} counts replicas that are counted with {item.counted_with}"
        if not item.fully_served:
            yield f"{item.server} shares replicas without being served in full"


def _replicas(item: PlannedAllocation) -> tuple[object, ...]:
    return item.accelerator, item.configuration, item.replicas, item.max_batch, item.max_queue
