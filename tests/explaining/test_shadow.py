"""The price of one more card is what planning with one more card finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.fleets import read_fleet
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.explaining.relaxation import card_duals
from optimizer.explaining.situation import Situation
from optimizer.formulation import ExtraRow, single_model
from optimizer.linear_model import SolveLimits
from optimizer.milp_session import priority_groups
from optimizer.planner import plan_fleet
from optimizer.solver import solve
from optimizer.table import IntArray
from stoker.domain.explanation import ShadowMethod
from stoker.domain.fleet import Fleet
from stoker.domain.plan_change import Evidence
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind
from tests.support.explained import REFERENCE, names_served, planned, served, with_one_more
from tests.support.small_fleets import fleets

NOBODY = ExplainOptions(servers=frozenset())


def check_prices(fleet: Fleet) -> int:
    """Return how many prices are not nothing."""
    before = plan_fleet(fleet)
    told = 0
    for price in explain_plan(fleet, before, options=NOBODY).shadow_prices:
        after = plan_fleet(with_one_more(fleet, price.of))
        change = price.change
        gained = {
            priority: count - served(before)[priority]
            for priority, count in served(after).items()
            if count != served(before)[priority]
        }
        assert dict(change.served_change) == gained
        assert set(change.newly_served) == names_served(after) - names_served(before)
        assert change.value_change == pytest.approx(
            after.objective - before.objective, abs=2e-6 * abs(before.objective) + 1e-9
        )
        told += bool(gained or abs(change.value_change) > 1e-6)
        usage = next(item for item in before.usage if item.card_type == price.of)
        assert (price.used, price.available) == (usage.used, usage.available)
    return told


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    fleet=fleets(),
    policy=st.sampled_from(SaturationPolicy),
    solver=st.sampled_from([SolverKind.MILP, SolverKind.MILP, SolverKind.GREEDY]),
)
def test_price_is_that_of_the_plan_with_one_more_card(
    fleet: Fleet, policy: SaturationPolicy, solver: SolverKind
) -> None:
    how = OptimizerSettings(analysis=REFERENCE.analysis, saturation_policy=policy, solver=solver)
    check_prices(replace(fleet, settings=how))


@pytest.mark.parametrize(("name", "scale"), [("small", 0.5), ("large", 1.0)])
def test_builtin_fleets_short_of_cards(name: str, scale: float) -> None:
    told = check_prices(replace(scale_capacity(read_fleet(name), scale), settings=REFERENCE))
    assert told or name == "small"


def test_no_price_where_cards_are_without_end() -> None:
    fleet = replace(read_fleet("small"), settings=replace(REFERENCE, unlimited=True))
    assert explain_plan(fleet, plan_fleet(fleet), options=NOBODY).shadow_prices == ()


@pytest.mark.parametrize(("name", "scale"), [("large", 1.0), ("small", 0.5)])
def test_prices_of_the_relaxation_are_its_slope(name: str, scale: float) -> None:
    """Told by another solver: the relaxation solved with a thousandth of a card more."""
    case = planned(replace(scale_capacity(read_fleet(name), scale), settings=REFERENCE))
    situation = case.situation
    assert situation.free is not None
    capacity = situation.free + situation.base.cards
    duals = card_duals(situation, capacity)
    assert duals is not None
    assert (duals <= 0).all()
    for kind in np.flatnonzero(duals < -1e-6)[:3]:
        slopes = [
            (
                relaxed_value(situation, capacity, int(kind), step)
                - relaxed_value(situation, capacity, int(kind), 0.0)
            )
            / step
            for step in (-1e-3, 1e-3)
        ]
        assert slopes[0] - 1e-3 <= duals[kind] <= slopes[1] + 1e-3
    if scale == 1.0:
        assert (duals < 0).any()


def relaxed_value(situation: Situation, capacity: IntArray, kind: int, more: float) -> float:
    table = situation.table
    form = single_model(table, capacity)
    upper = form.row_upper.copy()
    upper[form.serve_row.size + kind] += more
    form = replace(form, row_upper=upper)
    served = np.array([own.served for own in situation.base.own])
    rows = tuple(
        ExtraRow(
            group.columns,
            np.ones(group.columns.size),
            float(np.count_nonzero(served & group.members)),
            np.inf,
        )
        for group in priority_groups(table, form)
    )
    result = solve(form.model(form.value, rows), "HiGHS", SolveLimits(), relaxed=True)
    assert result.objective is not None
    return result.objective


def test_relaxed_prices_are_labelled() -> None:
    fleet = replace(read_fleet("large"), settings=REFERENCE)
    plan = plan_fleet(fleet)
    options = replace(NOBODY, shadow=ShadowMethod.LP)
    explanation = explain_plan(fleet, plan, options=options)
    assert {price.change.evidence for price in explanation.shadow_prices} == {Evidence.RELAXED}
    assert len(explanation.shadow_prices) == len(plan.usage)
    assert "estimates" in explanation.notes[0]
    mixing = replace(fleet, settings=replace(REFERENCE, heterogeneous=True))
    told = explain_plan(mixing, plan_fleet(mixing), options=options)
    assert told.shadow_prices == ()
    assert "none are told" in told.notes[0]
