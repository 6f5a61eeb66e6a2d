"""The price of one more card is what planning with one more card finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.fleets import read_fleet
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Fleet
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind
from tests.support.explained import REFERENCE, names_served, served, with_one_more
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


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
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
