"""Whole plans over pools whose cards are cut into slices: what they say, and that it holds."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from data.plan_format import plan_to_document
from data.planned_replicas import parse_planned_replicas
from data.stoker_format import document_to_fleet
from optimizer.check import check_plan
from optimizer.planner import plan_fleet
from stoker.domain.errors import PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.reasons import UnplacedReason
from stoker.domain.settings import Analysis, OptimizerSettings, SolverKind
from tests.support.configured_fleets import (
    LOAD,
    TP1,
    Document,
    configured_document,
    profile,
    server,
)

FULL = OptimizerSettings(analysis=Analysis.FULL)
LIGHT = {**LOAD, "arrival_rate_rps": 1}
SMALL = {k: v for k, v in TP1.items() if k != "configuration"} | {"kv_tokens": 40_000}
POWER = {"idle_w": 20, "mid_w": 60, "full_w": 90, "mid_utilization": 0.6}


def document(*names: str, **changes: object) -> Document:
    """Return light servers, one replica on three sevenths of a card each, over two pools."""
    found = configured_document(
        [profile(SMALL, "A100-3g")], *(server(name, load=LIGHT) for name in names)
    )
    found["accelerators"] = [
        {
            "name": "A100-3g",
            "card_type": "A100",
            "slice": {"sevenths": 3},
            "cost_per_hour": 0.7,
            "power": POWER,
        }
    ]
    del found["capacity"]
    found["pools"] = [
        {"name": "x", "card_type": "A100", "cards": 1, "zone": "x", "price_factor": 0.5},
        {"name": "y", "card_type": "A100", "cards": 4, "zone": "y"},
    ]
    return copy.deepcopy(found) | changes


def plan_of(found: Document, settings: OptimizerSettings = FULL) -> Plan:
    return plan_fleet(document_to_fleet(found), settings)


def where(plan: Plan) -> dict[str, dict[str, tuple[int, int]]]:
    """Return replicas and cards by pool of each server."""
    return {
        item.server: {part.pool: (part.replicas, part.cards) for part in item.placements}
        for item in plan.allocations
    }


def test_servers_share_cut_cards_of_a_pool() -> None:
    plan = plan_of(document("a", "b", "c"))
    assert plan.status is PlanStatus.OPTIMAL
    parts = sorted((pool, part) for own in where(plan).values() for pool, part in own.items())
    assert parts == [("x", (1, 0)), ("x", (1, 1)), ("y", (1, 1))]
    assert all(item.sliced and item.fully_served for item in plan.allocations)
    assert plan.cost_per_hour == pytest.approx(2 * 0.35 + 0.7)
    assert {pool.pool: (pool.used, pool.replicas) for pool in plan.pools} == {
        "x": (1, 2),
        "y": (1, 1),
    }
    assert [(item.card_type, item.used) for item in plan.usage] == [("A100", 2)]
    assert plan.notes[-1] == (
        "slices of A100: 2 cards hold them, where those of each server by themselves would take "
        "3; a card that several share counts for the first of them"
    )
    demands = parse_planned_replicas(plan_to_document(plan))
    assert [(item.card_type, item.replicas, item.cards) for item in demands] == [
        ("A100", 1, 1),
        ("A100", 1, 1),
    ]


def test_slices_of_two_pools_are_never_on_one_card() -> None:
    """One server in two zones takes a card in each, though one card would hold both slices."""
    plan = plan_of(document("a") | {"servers": [server("a", load=LIGHT, spread_zones=2)]})
    assert where(plan) == {"a": {"x": (1, 1), "y": (1, 1)}}
    assert plan.allocations[0].cards == 2
    assert plan.allocations[0].spare_replicas == 1


@pytest.mark.parametrize(
    ("limits", "served", "reason"),
    [
        ({"budget_per_hour": 1.0}, 2, UnplacedReason.BUDGET),
        ({"power_w": 60}, 2, UnplacedReason.POWER),
        ({"idle_power_w": 40}, 2, UnplacedReason.POWER),
        ({"max_replicas": 1}, 1, UnplacedReason.REPLICAS),
    ],
)
def test_limits_count_slices_one_by_one(
    limits: Document, served: int, reason: UnplacedReason
) -> None:
    found = document("a", "b", "c", limits=limits)
    plan = plan_of(found)
    if "power_w" in limits:
        each = {round(item.power_w or 0.0, 6) for item in plan.allocations}
        assert len(each) == 1
        served = int(60 / each.pop())
    assert sum(service.served for service in plan.services) == served
    assert {item.reason for item in plan.unplaced} == ({reason} if served < 3 else set())


def test_quotas_and_cards_of_pools_count_cut_cards() -> None:
    found = document("a", "b", "c", "d", "e")
    found["pools"][1] |= {"cards": 1}
    full = plan_of(found)
    assert sum(service.served for service in full.services) == 4
    (left,) = full.unplaced
    assert left.reason is UnplacedReason.CAPACITY
    assert "room for 0 of them" in left.detail
    assert left.remedy.startswith("add at least 1 card of A100")
    for pool in found["pools"]:
        pool["quota_group"] = "q"
    found["quotas"] = {"q": 1}
    held = plan_of(found)
    assert sum(service.served for service in held.services) == 2
    assert {item.reason for item in held.unplaced} == {UnplacedReason.QUOTA}


def test_a_price_of_a_card_is_shared_by_sevenths() -> None:
    found = document("a")
    found["pools"] = [
        {"name": "x", "card_type": "A100", "cards": 1, "price_per_card_hour": 2.1},
    ]
    plan = plan_of(found)
    assert plan.cost_per_hour == pytest.approx(2.1 * 3 / 7)


def test_a_node_takes_all_slices_of_its_cards_with_it() -> None:
    """Two slices on one card are lost together: what survives a node stands on another one."""
    found = document("a", limits={"headroom": {"survive": "node"}})
    found["pools"] = [
        {"name": "x", "card_type": "A100", "cards": 3, "nodes": [{"count": 3, "cards": 1}]}
    ]
    plan = plan_of(found)
    assert where(plan) == {"a": {"x": (3, 2)}}


def test_cut_cards_have_a_place_on_the_nodes_of_their_pool() -> None:
    found = document("a", "b", "c")
    found["pools"] = [{"name": "x", "card_type": "A100", "cards": 2}]
    node: dict[str, Any] = {"name": "n", "count": 2, "card_type": "A100", "cards": 1, "pool": "x"}
    found["nodes"] = [node]
    fitting = replace(FULL, placement=True)
    plan = plan_of(found, fitting)
    assert all(item.fully_served for item in plan.allocations)
    assert "every planned replica has a place on the nodes of its pool" in " ".join(plan.notes)
    node["count"] = 1
    assert len(plan_of(found, fitting).unplaced) == 1


def test_large_fleets_on_slices_are_as_good_as_exact_ones() -> None:
    found = document(*"abcdefg", limits={"budget_per_hour": 4})
    exact = plan_of(found)
    large = plan_of(found, replace(FULL, exact_servers=1, relative_gap=1e-6))
    assert large.method == "milp-weighted"
    assert [s.served for s in large.services] == [s.served for s in exact.services]
    assert large.objective == pytest.approx(exact.objective)


def test_what_runs_on_slices_stays_within_the_changes_allowed() -> None:
    now = {"accelerator": "A100-3g", "replicas": 2, "pools": {"y": 2}}
    found = document("b", limits={"max_changes": 0})
    found["servers"] += [server("a", load=LIGHT, current=now)]
    plan = plan_of(found)
    assert where(plan) == {"a": {"y": (2, 1)}}
    assert [item.reason for item in plan.unplaced] == [UnplacedReason.CHANGES]


def test_what_a_plan_says_of_cut_cards_is_checked() -> None:
    fleet = document_to_fleet(document("a", "b", "c"))
    plan = plan_fleet(fleet, FULL)
    check(fleet, plan)
    used = replace(
        plan,
        allocations=tuple(
            replace(item, cards=0, placements=(replace(item.placements[0], cards=0),))
            if item.placements[0].pool == "y"
            else item
            for item in plan.allocations
        ),
        usage=(replace(plan.usage[0], used=1),),
        pools=(plan.pools[0], replace(plan.pools[1], used=0)),
    )
    with pytest.raises(PlanCheckError, match="0 cards of pool y for slices that take 1"):
        check(fleet, used)


def check(fleet: Fleet, plan: Plan) -> None:
    check_plan(fleet, plan, unlimited=False, own_predictions=True)


def test_the_greedy_solver_is_refused_beside_pools() -> None:
    with pytest.raises(Exception, match=r"optimizer\.solver: greedy"):
        plan_of(document("a"), replace(FULL, solver=SolverKind.GREEDY))
