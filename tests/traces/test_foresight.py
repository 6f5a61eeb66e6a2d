"""A router that knows the future: what it is said to do it does, and no bound is above it."""

from __future__ import annotations

import pytest

from studies.traces.bound import lower_bound
from studies.traces.foresight import fewest_by_foresight
from studies.traces.goal import TraceGoal
from studies.traces.search import ROUTERS, SearchSettings, minimum_fleet
from tests.support.traces import generated, option


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_not_above_what_foresight_does(seed: int) -> None:
    trace, replica = generated(seed, 600, 60.0), option()
    goal = TraceGoal(0.9, ttft_ms=800.0, itl_ms=50.0)
    usual = minimum_fleet(replica, trace, goal).replicas
    assert usual is not None
    found = fewest_by_foresight(replica, trace, goal, usual + 1)
    assert found is not None
    assert found.replicas <= usual
    assert found.attainment >= goal.share
    assert found.apart <= goal.may_miss(len(trace))
    bound = lower_bound(replica, trace, goal).replicas
    assert bound is not None
    assert bound <= found.replicas


def test_where_nobody_may_miss_nobody_is_sent_apart() -> None:
    trace, goal = generated(1, 200), TraceGoal(1.0, ttft_ms=1500.0, itl_ms=100.0)
    usual = minimum_fleet(option(), trace, goal).replicas
    assert usual is not None
    found = fewest_by_foresight(option(), trace, goal, usual + 1)
    assert found is not None
    assert found.apart == 0


def test_nothing_is_found_below_what_is_asked() -> None:
    trace, goal = generated(requests=100), TraceGoal(0.95, ttft_ms=1500.0, itl_ms=100.0)
    assert fewest_by_foresight(option(), trace, goal, 1) is None


def test_the_best_router_is_that_of_the_fewest_replicas() -> None:
    trace, goal = generated(2, 500, 50.0), TraceGoal(0.95, ttft_ms=900.0, itl_ms=60.0)
    each = {
        router: minimum_fleet(option(), trace, goal, SearchSettings(router)).replicas or 0
        for router in ROUTERS
    }
    best = minimum_fleet(option(), trace, goal, SearchSettings(None))
    assert best.replicas == min(each.values()) == each[best.router]
    assert best.refuted_below == best.replicas
