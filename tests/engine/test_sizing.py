"""Sizing: the rate that it returns is the largest that keeps the targets, by the analysis.

By the formulas alone that is an equality. Corrected, the rate is lower, so that few replicas miss
their targets: what is predicted at it is below them by that margin.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.engine import (
    EngineCases,
    EnginePoint,
    EngineSizing,
    EngineTargets,
    LatencyTarget,
    LinearTimes,
    TokenWorkTimes,
    analyze_engine,
    size_engine,
)
from queueing.engine.sizing import LARGEST_LOAD, TPS_MARGIN

COUNT = 60
ANALYZED_BY_FORMULAS = partial(analyze_engine, corrected=False)
SIZED_BY_FORMULAS = partial(size_engine, corrected=False)
ROUNDING = 1e-4
"""What rates may differ by for the single precision of the correction, which a search magnifies."""


def sample(count: int = COUNT, seed: int = 9, queue: float = np.inf) -> EngineCases:
    random = np.random.default_rng(seed)

    def between(low: float, high: float) -> FloatArray:
        return np.exp(random.uniform(np.log(low), np.log(high), count))

    times = TokenWorkTimes.of(between(2, 20), between(0.005, 0.1), between(1e-6, 3e-4))
    return EngineCases.of(
        times,
        np.round(between(20, 4000)),
        np.round(between(5, 800)),
        random.choice([1, 4, 16, 64, 256], count),
        queue,
        input_cv=random.choice([0.0, 0.5, 1.5], count),
        output_cv=random.choice([0.0, 0.5, 1.5], count),
        arrival_cv=random.choice([1.0, 1.0, 0.5, 2.0], count),
        token_budget=random.choice([512, 8192], count),
        kv_tokens=random.choice([np.inf, np.inf, 200_000], count),
    )


def one(n: int = 64, queue: float = np.inf, **more: float) -> EngineCases:
    return EngineCases.of(TokenWorkTimes.of(8.0, 0.03, 0.0003), 500, 100, n, queue, **more)


def target(cases: EngineCases, at_most_ms: FloatArray | float, p: float = 95.0) -> LatencyTarget:
    return LatencyTarget.of(len(cases), at_most_ms, p)


def only(name: str, own: LatencyTarget) -> EngineTargets:
    """Return a target of one latency and no other."""
    count = len(own.at_most_ms)
    return EngineTargets.of(count, ttft=(own,), itl=(own,), e2e=(own,)).only(name)


def halfway(cases: EngineCases, *, corrected: bool = True) -> EnginePoint:
    """Return the replicas at 60% of what they can carry: targets from there can be kept."""
    saturated = analyze_engine(cases, 1e-3, (95.0,)).saturation_rps
    return analyze_engine(cases, 0.6 * saturated, (95.0,), corrected=corrected)


def saturated(cases: EngineCases) -> FloatArray:
    """Return what replicas carry at most."""
    return analyze_engine(cases, 1e-3, ()).saturation_rps


def figure(point: EnginePoint, name: str, mean: bool) -> FloatArray:
    latency = getattr(point, name)
    values: FloatArray = latency.mean_ms if mean else latency.at_ms[0]
    return values


def kept(point: EnginePoint, name: str, mean: bool, at_most_ms: FloatArray) -> BoolArray:
    good: BoolArray = figure(point, name, mean) <= at_most_ms * (1 + 1e-6)
    return good


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("name", ["ttft", "itl", "e2e"])
def test_the_rate_keeps_the_target_and_more_breaks_it_by_the_formulas(
    name: str, mean: bool
) -> None:
    cases = sample()
    at_most = 1.02 * figure(halfway(cases, corrected=False), name, mean)
    answer = SIZED_BY_FORMULAS(cases, only(name, target(cases, at_most, np.nan if mean else 95.0)))
    assert answer.feasible.all()
    assert (answer.rate_rps > 0).all()
    at_rate = ANALYZED_BY_FORMULAS(cases, answer.rate_rps, (95.0,))
    assert kept(at_rate, name, mean, at_most).all()
    # A mean is met within 0.7%, which its rate may be further from where it hardly rises.
    near = 0.993 if mean else 1.0
    beyond = ANALYZED_BY_FORMULAS(cases, 1.05 * answer.rate_rps, (95.0,))
    assert (~kept(beyond, name, mean, near * at_most) | ~answer.limited).all()
    assert answer.rate_rps[~answer.limited] == pytest.approx(answer.max_rate_rps[~answer.limited])
    assert answer.limited.any()
    assert answer.throughput_rps == pytest.approx(answer.rate_rps)


def test_a_grid_of_rates_agrees_with_the_formulas() -> None:
    cases = sample(12)
    at_most = 1.1 * halfway(cases, corrected=False).ttft.at_ms[0]
    answer = SIZED_BY_FORMULAS(cases, EngineTargets.of(12, ttft=(target(cases, at_most),)))
    shares = np.linspace(0.01, 1.0, 100)
    rows = np.tile(np.arange(12), 100)
    rates = (shares[:, None] * answer.max_rate_rps).ravel()
    point = ANALYZED_BY_FORMULAS(cases.take(rows), rates, (95.0,))
    good = kept(point, "ttft", False, at_most[rows]).reshape(100, 12)
    largest = np.where(good, shares[:, None], 0.0).max(axis=0) * answer.max_rate_rps
    assert (answer.rate_rps >= 0.998 * largest).all()
    assert (answer.rate_rps <= largest + 0.0101 * answer.max_rate_rps).all()


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("name", ["ttft", "itl", "e2e"])
def test_predictions_at_the_rate_are_below_the_target_by_a_margin(name: str, mean: bool) -> None:
    cases = sample()
    own = target(cases, 1.5 * figure(halfway(cases), name, mean), np.nan if mean else 95.0)
    answer = size_engine(cases, only(name, own))
    assert answer.feasible.all()
    at_rate = analyze_engine(cases, answer.rate_rps, (95.0,))
    reached = (figure(at_rate, name, mean) / own.at_most_ms)[answer.limited]
    assert (reached <= 1 + 1e-6).all()
    assert (reached > 0.4).all()
    assert np.median(reached) > 0.65
    # Latency rises steeply with the load, so that the margin costs little of the rate.
    beyond = analyze_engine(cases, 1.25 * answer.rate_rps, (95.0,))
    assert np.mean(figure(beyond, name, mean) > own.at_most_ms) > 0.5 * np.mean(answer.limited)


def test_one_slot_and_fixed_lengths_need_no_margin() -> None:
    cases = EngineCases.of(TokenWorkTimes.of(8.0, 0.03, 0.0003), 500, 100, 1)
    alone = analyze_engine(cases, 1e-6, (95.0,))
    for percentile in (np.nan, 95.0):
        kept_itl = only("itl", target(cases, 1.02 * alone.itl.mean_ms, percentile))
        answer = size_engine(cases, kept_itl)
        assert answer.rate_rps == answer.max_rate_rps
    first = analyze_engine(cases, 0.7 * alone.saturation_rps)
    sized = size_engine(cases, only("ttft", target(cases, first.ttft.mean_ms, np.nan)))
    assert sized.rate_rps == pytest.approx(first.arrival_rate_rps, rel=5e-3)


@pytest.mark.parametrize("name", ["ttft", "itl", "e2e"])
@pytest.mark.parametrize("percentile", [np.nan, 95.0])
def test_targets_that_no_rate_keeps_give_zero(name: str, percentile: float) -> None:
    cases = sample(20)
    least = analyze_engine(cases, 1e-6, (95.0,))
    at_most = 0.5 * np.minimum(figure(least, name, True), figure(least, name, False))
    answer = size_engine(cases, only(name, target(cases, at_most, percentile)))
    assert not answer.feasible.any()
    assert (answer.rate_rps == 0).all()
    assert (answer.throughput_rps == 0).all()
    assert (answer.max_rate_rps > 0).all()


@pytest.mark.parametrize("at_most", [0.0, -5.0])
def test_a_target_of_nothing_is_never_kept(at_most: float) -> None:
    cases = one()
    assert size_engine(cases, EngineTargets.of(1, ttft=(target(cases, at_most),))).rate_rps[0] == 0


def test_without_targets_the_largest_rate_is_carried() -> None:
    cases = sample()
    answer = size_engine(cases, EngineTargets.of(COUNT))
    assert (answer.rate_rps == answer.max_rate_rps).all()
    assert not answer.limited.any()
    most = analyze_engine(cases, 1.0).saturation_rps
    assert answer.max_rate_rps == pytest.approx(LARGEST_LOAD * most)


def test_tokens_to_serve_in_all_lower_the_largest_rate() -> None:
    cases = sample()
    free = size_engine(cases, EngineTargets.of(COUNT))
    held = size_engine(cases, EngineTargets.of(COUNT, tps=1000.0))
    assert held.max_rate_rps == pytest.approx(TPS_MARGIN * free.max_rate_rps)
    assert held.rate_rps == pytest.approx(held.max_rate_rps)


def test_targets_together_are_the_least_of_each_by_the_formulas() -> None:
    cases = sample()
    base = halfway(cases, corrected=False)
    ttft = target(cases, 1.05 * base.ttft.at_ms[0])
    mean = target(cases, 1.1 * base.itl.mean_ms, np.nan)
    e2e = target(cases, 1.02 * base.e2e.at_ms[0])
    every = EngineTargets.of(COUNT, ttft=(ttft,), itl=(mean,), e2e=(e2e,))
    together = SIZED_BY_FORMULAS(cases, every)
    single = [
        SIZED_BY_FORMULAS(cases, every.only(name)).rate_rps for name in ("ttft", "itl", "e2e")
    ]
    assert together.rate_rps == pytest.approx(np.min(single, axis=0), rel=5e-3)


def test_targets_together_are_the_least_of_each() -> None:
    cases = sample()
    base = halfway(cases)
    # Where hardly anything but the target itself is allowed, several rates are the largest ones
    # that keep it nearby: a correction is smooth, not monotone.
    every = EngineTargets.of(
        COUNT,
        ttft=(target(cases, 1.5 * base.ttft.at_ms[0]),),
        itl=(target(cases, 1.3 * base.itl.mean_ms, np.nan),),
        e2e=(target(cases, 1.4 * base.e2e.at_ms[0]),),
    )
    together = size_engine(cases, every)
    single = [size_engine(cases, every.only(name)).rate_rps for name in ("ttft", "itl", "e2e")]
    ratio = together.rate_rps / np.min(single, axis=0)
    assert np.mean(np.abs(ratio - 1.0) < 0.03) > 0.95
    assert (ratio > 0.8).all()
    assert (ratio < 1.1).all()


def test_several_percentiles_of_one_latency_hold_together() -> None:
    cases = sample()
    point = halfway(cases)
    both = (target(cases, point.ttft.at_ms[0]), target(cases, 0.9 * point.ttft.mean_ms, np.nan))
    together = size_engine(cases, EngineTargets.of(COUNT, ttft=both))
    single = [size_engine(cases, EngineTargets.of(COUNT, ttft=(own,))).rate_rps for own in both]
    # Where a mean hardly depends on the rate, many rates meet its target closely enough.
    early = analyze_engine(cases, 0.1 * together.max_rate_rps).ttft.mean_ms
    rising = early < 0.85 * point.ttft.mean_ms
    assert rising.sum() > COUNT // 3
    least = np.min(single, axis=0)[rising]
    # Less a margin that the other targets may add to, or a doubt that they raise together.
    ratio = together.rate_rps[rising] / least
    assert np.mean(np.abs(ratio - 1.0) < 4e-2) > 0.95
    assert (ratio < 1.04).all()


def test_stricter_targets_carry_less() -> None:
    cases = sample()
    base = halfway(cases).ttft.at_ms[0]
    rates = [
        size_engine(cases, EngineTargets.of(COUNT, ttft=(target(cases, ease * base),))).rate_rps
        for ease in (0.7, 0.9, 1.0, 1.5, 3.0)
    ]
    # Margins differ with the load.
    assert (np.diff(rates, axis=0) >= -2e-2 * np.array(rates[1:])).all()


def test_the_bound_on_blocking_is_kept() -> None:
    cases = sample(queue=5.0)
    answer = size_engine(cases, EngineTargets.of(COUNT, max_blocking=1e-3))
    at_rate = analyze_engine(cases, answer.rate_rps)
    assert (at_rate.blocking <= 1e-3 * (1 + 1e-6)).all()
    assert answer.throughput_rps == pytest.approx(answer.rate_rps * (1 - at_rate.blocking))
    beyond = analyze_engine(cases, 1.03 * answer.rate_rps)
    assert ((beyond.blocking > 1e-3) | ~answer.limited).all()
    assert answer.limited.any()


def test_without_a_queue_a_loose_bound_is_what_decides() -> None:
    loose, strict = (
        size_engine(one(queue=0), EngineTargets.of(1, max_blocking=share)).rate_rps[0]
        for share in (0.1, 1e-4)
    )
    assert 0 < strict < 0.9 * loose


def test_answers_of_one_token_have_no_time_between_tokens_to_keep() -> None:
    cases = EngineCases.of(TokenWorkTimes.of(8.0, 0.03, 0.0003), 500, 1, 64)
    answer = size_engine(cases, EngineTargets.of(1, itl=(target(cases, 1.0),)))
    assert answer.rate_rps[0] == answer.max_rate_rps[0]


def test_cases_that_make_no_sense_carry_nothing() -> None:
    times = TokenWorkTimes.of([8.0, np.nan, 8.0, 0.0], [0.03, 0.03, 0.03, 0.0], [1e-4, 1e-4, 0, 0])
    cases = EngineCases.of(times, 500, [100, 100, -3, 100], 64)
    answer = size_engine(cases, EngineTargets.of(4, ttft=(LatencyTarget.of(4, 1000.0, 95.0),)))
    assert answer.feasible.tolist() == [True, False, False, False]
    assert (answer.rate_rps[1:] == 0).all()


def test_requests_that_memory_cannot_hold_carry_nothing() -> None:
    answer = size_engine(one(kv_tokens=300), EngineTargets.of(1))
    assert answer.rate_rps[0] == 0
    assert not answer.feasible[0]


def test_no_cases_no_answer() -> None:
    none = sample(3).take(np.zeros(0, dtype=np.int64))
    assert len(size_engine(none, EngineTargets.of(0)).rate_rps) == 0


@pytest.mark.parametrize("linear", [False, True])
def test_cases_do_not_depend_on_each_other(linear: bool) -> None:
    cases = sample()
    if linear:
        random = np.random.default_rng(3)
        cases = EngineCases(
            LinearTimes.of(random.uniform(2, 20, COUNT), 0.2, 5.0, 0.002),
            *(getattr(cases, name) for name in FIELDS),
        )
    point = halfway(cases)
    targets = EngineTargets.of(
        COUNT,
        ttft=(target(cases, point.ttft.at_ms[0]),),
        e2e=(target(cases, point.e2e.at_ms[0]),),
    )
    whole = size_engine(cases, targets)
    order = np.random.default_rng(4).permutation(COUNT)
    shuffled = size_engine(cases.take(order), targets.take(order))
    same(whole, shuffled, order)
    for case in range(0, COUNT, 7):
        row = np.array([case])
        same(whole, size_engine(cases.take(row), targets.take(row)), row)


FIELDS = (
    "input_tokens",
    "output_tokens",
    "max_batch",
    "max_queue",
    "input_cv",
    "output_cv",
    "arrival_cv",
    "token_budget",
    "kv_tokens",
    "prefix_hit_rate",
)


def same(whole: EngineSizing, part: EngineSizing, rows: IntArray) -> None:
    assert part.rate_rps == pytest.approx(whole.rate_rps[rows], rel=ROUNDING)
    assert part.throughput_rps == pytest.approx(whole.throughput_rps[rows], rel=ROUNDING)
    assert (part.feasible == whole.feasible[rows]).all()
    assert (part.limited == whole.limited[rows]).all()
