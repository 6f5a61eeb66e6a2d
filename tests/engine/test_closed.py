from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.engine.cases import EngineCases
from queueing.engine.closed import analyze_closed
from queueing.engine.closed_prompts import PromptGrid
from queueing.engine.closed_renewals import dispersion
from queueing.engine.point import EnginePoint, Latency
from queueing.engine.times import LinearTimes, TokenWorkTimes
from tests.engine.closed_grid import analyze, draw_loops, errors, figures, play

ALPHA, BETA, GAMMA = 8.0, 0.03, 0.0003


def case(
    L: float,
    K: float,
    N: int,
    *,
    input_cv: float = 0.0,
    output_cv: float = 0.0,
    budget: float = 8192.0,
    kv: float = np.inf,
    hit: float = 0.0,
) -> EngineCases:
    return EngineCases.of(
        TokenWorkTimes.of(ALPHA, BETA, GAMMA),
        L,
        K,
        N,
        input_cv=input_cv,
        output_cv=output_cv,
        token_budget=budget,
        kv_tokens=kv,
        prefix_hit_rate=hit,
    )


def work(tokens: float, reads: float) -> float:
    return ALPHA + BETA * tokens + GAMMA * reads


def one(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(np.ravel(values)[0])


def test_a_single_client_has_the_engine_for_itself() -> None:
    L, K = 300, 50
    point = analyze_closed(case(L, K, 8), 1)
    prefill = work(L, L)
    decode = sum(work(1, L + j) for j in range(1, K))
    assert one(point.ttft.mean_ms) == pytest.approx(prefill)
    assert one(point.itl.mean_ms) == pytest.approx(decode / (K - 1))
    assert one(point.e2e.mean_ms) == pytest.approx(prefill + decode)
    assert one(point.throughput_rps) == pytest.approx(1000 / (prefill + decode))
    assert point.ttft.at_ms == pytest.approx(prefill)
    assert point.wait.at_ms == pytest.approx(0.0)


def test_a_long_prompt_alone_is_computed_in_chunks() -> None:
    L, K = 1000, 3
    point = analyze_closed(case(L, K, 1, budget=300), 1)
    chunks = sum(work(300, 300 * i) for i in (1, 2, 3)) + work(100, 1000)
    assert one(point.ttft.mean_ms) == pytest.approx(chunks)
    assert one(point.itl.mean_ms) == pytest.approx((work(1, 1001) + work(1, 1002)) / 2)


def test_cached_parts_of_a_prompt_are_read_and_not_computed() -> None:
    point = analyze_closed(case(400, 10, 1, hit=0.75), 1)
    assert one(point.ttft.mean_ms) == pytest.approx(work(100, 400))


def test_fixed_lengths_stay_in_lockstep() -> None:
    L, K, C = 64, 64, 64
    point = analyze_closed(case(L, K, C), C)
    prefill = work(C * L, C * L)
    gaps = [work(C, C * (L + j)) for j in range(1, K)]
    cycle = prefill + sum(gaps)
    assert point.ttft.at_ms == pytest.approx(prefill)
    assert one(point.token_itl.mean_ms) == pytest.approx(np.mean(gaps))
    assert one(point.token_itl.at_ms[2]) == pytest.approx(np.percentile(gaps, 95), rel=2e-3)
    assert one(point.throughput_rps) == pytest.approx(1000 * C / cycle)


def test_a_wave_waits_for_whole_cycles() -> None:
    # Half of 96 clients of 64 places join the wave after the next, the other half the next one.
    point = analyze_closed(case(64, 64, 64), 96, percentiles=(25, 75))
    cycle = 1000 * 64 / one(point.throughput_rps)
    assert point.wait.at_ms[:, 0] == pytest.approx([0.0, cycle])
    assert one(point.wait.mean_ms) == pytest.approx(cycle / 2)


def test_more_prompts_than_the_budget_come_in_groups() -> None:
    # 15 prompts fit beside 49 sequences: 15 · 512 + 49 ≤ 8192.
    point = analyze_closed(case(512, 128, 64), 64)
    assert one(point.ttft.at_ms[0]) == pytest.approx(
        work(15 * 512 + 49, 15 * 512 + 49 * (512 + 64)), rel=0.01
    )


def test_single_tokens_have_no_gap_between_tokens() -> None:
    point = analyze_closed(case(100, 1, 4), 4)
    assert np.isnan(one(point.itl.mean_ms))
    assert np.isnan(point.token_itl.at_ms).all()
    assert one(point.ttft.mean_ms) == pytest.approx(work(400, 400))
    assert one(point.throughput_rps) == pytest.approx(1000 * 4 / work(400, 400))


def test_spread_clients_meet_a_binomial_number_of_prompts() -> None:
    # Fixed prompts, random answers: the iteration of a new prompt has Binomial(B - 1, 1/K) more.
    L, K, C = 100, 40, 9
    point = analyze_closed(case(L, K, C, output_cv=0.5), C, percentiles=(50,))
    more = (C - 1) / K
    context = one((np.asarray(1.25 * K * K - K)) / (2 * (K - 1))) + L
    expected = (
        ALPHA
        + BETA * (L * (1 + more) + C - 1 - more)
        + GAMMA * (L * (1 + more) + (C - 1 - more) * context)
    )
    assert one(point.ttft.mean_ms) == pytest.approx(expected, rel=2e-3)


def test_renewals_of_a_constant_beat_hardly_vary_and_of_random_ones_do() -> None:
    assert dispersion(np.array([1.0]), np.array([0.04]))[0] < 0.05
    assert dispersion(np.array([0.01]), np.array([1.0]))[0] == pytest.approx(1.0, abs=0.02)
    assert dispersion(np.array([100.0]), np.array([0.5]))[0] == pytest.approx(0.25, abs=0.03)


def test_the_grid_of_prompts_keeps_the_mean_and_the_counts() -> None:
    grid = PromptGrid.of(np.array([50.0]), np.array([0.7]), np.array([3000.0]), 256)
    masses = grid.sums(np.array([12.0]), np.array([0.2]))
    assert masses.sum() == pytest.approx(1.0)
    assert (masses * grid.tokens).sum() == pytest.approx(12 * 0.2 * 50, rel=1e-3)
    assert grid.counts(np.array([12.0]), np.array([0.2])).sum() == pytest.approx(12 * 0.2)


def test_cases_that_make_no_sense_are_unknown_and_leave_the_others_alone() -> None:
    times = TokenWorkTimes.of([ALPHA, -1.0, ALPHA], BETA, GAMMA)
    cases = EngineCases.of(times, 100, 20, 4, output_cv=1.0)
    point = analyze_closed(cases, [3, 3, 0])
    assert np.isnan(point.throughput_rps).tolist() == [False, True, True]
    alone = analyze_closed(cases.take(np.array([0])), 3)
    assert point.ttft.at_ms[:, 0] == pytest.approx(alone.ttft.at_ms[:, 0])


def test_the_number_of_clients_must_fit_the_cases() -> None:
    with pytest.raises(ValueError, match=r"allowed|cases|values"):
        analyze_closed(case(100, 20, 4), [1, 2])


@st.composite
def some_cases(draw: st.DrawFn) -> EngineCases:
    kind = draw(st.booleans())
    times = (
        TokenWorkTimes.of(draw(st.floats(1, 20)), draw(st.floats(0, 0.1)), draw(st.floats(0, 1e-3)))
        if kind
        else LinearTimes.of(
            draw(st.floats(1, 20)),
            draw(st.floats(0, 0.5)),
            draw(st.floats(0, 20)),
            draw(st.floats(0, 0.01)),
        )
    )
    return EngineCases.of(
        times,
        draw(st.integers(1, 4000)),
        draw(st.integers(1, 500)),
        draw(st.integers(1, 64)),
        input_cv=draw(st.sampled_from([0.0, 0.3, 1.0, 1.5])),
        output_cv=draw(st.sampled_from([0.0, 0.3, 1.0, 1.5])),
        token_budget=draw(st.sampled_from([128.0, 512.0, 8192.0])),
        kv_tokens=draw(st.sampled_from([np.inf, np.inf, 20_000.0])),
        prefix_hit_rate=draw(st.sampled_from([0.0, 0.5, 1.0])),
    )


def latencies(point: EnginePoint) -> list[Latency]:
    values = [getattr(point, field.name) for field in fields(point)]
    return [value for value in values if isinstance(value, Latency)]


@settings(max_examples=60, deadline=None)
@given(some_cases(), st.integers(1, 128))
def test_what_always_holds(cases: EngineCases, clients: int) -> None:
    point = analyze_closed(cases, clients, percentiles=(1, 50, 90, 99))
    rate = one(point.throughput_rps) / 1000
    assert rate > 0
    # Little's law, in the system and in service.
    assert rate * one(point.e2e.mean_ms) == pytest.approx(clients)
    assert one(point.mean_in_service) == pytest.approx(clients - rate * one(point.wait.mean_ms))
    assert 0 <= one(point.mean_in_service) <= one(cases.max_batch) + 1e-9
    assert one(point.throughput_rps) <= one(point.saturation_rps) * (1 + 1e-9)
    assert one(point.ttft.mean_ms) >= one(point.wait.mean_ms) * (1 - 1e-6)
    for latency in latencies(point):
        if np.isfinite(latency.mean_ms).all():
            assert (latency.at_ms >= 0).all()
            assert (np.diff(latency.at_ms, axis=0) >= -1e-9).all()


@settings(max_examples=30, deadline=None)
@given(
    st.floats(2, 20),
    st.floats(0, 0.05),
    st.floats(0, 1e-4),
    st.integers(2, 64),
    st.integers(2, 300),
)
def test_throughput_rises_with_clients(
    alpha: float, beta: float, gamma: float, batch: int, output: int
) -> None:
    clients = np.unique(np.linspace(1, 2 * batch, 8).astype(int))
    count = len(clients)
    times = TokenWorkTimes.of(np.full(count, alpha), np.full(count, beta), np.full(count, gamma))
    cases = EngineCases.of(times, 64, output, batch, output_cv=0.7, token_budget=1e6)
    point = analyze_closed(cases, clients)
    assert (np.diff(point.throughput_rps) >= -1e-6 * point.throughput_rps[1:]).all()
    assert point.saturation_rps == pytest.approx(point.throughput_rps[-1], rel=1e-6)


def test_it_is_close_to_simulation() -> None:
    loops = [loop for loop in draw_loops(30, seed=11) if loop.kv_tokens is None]
    predicted = analyze(loops)
    found = [errors(figures(play(loop)), predicted[index]) for index, loop in enumerate(loops)]
    allowed = {
        "mean ITL": (0.015, 0.04),
        "p95 ITL": (0.03, 0.075),
        "mean TTFT": (0.025, 0.12),
        "p50-p99 TTFT": (0.04, 0.18),
        "throughput": (0.01, 0.02),
    }
    for name, (middle, high) in allowed.items():
        values = np.concatenate([point[name] for point in found])
        values = values[np.isfinite(values)]
        assert np.median(values) <= middle, name
        assert np.percentile(values, 90) <= high, name
