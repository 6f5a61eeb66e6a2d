from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.open import analyze_engine
from queueing.engine.point import EnginePoint, Latency
from queueing.engine.routing import analyze_fleet, fleet_saturation_rps, share_cv
from queueing.engine.times import TokenWorkTimes
from simulator import (
    Engine,
    GammaArrivals,
    LognormalLength,
    Pool,
    Scenario,
    SeparateLengths,
    simulate,
    summarize,
)
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.routing import Router

ALPHA, BETA, GAMMA = 8.0, 0.03, 0.0003
PERCENTILES = (50.0, 95.0)
SMOOTHING = (Router.SHORTEST_QUEUE, Router.LEAST_KV)
"""Routers that look at the replicas: what they do is not corrected."""


def replica(
    input_tokens: float = 512.0,
    output_tokens: float = 128.0,
    max_batch: float = 32.0,
    *,
    arrival_cv: float = 1.0,
    max_queue: float = np.inf,
    cv: float = 1.0,
) -> EngineCases:
    return EngineCases.of(
        TokenWorkTimes.of(ALPHA, BETA, GAMMA),
        input_tokens,
        output_tokens,
        max_batch,
        max_queue,
        input_cv=cv,
        output_cv=cv,
        arrival_cv=arrival_cv,
    )


def rate_at(cases: EngineCases, replicas: float, load: float) -> FloatArray:
    return load * fleet_saturation_rps(cases, np.array([replicas]))


def assert_same(one: EnginePoint, other: EnginePoint) -> None:
    for field in fields(one):
        expected, value = getattr(one, field.name), getattr(other, field.name)
        if isinstance(expected, Latency):
            np.testing.assert_allclose(value.mean_ms, expected.mean_ms, err_msg=field.name)
            np.testing.assert_allclose(value.at_ms, expected.at_ms, err_msg=field.name)
        else:
            np.testing.assert_allclose(value, expected, err_msg=field.name)


@pytest.mark.parametrize("router", Router)
@pytest.mark.parametrize("queue", [np.inf, 5.0])
def test_a_single_replica_is_the_engine(router: Router, queue: float) -> None:
    cases = replica(arrival_cv=1.4, max_queue=queue)
    rate = rate_at(cases, 1, 0.7)
    alone = analyze_engine(cases, rate, corrected=router not in SMOOTHING)
    assert_same(alone, analyze_fleet(cases, 1, router, rate))


@pytest.mark.parametrize("router", SMOOTHING)
def test_levelling_leaves_a_single_replica_among_others_alone(router: Router) -> None:
    cases = replica(arrival_cv=1.4).take(np.array([0, 0]))
    sizes = np.array([1.0, 3.0])
    rate = 0.7 * fleet_saturation_rps(cases, sizes)
    alone = analyze_engine(cases, rate / sizes, corrected=False)
    routed = analyze_fleet(cases, sizes, router, rate)
    np.testing.assert_allclose(routed.ttft.at_ms[:, 0], alone.ttft.at_ms[:, 0])
    np.testing.assert_allclose(routed.e2e.mean_ms[0], alone.e2e.mean_ms[0])
    assert routed.ttft.mean_ms[1] < alone.ttft.mean_ms[1]


def test_random_routing_leaves_poisson_arrivals_as_they_are() -> None:
    cases = replica()
    rate = rate_at(cases, 5, 0.6)
    alone, routed = analyze_engine(cases, rate / 5), analyze_fleet(cases, 5, Router.RANDOM, rate)
    np.testing.assert_allclose(routed.ttft.at_ms, alone.ttft.at_ms)
    np.testing.assert_allclose(routed.throughput_rps, 5 * alone.throughput_rps)
    np.testing.assert_allclose(routed.utilization, alone.utilization)


def test_round_robin_hands_on_every_other_arrival() -> None:
    # Of a constant beat every R-th is a constant beat; the sum of four exponential times varies
    # half as much as one.
    four = np.array([4.0])
    assert share_cv(Router.ROUND_ROBIN, four, np.array([0.0])) == 0.0
    assert share_cv(Router.ROUND_ROBIN, four, np.array([1.0])) == 0.5


def test_a_random_split_forgets_how_arrivals_came() -> None:
    many, cv = np.array([2.0, 1e6]), np.array([2.0, 2.0])
    np.testing.assert_allclose(share_cv(Router.RANDOM, many, cv) ** 2, [2.5, 1.0], atol=1e-5)


@pytest.mark.parametrize("router", Router)
def test_what_is_not_turned_away_is_completed(router: Router) -> None:
    cases = replica(max_batch=8.0, max_queue=2.0)
    point = analyze_fleet(cases, 3, router, rate_at(cases, 3, 1.3))
    assert 0.2 < point.blocking[0] < 0.4
    assert point.throughput_rps == pytest.approx(point.arrival_rate_rps * (1 - point.blocking))
    # Little's law, and no more than the slots of all.
    served = point.throughput_rps / 1e3 * (point.e2e.mean_ms - point.wait.mean_ms)
    assert point.mean_in_service == pytest.approx(served, rel=0.05)
    assert point.mean_in_service <= 24.0
    assert point.throughput_rps <= point.saturation_rps * 1.02


