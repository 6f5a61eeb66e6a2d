"""The analysis under an arrival rate: exact queues, identities and bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.arrays import FloatArray, IntArray
from queueing.engine import (
    EngineCases,
    EnginePoint,
    IterationTimes,
    Latency,
    LinearTimes,
    TokenWorkTimes,
    analyze_engine,
)
from queueing.engine.curve import CurveTimes
from queueing.engine.saturation import saturation
from tests.engine.closed_grid import bent

ALPHA, BETA, GAMMA = 8.0, 0.03, 0.0003
TIMES = TokenWorkTimes.of(ALPHA, BETA, GAMMA)
AMPLE = 1e9
FORMULAS_ALONE = partial(analyze_engine, corrected=False)
"""The analysis without the correction, which is no formula: it need not rise with anything."""
ROUNDING = 1e-5
"""What the correction, in single precision, may differ by."""


def at(cases: EngineCases, load: float) -> EnginePoint:
    """Return replicas at a share of what they can carry."""
    return analyze_engine(cases, load * analyze_engine(cases, 1e-3).saturation_rps)


def formulas_at(cases: EngineCases, load: float) -> EnginePoint:
    """Return what the formulas alone say of them."""
    return FORMULAS_ALONE(cases, load * FORMULAS_ALONE(cases, 1e-3).saturation_rps)


@pytest.mark.parametrize("load", [0.01, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("tokens", [100, 4000])
def test_one_slot_and_single_tokens_are_m_d_1(tokens: int, load: float) -> None:
    service = ALPHA + BETA * tokens + GAMMA * tokens
    cases = EngineCases.of(TIMES, tokens, 1, 1, token_budget=AMPLE)
    point = analyze_engine(cases, 1e3 * load / service)
    wait = 0.5 * load * service / (1 - load)
    assert point.saturation_rps[0] == pytest.approx(1e3 / service)
    assert point.wait.mean_ms[0] == pytest.approx(wait, rel=0.02)
    assert point.ttft.mean_ms[0] == pytest.approx(wait + service, rel=0.01)
    assert point.e2e.mean_ms[0] == pytest.approx(point.ttft.mean_ms[0])
    assert point.mean_in_service[0] == pytest.approx(load, rel=0.01)


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("cv", [0.3, 1.0, 2.0])
def test_one_slot_and_lognormal_prompts_are_m_g_1(cv: float, load: float) -> None:
    tokens = 1000.0
    service = ALPHA + (BETA + GAMMA) * tokens
    spread = ((BETA + GAMMA) * tokens * cv / service) ** 2
    cases = EngineCases.of(TIMES, tokens, 1, 1, input_cv=cv, token_budget=AMPLE)
    point = analyze_engine(cases, 1e3 * load / service)
    wait = 0.5 * load * service * (1 + spread) / (1 - load)
    assert point.wait.mean_ms[0] == pytest.approx(wait, rel=0.02)
    assert point.ttft.mean_ms[0] == pytest.approx(wait + service, rel=0.02)


@pytest.mark.parametrize("load", [0.2, 0.8])
def test_one_slot_and_many_tokens_are_m_g_1(load: float) -> None:
    L, K = 300, 200
    read = L + (K - 1) * (L + K / 2)
    service = K * ALPHA + BETA * (L + K - 1) + GAMMA * read
    point = analyze_engine(EngineCases.of(TIMES, L, K, 1), 1e3 * load / service)
    wait = 0.5 * load * service / (1 - load)
    assert point.wait.mean_ms[0] == pytest.approx(wait, rel=0.02)
    assert point.e2e.mean_ms[0] == pytest.approx(wait + service, rel=0.02)


@pytest.mark.parametrize("slots", [1, 8, 256])
@pytest.mark.parametrize("arrival_cv", [0.5, 1.0])
def test_a_request_alone_takes_its_own_iterations(slots: int, arrival_cv: float) -> None:
    L, K = 700, 120
    point = analyze_engine(EngineCases.of(TIMES, L, K, slots, arrival_cv=arrival_cv), 1e-7)
    first = ALPHA + BETA * L + GAMMA * L
    gap = ALPHA + BETA + GAMMA * (L + K / 2)
    assert point.ttft.mean_ms[0] == pytest.approx(first, rel=1e-4)
    assert point.ttft.at_ms[:, 0] == pytest.approx([first] * 4, rel=1e-3)
    assert point.itl.mean_ms[0] == pytest.approx(gap, rel=1e-4)
    assert point.itl.at_ms[:, 0] == pytest.approx([gap] * 4, rel=1e-2)
    assert point.token_itl.mean_ms[0] == pytest.approx(gap, rel=1e-4)
    assert point.e2e.mean_ms[0] == pytest.approx(first + (K - 1) * gap, rel=1e-4)
    assert point.wait.mean_ms[0] < 1e-3
    assert point.blocking[0] < 1e-6


@pytest.mark.parametrize("chunks", [1, 2, 5])
def test_a_prompt_alone_takes_its_chunks(chunks: int) -> None:
    L, budget = 5000, 5000 // chunks + 1
    point = analyze_engine(EngineCases.of(TIMES, L, 20, 4, token_budget=budget), 1e-7)
    # A chunk reads all up to its end: L (chunks + 1) / 2 in all.
    alone = chunks * ALPHA + BETA * L + GAMMA * L * (chunks + 1) / 2
    assert point.ttft.mean_ms[0] == pytest.approx(alone, rel=2e-3)


def test_percentiles_of_the_latencies_of_one_slot_are_those_of_its_prompts() -> None:
    tokens, cv = 2000.0, 1.0
    cases = EngineCases.of(TIMES, tokens, 1, 1, input_cv=cv, token_budget=AMPLE)
    sigma = np.log1p(cv**2) ** 0.5
    exact = ALPHA + (BETA + GAMMA) * tokens * np.exp(
        sigma * np.array([0.0, 1.2816, 1.6449, 2.3263]) - sigma**2 / 2
    )
    point = analyze_engine(cases, 1e-7)
    assert point.ttft.at_ms[:, 0] == pytest.approx(exact, rel=0.02)


def test_linear_parameters_alone() -> None:
    times = LinearTimes.of(10.0, 0.2, 5.0, 0.002)
    point = analyze_engine(EngineCases.of(times, 700, 50, 8), 1e-7)
    assert point.ttft.mean_ms[0] == pytest.approx(5.0 + 0.002 * 700, rel=1e-3)
    assert point.itl.mean_ms[0] == pytest.approx(10.2, rel=1e-3)


def test_answers_of_one_token_have_no_time_between_tokens() -> None:
    point = at(EngineCases.of(TIMES, 300, 1, 16, token_budget=AMPLE), 0.5)
    assert np.isnan(point.itl.mean_ms).all()
    assert np.isnan(point.itl.at_ms).all()
    assert np.isnan(point.token_itl.mean_ms).all()
    assert np.isfinite(point.ttft.at_ms).all()
    assert point.e2e.at_ms == pytest.approx(point.ttft.at_ms, rel=1e-6)


def replicas(
    arrival_cvs: tuple[float, ...] = (0.5, 1.0, 1.0, 2.0),
) -> st.SearchStrategy[EngineCases]:
    """Return a strategy of a few replicas at once."""
    row = st.tuples(
        st.floats(1, 30),
        st.floats(0.002, 0.1),
        st.floats(0, 3e-4),
        st.integers(1, 4000),
        st.integers(2, 1000),
        st.sampled_from([1, 2, 5, 16, 64, 256]),
        st.sampled_from([0.0, 0.5, 1.5]),
        st.sampled_from([0.0, 0.5, 1.5]),
        st.sampled_from(arrival_cvs),
        st.sampled_from([512, 2048, 8192]),
    )

    def build(rows: list[tuple[float, ...]]) -> EngineCases:
        alpha, beta, gamma, L, K, n, input_cv, output_cv, arrival_cv, budget = np.array(rows).T
        return EngineCases.of(
            TokenWorkTimes.of(alpha, beta, gamma),
            L,
            K,
            n,
            input_cv=input_cv,
            output_cv=output_cv,
            arrival_cv=arrival_cv,
            token_budget=budget,
        )

    return st.lists(row, min_size=12, max_size=12).map(build)


@settings(max_examples=6)
@given(replicas(), st.floats(0.001, 0.95))
def test_littles_law_and_the_order_of_latencies(cases: EngineCases, load: float) -> None:
    point = at(cases, load)
    per_ms = point.throughput_rps / 1e3
    assert point.mean_in_system == pytest.approx(per_ms * point.e2e.mean_ms, rel=1e-9)
    in_service = per_ms * (point.e2e.mean_ms - point.wait.mean_ms)
    assert point.mean_in_service == pytest.approx(np.minimum(in_service, cases.max_batch), rel=1e-6)
    assert point.utilization == pytest.approx(point.mean_in_service / cases.max_batch)
    assert point.throughput_rps == pytest.approx(point.arrival_rate_rps)
    assert point.stable.all()
    for name in ("wait", "ttft", "itl", "token_itl", "e2e"):
        rows = getattr(point, name).at_ms
        assert (np.diff(rows, axis=0) >= -1e-9 * rows[1:]).all(), name
        assert (rows >= 0).all(), name
    assert (point.ttft.mean_ms >= point.wait.mean_ms).all()
    assert (point.e2e.mean_ms >= point.ttft.mean_ms).all()


@pytest.mark.parametrize(("analyze", "slack"), [(formulas_at, 1.001), (at, 1.02)])
@settings(max_examples=6)
@given(replicas(arrival_cvs=(1.0,)))
def test_latencies_rise_with_the_rate(
    analyze: Callable[[EngineCases, float], EnginePoint], slack: float, cases: EngineCases
) -> None:
    low, middle, high = (analyze(cases, load) for load in (0.1, 0.5, 0.9))
    for name in ("ttft", "e2e"):
        means = [getattr(point, name).mean_ms for point in (low, middle, high)]
        assert (means[0] <= means[1] * slack).all(), name
        assert (means[1] <= means[2] * slack).all(), name
        p95 = [getattr(point, name).at_ms[2] for point in (low, middle, high)]
        assert (p95[0] <= p95[2] * slack).all(), name
    assert (low.itl.mean_ms <= high.itl.mean_ms * slack).all()


@pytest.mark.parametrize("arrival_cv", [0.5, 2.0])
def test_hardly_any_latency_falls_where_other_arrivals_are_more(arrival_cv: float) -> None:
    drawn, _ = mixed(400, 5)
    cases = with_fields(
        drawn,
        arrival_cv=np.full(400, arrival_cv),
        input_cv=np.minimum(drawn.input_cv, 1.5),
        output_cv=np.minimum(drawn.output_cv, 1.5),
        kv_tokens=np.full(400, np.inf),
        max_queue=np.full(400, np.inf),
    )
    low, high = at(cases, 0.2), at(cases, 0.9)
    for name in ("ttft", "e2e"):
        ratio = getattr(low, name).mean_ms / getattr(high, name).mean_ms
        assert np.mean(ratio > 1.01) < 0.02, name
        assert np.median(ratio) < 0.95, name


@settings(max_examples=6)
@given(replicas(), st.floats(0.05, 0.8))
def test_longer_prompts_and_slower_iterations_take_longer(cases: EngineCases, load: float) -> None:
    slow_times = TokenWorkTimes.of(
        1.3 * field(cases, "alpha_ms"),
        1.3 * field(cases, "beta_ms"),
        1.3 * field(cases, "gamma_ms"),
    )
    slow = with_fields(cases, times=slow_times)
    long = with_fields(cases, input_tokens=1.5 * cases.input_tokens + 1.0)
    rate = load * np.min(
        [FORMULAS_ALONE(other, 1e-3).saturation_rps for other in (cases, slow, long)], axis=0
    )
    base = FORMULAS_ALONE(cases, rate)
    for other in (slow, long):
        point = FORMULAS_ALONE(other, rate)
        assert (point.ttft.mean_ms >= base.ttft.mean_ms * 0.999).all()
        assert (point.e2e.mean_ms >= base.e2e.mean_ms * 0.999).all()
        assert (point.saturation_rps <= base.saturation_rps * 1.001).all()


@settings(max_examples=6)
@given(replicas(), st.floats(0.01, 0.95), st.floats(0.01, 100.0))
def test_the_unit_of_time_does_not_matter(cases: EngineCases, load: float, scale: float) -> None:
    point = at(cases, load)
    times = TokenWorkTimes.of(
        *(scale * field(cases, name) for name in ("alpha_ms", "beta_ms", "gamma_ms"))
    )
    other = analyze_engine(with_fields(cases, times=times), point.arrival_rate_rps / scale)
    assert other.ttft.mean_ms == pytest.approx(scale * point.ttft.mean_ms, rel=ROUNDING)
    assert other.e2e.at_ms == pytest.approx(scale * point.e2e.at_ms, rel=ROUNDING)
    assert other.mean_in_system == pytest.approx(point.mean_in_system, rel=ROUNDING)


def field(cases: EngineCases, name: str) -> FloatArray:
    values: FloatArray = getattr(cases.times, name)
    return values


def with_fields(cases: EngineCases, **changed: IterationTimes | FloatArray) -> EngineCases:
    own = {entry.name: getattr(cases, entry.name) for entry in fields(cases)}
    return EngineCases(**(own | changed))


@pytest.mark.parametrize("load", [1.001, 1.5, 50.0])
@pytest.mark.parametrize("slots", [1, 16, 256])
def test_beyond_saturation_without_a_queue_limit_nothing_is_finite(slots: int, load: float) -> None:
    cases = EngineCases.of(TIMES, 500, 100, slots, input_cv=0.5)
    point = at(cases, load)
    assert not point.stable.any()
    for name in ("wait", "ttft", "e2e"):
        assert np.isinf(getattr(point, name).mean_ms).all(), name
        assert np.isinf(getattr(point, name).at_ms).all(), name
    assert point.throughput_rps == pytest.approx(point.saturation_rps)


@pytest.mark.parametrize("output_cv", [0.0, 1.0])
@pytest.mark.parametrize("load", [1.1, 2.0, 10.0])
@pytest.mark.parametrize("slots", [1, 4, 64])
def test_a_full_queue_sheds_what_is_beyond_saturation(
    slots: int, load: float, output_cv: float
) -> None:
    cases = EngineCases.of(TIMES, 500, 100, slots, 400, output_cv=output_cv)
    point = at(cases, load)
    assert point.stable.all()
    assert point.blocking[0] == pytest.approx(1 - 1 / load, abs=2e-3)
    assert point.throughput_rps == pytest.approx(point.saturation_rps, rel=3e-3)
    # Those that get in find the queue all but full.
    assert point.wait.mean_ms[0] == pytest.approx(4e5 / point.saturation_rps[0], rel=0.05)


def mixed(count: int, seed: int) -> tuple[EngineCases, FloatArray]:
    """Return replicas of all kinds, extremes among them, and what share of the load they have."""
    random = np.random.default_rng(seed)

    def between(low: float, high: float) -> FloatArray:
        return np.exp(random.uniform(np.log(low), np.log(high), count))

    def one_of(*values: float) -> FloatArray:
        return random.choice(np.array(values), count)

    cases = EngineCases.of(
        TokenWorkTimes.of(between(0.5, 50), between(1e-4, 0.5), one_of(0, 1e-7, 1e-5, 1e-3)),
        between(1, 20_000),
        np.maximum(between(0.5, 5000), 1.0),
        one_of(1, 2, 3, 8, 31, 64, 256, 1000, 4096),
        one_of(np.inf, np.inf, 0, 3, 200),
        input_cv=one_of(0, 0.3, 1, 3, 10),
        output_cv=one_of(0, 0.3, 1, 3, 10),
        arrival_cv=one_of(0, 0.5, 1, 2, 10),
        token_budget=one_of(16, 512, 8192, 1e9),
        kv_tokens=one_of(np.inf, np.inf, 1e3, 1e5, 1e6),
        prefix_hit_rate=one_of(0, 0, 0.5, 1),
    )
    return cases, one_of(1e-9, 1e-3, 0.3, 0.8, 0.99, 1.3, 1e4)


def of_kind(kind: str, cases: EngineCases) -> EngineCases:
    if kind == "token-work":
        return cases
    if kind == "linear":
        alpha, beta = field(cases, "alpha_ms"), field(cases, "beta_ms")
        return with_fields(cases, times=LinearTimes.of(alpha, beta, 3.0 * alpha, 1e-2 * beta))
    tables = [
        bent((alpha, beta, gamma))
        for alpha, beta, gamma in zip(
            *(field(cases, name)[:5] for name in ("alpha_ms", "beta_ms", "gamma_ms")), strict=True
        )
    ]
    return with_fields(cases, times=CurveTimes.of(tables).take(np.arange(len(cases)) % 5))


@pytest.mark.parametrize(("kind", "count"), [("token-work", 300), ("linear", 150), ("curve", 100)])
def test_every_answer_is_a_number(kind: str, count: int) -> None:
    drawn, load = mixed(count, 12)
    cases = of_kind(kind, drawn)
    assert cases.usable().all()
    served = analyze_engine(cases, 1e-3).saturation_rps
    # Memory that could not hold a single request serves nobody.
    held = saturation(cases).memory.too_large < 1.0
    assert ((served > 0) == held).all()
    point = analyze_engine(cases, load * served)
    good = point.stable
    assert not good[~held].any()
    assert good.mean() > 0.7
    several = cases.output_tokens > 1.0
    for name in ("wait", "ttft", "itl", "token_itl", "e2e"):
        latency: Latency = getattr(point, name)
        told = good & (several | (name not in ("itl", "token_itl")))
        assert np.isfinite(latency.mean_ms[told]).all(), name
        assert np.isfinite(latency.at_ms[:, told]).all(), name
        assert (latency.mean_ms[told] >= 0).all(), name
        assert (np.diff(latency.at_ms[:, told], axis=0) >= 0).all(), name
    for name, most in (("blocking", 1.0), ("utilization", 1.0), ("kv_use", 1.0)):
        values = getattr(point, name)
        assert ((values >= 0) & (values <= most + 1e-9))[good].all(), name
    assert (point.throughput_rps[good] <= served[good] * 1.001).all()
    assert (point.preemption_rate[good] >= 0).all()
    assert (point.e2e.mean_ms[good] >= point.ttft.mean_ms[good] * (1 - 1e-9)).all()


@pytest.mark.parametrize("kind", ["token-work", "linear", "curve"])
def test_cases_do_not_depend_on_each_other(kind: str) -> None:
    drawn, load = mixed(120, 21)
    cases = of_kind(kind, drawn)
    rates = load * analyze_engine(cases, 1e-3).saturation_rps
    whole = analyze_engine(cases, rates)
    order = np.random.default_rng(7).permutation(len(cases))
    same(whole, analyze_engine(cases.take(order), rates[order]), order)
    for case in range(0, len(cases), 13):
        row = np.array([case])
        same(whole, analyze_engine(cases.take(row), rates[row]), row)


def same(whole: EnginePoint, part: EnginePoint, rows: IntArray) -> None:
    for entry in fields(EnginePoint)[1:]:
        own, other = getattr(part, entry.name), getattr(whole, entry.name)
        if isinstance(own, Latency):
            pairs = [(own.mean_ms, other.mean_ms[rows]), (own.at_ms, other.at_ms[:, rows])]
        else:
            pairs = [(own, other[rows])]
        for left, right in pairs:
            assert np.allclose(left, right, rtol=ROUNDING, atol=1e-9, equal_nan=True), entry.name


def test_percentiles_are_those_asked_for() -> None:
    cases = EngineCases.of(TIMES, 500, 100, 32, input_cv=1.0)
    some = analyze_engine(cases, 3.0, (50.0, 99.0))
    every = analyze_engine(cases, 3.0, (10.0, 50.0, 90.0, 99.0))
    assert some.ttft.at_ms == pytest.approx(every.ttft.at_ms[[1, 3]])
    assert analyze_engine(cases, 3.0, ()).ttft.at_ms.shape == (0, 1)


def test_rates_of_another_number_than_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="one for each case"):
        analyze_engine(EngineCases.of(TIMES, 500, 100, 32).take(np.array([0, 0])), [1.0, 2.0, 3.0])
