"""Backtests: schedules, what they cost, and how planning stands beside hindsight."""

from __future__ import annotations

import numpy as np
import pytest

from simulator import Router
from stoker.domain.workload import Load
from studies.traces.backtest import (
    BacktestSettings,
    Forecast,
    backtest,
    expected_load,
    interval_loads,
)
from studies.traces.goal import TraceGoal
from studies.traces.needs import least_replica_ms
from studies.traces.playing import measured
from studies.traces.requests import RequestTrace
from studies.traces.schedule import constant, decided, paid_ms, play_schedule
from tests.support.traces import generated, option

GOAL = TraceGoal(0.95, ttft_ms=1000.0, itl_ms=60.0)


def test_replicas_start_late_and_close_at_once() -> None:
    found = decided([2, 4, 4, 1], 10.0, 4.0, in_time=False)
    assert found.steps == ((0.0, 2), (14.0, 4), (30.0, 1)) or found.steps == (
        (0.0, 2),
        (14.0, 3),
        (14.0, 4),
        (30.0, 1),
    )
    assert found.starting_ms == 8.0


def test_what_starts_is_given_up_first() -> None:
    found = decided([2, 5, 3, 3], 10.0, 15.0, in_time=False)
    # Three start at 10; two of them are given up at 20, the third serves from 25 on.
    assert found.steps == ((0.0, 2), (25.0, 3))
    assert found.starting_ms == 10.0 + 10.0 + 15.0


def test_starting_is_paid_for_until_the_last_arrival() -> None:
    # Three start at 20, and would serve from 28 on; the last request arrives at 23.
    found = decided([2, 2, 5], 10.0, 8.0, in_time=False, end_ms=23.0)
    assert found.starting_ms == 3 * 3.0
    assert found.open_ms(23.0) == 2 * 23.0
    assert decided([2, 2, 5], 10.0, 8.0, in_time=False, end_ms=29.0).starting_ms == 3 * 8.0


def test_what_is_planned_is_paid_for_until_the_last_arrival() -> None:
    # Quiet, then busy, then one request just after the third interval began: what its plan starts
    # is paid for during a tenth of a second, not for the minute that it takes.
    times = [*np.linspace(0, 9_900, 20), *np.linspace(10_000, 19_990, 900), 20_100.0]
    trace = RequestTrace.of(times, [400] * len(times), [60] * len(times))
    found = backtest(option(), trace, GOAL, BacktestSettings(10_000.0, 60_000.0))
    seen = found.planned
    first = seen.schedule.steps[0][1]
    assert seen.schedule.most == first
    assert max(found.wanted) > first
    starting_ms = 100.0 * (found.wanted[1] - first)
    assert seen.replica_hours * 3.6e6 == pytest.approx(first * trace.span_ms + starting_ms)


def test_hindsight_is_there_in_time() -> None:
    found = decided([2, 4, 4, 1], 10.0, 4.0, in_time=True)
    assert found.steps == ((0.0, 2), (10.0, 4), (30.0, 1))
    assert found.starting_ms == 8.0
    assert found.open_ms(40.0) == 20 + 40 + 40 + 10


def test_finishing_what_they_have_is_paid_for() -> None:
    trace = RequestTrace.of([0.0, 1.0, 2000.0], [100, 100, 100], [200, 200, 10])
    schedule = decided([2, 1], 1000.0, 0.0, in_time=True)
    run = play_schedule(option(), trace, schedule, Router.ROUND_ROBIN)
    last = float(run.records.completion_ms[1])
    assert last > 1000.0
    assert paid_ms(schedule, run) == pytest.approx(2 * 1000 + 1000 + (min(last, 2000.0) - 1000))
    whole = play_schedule(option(), trace, constant(2), Router.ROUND_ROBIN)
    assert paid_ms(constant(2), whole) == 2 * 2000.0


