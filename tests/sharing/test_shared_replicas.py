"""The analysis of replicas that classes share: what must hold, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from queueing.engine import (
    EngineCases,
    EngineTargets,
    LatencyTarget,
    TokenWorkTimes,
    analyze_engine,
)
from queueing.engine.sharing import Blend, SharedCases
from queueing.engine.sharing_point import SharedPoint, analyze_shared, shared_excess
from simulator import Engine, LognormalLength, PoissonArrivals, Pool, SeparateLengths
from simulator.priorities import ClassSummary, RequestClass, simulate_shared, summarize_classes
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.routing import Router

TIMES = (8.0, 0.03, 0.0003)


@given(
    shares=st.lists(st.floats(0.1, 5.0), min_size=1, max_size=4),
    tokens_in=st.integers(1, 3000),
    tokens_out=st.integers(1, 800),
    cv=st.sampled_from([0.0, 0.5, 1.2]),
    load=st.floats(0.05, 0.9),
    router=st.sampled_from(list(Router)),
)
@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_classes_that_are_alike_are_one(
    shares: list[float], tokens_in: int, tokens_out: int, cv: float, load: float, router: Router
) -> None:
    times = TokenWorkTimes.of(*(np.array([value]) for value in TIMES))
    shared = SharedCases.of(
        times,
        np.array(shares)[:, None],
        tokens_in,
        tokens_out,
        32,
        320,
        input_cv=cv,
        output_cv=cv,
        kv_tokens=400_000,
    )
    cases = EngineCases.of(
        times, tokens_in, tokens_out, 32, 320, input_cv=cv, output_cv=cv, kv_tokens=400_000
    )
    rate = load * analyze_engine(cases, 1.0).saturation_rps
    alone = analyze_engine(cases, rate)
    found = analyze_shared(shared, rate)
    for item in found.classes:
        for own, other in ((item.ttft, alone.ttft), (item.itl, alone.itl), (item.e2e, alone.e2e)):
            assert np.allclose(own.mean_ms, other.mean_ms, rtol=1e-6, equal_nan=True)
            assert np.allclose(own.at_ms, other.at_ms, rtol=1e-6, equal_nan=True)
    # Two replicas behind a router: each class gets the same there, too.
    two = analyze_shared(shared, 2.0 * rate, replicas=2, router=router)
    first = two.classes[0]
    for item in two.classes[1:]:
        assert np.allclose(item.e2e.at_ms, first.e2e.at_ms, rtol=1e-6, equal_nan=True)


def test_the_blend_has_the_moments_of_the_mixture() -> None:
    random = np.random.default_rng(1)
    times = TokenWorkTimes.of(*(np.array([value]) for value in TIMES))
    shared = SharedCases.of(
        times,
        np.array([[3.0], [1.0]]),
        np.array([[200.0], [2000.0]]),
        np.array([[300.0], [50.0]]),
        32,
        input_cv=0.5,
        output_cv=0.7,
    )
    blend = Blend.of(shared).cases
    of_class = (random.random(1_000_000) < 0.25).astype(int)
    inputs = _lognormal(random, np.array([200.0, 2000.0])[of_class], 0.5)
    outputs = _lognormal(random, np.array([300.0, 50.0])[of_class], 0.7)
    assert abs(blend.input_tokens[0] / inputs.mean() - 1.0) < 0.01
    assert abs(blend.input_cv[0] / (inputs.std() / inputs.mean()) - 1.0) < 0.01
    assert abs(blend.output_cv[0] / (outputs.std() / outputs.mean()) - 1.0) < 0.01
    # What decodes read: long prompts come with short answers here.
    read = (inputs * outputs + 0.5 * outputs**2).sum() / outputs.sum()
    decoding, none = np.ones(1), np.zeros(1)
    moments = np.array([_independent_context(blend)])
    told = blend.times.iteration_ms(decoding, moments, none, none, none)
    plain = times.iteration_ms(decoding, np.array([read]), none, none, none)
    assert abs(told[0] / plain[0] - 1.0) < 0.005


def _lognormal(random: np.random.Generator, mean: np.ndarray, cv: float) -> np.ndarray:
    spread = np.log1p(cv**2)
    drawn: np.ndarray = random.lognormal(np.log(mean) - 0.5 * spread, np.sqrt(spread))
    return drawn


def _independent_context(cases: EngineCases) -> float:
    square = (1.0 + cases.output_cv[0] ** 2) * cases.output_tokens[0] ** 2
    return float(cases.input_tokens[0] + 0.5 * square / cases.output_tokens[0])


def test_a_higher_priority_waits_less_and_a_lower_one_more() -> None:
    line = _analyzed([[0.0], [0.0]], 0.9)
    turn = _analyzed([[1.0], [2.0]], 0.9)
    first, second = turn.classes
    assert first.ttft.mean_ms[0] < line.classes[0].ttft.mean_ms[0]
    assert second.ttft.mean_ms[0] > line.classes[1].ttft.mean_ms[0]
    assert first.itl.mean_ms[0] == line.classes[0].itl.mean_ms[0]
    assert turn.utilization == line.utilization


def test_targets_of_every_class_count() -> None:
    shared = _shared([[1.0], [2.0]])
    rate = np.array([5.0])
    point = analyze_shared(shared, rate)
    own = [float(item.ttft.mean_ms[0]) for item in point.classes]

    def excess(first_ms: float, second_ms: float) -> float:
        targets = [
            EngineTargets.of(1, ttft=(LatencyTarget.of(1, at_most_ms=limit),))
            for limit in (first_ms, second_ms)
        ]
        return float(shared_excess(shared, targets, rate, np.ones(1))[0])

    assert excess(3.0 * own[0], 3.0 * own[1]) < 0.0
    assert excess(0.8 * own[0], 3.0 * own[1]) > 0.0
    assert excess(3.0 * own[0], 0.8 * own[1]) > 0.0
    beyond = [EngineTargets.of(1), EngineTargets.of(1)]
    assert shared_excess(shared, beyond, 2.0 * point.saturation_rps, np.ones(1))[0] == np.inf


RATES, INPUTS, OUTPUTS = (3.0, 1.0), (300.0, 2500.0), (200.0, 150.0)


@pytest.mark.parametrize("by_priority", [False, True])
@pytest.mark.parametrize(
    ("load", "ttft", "itl", "e2e"), [(0.3, 0.08, 0.08, 0.08), (0.6, 0.12, 0.10, 0.10)]
)
def test_two_classes_are_as_they_are_simulated(
    by_priority: bool, load: float, ttft: float, itl: float, e2e: float
) -> None:
    priority = [[1.0], [2.0]] if by_priority else [[0.0], [0.0]]
    found = _analyzed(priority, load)
    summaries = _simulated(load, by_priority)
    for item, own in zip(found.classes, summaries, strict=True):
        assert abs(item.ttft.mean_ms[0] / own.ttft_ms.mean.value - 1.0) < ttft
        assert abs(item.itl.mean_ms[0] / own.itl_ms.mean.value - 1.0) < itl
        assert abs(item.e2e.mean_ms[0] / own.e2e_ms.mean.value - 1.0) < e2e
        assert abs(item.ttft.at_ms[2, 0] / own.ttft_ms.percentiles[95.0].value - 1.0) < 2.0 * ttft
        assert abs(item.itl.at_ms[2, 0] / own.itl_ms.percentiles[95.0].value - 1.0) < 2.0 * itl


def test_what_priorities_gain_at_a_high_load_is_as_simulated() -> None:
    """At 0.85 the wait decides; an analysis of means is held to a third, as fidelity tells."""
    load = 0.85
    turn, plain = _analyzed([[1.0], [2.0]], load), _analyzed([[0.0], [0.0]], load)
    by_turn, by_line = _simulated(load, True), _simulated(load, False)
    analyzed = turn.classes[0].ttft.mean_ms[0] / plain.classes[0].ttft.mean_ms[0]
    simulated = by_turn[0].ttft_ms.mean.value / by_line[0].ttft_ms.mean.value
    assert simulated < 0.7
    assert abs(analyzed / simulated - 1.0) < 0.4
    assert by_turn[1].ttft_ms.mean.value > by_line[1].ttft_ms.mean.value


def _shared(priority: list[list[float]]) -> SharedCases:
    return SharedCases.of(
        TokenWorkTimes.of(*(np.array([value]) for value in TIMES)),
        np.array(RATES)[:, None],
        np.array(INPUTS)[:, None],
        np.array(OUTPUTS)[:, None],
        32,
        320,
        priority=np.array(priority),
        input_cv=0.6,
        output_cv=0.8,
    )


def _analyzed(priority: list[list[float]], load: float) -> SharedPoint:
    shared = _shared(priority)
    most = analyze_shared(shared, 1.0).saturation_rps
    return analyze_shared(shared, load * most)


def _simulated(load: float, by_priority: bool) -> tuple[ClassSummary, ...]:
    most = float(analyze_shared(_shared([[0.0], [0.0]]), 1.0).saturation_rps[0])
    total = sum(RATES)
    classes = [
        RequestClass(
            PoissonArrivals(load * most * rate / total),
            SeparateLengths(LognormalLength(inputs, 0.6), LognormalLength(outputs, 0.8)),
            priority,
        )
        for priority, (rate, inputs, outputs) in enumerate(zip(RATES, INPUTS, OUTPUTS, strict=True))
    ]
    engine = Engine(TokenWorkParameters(*TIMES), max_batch=32, max_queue=320)
    run = simulate_shared(classes, Pool(engine), 100_000, seed=5, by_priority=by_priority)
    return summarize_classes(run)
