"""The smallest number of replicas behind a router, against trying every number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from queueing.engine import (
    EngineCases,
    EngineTargets,
    LatencyTarget,
    TokenWorkTimes,
    analyze_engine,
)
from queueing.engine.fewest import fewest_replicas
from queueing.engine.fleet_sizing import fleet_excess
from queueing.engine.misses import target_excess
from queueing.engine.one_of_many import OneOfMany
from queueing.engine.routing import analyze_fleet, share_cv
from queueing.engine.sizing import LARGEST_LOAD, size_engine
from stoker.domain.routing import Router

COUNT = 40
MOST = 24


def drawn(seed: int) -> tuple[EngineCases, EngineTargets, np.ndarray]:
    """Return replicas of all kinds, their targets, and the loads of their servers."""
    random = np.random.default_rng(seed)
    times = TokenWorkTimes.of(random.uniform(4.0, 20.0, COUNT), 0.03, 0.0003)
    slots = random.choice([1.0, 2.0, 4.0, 16.0], COUNT)
    cases = EngineCases.of(
        times,
        random.choice([64.0, 512.0, 2000.0], COUNT),
        random.choice([1.0, 16.0, 128.0], COUNT),
        slots,
        10.0 * slots,
        input_cv=random.choice([0.0, 1.0], COUNT),
        output_cv=random.choice([0.0, 1.0], COUNT),
        arrival_cv=random.choice([0.0, 1.0, 2.0], COUNT),
        kv_tokens=random.choice([np.inf, 20_000.0], COUNT),
    )
    ttft = LatencyTarget.of(
        COUNT, random.choice([200.0, 800.0], COUNT), random.choice([np.nan, 95.0], COUNT)
    )
    itl = LatencyTarget.of(COUNT, random.choice([25.0, 60.0], COUNT), 95.0)
    targets = EngineTargets.of(COUNT, ttft=(ttft,), itl=(itl,), max_blocking=0.001)
    alone = OneOfMany.of(cases, 1.0, Router.RANDOM).size(targets)
    loads = random.uniform(0.2, 12.0, COUNT) * np.maximum(alone.max_rate_rps, 0.01)
    return cases, targets, loads


@pytest.mark.parametrize("router", Router)
@pytest.mark.parametrize("start", [np.nan, 1.0, 9.0, 1e9])
def test_no_smaller_number_keeps_the_targets(router: Router, start: float) -> None:
    cases, targets, loads = drawn(5)
    found = fewest_replicas(
        cases, router, targets, loads, np.ones(COUNT), np.full(COUNT, MOST), np.full(COUNT, start)
    )
    numbers = np.arange(1.0, MOST + 1.0)
    kept = np.array(
        [OneOfMany.of(cases, n, router).excess(targets, loads / n) <= 0.0 for n in numbers]
    )
    room = OneOfMany.of(cases, 1.0, Router.RANDOM).size(targets).max_rate_rps / LARGEST_LOAD
    kept &= numbers[:, None] * LARGEST_LOAD * room >= loads
    # Where more replicas keep what fewer do, the answer is the first number that keeps it.
    once = (np.diff(kept.astype(int), axis=0) >= 0).all(axis=0)
    assert once.sum() > 0.8 * COUNT
    first = np.where(kept.any(axis=0), kept.argmax(axis=0) + 1.0, np.nan)
    np.testing.assert_array_equal(found[once], first[once])
    assert 10 <= np.isfinite(first[once]).sum() < once.sum()
    # Elsewhere it is one that does, if it is any.
    some = np.flatnonzero(~once & np.isfinite(found))
    assert kept[found[some].astype(int) - 1, some].all()


def test_bounds_are_kept() -> None:
    cases, targets, loads = drawn(7)
    free = fewest_replicas(
        cases,
        Router.SHORTEST_QUEUE,
        targets,
        loads,
        np.ones(COUNT),
        np.full(COUNT, MOST),
        np.full(COUNT, np.nan),
    )
    bounded = fewest_replicas(
        cases,
        Router.SHORTEST_QUEUE,
        targets,
        loads,
        np.full(COUNT, 5.0),
        np.full(COUNT, 8.0),
        np.full(COUNT, np.nan),
    )
    within = np.isfinite(bounded)
    assert ((bounded[within] >= 5.0) & (bounded[within] <= 8.0)).all()
    middle = (free >= 5.0) & (free <= 8.0)
    assert middle.any()
    np.testing.assert_array_equal(bounded[middle], free[middle])


def test_one_replica_more_or_less_never_matters_where_arrivals_are_poisson() -> None:
    times = TokenWorkTimes.of(8.0, 0.03, 0.0003)
    cases = EngineCases.of(times, 512, 128, 8, 80)
    targets = EngineTargets.of(1, ttft=(LatencyTarget.of(1, 200.0, 95.0),))
    alone = size_engine(cases, targets).rate_rps
    for count in (1.0, 3.0, 1000.0):
        own = OneOfMany.of(cases, count, Router.RANDOM).size(targets).rate_rps
        np.testing.assert_array_equal(own, alone)


@pytest.mark.parametrize("router", [Router.SHORTEST_QUEUE, Router.LEAST_KV])
def test_one_of_many_is_its_part_of_the_fleet(router: Router) -> None:
    cases, targets, _ = drawn(3)
    good = np.flatnonzero(cases.usable())[:20]
    cases, targets = cases.take(good), targets.take(good)
    rate = 0.5 * OneOfMany.of(cases, 6.0, router).size(targets).max_rate_rps
    one = OneOfMany.of(cases, 6.0, router).analyze(rate, (95.0,))
    fleet = analyze_fleet(cases, 6.0, router, 6.0 * rate, (95.0,))
    np.testing.assert_allclose(one.ttft.at_ms, fleet.ttft.at_ms, rtol=1e-9)
    np.testing.assert_allclose(one.itl.mean_ms, fleet.itl.mean_ms, rtol=1e-9)
    np.testing.assert_allclose(6.0 * one.throughput_rps, fleet.throughput_rps, rtol=1e-9)
    excess = OneOfMany.of(cases, 6.0, router).excess(targets, rate)
    np.testing.assert_allclose(
        excess, fleet_excess(cases, 6.0, router, targets, 6.0 * rate), atol=1e-9
    )


@pytest.mark.parametrize("router", [Router.RANDOM, Router.ROUND_ROBIN])
def test_one_that_no_router_looks_at_is_one_alone(router: Router) -> None:
    cases, targets, _ = drawn(3)
    many = OneOfMany.of(cases, 6.0, router)
    own = replace(cases, arrival_cv=share_cv(router, np.full(COUNT, 6.0), cases.arrival_cv))
    rate = 0.5 * many.size(targets).max_rate_rps
    np.testing.assert_array_equal(many.size(targets).rate_rps, size_engine(own, targets).rate_rps)
    point, alone = many.analyze(rate, (95.0,)), analyze_engine(own, rate, (95.0,))
    np.testing.assert_array_equal(point.ttft.at_ms, alone.ttft.at_ms)
    np.testing.assert_array_equal(many.excess(targets, rate), target_excess(own, targets, rate))


def test_a_random_split_thins_bursts() -> None:
    cv = np.array([0.0, 1.0, 3.0])
    own = share_cv(Router.RANDOM, np.full(3, 4.0), cv)
    np.testing.assert_allclose(own**2, [0.75, 1.0, 3.0])
    assert share_cv(Router.RANDOM, np.full(3, np.inf), cv) == pytest.approx([1.0, 1.0, 1.0])


def test_cases_that_make_no_sense_have_no_number() -> None:
    times = TokenWorkTimes.of([8.0, 8.0], 0.03, 0.0003)
    cases = EngineCases.of(times, 512, [128, 128], [8, 0.5], 80)
    targets = EngineTargets.of(2, ttft=(LatencyTarget.of(2, 200.0),))
    found = fewest_replicas(
        cases,
        Router.SHORTEST_QUEUE,
        targets,
        np.full(2, 10.0),
        np.ones(2),
        np.full(2, 50.0),
        np.full(2, np.nan),
    )
    assert np.isfinite(found).tolist() == [True, False]
    point = OneOfMany.of(cases, 4.0, Router.SHORTEST_QUEUE).analyze(np.full(2, 1.0))
    assert np.isnan(point.ttft.mean_ms).tolist() == [False, True]
