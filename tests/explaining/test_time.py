"""A time limit that leaves something open leaves every kind of question some of its answers."""

from __future__ import annotations

from dataclasses import replace

from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits
from stoker.domain.pools import Pool
from tests.support.explained import REFERENCE, with_own_models
from tests.support.small_fleets import make_fleet, make_server


class Ticking:
    """A clock on which a second passes with each look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return float(self.looks)


def crowded() -> Fleet:
    """Return servers over many pools, within a budget that does not do for all of them."""
    servers = (make_server(f"s{index}") for index in range(6))
    pools = tuple(Pool(f"c{index}", "C", 2, price_factor=1 + index / 100) for index in range(30))
    fleet = replace(make_fleet(*servers), capacity=(), pools=pools, settings=REFERENCE)
    free = plan_fleet(with_own_models(fleet))
    limits = Limits(budget_per_hour=0.6 * free.cost_per_hour)
    return with_own_models(replace(fleet, limits=limits))


def test_prices_of_many_pools_leave_time_for_all_else() -> None:
    fleet = crowded()
    plan = plan_fleet(fleet)
    assert plan.unplaced
    whole = explain_plan(fleet, plan, options=ExplainOptions(time_limit_s=None))
    assert all(item.reachable or item.loads for item in whole.unplaced)
    found = explain_plan(fleet, plan, options=ExplainOptions(time_limit_s=800.0), clock=Ticking())
    assert 0 < len(found.shadow_prices) < len(whole.shadow_prices)
    for some, every in zip(found.allocations, whole.allocations, strict=True):
        assert some.options == every.options
        assert (some.runner_up is None) == (every.runner_up is None)
    assert any(item.runner_up is not None for item in found.allocations)
    assert any("the time limit passed" in note for note in found.notes)
