"""Explanations of servers that share replicas over pools agree with planning edited documents."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from data.stoker_format import document_to_fleet
from optimizer.explaining.explain import explain_plan
from optimizer.planner import plan_fleet
from stoker.domain.explanation import AllocationExplanation, Explanation, Forbidden
from stoker.domain.plan import Plan
from stoker.domain.plan_change import PlanChange

Document = dict[str, Any]
NAMES = ("a", "b", "c")
TIMES = {"L40S": (14, 0.05), "H100": (7, 0.02)}
POOLS = [
    {"name": "x", "card_type": "L40S", "cards": 3, "zone": "x"},
    {"name": "y", "card_type": "L40S", "cards": 3, "zone": "y", "price_factor": 1.5},
    {"name": "h", "card_type": "H100", "cards": 4, "zone": "y", "price_factor": 0.9},
]


def document(*rates: float, **changes: object) -> Document:
    """Return three servers of one model that may share, on two types of card in three pools."""
    targets = {"model": "m", "ttft_ms": {"p95": 1500}, "itl_ms": {"p95": 60}}
    found: Document = {
        "version": 1,
        "currency": "USD",
        "accelerators": [
            {"name": "L40S", "cost_per_hour": 1.0},
            {"name": "H100", "cost_per_hour": 2.6},
        ],
        "pools": POOLS,
        "profiles": [
            {
                "model": "m",
                "accelerator": name,
                "max_batch": 32,
                "at_tokens": 256,
                "kv_tokens": 120_000,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": alpha,
                    "beta_ms": beta,
                    "gamma_ms": 1e-4,
                },
            }
            for name, (alpha, beta) in TIMES.items()
        ],
        "service_classes": [
            {"name": "high", "priority": 1, "targets": [targets]},
            {"name": "low", "priority": 2, "targets": [targets]},
        ],
        "servers": [
            {
                "name": name,
                "service_class": "low" if name == "c" else "high",
                "model": "m",
                "load": {"arrival_rate_rps": rate, "input_tokens": prompt, "output_tokens": answer},
            }
            for name, rate, (prompt, answer) in zip(
                NAMES, rates, ((600, 200), (1500, 120), (2500, 300)), strict=True
            )
        ],
        "sharing": [{"name": "g", "servers": list(NAMES), "priorities": True}],
    }
    return copy.deepcopy(found) | changes


RUNNING = {"accelerator": "L40S", "replicas": 2, "pools": {"y": 2}}
CASES: dict[str, Document] = {
    "zones": {"limits": {"headroom": {"survive": "zone"}, "budget_per_hour": 9.0}},
    "penalty": {"rules": {"transition_penalty": 0.3}, "current": RUNNING},
    "surge": {"limits": {"headroom": {"surge": 1.4, "survive": "replica"}, "power_w": 1e9}},
}
POWER = {"idle_w": 60, "mid_w": 220, "full_w": 330, "mid_utilization": 0.6}


def of(case: str) -> Document:
    changes = copy.deepcopy(CASES[case])
    now = changes.pop("current", None)
    found = document(0.6, 0.4, 0.3, **changes)
    if now is not None:
        found["servers"][1]["current"] = now
    if "power_w" in found.get("limits", {}):
        for accelerator in found["accelerators"]:
            accelerator["power"] = POWER
    return found


def plan_of(found: Document) -> Plan:
    return plan_fleet(document_to_fleet(found))


def agrees(change: PlanChange, before: Plan, after: Plan) -> None:
    counts = zip(before.services, after.services, strict=True)
    moved = {a.priority: b.served - a.served for a, b in counts if a.served != b.served}
    assert change.served_change == moved
    assert change.value_change == pytest.approx(after.objective - before.objective, abs=1e-6)
    assert change.cost_change == pytest.approx(after.cost_per_hour - before.cost_per_hour, abs=1e-6)


Case = tuple[Document, Plan, Explanation]


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found = of(request.param)
    plan = plan_of(found)
    assert any(item.shared_with for item in plan.allocations)
    read = parse_plan(plan_to_document(plan))
    return found, plan, explain_plan(document_to_fleet(found), read)


def of_set(item: AllocationExplanation) -> Forbidden:
    (found,) = (each for each in item.forbidden if each.shared_with)
    return found


def test_apart_is_the_best_plan_of_all_other_sets(case: Case) -> None:
    found, plan, explanation = case
    shared = [item for item in explanation.allocations if item.shared_with]
    members = {shared[0].server, *shared[0].shared_with}
    assert members == set(NAMES)
    edited = []
    for pair in (["a", "b"], ["a", "c"], ["b", "c"], []):
        groups = [{"name": "g", "servers": pair, "priorities": True}] if pair else []
        edited.append(plan_of(found | {"sharing": groups}))
    best = min(edited, key=lambda one: ([-s.served for s in one.services], one.objective))
    for item in shared:
        without = of_set(item)
        agrees(without.change, plan, best)
        assert without.own_cost_change is None


def test_without_an_accelerator_is_the_plan_without_it_for_the_server(case: Case) -> None:
    """A server that may use the pools of other accelerators alone has none of this one."""
    found, plan, explanation = case
    item = explanation.allocations[1]
    (each,) = (one for one in item.forbidden if one.accelerator is not None)
    edited = copy.deepcopy(found)
    edited["servers"][1]["pools"] = [
        pool["name"] for pool in POOLS if pool["card_type"] != each.accelerator
    ]
    after = plan_of(edited)
    agrees(each.change, plan, after)
    told = {one.server: one for one in after.allocations}.get(item.server)
    assert each.own.served == (told is not None and told.fully_served)
    if told is not None:
        assert [part.accelerator for part in each.own.parts] == [told.accelerator]
        assert sum(part.replicas for part in each.own.parts) == told.replicas
        assert set(each.own.shared_with) == set(told.shared_with)
        assert each.own.cost_per_hour == pytest.approx(told.cost_per_hour)
        assert dict(each.own.placements) == {part.pool: part.replicas for part in told.placements}
    assert item.runner_up in item.forbidden


def test_one_more_card_of_a_pool_and_unit_of_a_limit_is_the_plan_with_it(case: Case) -> None:
    found, plan, explanation = case
    assert {price.of for price in explanation.shadow_prices} >= {"x", "y", "h"}
    for price in explanation.shadow_prices:
        edited = copy.deepcopy(found)
        if price.kind == "pool":
            for pool in edited["pools"]:
                pool["cards"] += pool["name"] == price.of
        else:
            edited["limits"][price.of] += price.amount
        agrees(price.change, plan, plan_of(edited))


def test_the_written_plan_counts_what_the_made_one_does(case: Case) -> None:
    """The plan explained has the value and cost of its file, whoever its replicas count with."""
    _, plan, explanation = case
    assert explanation.objective == plan.objective
    assert explanation.cost_per_hour == pytest.approx(plan.cost_per_hour)
    assert sum(item.cost_per_hour for item in explanation.allocations) == pytest.approx(
        plan.cost_per_hour
    )
