"""Bounds of every stage of large fleets against trying everything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings

from optimizer.planner import plan_fleet
from optimizer.pooled.goals import TIE
from stoker.domain.limits import Objective, ObjectiveName, Objectives
from stoker.domain.settings import OptimizerSettings
from tests.support.naive_pools import best_plan
from tests.support.page_fleets import page_fleet
from tests.support.pool_decisions import RELAXED, large_decision, pruned
from tests.support.pool_instances import instances
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Instance

_ROUNDING = 1e-6


@given(instance=instances(counts=(1, 2, 2)))
@settings(max_examples=40, deadline=None, suppress_health_check=RELAXED)
def test_no_plan_is_below_the_bound_of_any_stage(instance: Instance) -> None:
    decision = large_decision(pruned(question_of(instance)))
    assume(decision.x is not None and decision.least_changes is None)
    best = best_plan(instance)
    assume(tuple(decision.counts) == tuple(best.served))
    expected = list(best.stages)
    if len(decision.stages) < len(expected):
        assert expected.pop(0) == 0.0, "nothing could be spilled: the stage was left out"
    for index, (stage, optimum) in enumerate(zip(decision.stages, expected, strict=True)):
        size = _ROUNDING * max(1.0, abs(optimum), abs(stage.value))
        if index == 0 and stage.reached > optimum + size:
            break  # as many are served, but others: the first bound is for what weighs as much
        assert stage.bound is not None
        assert stage.bound <= stage.reached + size
        assert stage.bound <= optimum + size
        if stage.reached > optimum + size:
            break  # what comes after is bounded for plans that are as good as this one


@pytest.mark.parametrize(
    "objectives",
    [
        [{"name": "energy"}],
        [{"name": "slo_slack", "tolerance": 0.1}, {"name": "cost"}],
        [{"name": "fairness"}, {"name": "cost"}],
        [{"name": "cost", "weight": 1.0}, {"name": "energy", "weight": 0.01}],
    ],
)
def test_a_large_plan_tells_bounds_of_all_its_stages(objectives: list[object]) -> None:
    changes = {"objectives": objectives, "limits": {"power_w": 600}}
    fleet = page_fleet("pools.md", changes)
    large = plan_fleet(fleet, OptimizerSettings(exact_servers=1))
    exact = plan_fleet(fleet)
    assert large.method == "milp-weighted"
    assert len(large.objectives) == len(exact.objectives)
    for item, best in zip(large.objectives, exact.objectives, strict=True):
        assert item.bound is not None
        assert item.bound <= best.value + _ROUNDING <= item.value + 2 * _ROUNDING
        assert item.gap is not None


def test_cost_after_anything_else_has_its_bound_and_gap() -> None:
    energy = Objectives((Objective(ObjectiveName.ENERGY),))
    fleet = replace(page_fleet("pools.md"), objectives=energy)
    for servers in (1, 200):
        plan = plan_fleet(fleet, OptimizerSettings(exact_servers=servers))
        assert [item.name for item in plan.objectives] == ["energy"]
        assert TIE not in {item.name for item in plan.objectives}
        assert plan.bound is not None
        assert plan.bound <= plan.objective + _ROUNDING
        assert plan.gap is not None
