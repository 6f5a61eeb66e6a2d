"""A plan read back, found again in its fleet, and refused where it is another's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.fleets import read_fleet
from data.plan_format import plan_to_document
from data.plan_reading import parse_plan, read_plan
from optimizer.explaining.explain import ExplainOptions, explain_alone, explain_plan, settings_of
from optimizer.explaining.matching import matched_decision
from optimizer.explaining.problem import problem_of
from optimizer.planner import plan_fleet
from optimizer.preparation import prepare
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import SaturationPolicy, SolverKind
from tests.support.explained import REFERENCE, planned
from tests.support.plans import mixed_plan
from tests.support.small_fleets import LOAD, fleets, make_fleet, make_server


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    fleet=fleets(),
    policy=st.sampled_from(SaturationPolicy),
    mixed=st.booleans(),
    solver=st.sampled_from(SolverKind),
)
def test_plan_survives_the_file_and_is_found_again(
    fleet: Fleet, policy: SaturationPolicy, mixed: bool, solver: SolverKind
) -> None:
    how = replace(REFERENCE, saturation_policy=policy, heterogeneous=mixed, solver=solver)
    fleet = replace(fleet, settings=how)
    plan = plan_fleet(fleet)
    document = json.loads(json.dumps(plan_to_document(plan), allow_nan=False))
    again = parse_plan(document)
    assert plan_to_document(again) == document
    chosen = settings_of(again, fleet.settings)
    problem = problem_of(prepare(fleet, chosen), lambda: 0.0)
    base = matched_decision(fleet, problem.table, again)
    kept = sum(
        x.cost_per_hour
        for x in plan.allocations
        if next(y for y in fleet.servers if y.name == x.server).load is None
    )
    assert base.value == pytest.approx(plan.objective, rel=1e-9, abs=1e-9)
    assert base.cost_per_hour == pytest.approx(plan.cost_per_hour - kept)
    assert {x for x, own in zip(base.servers, base.own, strict=True) if own.served} == {
        x.server for x in plan.allocations if x.fully_served
    }


def test_full_analysis_survives_the_file() -> None:
    for plan in (plan_fleet(read_fleet("small")), mixed_plan()):
        document = plan_to_document(plan)
        assert plan_to_document(parse_plan(document)) == document


def test_explanation_of_a_written_plan_is_that_of_the_plan(tmp_path: Path) -> None:
    fleet = replace(scale_capacity(read_fleet("small"), 0.9), settings=REFERENCE)
    plan = plan_fleet(fleet)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan_to_document(plan)))
    other = replace(fleet, capacity=read_fleet("small").capacity)
    ours, theirs = explain_plan(fleet, plan), explain_plan(other, read_plan(path))
    assert [x.runner_up and x.runner_up.own for x in ours.allocations] == [
        x.runner_up and x.runner_up.own for x in theirs.allocations
    ]
    assert [x.available for x in ours.shadow_prices] == [x.available for x in theirs.shadow_prices]


def test_a_plan_of_another_fleet_is_refused_with_every_reason() -> None:
    fleet = replace(make_fleet(make_server("a"), make_server("b")), settings=REFERENCE)
    plan = plan_fleet(fleet)
    other = replace(
        fleet,
        servers=(
            replace(fleet.servers[0], load=replace(LOAD, arrival_rate_rps=5.0)),
            make_server("c"),
        ),
    )
    with pytest.raises(InvalidInputError) as caught:
        explain_plan(other, plan)
    told = str(caught.value)
    assert "allocations.b: the fleet has no such server" in told
    assert "the plan has no word on server c" in told
    assert "allocations.a.arrival_rate_rps: 4 in the plan, 5 in the fleet" in told


def test_other_prices_batches_and_profiles_are_refused() -> None:
    fleet = replace(make_fleet(make_server("a")), settings=REFERENCE)
    plan = plan_fleet(fleet)
    dearer = replace(
        fleet,
        accelerators=tuple(
            replace(x, cost_per_hour=9 * x.cost_per_hour) for x in fleet.accelerators
        ),
    )
    with pytest.raises(InvalidInputError, match="cost_per_hour"):
        explain_plan(dearer, plan)
    smaller = replace(fleet, servers=(make_server("a", max_batch=3),))
    with pytest.raises(InvalidInputError, match="max_batch"):
        explain_plan(smaller, plan)
    more = replace(fleet, servers=(make_server("a", min_replicas=30),))
    with pytest.raises(InvalidInputError, match="replicas: 2 in the plan, and this fleet needs 30"):
        explain_plan(more, plan)
    used = plan.allocations[0].accelerator
    without = replace(fleet, profiles=tuple(x for x in fleet.profiles if x.accelerator != used))
    with pytest.raises(InvalidInputError, match="no candidate of the server in this fleet"):
        explain_plan(without, plan)


def test_a_file_that_is_no_plan_is_refused_with_every_reason(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    document = plan_to_document(mixed_plan())
    document["status"] = "fine"
    document["analysis"] = 3
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidInputError, match="analysis"):
        read_plan(path)
    document["analysis"] = "perfect"
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidInputError) as caught:
        read_plan(path)
    assert [x.path for x in caught.value.problems] == ["status", "analysis"]
    with pytest.raises(InvalidInputError, match="allocations"):
        parse_plan({"servers": []})


def test_alone_a_plan_tells_what_it_can() -> None:
    plan = mixed_plan()
    explanation = explain_alone(plan)
    assert [x.server for x in explanation.allocations] == [x.server for x in plan.allocations]
    assert [x.server for x in explanation.unplaced] == [x.server for x in plan.unplaced]
    assert all(x.runner_up is None for x in explanation.allocations)
    assert "without the fleet" in explanation.notes[0]


def test_the_time_limit_leaves_questions_open_and_says_so() -> None:
    case = planned(
        replace(make_fleet(make_server("a"), cards={"B": 0, "C": 1}), settings=REFERENCE)
    )
    ticks = iter(range(10_000))
    options = ExplainOptions(time_limit_s=0.5)
    explanation = explain_plan(
        case.fleet, case.plan, options=options, clock=lambda: float(next(ticks))
    )
    assert explanation.shadow_prices == ()
    assert explanation.unplaced[0].reachable == ()
    assert "the time limit passed: 4 of the questions" in explanation.notes[0]


def test_a_plan_that_serves_nobody_is_explained() -> None:
    fleet = replace(make_fleet(make_server("a"), cards={"B": 0, "C": 0}), settings=REFERENCE)
    explanation = explain_plan(fleet, plan_fleet(fleet))
    assert explanation.allocations == ()
    (item,) = explanation.unplaced
    assert {bought.card_type for bought in item.purchases} == {"B", "C"}
    assert item.loads == ()


def test_plans_from_given_predictions_are_explained_but_for_new_predictions() -> None:
    fleet = replace(make_fleet(make_server("a"), make_server("b"), cards={"B": 4, "C": 2}))
    given = [
        CandidateEstimate(server, name, replicas, 8, cost, cost, 50.0, 20.0, 0.5, 3.0)
        for server in ("a", "b")
        for name, replicas, cost in (("Big", 2, 10.0), ("Cheap", 2, 2.0))
    ]
    plan = plan_fleet(fleet, estimates=given)
    explanation = explain_plan(fleet, plan, estimates=given)
    costs = {x.server: x.cost_per_hour for x in explanation.allocations}
    assert sorted(costs.values()) == [2.0, 10.0]
    moved = next(x for x in explanation.allocations if x.cost_per_hour == 2.0)
    assert moved.runner_up is not None
    without = [x for x in given if (x.server, x.accelerator) != (moved.server, "Cheap")]
    after = plan_fleet(fleet, estimates=without)
    change = moved.runner_up.change
    assert change.value_change == pytest.approx(after.objective - plan.objective)
    short = replace(fleet, capacity=tuple(replace(x, count=2) for x in fleet.capacity))
    plan = plan_fleet(short, estimates=given)
    (item,) = explain_plan(short, plan, estimates=given).unplaced
    assert (item.reachable, item.loads) == ((), ())
    assert [(x.card_type, x.cards) for x in item.purchases] == [("C", 2), ("B", 2)]
