"""Forbidding an accelerator: by the table, by proof, and by a document without the profile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.fleets import read_fleet
from optimizer.explaining.alternatives import planned_without, settled_without, without
from optimizer.explaining.explain import explain_plan
from optimizer.planner import plan_fleet
from stoker.domain.explanation import ChoiceLimit, Forbidden
from stoker.domain.fleet import Fleet
from stoker.domain.plan_change import Evidence
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import SaturationPolicy, SolverKind
from tests.support.explained import (
    REFERENCE,
    Planned,
    names_served,
    planned,
    served,
    with_own_models,
    without_profile,
)
from tests.support.small_fleets import LOAD, fleets, make_fleet, make_server


def check_against_document(case: Planned, item: Forbidden, server: str) -> None:
    """The fleet without the profile is planned from its document, with nothing shared."""
    after = plan_fleet(without_profile(case.fleet, server, str(item.accelerator)))
    before = case.plan
    changed = {
        priority: count - served(before)[priority]
        for priority, count in served(after).items()
        if count != served(before)[priority]
    }
    assert dict(item.change.served_change) == changed
    assert item.change.value_change == pytest.approx(
        after.objective - before.objective, abs=2e-6 * abs(before.objective) + 1e-9
    )
    if item.change.evidence is Evidence.RESOLVED:
        assert item.change.cost_change == pytest.approx(
            after.cost_per_hour - before.cost_per_hour, abs=1e-6 * before.cost_per_hour + 1e-9
        )
        allocation = next((x for x in after.allocations if x.server == server), None)
        assert sum(part.replicas for part in item.own.parts) == (
            allocation.replicas if allocation else 0
        )
        assert set(item.change.no_longer_served) == names_served(before) - names_served(after)
        assert set(item.change.newly_served) == names_served(after) - names_served(before)


@settings(max_examples=18, suppress_health_check=[HealthCheck.too_slow])
@given(
    fleet=fleets(),
    policy=st.sampled_from(SaturationPolicy),
    solver=st.sampled_from([SolverKind.MILP, SolverKind.MILP, SolverKind.GREEDY]),
)
def test_runner_up_is_the_plan_of_a_document_without_the_profile(
    fleet: Fleet, policy: SaturationPolicy, solver: SolverKind
) -> None:
    how = replace(REFERENCE, saturation_policy=policy, solver=solver)
    case = planned(with_own_models(replace(fleet, settings=how)))
    for index, own in enumerate(case.base.own):
        if own.served and own.parts and own.parts[0].accelerator is not None:
            item = without(case.situation, index, own.parts[0].accelerator)
            check_against_document(case, item, case.base.servers[index])


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(fleet=fleets(), cards=st.integers(0, 400), unlimited=st.booleans())
def test_what_is_proven_without_planning_is_what_planning_finds(
    fleet: Fleet, cards: int, unlimited: bool
) -> None:
    plenty = replace(fleet, capacity=tuple(replace(x, count=cards) for x in fleet.capacity))
    how = replace(REFERENCE, unlimited=unlimited)
    case = planned(replace(plenty, settings=how))
    for index, own in enumerate(case.base.own):
        if not own.served or not own.parts or own.parts[0].accelerator is None:
            continue
        accelerator = case.problem.table.accelerators.index(own.parts[0].accelerator)
        proven = settled_without(case.situation, index, accelerator)
        if proven is None:
            continue
        found = planned_without(case.situation, index, accelerator)
        assert proven.change.served_change == found.change.served_change
        assert proven.change.value_change == pytest.approx(found.change.value_change, abs=1e-9)
        assert proven.own.served == found.own.served
        assert proven.own.value == pytest.approx(found.own.value, abs=1e-9)
        assert proven.change.no_longer_served == found.change.no_longer_served


def test_with_ample_cards_nothing_is_planned_again() -> None:
    fleet = make_fleet(make_server("a"), make_server("b"), cards={"B": 100, "C": 500})
    explanation = explain_plan(fleet, plan_fleet(fleet))
    for item in explanation.allocations:
        assert item.choice_limit is ChoiceLimit.LEAST_VALUE
        assert item.runner_up is not None
        assert item.runner_up.change.evidence is Evidence.PROVEN
        second = next(x for x in item.options if x.accelerator != item.accelerator)
        assert item.runner_up.own.parts[0].accelerator == second.accelerator
        assert item.runner_up.own_cost_change == pytest.approx(
            second.cost_per_hour - item.cost_per_hour
        )
    assert {price.change.evidence for price in explanation.shadow_prices} == {Evidence.PROVEN}
    assert all(price.change.value_change == 0 for price in explanation.shadow_prices)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(fleet=fleets(most_servers=4), data=st.data())
def test_to_forbid_what_is_not_used_changes_nothing(fleet: Fleet, data: st.DataObject) -> None:
    case = planned(with_own_models(replace(fleet, settings=REFERENCE)))
    index = data.draw(st.integers(0, len(case.base.own) - 1))
    used = {part.accelerator for part in case.base.own[index].parts}
    for accelerator in {"Big", "Cheap", "Old"} - used:
        after = plan_fleet(without_profile(case.fleet, case.base.servers[index], accelerator))
        assert served(after) == served(case.plan)
        assert after.objective == pytest.approx(case.plan.objective, rel=2e-6, abs=1e-9)


@pytest.mark.parametrize(("name", "scale"), [("small", 0.5), ("large", 1.0)])
def test_builtin_fleets_short_of_cards(name: str, scale: float) -> None:
    fleet = replace(scale_capacity(read_fleet(name), scale), settings=REFERENCE)
    case = planned(with_own_models(fleet))
    others = 0
    for index in range(0, len(case.base.own), 4):
        own = case.base.own[index]
        if own.served and own.parts[0].accelerator is not None:
            item = without(case.situation, index, own.parts[0].accelerator)
            check_against_document(case, item, case.base.servers[index])
            others += len(item.change.moved)
    assert others or name == "small", "cards are short, so others must move somewhere"


def test_a_mix_has_a_plan_without_each_of_its_accelerators() -> None:
    how = replace(REFERENCE, heterogeneous=True)
    busy = make_server("s", load=replace(LOAD, arrival_rate_rps=60.0))
    fleet = replace(make_fleet(busy, cards={"B": 6, "C": 4}), settings=how)
    plan = plan_fleet(fleet)
    (item,) = explain_plan(fleet, plan, how).allocations
    assert item.choice_limit is None
    assert {each.accelerator for each in item.forbidden} == {"Big", "Cheap"}
    for each in item.forbidden:
        after = plan_fleet(without_profile(fleet, "s", str(each.accelerator)))
        assert each.accelerator not in {part.accelerator for part in each.own.parts}
        assert each.change.served_change == {1: -1}
        assert served(after)[1] == 0
    plenty = replace(fleet, capacity=tuple(replace(x, count=200) for x in fleet.capacity))
    (item,) = explain_plan(plenty, plan_fleet(plenty), how).allocations
    assert item.runner_up is not None
    assert item.runner_up.change.evidence is Evidence.RESOLVED
    after = plan_fleet(without_profile(plenty, "s", str(item.runner_up.accelerator)))
    assert item.runner_up.change.value_change == pytest.approx(
        after.objective - plan_fleet(plenty).objective, abs=1e-4
    )
