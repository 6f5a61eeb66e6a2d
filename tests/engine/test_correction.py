"""The correction: its networks, what it does to latencies and targets, and whether it helps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import ndtri

from benchmarks.fidelity.drawing import families
from benchmarks.fidelity.engine import cases_of
from benchmarks.fidelity.simulated import Effort, Precision, simulated
from queueing.arrays import FloatArray
from queueing.engine import EngineCases, EngineTargets, LatencyTarget, TokenWorkTimes
from queueing.engine import analyze_engine as analyze
from queueing.engine import size_engine as size
from queueing.engine.correction import (
    LATENCIES,
    OUTPUTS,
    SIZED,
    careful_of,
    expected_logs,
    margin_of,
    networks,
)
from queueing.engine.factors import KNOTS, Factors, between_knots
from queueing.engine.network import Network
from queueing.engine.point import Latency
from tests.engine.test_open import replicas

BY_FORMULAS = partial(analyze, corrected=False)
ENGINE_LATENCIES = ("wait", "ttft", "itl", "token_itl", "e2e")


def times(count: int) -> TokenWorkTimes:
    return TokenWorkTimes.of([8.0] * count, 0.03, 0.0003)


def network(seed: int = 0, sizes: tuple[int, ...] = (3, 5, 4)) -> Network:
    """Return a network of random numbers whose inputs are known from -2 to 2."""
    random = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    return Network(
        low=np.full(sizes[0], -2.0),
        high=np.full(sizes[0], 2.0),
        centre=random.normal(0.0, 0.1, sizes[0]),
        scale=random.uniform(0.5, 2.0, sizes[0]),
        weights=tuple(random.normal(size=pair).astype(np.float32) for pair in pairs),
        biases=tuple(random.normal(size=out).astype(np.float32) for _, out in pairs),
    )


def told_one_by_one(known: Network, inputs: FloatArray) -> FloatArray:
    """Return what a network tells, in loops and in double precision."""
    outputs = []
    for case in range(inputs.shape[1]):
        values = [
            (min(max(value, low), high) - centre) / scale
            for value, low, high, centre, scale in zip(
                inputs[:, case], known.low, known.high, known.centre, known.scale, strict=True
            )
        ]
        for index, (weights, biases) in enumerate(zip(known.weights, known.biases, strict=True)):
            sums = [
                float(bias) + sum(float(weights[i, out]) * values[i] for i in range(len(values)))
                for out, bias in enumerate(biases)
            ]
            last = index == len(known.weights) - 1
            values = sums if last else [value * (1.0 + float(np.tanh(value))) for value in sums]
        outputs.append(values)
    return np.array(outputs).T


@pytest.mark.parametrize("sizes", [(3, 4), (3, 5, 4), (2, 7, 6, 5, 2)])
def test_a_network_is_sums_and_bends(sizes: tuple[int, ...]) -> None:
    known = network(1, sizes)
    inputs = np.random.default_rng(2).uniform(-4.0, 4.0, (sizes[0], 20))
    told, _ = known(inputs)
    assert told == pytest.approx(told_one_by_one(known, inputs), rel=1e-4, abs=1e-5)


def test_trust_is_full_within_the_examples_and_falls_beyond() -> None:
    known = network()
    inside = np.random.default_rng(3).uniform(-2.0, 2.0, (3, 50))
    outputs, trust = known(inside)
    assert trust == pytest.approx(1.0, abs=1e-5)
    further = np.array([0.0, 0.5, 1.0, 4.0, 1e6, np.inf])
    inputs = np.zeros((3, 6))
    inputs[1] = 2.0 + further * known.scale[1]
    held, trust = known(inputs)
    assert trust[:4] == pytest.approx(np.exp(-further[:4]), rel=1e-4)
    assert (trust[4:] == 0.0).all()
    # Outputs stay those of the last example.
    assert held == pytest.approx(np.broadcast_to(held[:, :1], held.shape), rel=1e-5)
    assert np.isfinite(outputs).all()


def test_what_is_not_a_number_counts_as_the_centre() -> None:
    known = network()
    inputs = np.array([[0.3, np.nan], [0.2, 0.2], [np.nan, 0.1]])
    filled = np.where(np.isnan(inputs), known.centre[:, None], inputs)
    for told, expected in zip(known(inputs), known(filled), strict=True):
        assert told == pytest.approx(expected)


def test_a_network_comes_back_from_its_arrays() -> None:
    known = network()
    inputs = np.random.default_rng(5).uniform(-3.0, 3.0, (3, 30))
    stored = known.arrays()
    assert all(values.dtype == np.float32 for values in stored.values())
    again = Network.of(stored)
    for told, expected in zip(again(inputs), known(inputs), strict=True):
        assert told == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_networks_of_the_product_are_whole() -> None:
    assert set(networks()) == {*LATENCIES, *map(margin_of, SIZED), *map(careful_of, SIZED)}
    for known in networks().values():
        assert known.weights[-1].shape[1] == OUTPUTS
        assert (known.low < known.high).all()
        assert all(np.isfinite(values).all() for values in known.arrays().values())


def some_factors(expected: FloatArray, apart_ms: float = 0.0) -> Factors:
    return Factors(expected, np.full(expected.shape[1], apart_ms))


LOGS = arrays(np.float64, (1 + len(KNOTS), 3), elements=st.floats(-1.5, 1.5))


@given(LOGS, st.permutations([10.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9]), st.floats(0.0, 30.0))
def test_corrected_percentiles_stay_in_order(
    logs: FloatArray, percentiles: list[float], apart_ms: float
) -> None:
    at = apart_ms + np.array(percentiles)[:, None] * np.array([1.0, 0.01, 100.0])
    latency = Latency(apart_ms + np.ones(3), at)
    told = some_factors(logs, apart_ms).correct(latency, tuple(percentiles))
    ordered = told.at_ms[np.argsort(percentiles)]
    assert (np.diff(ordered, axis=0) >= 0.0).all()
    assert (ordered[0] >= apart_ms).all()
    assert told.mean_ms == pytest.approx(apart_ms + np.exp(logs[0]))
    # What comes in is left as it is.
    assert (latency.at_ms == at).all()


@given(
    LOGS,
    st.lists(st.sampled_from([np.nan, 5.0, 50.0, 80.0, 95.0, 99.0, 99.9]), min_size=3, max_size=3),
    st.floats(0.0, 30.0),
)
def test_what_is_allowed_is_what_is_corrected_to_the_target(
    logs: FloatArray, percentile: list[float], apart_ms: float
) -> None:
    factors = some_factors(logs, apart_ms)
    target = apart_ms + np.array([1.0, 40.0, 5000.0])
    allowed = factors.allowed_ms(target, np.array(percentile))
    for case, wanted in enumerate(percentile):
        at = np.broadcast_to(allowed, (1, 3))
        told = factors.correct(Latency(allowed, at), (50.0 if np.isnan(wanted) else wanted,))
        value = told.mean_ms[case] if np.isnan(wanted) else told.at_ms[0, case]
        assert value == pytest.approx(target[case])


@given(
    arrays(np.float64, (len(KNOTS), 3), elements=st.floats(-2, 2)),
    st.lists(st.floats(0.001, 99.999), min_size=3, max_size=3) | st.just([95.0] * 3),
)
def test_between_knots_it_is_linear_in_normal_deviates(
    values: FloatArray, percentile: list[float]
) -> None:
    told = between_knots(values, np.array(percentile))
    knots = ndtri(np.array(KNOTS) / 100.0)
    expected = [
        np.interp(ndtri(wanted / 100.0), knots, values[:, case])
        for case, wanted in enumerate(percentile)
    ]
    assert told == pytest.approx(expected, abs=1e-12)


@given(arrays(np.float64, 5, elements=st.floats(-5, 5)), st.floats(0, 1))
def test_corrections_are_smooth_and_no_more_than_trusted(logs: FloatArray, trust: float) -> None:
    told = expected_logs(logs, np.full(5, trust))
    assert (np.abs(told) <= np.minimum(np.abs(logs), 1.5) * trust + 1e-12).all()
    assert (told * logs >= 0.0).all()
    large = np.abs(logs) > 0.1
    whole = expected_logs(logs, np.ones(5))
    assert whole[large] == pytest.approx(np.clip(logs[large], -1.5, 1.5), rel=0.01)
    # What is tiny vanishes: no answer changes for noise.
    assert (np.abs(expected_logs(np.full(5, 1e-3), np.ones(5))) < 1e-4).all()


def corrections(cases: EngineCases, rate_rps: FloatArray | float) -> FloatArray:
    """Return by how much figures are corrected, as logs: mean TTFT, p95 TTFT, mean E2E."""
    told, plain = analyze(cases, rate_rps), BY_FORMULAS(cases, rate_rps)
    return np.log(
        [
            told.ttft.mean_ms / plain.ttft.mean_ms,
            told.ttft.at_ms[2] / plain.ttft.at_ms[2],
            told.e2e.mean_ms / plain.e2e.mean_ms,
        ]
    )


def test_corrections_fade_as_requests_are_turned_away() -> None:
    # Long prompts and clumped arrivals: what the formulas are weak at.
    cases = EngineCases.of(
        times(6), 3000, 20, 8, [np.inf, 60.0, 20.0, 8.0, 2.0, 0.0], input_cv=1.2, arrival_cv=2.0
    )
    rate = 0.8 * analyze(cases, 1e-3).saturation_rps
    size_of = np.abs(corrections(cases, rate)).max(axis=0)
    blocking = analyze(cases, rate).blocking
    assert (np.diff(blocking) >= 0.0).all()
    assert size_of[0] > 0.02
    assert blocking[-1] > 0.2
    assert size_of[-1] < 1e-3


def test_corrections_fade_unlike_every_example() -> None:
    cases = EngineCases.of(times(2), [2000.0, 1e7], [50.0, 1e6], 8, input_cv=1.0, arrival_cv=1.5)
    rate = 0.7 * analyze(cases, 1e-6).saturation_rps
    size_of = np.abs(corrections(cases, rate)).max(axis=0)
    assert size_of[0] > 0.01
    assert size_of[1] < 1e-3


@pytest.mark.parametrize("load", [0.1, 0.6, 0.9])
def test_means_that_are_exact_are_left_alone(load: float) -> None:
    cases = EngineCases.of(times(3), [64, 900.0, 5000.0], [1.0, 40.0, 300.0], 1, input_cv=0.7)
    rate = load * analyze(cases, 1e-3).saturation_rps
    told, plain = analyze(cases, rate), BY_FORMULAS(cases, rate)
    for name in ENGINE_LATENCIES:
        one, other = getattr(told, name).mean_ms, getattr(plain, name).mean_ms
        np.testing.assert_array_equal(one, other, err_msg=name)
    # Time between tokens is that of one request, however they arrive.
    clumped = replace(cases, arrival_cv=np.full(3, 2.0), input_cv=np.zeros(3))
    told, plain = analyze(clumped, rate), BY_FORMULAS(clumped, rate)
    np.testing.assert_array_equal(told.itl.at_ms, plain.itl.at_ms)
    assert not np.array_equal(told.ttft.mean_ms, plain.ttft.mean_ms)


def test_switched_off_it_changes_nothing() -> None:
    cases = EngineCases.of(times(1), 800, 60, 16, input_cv=1.0, arrival_cv=0.5)
    targets = EngineTargets.of(1, ttft=(LatencyTarget.of(1, 200.0, 95.0),))
    rate = size(cases, targets, corrected=False).rate_rps
    assert BY_FORMULAS(cases, rate, (95.0,)).ttft.at_ms[0] == pytest.approx(200.0, rel=5e-3)
    assert size(cases, targets).rate_rps != pytest.approx(rate, rel=1e-3)


@settings(max_examples=8)
@given(replicas(), st.floats(0.001, 0.98))
def test_corrected_answers_are_finite_positive_and_ordered(cases: EngineCases, load: float) -> None:
    rate = load * analyze(cases, 1e-3, ()).saturation_rps
    point = analyze(cases, rate, (1.0, 50.0, 70.0, 95.0, 99.9))
    for name in ENGINE_LATENCIES:
        latency: Latency = getattr(point, name)
        least = 0.0 if name == "wait" else 1e-9
        assert np.isfinite(latency.mean_ms).all(), name
        assert np.isfinite(latency.at_ms).all(), name
        assert (latency.mean_ms >= least).all(), name
        assert (latency.at_ms >= least).all(), name
        assert (np.diff(latency.at_ms, axis=0) >= -1e-9 * latency.at_ms[1:]).all(), name
    for later, sooner in ((point.e2e, point.ttft), (point.ttft, point.wait)):
        assert (later.mean_ms >= sooner.mean_ms * (1 - 1e-9)).all()
        assert (later.at_ms >= sooner.at_ms * (1 - 1e-9)).all()
    assert (point.mean_in_service <= cases.max_batch).all()
    assert (point.mean_in_service > 0).all()


FAMILIES = {"plain": 8, "arrivals": 8, "linear": 4, "curve": 6, "chunked": 6, "memory": 4}
EFFORT = Effort(
    (Precision("ttft", "p95", 0.05),), requests=40_000, per_slot=200, most_requests=160_000
)


def test_simulation_agrees_better_with_the_correction_than_without() -> None:
    points = [replace(point, load=min(point.load, 0.8)) for point in families(FAMILIES, 2024)]
    cases = cases_of([point.replica for point in points])
    rates = [
        point.load * float(saturated)
        for point, saturated in zip(points, analyze(cases, 1e-3).saturation_rps, strict=True)
    ]
    truths = [
        simulated(point.replica, rate, point.seed, EFFORT)
        for point, rate in zip(points, rates, strict=True)
    ]
    told, plain = analyze(cases, rates), BY_FORMULAS(cases, rates)
    for name, figure in (("ttft", "mean"), ("ttft", "p95"), ("itl", "p95"), ("e2e", "mean")):
        true = np.array([truth.value(name, figure) for truth in truths])

        def errors(latency: Latency, figure: str = figure, true: FloatArray = true) -> FloatArray:
            predicted = latency.mean_ms if figure == "mean" else latency.at_ms[2]
            return np.abs(np.log(predicted / true))[np.isfinite(true)]

        after, before = errors(getattr(told, name)), errors(getattr(plain, name))
        assert after.mean() < 0.8 * before.mean(), (name, figure)
        assert np.quantile(after, 0.9) < 0.8 * np.quantile(before, 0.9), (name, figure)