def test_loads_of_intervals_hold_every_request() -> None:
    trace = generated(requests=300)
    loads = interval_loads(trace, 2000.0)
    span = trace.span_ms - 2000.0 * (len(loads) - 1)
    counts = [
        0.0
        if load is None
        else load.arrival_rate_rps * (2.0 if k < len(loads) - 1 else max(span, 1000.0) / 1000)
        for k, load in enumerate(loads)
    ]
    assert sum(counts) == pytest.approx(len(trace))
    gap = RequestTrace.of([0.0, 9000.0], [10, 10], [5, 5])
    assert interval_loads(gap, 2000.0)[1:4] == [None, None, None]


def test_planning_against_hindsight_and_a_fixed_fleet() -> None:
    trace = generated(3, 400, 30.0, swing=0.7)
    settings = BacktestSettings(4000.0, 2000.0, Forecast.PEAK, headroom=1.1)
    found = backtest(option(), trace, GOAL, settings)
    assert found.hindsight is not None
    assert found.static is not None
    assert found.static.attainment >= GOAL.share
    assert found.hindsight.attainment >= GOAL.share
    assert found.hindsight.cost <= found.static.cost
    assert found.static.schedule.steps == ((0.0, found.minimum.replicas),)
    for item in found.policies:
        assert item.cost == pytest.approx(item.replica_hours * 2.0)
        assert item.attainment <= min(item.by_latency.values())
        if item.attainment >= GOAL.share:
            assert item.cost >= found.least_cost
    assert found.least_hours >= trace.span_ms / 3.6e6


@pytest.mark.parametrize("seed", range(8))
def test_no_schedule_that_keeps_the_targets_takes_less(seed: int) -> None:
    random = np.random.default_rng(seed)
    trace = generated(seed, 400, 40.0, swing=0.7)
    least_ms = least_replica_ms(option(), trace, GOAL)
    kept = 0
    for _ in range(20):
        targets = random.integers(1, 9, 8).tolist()
        schedule = decided(targets, trace.span_ms / 8, 0.0, in_time=True)
        run = play_schedule(option(), trace, schedule, Router.LEAST_KV)
        if measured(run, schedule.most, GOAL).attainment >= GOAL.share:
            kept += 1
            assert paid_ms(schedule, run) >= least_ms
    assert least_ms > trace.span_ms  # more than one replica, all the time


@pytest.mark.parametrize(
    ("forecast", "rate_rps"),
    [(Forecast.LAST, 6.0), (Forecast.PEAK, 16.0), (Forecast.TREND, 4.0)],
)
def test_what_is_planned_for(forecast: Forecast, rate_rps: float) -> None:
    loads = [Load(rate, 100.0, 50.0) for rate in (9.0, 8.0, 4.0, 3.0)]
    settings = BacktestSettings(1000.0, 0.0, forecast, headroom=2.0)
    found = expected_load(loads, 4, settings)
    assert found is not None
    assert found.arrival_rate_rps == pytest.approx(rate_rps)
    assert expected_load(loads, 0, settings) == Load(18.0, 100.0, 50.0)


def test_a_pause_does_not_hide_the_peak_before_it() -> None:
    loads = [Load(9.0, 100.0, 50.0), Load(4.0, 200.0, 60.0), None, None]
    settings = BacktestSettings(1000.0, 0.0, Forecast.PEAK, headroom=2.0)
    assert expected_load(loads, 3, settings) == Load(18.0, 200.0, 60.0)
    assert expected_load(loads, 4, settings) == Load(8.0, 200.0, 60.0)
    last = BacktestSettings(1000.0, 0.0, Forecast.LAST, headroom=2.0)
    assert expected_load(loads, 3, last) is None


def test_a_fleet_that_never_changes_is_the_plain_simulation() -> None:
    trace = generated()
    scheduled = play_schedule(option(), trace, constant(3), Router.SHORTEST_QUEUE).records
    shifted = play_schedule(
        option(), trace, decided([3, 3, 3], 5000.0, 100.0, in_time=True), Router.SHORTEST_QUEUE
    ).records
    np.testing.assert_array_equal(scheduled.completion_ms, shifted.completion_ms)