@pytest.mark.parametrize("router", Router)
def test_a_fleet_beyond_saturation_is_full(router: Router) -> None:
    cases = replica(max_batch=8.0)
    point = analyze_fleet(cases, 3, router, rate_at(cases, 3, 1.1))
    assert not point.stable[0]
    assert point.utilization[0] == pytest.approx(1.0)
    assert point.mean_in_service[0] == pytest.approx(24.0)
    assert np.isinf(point.ttft.mean_ms[0])


@pytest.mark.parametrize("router", Router)
def test_latency_rises_with_the_load(router: Router) -> None:
    cases = replica().take(np.zeros(8, dtype=np.int64))
    loads = np.linspace(0.1, 0.95, 8)
    rates = loads * fleet_saturation_rps(cases, np.full(8, 4.0))
    point = analyze_fleet(cases, 4, router, rates)
    for figure in (point.ttft.mean_ms, point.itl.mean_ms, point.e2e.at_ms[2], point.utilization):
        assert np.all(np.diff(figure) > 0)


@pytest.mark.parametrize("load", [0.6, 0.75, 0.9])
def test_the_more_a_router_knows_the_shorter_the_wait(load: float) -> None:
    cases = replica(max_batch=8.0)
    rate = rate_at(cases, 6, load)
    means = [
        float(analyze_fleet(cases, 6, router, rate).ttft.mean_ms[0])
        for router in (Router.RANDOM, Router.ROUND_ROBIN, Router.SHORTEST_QUEUE)
    ]
    assert means[0] > means[1] > means[2]


def test_pooling_gains_where_slots_are_few_and_little_where_they_are_many() -> None:
    def gain(max_batch: float) -> float:
        cases = replica(max_batch=max_batch)
        rate = rate_at(cases, 8, 0.8)
        routed = [
            float(analyze_fleet(cases, 8, router, rate).ttft.mean_ms[0])
            for router in (Router.RANDOM, Router.SHORTEST_QUEUE)
        ]
        return routed[0] / routed[1]

    assert gain(2.0) > 3.0
    assert 1.0 < gain(128.0) < 1.6


def test_fleets_side_by_side_are_each_alone() -> None:
    sizes = np.array([1.0, 3.0, 16.0])
    cases = EngineCases.of(
        TokenWorkTimes.of([ALPHA] * 3, BETA, GAMMA),
        [100.0, 900.0, 3000.0],
        [20.0, 300.0, 5.0],
        [1.0, 48.0, 6.0],
        arrival_cv=[0.0, 1.0, 1.7],
        input_cv=0.7,
    )
    rates = 0.7 * fleet_saturation_rps(cases, sizes)
    together = analyze_fleet(cases, sizes, Router.SHORTEST_QUEUE, rates, PERCENTILES)
    for row in range(3):
        one = np.array([row])
        alone = analyze_fleet(
            cases.take(one), sizes[one], Router.SHORTEST_QUEUE, rates[one], PERCENTILES
        )
        assert together.ttft.mean_ms[row] == pytest.approx(alone.ttft.mean_ms[0])
        assert together.e2e.at_ms[1, row] == pytest.approx(alone.e2e.at_ms[1, 0])


@pytest.mark.parametrize("wrong", [0, 2.5, np.nan, np.inf, -3])
def test_a_fleet_has_a_whole_number_of_replicas(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"replicas is .* \(allowed: a whole number from 1\)"):
        analyze_fleet(replica(), wrong, Router.RANDOM, 1.0)


@pytest.mark.parametrize("router", Router)
@pytest.mark.parametrize(
    ("replicas", "max_batch", "load", "arrival_cv"),
    [(4, 64, 0.6, 1.0), (8, 8, 0.6, 1.0), (3, 24, 0.7, 1.3), (16, 32, 0.4, 0.0)],
)
def test_simulated_fleets_do_the_same(
    router: Router, replicas: int, max_batch: int, load: float, arrival_cv: float
) -> None:
    cases = replica(max_batch=float(max_batch), arrival_cv=arrival_cv, cv=0.5)
    rate = float(rate_at(cases, replicas, load)[0])
    point = analyze_fleet(cases, replicas, router, rate, PERCENTILES)
    engine = Engine(TokenWorkParameters(ALPHA, BETA, GAMMA), max_batch=max_batch)
    lengths = SeparateLengths(LognormalLength(512, 0.5), LognormalLength(128, 0.5))
    pool = Pool(engine, replicas, router)
    scenario = Scenario(GammaArrivals(rate, arrival_cv), lengths, pool, 60_000, seed=5)
    played = summarize(simulate(scenario), PERCENTILES)
    assert point.ttft.mean_ms[0] == pytest.approx(played.ttft_ms.mean.value, rel=0.2)
    assert point.ttft.at_ms[1, 0] == pytest.approx(played.ttft_ms.percentiles[95].value, rel=0.3)
    assert point.itl.mean_ms[0] == pytest.approx(played.itl_ms.mean.value, rel=0.03)
    assert point.itl.at_ms[1, 0] == pytest.approx(played.itl_ms.percentiles[95].value, rel=0.08)
    assert point.e2e.mean_ms[0] == pytest.approx(played.e2e_ms.mean.value, rel=0.05)
    assert point.utilization[0] == pytest.approx(played.utilization, rel=0.05)
