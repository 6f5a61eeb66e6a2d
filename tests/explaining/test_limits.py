"""Explanations of plans with a budget, pools and other limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.explaining.explain import explain_plan
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.limits import Headroom, Limits
from stoker.domain.pools import Pool
from stoker.domain.unplaced_explanation import Scope
from tests.support.explained import REFERENCE, served, with_own_models, without_profile
from tests.support.small_fleets import LOAD, make_fleet, make_server

HEAVY = replace(LOAD, arrival_rate_rps=30.0)


def limited(limits: Limits, *pools: Pool) -> Fleet:
    servers = (
        make_server("a", load=HEAVY),
        make_server("b"),
        make_server("c", service_class="bronze", load=HEAVY),
    )
    fleet = make_fleet(*servers, cards={"B": 8, "C": 20})
    if pools:
        counts = {kind: sum(p.cards for p in pools if p.card_type == kind) for kind in ("B", "C")}
        fleet = replace(fleet, capacity=tuple(Capacity(k, n) for k, n in counts.items()))
    return with_own_models(replace(fleet, limits=limits, pools=pools, settings=REFERENCE))


def gained(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    return {key: after[key] - before[key] for key in before if after[key] != before[key]}


@pytest.mark.parametrize("budget", [4.0, 11.0, 14.0, 16.5, 100.0])
def test_one_more_unit_of_budget_is_the_plan_with_it(budget: float) -> None:
    fleet = limited(Limits(budget_per_hour=budget))
    plan = plan_fleet(fleet)
    prices = {(x.kind, x.of): x for x in explain_plan(fleet, plan).shadow_prices}
    price = prices["limit", "budget_per_hour"]
    assert price.available == budget
    assert price.used == pytest.approx(plan.cost_per_hour)
    after = plan_fleet(limited(Limits(budget_per_hour=budget + 1)))
    assert dict(price.change.served_change) == gained(served(plan), served(after))
    assert price.change.value_change == pytest.approx(after.objective - plan.objective, abs=1e-4)
    assert price.change.cost_change == pytest.approx(
        after.cost_per_hour - plan.cost_per_hour, abs=1e-4
    )
    assert ("cards", "C") in prices


@pytest.mark.parametrize("budget", [11.0, 16.5])
def test_runner_up_within_a_budget_is_the_plan_without_the_profile(budget: float) -> None:
    fleet = limited(Limits(budget_per_hour=budget))
    plan = plan_fleet(fleet)
    told = 0
    for item in explain_plan(fleet, plan).allocations:
        if item.runner_up is None:
            continue
        after = plan_fleet(without_profile(fleet, item.server, str(item.runner_up.accelerator)))
        change = item.runner_up.change
        assert dict(change.served_change) == gained(served(plan), served(after))
        assert change.value_change == pytest.approx(after.objective - plan.objective, abs=1e-4)
        told += 1
    assert told


@pytest.mark.parametrize("counted", [True, False])
def test_one_more_card_of_a_pool_is_the_plan_with_it(*, counted: bool) -> None:
    """Whether or not the fleet tells, beside its pools, how many cards of a type they hold."""
    pools = (
        Pool("east", "C", 6, zone="east"),
        Pool("west", "C", 8, zone="west", price_factor=2.0),
        Pool("big", "B", 2),
    )
    fleet = limited(Limits(), *pools)
    fleet = fleet if counted else replace(fleet, capacity=())
    plan = plan_fleet(fleet)
    told = 0
    for price in explain_plan(fleet, plan).shadow_prices:
        assert price.kind == "pool"
        richer = tuple(replace(x, cards=x.cards + 1) if x.name == price.of else x for x in pools)
        after = plan_fleet(limited(Limits(), *richer))
        assert dict(price.change.served_change) == gained(served(plan), served(after))
        assert price.change.value_change == pytest.approx(
            after.objective - plan.objective, abs=1e-4
        )
        told += price.change.value_change < 0 or bool(price.change.served_change)
    assert told


def test_headroom_of_load_is_in_what_is_explained() -> None:
    fleet = limited(Limits(headroom=Headroom(surge=1.5)))
    plan = plan_fleet(fleet)
    explanation = explain_plan(fleet, plan)
    assert {x.server for x in explanation.allocations} == {x.server for x in plan.allocations}


def test_what_would_serve_a_server_beyond_the_budget() -> None:
    fleet = limited(Limits(budget_per_hour=11.0))
    plan = plan_fleet(fleet)
    unplaced = explain_plan(fleet, plan).unplaced
    assert unplaced
    for item in unplaced:
        assert {x.scope for x in item.loads} <= {Scope.REPLANNED}
        assert item.purchases == ()
