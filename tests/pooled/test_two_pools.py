"""Servers with prefill and decode apart under limits on replicas: every replica counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.plan_format import plan_to_document
from data.planned_replicas import parse_planned_replicas
from optimizer.check import check_plan
from optimizer.planner import plan_fleet
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import PlanCheckError
from stoker.domain.limits import Limits
from stoker.domain.plan import Plan
from stoker.domain.server import Allocation
from tests.support.page_fleets import page_fleet

ALONE = {"unlimited": False, "own_predictions": True}


def given(plan: Plan, server: str = "reports") -> PlannedAllocation | None:
    return next((item for item in plan.allocations if item.server == server), None)


def test_a_limit_on_replicas_counts_those_of_both_pools() -> None:
    free = plan_fleet(page_fleet("configurations.md", {"limits": {"max_replicas": 11}}))
    apart = given(free)
    assert apart is not None
    assert apart.replicas == 7
    assert [part.replicas for part in apart.placements] == [7]
    assert [(item.used, item.limit) for item in free.limits] == [(11, 11)]
    tight = plan_fleet(page_fleet("configurations.md", {"limits": {"max_replicas": 8}}))
    assert sum(item.replicas for item in tight.allocations) <= 8
    assert given(tight) is None
    assert "takes 7 replicas, of which 4 are left" in tight.unplaced[0].detail


def test_a_limit_by_server_counts_those_of_both_pools() -> None:
    fleet = page_fleet("configurations.md", {"limits": {"max_replicas_per_server": 6}})
    plan = plan_fleet(fleet)
    assert all(item.replicas <= 6 for item in plan.allocations)
    assert given(plan) is None
    assert "more replicas than a server may have" in plan.unplaced[0].detail


def test_the_check_counts_those_of_both_pools() -> None:
    fleet = page_fleet("configurations.md", {"limits": {"max_replicas": 11}})
    plan = plan_fleet(fleet)
    check_plan(fleet, plan, **ALONE)
    for limits, said in (
        (replace(fleet.limits, max_replicas=10), "11 replicas of 10"),
        (replace(fleet.limits, max_replicas_per_server=6), "7 replicas, above the limit of 6"),
    ):
        with pytest.raises(PlanCheckError, match=said):
            check_plan(replace(fleet, limits=limits), plan, **ALONE)
    allocations = tuple(
        replace(item, placements=tuple(replace(part, replicas=1) for part in item.placements))
        if item.pools
        else item
        for item in plan.allocations
    )
    with pytest.raises(PlanCheckError, match="do not add up to 7 replicas"):
        check_plan(fleet, replace(plan, allocations=allocations), **ALONE)


def test_replicas_of_deployments_in_two_zones_have_places_in_both() -> None:
    zones = [
        {"name": "x", "card_type": "H100", "cards": 40, "zone": "x"},
        {"name": "y", "card_type": "H100", "cards": 40, "zone": "y"},
    ]
    asked = {"pools": zones, "capacity": {}, "limits": {"headroom": {"survive": "zone"}}}
    fleet = page_fleet("configurations.md", asked)
    plan = plan_fleet(fleet)
    apart = given(plan)
    assert apart is not None
    assert apart.spare_replicas == 7
    assert {part.pool: part.replicas for part in apart.placements} == {"x": 7, "y": 7}
    demands = [
        (item.pool, item.replicas, item.cards)
        for item in parse_planned_replicas(plan_to_document(plan))
        if item.server == "reports"
    ]
    assert sorted(demands) == [("x", 2, 4), ("x", 5, 2), ("y", 2, 4), ("y", 5, 2)]


def test_what_stands_in_two_pools_of_cards_cannot_stay_as_it_is() -> None:
    pools = [{"name": name, "card_type": "H100", "cards": 40} for name in ("p", "q")]
    fleet = page_fleet("configurations.md", {"pools": pools, "capacity": {}})
    apart = given(plan_fleet(fleet))
    assert apart is not None
    now = Allocation(
        apart.accelerator,
        apart.replicas,
        max_batch=apart.max_batch,
        cost_per_hour=apart.cost_per_hour,
        configuration=apart.configuration,
        prefill_replicas=apart.prefill_replicas,
    )
    used = {}
    for standing in ((("p", 7),), (("p", 2), ("q", 5))):
        servers = tuple(
            replace(server, current=replace(now, in_pools=standing))
            for server in fleet.servers
            if server.name == "reports"
        )
        plan = plan_fleet(replace(fleet, servers=servers, limits=Limits(max_changes=0)))
        used[standing] = [(item.name, item.used) for item in plan.limits]
    assert used == {(("p", 7),): [("max_changes", 0)], (("p", 2), ("q", 5)): [("max_changes", 1)]}
