"""KV memory as a bound: exact cases, sampled moments, bounds that always hold, the simulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.memory import MemoryBound, memory_bound
from queueing.engine.saturation import saturation
from queueing.engine.times import TokenWorkTimes
from stoker.domain.profile import TokenWorkParameters
from tests.support.saturated import play_saturated

TIMES = TokenWorkTimes.of(8.0, 0.03, 0.0003)


def bound(tokens_in: float, tokens_out: float, n: int, **more: float) -> MemoryBound:
    return memory_bound(EngineCases.of(TIMES, tokens_in, tokens_out, n, **more))


def test_without_a_limit_every_slot_is_used() -> None:
    memory = bound(500, 100, 64, input_cv=1, output_cv=1)
    states = np.arange(1.0, 65.0)[:, None]
    assert memory.effective_batch[0] == 64
    assert not memory.bounded()[0]
    assert (memory.in_service(states) == states).all()
    assert (memory.admits(states) == 1).all()
    assert (memory.preemptions(states) == 0).all()
    assert memory.kv_use(memory.effective_batch)[0] == 0
    assert memory.too_large[0] == 0


def test_ample_memory_changes_nothing() -> None:
    memory = bound(500, 100, 64, input_cv=1, output_cv=1, kv_tokens=1e6)
    assert memory.effective_batch[0] == pytest.approx(64, rel=1e-6)
    assert memory.preemptions_per_request(memory.max_batch)[0] < 1e-6


@pytest.mark.parametrize(
    ("tokens_in", "kv_tokens", "fits"),
    [(32, 160, 5), (33, 160, 3), (100, 1000, 8), (100, 1007, 8), (100, 1008, 9), (16, 16, 1)],
)
def test_prompts_of_one_length_fit_a_whole_number_of_times(
    tokens_in: int, kv_tokens: int, fits: int
) -> None:
    memory = bound(tokens_in, 1, 64, kv_tokens=kv_tokens)
    assert memory.effective_batch[0] == pytest.approx(fits, abs=0.02)


def test_the_kv_of_a_fixed_request_is_that_of_its_iterations() -> None:
    tokens_in, tokens_out = 37, 75
    blocks = 16 * np.ceil((tokens_in + np.arange(tokens_out)) / 16)
    memory = bound(tokens_in, tokens_out, 8, kv_tokens=1e5)
    assert memory.kv_mean[0] == pytest.approx(blocks.mean(), rel=1e-12)
    assert memory.kv_variance[0] == pytest.approx(blocks.var(), rel=0.06)


@pytest.mark.parametrize(("kv_tokens", "refused"), [(4096, 1.0), (4112, 0.0)])
def test_a_request_longer_than_memory_never_fits(kv_tokens: int, refused: float) -> None:
    # 4,000 + 100 - 1 tokens at the last iteration: 257 blocks.
    assert bound(4000, 100, 8, kv_tokens=kv_tokens).too_large[0] == refused


@pytest.mark.parametrize(
    ("tokens_in", "input_cv", "tokens_out", "output_cv", "kv_tokens"),
    [
        (500, 1.0, 300, 1.5, 2000),
        (60, 1.5, 900, 0.7, 3000),
        (2000, 1.5, 40, 0.0, 5000),
        (300, 0.0, 400, 1.5, 1600),
        (3, 1.5, 4, 1.5, 16),
        (900, 0.5, 200, 0.5, 1 << 20),
    ],
)
def test_moments_of_what_fits_are_those_of_a_sample(
    tokens_in: int, input_cv: float, tokens_out: int, output_cv: float, kv_tokens: int
) -> None:
    memory = bound(
        tokens_in,
        tokens_out,
        32,
        input_cv=input_cv,
        output_cv=output_cv,
        kv_tokens=kv_tokens,
    )
    random = np.random.default_rng(1)

    def draw(mean: float, cv: float) -> FloatArray:
        spread = np.log1p(cv**2)
        lengths = random.lognormal(np.log(mean) - spread / 2, np.sqrt(spread), 1_000_000)
        return np.maximum(np.floor(lengths + random.random(len(lengths))), 1.0)

    L, K = draw(tokens_in, input_cv), draw(tokens_out, output_cv)
    fits = 16 * (kv_tokens // 16) >= L + K - 1
    assert memory.too_large[0] == pytest.approx(1 - fits.mean(), abs=0.006)
    L, K = L[fits], K[fits]
    # Small whole lengths near a small capacity are the coarsest case.
    within = 0.05 if kv_tokens == 16 else 0.015
    assert memory.requests.held[0] == pytest.approx(L.mean(), rel=within)
    assert memory.requests.output[0] == pytest.approx(K.mean(), rel=within)
    if kv_tokens == 16:
        return
    mean = (K * L + K * (K - 1) / 2).sum() / K.sum()
    square = (K * L**2 + L * K * (K - 1) + (K - 1) * K * (2 * K - 1) / 6).sum() / K.sum()
    assert memory.kv_mean[0] == pytest.approx(mean + 7.5, rel=0.015)
    assert memory.kv_variance[0] == pytest.approx(square - mean**2, rel=0.05)
    read = (L * (K - 1) + K * (K - 1) / 2).sum() / (K - 1).sum()
    assert memory.requests.context[0] == pytest.approx(read, rel=0.015)


@st.composite
def cases(draw: st.DrawFn) -> EngineCases:
    def around(low: float, high: float) -> float:
        return float(np.exp(draw(st.floats(np.log(low), np.log(high)))))

    return EngineCases.of(
        TIMES,
        around(1, 1e4),
        around(1, 1e4),
        draw(st.integers(1, 1024)),
        input_cv=draw(st.sampled_from([0.0, draw(st.floats(0.01, 3))])),
        output_cv=draw(st.sampled_from([0.0, draw(st.floats(0.01, 3))])),
        kv_tokens=around(1, 1e7),
    )


@given(cases())
def test_states_are_within_their_bounds(case: EngineCases) -> None:
    memory = memory_bound(case)
    n = float(case.max_batch[0])
    states = np.unique(np.round(np.linspace(1, n, 40)))[:, None]
    serving = memory.in_service(states)
    assert 1 <= memory.effective_batch[0] <= n
    assert (serving >= 1).all()
    assert (serving <= states).all()
    admits = memory.admits(states)
    assert ((admits >= 0) & (admits <= 1)).all()
    waiting = memory.waiting_for_memory(states)
    assert (np.diff(waiting[:, 0]) >= 0).all()
    rate = memory.preemptions(states)
    assert np.isfinite(rate).all()
    assert (rate >= 0).all()
    assert 0 <= memory.too_large[0] <= 1
    assert memory.kv_mean[0] >= memory.requests.held[0] - 1e-9
    assert (memory.recomputed_tokens(np.ones(1)) >= 1).all()


@given(cases(), st.integers(2, 5))
def test_more_memory_refuses_fewer_and_holds_more_of_the_same(
    case: EngineCases, times: int
) -> None:
    fixed = replace(case, input_cv=np.zeros(1), output_cv=np.zeros(1))
    larger = replace(fixed, kv_tokens=16 * times * np.ceil(case.kv_tokens / 16))
    small, large = memory_bound(fixed), memory_bound(larger)
    assert large.too_large[0] <= small.too_large[0]
    if small.too_large[0] == 0:
        assert large.effective_batch[0] >= small.effective_batch[0] * (1 - 1e-9)


@given(cases(), st.integers(2, 5))
def test_more_memory_never_refuses_more(case: EngineCases, times: int) -> None:
    larger = replace(case, kv_tokens=times * case.kv_tokens)
    assert memory_bound(larger).too_large[0] <= memory_bound(case).too_large[0] + 1e-6


@given(cases(), st.integers(2, 5))
def test_more_slots_never_serve_fewer(case: EngineCases, times: int) -> None:
    few = case.with_batch(np.minimum(case.max_batch, 800))
    more = few.with_batch(few.max_batch * times)
    # Where the edge of memory begins to bind, half a request of slack comes in with it.
    small, large = memory_bound(few), memory_bound(more)
    assert large.effective_batch[0] >= small.effective_batch[0] - 0.35


SIMULATED = [
    # n, L, K, input cv, output cv, kv tokens
    (256, 512, 128, 0.0, 0.0, 20_000),
    (256, 512, 128, 1.0, 1.0, 20_000),
    (128, 2000, 100, 0.7, 1.0, 60_000),
    (64, 64, 512, 0.3, 0.7, 20_000),
    (32, 900, 200, 0.5, 0.5, 34_000),
    (64, 400, 400, 1.5, 1.5, 12_000),
]


@pytest.mark.parametrize("point", SIMULATED)
def test_the_simulated_engine_with_its_memory_full(
    point: tuple[int, int, int, float, float, int],
) -> None:
    n, L, K, input_cv, output_cv, kv_tokens = point
    answer = saturation(
        EngineCases.of(TIMES, L, K, n, input_cv=input_cv, output_cv=output_cv, kv_tokens=kv_tokens)
    )
    memory = answer.memory
    simulated = play_saturated(
        TokenWorkParameters(8.0, 0.03, 0.0003),
        n,
        (L, input_cv),
        (K, output_cv),
        offered_rps=2.5 * answer.throughput_rps[0],
        kv_tokens=kv_tokens,
        requests=80_000,
    )
    assert answer.throughput_rps[0] == pytest.approx(simulated.throughput_rps, rel=0.05)
    assert answer.mean_in_service[0] == pytest.approx(simulated.mean_in_service, rel=0.06)
    held = memory.kv_use(answer.mean_in_service)[0] * kv_tokens
    assert held == pytest.approx(simulated.mean_kv_tokens, rel=0.05)
    assert memory.too_large[0] == pytest.approx(simulated.too_large, abs=0.005)
    ratio = answer.preemptions_per_request[0] / simulated.preemptions_per_request
    assert 1 / 1.5 < ratio < 1.5
