"""Servers that may share replicas over pools, with limits and objectives: whole plans."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from data.planned_replicas import parse_planned_replicas
from data.stoker_format import document_to_fleet
from optimizer.candidates import build_candidates
from optimizer.check import check_plan
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.planner import place, plan_fleet
from optimizer.pooled.ask import ask
from optimizer.preparation import effective_settings
from optimizer.sharing.barred import NOTHING_BARRED
from optimizer.sharing.candidates import SharedFleet, all_candidates
from optimizer.sharing.figured import figured, shared_sets
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import PlanCheckError
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.reasons import UnplacedReason
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.pool_decisions import decision_of, pruned

Document = dict[str, Any]
POWER = {"idle_w": 60, "mid_w": 220, "full_w": 330, "mid_utilization": 0.6}
TOKENS = ((600, 200), (1500, 120), (3000, 300))


def document(*rates: float, **changes: object) -> Document:
    """Return servers of one model that may share, on one type of card in two pools."""
    names = [f"s{index}" for index in range(len(rates))]
    targets = {"model": "m", "ttft_ms": {"p95": 1500}, "itl_ms": {"p95": 60}}
    found: Document = {
        "version": 1,
        "currency": "USD",
        "accelerators": [{"name": "L40S", "cost_per_hour": 1.0, "power": POWER}],
        "pools": [
            {"name": "x", "card_type": "L40S", "cards": 6, "zone": "x"},
            {"name": "y", "card_type": "L40S", "cards": 6, "zone": "y", "price_factor": 2},
        ],
        "profiles": [
            {
                "model": "m",
                "accelerator": "L40S",
                "max_batch": 32,
                "at_tokens": 256,
                "kv_tokens": 120_000,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": 14,
                    "beta_ms": 0.05,
                    "gamma_ms": 1e-4,
                },
            }
        ],
        "service_classes": [
            {"name": "high", "priority": 1, "targets": [targets]},
            {"name": "low", "priority": 2, "targets": [targets]},
        ],
        "servers": [
            {
                "name": name,
                "service_class": "high" if index < 2 else "low",
                "model": "m",
                "load": {
                    "arrival_rate_rps": rate,
                    "input_tokens": TOKENS[index][0],
                    "output_tokens": TOKENS[index][1],
                },
            }
            for index, (name, rate) in enumerate(zip(names, rates, strict=True))
        ],
        "sharing": [{"name": "all", "servers": names, "priorities": True}],
    }
    return copy.deepcopy(found) | changes


def plan_of(found: Document, settings: OptimizerSettings | None = None) -> Plan:
    return plan_fleet(document_to_fleet(found), settings)


def where(item: PlannedAllocation) -> dict[str, int]:
    return {part.pool: part.replicas for part in item.placements}


def wishing(found: Document, **wishes: Document) -> Document:
    for server in found["servers"]:
        server |= wishes.get(server["name"], {})
    return found


SMALL = (0.6, 0.3, 0.2)


@given(
    rates=st.lists(st.sampled_from([0.1, 0.5, 2.0, 6.0]), min_size=2, max_size=3),
    cards=st.integers(0, 4),
)
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_limits_that_do_not_bind_change_nothing(rates: list[float], cards: int) -> None:
    found = document(*rates)
    del found["pools"]
    plain = plan_of(found | {"capacity": {"L40S": cards}})
    bounded = plan_of(
        found | {"capacity": {"L40S": cards}, "limits": {"budget_per_hour": 1e9, "power_w": 1e9}}
    )
    assert [s.served for s in bounded.services] == [s.served for s in plain.services]
    assert bounded.objective == pytest.approx(plain.objective, rel=1e-9, abs=1e-9)
    assert sum(item.cards for item in bounded.allocations) == sum(
        item.cards for item in plain.allocations
    )


def test_three_servers_share_one_replica_in_the_cheap_pool() -> None:
    plan = plan_of(document(*SMALL))
    apart = plan_of(document(*SMALL, sharing=[]))
    assert plan.status is PlanStatus.OPTIMAL
    assert (plan.cost_per_hour, apart.cost_per_hour) == pytest.approx((1.0, 3.0))
    host, *others = plan.allocations
    assert host.shared_with == ("s1", "s2")
    assert where(host) == {"x": 1}
    assert host.power_w is not None
    assert 60 < host.power_w < 330
    for item in others:
        assert item.counted_with == "s0"
        assert (item.cards, item.cost_per_hour, item.placements) == (0, 0.0, ())
        assert item.replicas == 1
    assert {pool.pool: pool.used for pool in plan.pools} == {"x": 1, "y": 0}
    assert [item.used for item in plan.usage] == [1]


@pytest.mark.parametrize(
    ("limits", "served"),
    [
        ({"budget_per_hour": 1.0}, 3),
        ({"budget_per_hour": 0.9}, 0),
        ({"max_replicas": 1}, 3),
        ({"idle_power_w": 60}, 3),
        ({"idle_power_w": 59}, 0),
    ],
)
def test_limits_count_common_replicas_once(limits: Document, served: int) -> None:
    plan = plan_of(document(*SMALL, limits=limits))
    assert sum(service.served for service in plan.services) == served
    assert plan.limits[0].used == pytest.approx(
        min(plan.limits[0].limit, 60.0 if "idle_power_w" in limits else 1.0) if served else 0.0
    )
    apart = plan_of(document(*SMALL, limits=limits, sharing=[]))
    assert sum(service.served for service in apart.services) == min(served, 1)


def test_common_replicas_stand_where_all_who_share_them_may() -> None:
    """One may use the dear pool alone, one prefers it, one must be in two zones."""
    found = wishing(document(*SMALL), s1={"pools": ["y"]})
    plan = plan_of(found)
    alone = [where(item) for item in plan.allocations if item.shared_with]
    assert plan.cost_per_hour == pytest.approx(2.0)
    assert alone == [{"y": 1}, {}, {}]
    spread = plan_of(wishing(document(*SMALL), s1={"spread_zones": 2}))
    assert where(spread.allocations[0]) == {"x": 1, "y": 1}
    assert spread.allocations[1].counted_with == "s0"
    assert spread.allocations[0].spare_replicas == 1
    wished = plan_of(wishing(document(*SMALL), s2={"prefer_pools": ["y"]}))
    assert wished.objectives[0].name == "spill"
    assert wished.objectives[0].value == 0
    own = {item.server: item for item in wished.allocations}
    assert own["s2"].shared_with == () or where(own["s0"]) == {"y": 1}


def test_headroom_and_a_surge_hold_for_common_replicas() -> None:
    found = document(*SMALL, limits={"headroom": {"survive": "zone", "surge": 1.5}})
    plan = plan_of(found)
    assert plan.surge == 1.5
    host = plan.allocations[0]
    assert host.shared_with == ("s1", "s2")
    assert where(host) == {"x": 1, "y": 1}
    assert host.spare_replicas == 1


def test_what_runs_for_one_of_them_is_no_change() -> None:
    now = {"accelerator": "L40S", "replicas": 1, "pools": {"y": 1}}
    found = wishing(document(*SMALL, limits={"max_changes": 0}), s1={"current": now}, s0={}, s2={})
    plan = plan_of(found)
    assert all(item.fully_served for item in plan.allocations)
    assert where(plan.allocations[0]) == {"y": 1}
    assert {item.name: item.used for item in plan.limits} == {"max_changes": 0}
    moved = plan_of(found | {"limits": {"max_changes": 3}})
    assert where(moved.allocations[0]) == {"x": 1}
    assert {item.name: item.used for item in moved.limits} == {"max_changes": 3}
    found["servers"][1]["current"] = {"accelerator": "L40S", "replicas": 2}
    two = plan_of(found)
    assert two.allocations[0].replicas == 2
    assert two.allocations[0].spare_replicas == 1


def test_energy_and_fairness_see_common_replicas() -> None:
    lean = plan_of(document(*SMALL, objectives=[{"name": "energy"}]))
    assert lean.allocations[0].shared_with == ("s1", "s2")
    assert lean.objectives[0].value == pytest.approx(lean.allocations[0].power_w)
    fair = plan_of(
        document(*SMALL, objectives=[{"name": "fairness"}], limits={"budget_per_hour": 1.5})
    )
    assert [item.value for item in fair.objectives if item.name.startswith("fairness")] == [0, 0]
    slack = plan_of(document(*SMALL, objectives=[{"name": "slo_slack"}]))
    assert slack.status is PlanStatus.OPTIMAL
    assert slack.objectives[0].value < 1.0


def test_a_large_fleet_that_shares_is_as_good_as_an_exact_one() -> None:
    found = document(*SMALL, limits={"budget_per_hour": 3})
    exact = plan_of(found)
    large = plan_of(found, OptimizerSettings(exact_servers=1, relative_gap=1e-6))
    assert large.method == "milp-weighted"
    assert [s.served for s in large.services] == [s.served for s in exact.services]
    assert large.objective == pytest.approx(exact.objective)


@pytest.mark.parametrize("limits", [{}, {"budget_per_hour": 9}])
def test_common_replicas_have_a_place_on_nodes(limits: Document) -> None:
    found = document(*SMALL, limits=limits)
    del found["pools"]
    found["capacity"] = {"L40S": 2}
    found["nodes"] = [{"name": "n", "count": 1, "card_type": "L40S", "cards": 1}]
    plan = plan_of(found, OptimizerSettings(placement=True))
    assert all(item.fully_served for item in plan.allocations)
    assert any("every planned replica has a place" in note for note in plan.notes)
    # Apart, two of them have no place.
    apart = plan_of(found | {"sharing": []}, OptimizerSettings(placement=True))
    assert len(apart.unplaced) == 2


def test_who_is_not_served_is_told_why() -> None:
    plan = plan_of(document(6.0, 6.0, 6.0, limits={"budget_per_hour": 2}))
    assert plan.unplaced
    assert {item.reason for item in plan.unplaced} == {UnplacedReason.BUDGET}


def test_a_plan_is_written_read_back_and_placed_once() -> None:
    plan = plan_of(document(*SMALL))
    written = plan_to_document(plan)
    assert plan_to_document(parse_plan(written)) == written
    assert [(item.server, item.replicas) for item in parse_planned_replicas(written)] == [("s0", 1)]


def test_what_those_who_share_ask_is_checked() -> None:
    fleet = document_to_fleet(wishing(document(*SMALL), s1={"pools": ["x"]}))
    plan = plan_fleet(fleet)
    check_plan(fleet, plan, unlimited=False, own_predictions=True)
    elsewhere = document_to_fleet(wishing(document(*SMALL), s1={"pools": ["y"]}))
    with pytest.raises(PlanCheckError, match="s1 stands in x, which it may not use"):
        check_plan(elsewhere, plan, unlimited=False, own_predictions=True)
    zones = document_to_fleet(wishing(document(*SMALL), s2={"spread_zones": 2}))
    with pytest.raises(PlanCheckError, match="s2 stands in 1 zones, not in 2"):
        check_plan(zones, plan, unlimited=False, own_predictions=True)


def test_slices_are_shared_over_pools() -> None:
    """Two light servers on one slice leave the other half of the card to a third."""
    found = document(*SMALL, limits={"budget_per_hour": 9})
    found["accelerators"] = [
        {"name": "L40S", "card_type": "card", "slice": {"parts": 2}, "cost_per_hour": 1.0}
    ]
    found["pools"] = [{"name": "x", "card_type": "card", "cards": 1}]
    found["servers"][2]["load"]["arrival_rate_rps"] = 2.4
    found["servers"][0]["load"]["arrival_rate_rps"] = 1.2
    plan = plan_of(found)
    assert all(item.fully_served and item.sliced for item in plan.allocations)
    assert [item.used for item in plan.usage] == [1]
    assert plan_of(found | {"sharing": []}).unplaced


def test_ties_and_objectives_do_not_depend_on_who_is_first() -> None:
    plan = plan_of(document(*SMALL))
    turned = document(*SMALL)
    turned["sharing"][0]["servers"].reverse()
    assert plan_of(turned).objective == plan.objective
    assert replace(plan_of(turned), timings_ms={}) == replace(plan, timings_ms={})


def test_sets_that_are_left_out_would_change_nothing() -> None:
    """Against every set in every way, with each of the limits that tell sets apart."""
    found = document(0.6, 1.5, 0.4)
    for server in found["servers"]:
        server["max_batch"] = [8, 32]
    for changes in (
        {"limits": {"budget_per_hour": 2}},
        {"limits": {"power_w": 400, "headroom": {"survive": "replica"}}},
        {"objectives": [{"name": "energy"}]},
    ):
        fleet = document_to_fleet(found | changes)
        table = build_candidates(replace(fleet, sharing=()), Analysis.FULL)
        shared = SharedFleet(fleet)
        some = shared_sets(shared, table)
        everything = tuple(figured(shared, all_candidates(shared), slack=False))
        assert 0 < len(some) < len(everything)
        results = [
            decision_of(pruned(ask(fleet, table, {}, sets=sets))) for sets in (some, everything)
        ]
        assert results[0].counts == results[1].counts
        assert [stage.reached for stage in results[0].stages] == pytest.approx(
            [stage.reached for stage in results[1].stages], rel=1e-9, abs=1e-9
        )


def test_what_a_plan_would_be_without_its_set_is_explained() -> None:
    found = document(*SMALL, limits={"headroom": {"survive": "replica"}})
    fleet = document_to_fleet(found)
    plan = plan_fleet(fleet)
    explanation = explain_plan(fleet, plan, options=ExplainOptions(servers=["s1"]))
    told = next(item for item in explanation.allocations if item.server == "s1")
    (without,) = (item for item in told.forbidden if item.shared_with)
    assert without.shared_with == ("s0", "s2")
    assert without.change is not None
    sets = [item.way for item in all_candidates(SharedFleet(fleet))]
    assert any(way.members == (0, 1, 2) for way in sets)
    barred = NOTHING_BARRED.and_set(frozenset({0, 1, 2}))
    settings = effective_settings(fleet.settings)
    table = build_candidates(replace(fleet, sharing=()), Analysis.FULL)
    again = place(fleet, table, settings, {}, lambda: 0.0, barred)
    assert without.change.value_change == pytest.approx(again.objective - plan.objective)


def test_servers_that_share_replicas_have_a_plan_without_time() -> None:
    found = document(*SMALL, limits={"headroom": {"survive": "replica"}})
    plan = plan_of(found, OptimizerSettings(time_limit_s=1e-9))
    best = plan_of(found)
    assert plan.status is PlanStatus.FEASIBLE
    assert best.status is PlanStatus.OPTIMAL
    assert [item.served for item in plan.services] == [item.served for item in best.services]
    assert plan.bound is not None
    assert plan.gap is not None
    assert plan.bound <= best.objective + 1e-9
    assert best.objective <= plan.objective + 1e-9
    assert plan.notes[-1] == (
        "the time limit ended the search before it found a plan: this one serves servers in turn"
    )
