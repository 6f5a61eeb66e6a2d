"""The event-driven simulator and the one that plays every iteration give the same times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import event, given, settings

from simulator import (
    Engine,
    GammaArrivals,
    LognormalLength,
    PoissonArrivals,
    Pool,
    Router,
    Scenario,
    SeparateLengths,
    simulate,
    summarize,
)
from stoker.domain.profile import LinearParameters, OverlapParameters, TokenWorkParameters
from tests.support.naive_simulator import NaiveRun, naive_simulate
from tests.support.simulations import scenarios


def compare(scenario: Scenario) -> NaiveRun:
    naive = naive_simulate(scenario)
    run = simulate(scenario, warm_up=0.0, cool_down=0.0)
    records, requests = run.records, naive.requests
    assert records.status.tolist() == [one.status for one in requests]
    assert records.preemptions.tolist() == [one.preemptions for one in requests]
    assert records.replica.tolist() == [one.replica for one in requests]
    for name, values, others in (
        ("arrival", records.arrival_ms, [one.arrival for one in requests]),
        ("admitted", records.admitted_ms, [one.admitted for one in requests]),
        ("first", records.first_token_ms, [one.first for one in requests]),
        ("completion", records.completion_ms, [one.completion for one in requests]),
    ):
        np.testing.assert_allclose(values, others, rtol=1e-9, atol=1e-9, err_msg=name)
    assert run.peak_kv_blocks == max(replica.peak_blocks for replica in naive.replicas)
    assert run.end_ms == pytest.approx(naive.end, rel=1e-9)
    return naive


@settings(max_examples=300)
@given(scenarios())
def test_identical_times(scenario: Scenario) -> None:
    naive = compare(scenario)
    event(f"preemptions: {any(one.preemptions for one in naive.requests)}")
    event(f"statuses: {sorted({one.status for one in naive.requests})}")


@pytest.mark.parametrize("router", Router)
@pytest.mark.parametrize(
    "model",
    [
        TokenWorkParameters(7.3, 0.021, 0.00071),
        LinearParameters(9.1, 0.31, 3.7, 0.0123),
        OverlapParameters(2.1, 5.3, 0.047, 0.11, 0.00091, 2.3e-5, 0.83, 11.7, 0.17, 0.013),
    ],
)
def test_identical_times_of_a_longer_run(
    router: Router, model: TokenWorkParameters | LinearParameters | OverlapParameters
) -> None:
    engine = Engine(model, 12, max_queue=20, token_budget=256, kv_tokens=2000)
    lengths = SeparateLengths(LognormalLength(150.5, 1.0), LognormalLength(60, 0.8))
    naive = compare(
        Scenario(GammaArrivals(25.0, 1.5), lengths, Pool(engine, 2, router), 300, seed=3)
    )
    assert sum(one.preemptions for one in naive.requests) > 0


@pytest.mark.parametrize("router", Router)
def test_identical_times_of_replicas_that_come_and_go(router: Router) -> None:
    engine = Engine(TokenWorkParameters(7.3, 0.021, 0.00071), 12, token_budget=256, kv_tokens=2000)
    lengths = SeparateLengths(LognormalLength(150.5, 1.0), LognormalLength(60, 0.8))
    schedule = ((0.0, 2), (2000.0, 4), (2500.0, 1), (6000.0, 3), (9000.0, 2), (1e9, 4))
    pool = Pool(engine, 4, router, schedule)
    naive = compare(Scenario(GammaArrivals(30.0, 1.2), lengths, pool, 300, seed=4))
    for request in naive.requests:
        number = [count for time, count in schedule if time <= request.arrival][-1]
        assert request.replica < number
    assert len({request.replica for request in naive.requests}) == 4


@pytest.mark.parametrize("schedule", [((0.0, 3),), ((0.0, 0),), ((5.0, 1), (5.0, 2))])
def test_schedules_that_no_pool_can_have(schedule: tuple[tuple[float, int], ...]) -> None:
    with pytest.raises(ValueError, match="schedule"):
        Pool(Engine(TokenWorkParameters(7.0, 0.02, 0.0), 8), 2, schedule=schedule)


def test_gaps_between_tokens() -> None:
    engine = Engine(TokenWorkParameters(7.3, 0.05, 0.0007), 8, token_budget=128, kv_tokens=1500)
    lengths = SeparateLengths(LognormalLength(150, 1.0), LognormalLength(40, 0.8))
    scenario = Scenario(PoissonArrivals(12.0), lengths, Pool(engine), 500, seed=5)
    naive = compare(scenario)
    run = simulate(scenario, warm_up=0.0, cool_down=0.0)
    last = max(one.arrival for one in naive.requests)
    gaps = np.concatenate([np.diff(one.token_times) for one in naive.requests])
    # The histogram counts until the last arrival: take what has streamed by then and after.
    assert int(run.token_gaps.tokens.sum()) == len(gaps)
    assert last < run.end_ms
    assert run.token_gaps.mean_ms == pytest.approx(float(gaps.mean()), rel=1e-9)
    for percent in (1, 10, 50, 90, 95, 99):
        expected = float(np.percentile(gaps, percent))
        assert run.token_gaps.percentile_ms(percent) == pytest.approx(expected, rel=0.01)


def test_means_over_time() -> None:
    engine = Engine(TokenWorkParameters(7.3, 0.05, 0.0007), 8, token_budget=128)
    lengths = SeparateLengths(LognormalLength(150, 1.0), LognormalLength(40, 0.8))
    scenario = Scenario(PoissonArrivals(6.0), lengths, Pool(engine, 2), 1500, seed=5)
    naive = naive_simulate(scenario)
    summary = summarize(simulate(scenario, warm_up=0.0, cool_down=0.0))
    first = naive.requests[0].arrival
    # The naive figures run to the end of the last request, the others to the last arrival.
    span = naive.end - first
    busy = sum(replica.busy for replica in naive.replicas) / span / 2
    batch = sum(replica.batch_time for replica in naive.replicas) / span
    assert summary.busy == pytest.approx(busy, rel=0.01)
    assert summary.mean_batch == pytest.approx(batch, rel=0.01)
    assert not math.isnan(summary.throughput_rps.value)
