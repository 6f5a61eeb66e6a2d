"""The largest throughput of a replica: exact cases, bounds that always hold, and the simulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.engine.cases import EngineCases
from queueing.engine.saturation import Saturation, saturation
from queueing.engine.times import LinearTimes, TokenWorkTimes
from stoker.domain.profile import LinearParameters, TokenWorkParameters
from tests.support.saturated import play_saturated

ALPHA, BETA, GAMMA = 8.0, 0.03, 0.0003
TOKEN_WORK = TokenWorkTimes.of(ALPHA, BETA, GAMMA)
LINEAR = LinearTimes.of(10.0, 0.2, 5.0, 0.002)


def one(
    times: TokenWorkTimes | LinearTimes, tokens_in: float, tokens_out: float, n: int, **more: float
) -> Saturation:
    return saturation(EngineCases.of(times, tokens_in, tokens_out, n, **more))


@pytest.mark.parametrize(("n", "L", "K"), [(1, 500, 100), (2, 40, 7), (64, 512, 128), (8, 3, 1)])
def test_fixed_lengths_and_ample_budget_are_exact(n: int, L: int, K: int) -> None:
    answer = one(TOKEN_WORK, L, K, n)
    rate = n / K
    read = rate * ((K - 1) * L + K * (K - 1) / 2 + L)
    time = ALPHA + BETA * (n - rate + rate * L) + GAMMA * read
    assert answer.iteration_ms[0] == pytest.approx(time, rel=1e-9)
    assert answer.throughput_rps[0] == pytest.approx(1000 * rate / time, rel=1e-9)
    assert answer.mean_in_service[0] == pytest.approx(n)
    assert answer.preemptions_per_request[0] == 0


def test_one_slot_of_linear_parameters_takes_the_sum_of_its_iterations() -> None:
    L, K = 700, 50
    answer = one(LINEAR, L, K, 1)
    time = 5.0 + 0.002 * L + (K - 1) * (10.0 + 0.2)
    assert answer.throughput_rps[0] == pytest.approx(1000 / time, rel=1e-9)
    assert answer.prefill_share[0] == pytest.approx((5.0 + 0.002 * L) / time, rel=1e-9)


@pytest.mark.parametrize(("tokens_in", "chunks"), [(1000, 1), (1001, 2), (2000, 2), (2500, 3)])
def test_one_slot_prefills_in_whole_iterations(tokens_in: int, chunks: int) -> None:
    answer = one(TOKEN_WORK, tokens_in, 20, 1, token_budget=1000)
    assert answer.requests_per_iteration[0] == pytest.approx(1 / (19 + chunks), rel=1e-9)


def test_answers_of_one_token_are_bounded_by_the_budget() -> None:
    answer = one(TOKEN_WORK, 1000, 1, 256, token_budget=4000)
    assert answer.requests_per_iteration[0] == pytest.approx(4, rel=1e-9)
    assert answer.prompt_tokens[0] == pytest.approx(4000, rel=1e-9)


def test_far_beyond_the_budget_every_token_of_it_is_used() -> None:
    answer = one(TOKEN_WORK, 4000, 100, 256, token_budget=2048, input_cv=1, output_cv=1)
    tokens = answer.prompt_tokens[0] + answer.decoding[0]
    assert tokens == pytest.approx(2048, rel=1e-6)
    assert answer.mean_in_service[0] < 60


def test_requests_that_memory_cannot_hold_give_no_throughput() -> None:
    answer = one(TOKEN_WORK, 4000, 100, 8, kv_tokens=2000)
    assert answer.memory.too_large[0] == 1
    assert answer.throughput_rps[0] == 0


def test_many_cases_at_once_are_the_same_as_one_by_one() -> None:
    random = np.random.default_rng(3)
    count = 40
    cases = EngineCases.of(
        TokenWorkTimes.of(random.uniform(1, 20, count), BETA, GAMMA),
        np.round(random.uniform(1, 6000, count)),
        np.round(random.uniform(1, 600, count)),
        np.round(random.uniform(1, 200, count)),
        input_cv=random.uniform(0, 1.5, count),
        output_cv=np.where(random.random(count) < 0.3, 0, random.uniform(0, 1.5, count)),
        token_budget=np.round(random.uniform(256, 8192, count)),
        kv_tokens=np.where(random.random(count) < 0.5, np.inf, random.uniform(1e4, 1e5, count)),
        prefix_hit_rate=random.uniform(0, 1, count),
    )
    together = saturation(cases)
    for row in range(count):
        alone = saturation(cases.take(np.array([row])))
        assert alone.throughput_rps[0] == pytest.approx(together.throughput_rps[row], rel=1e-12)
        assert alone.mean_in_service[0] == pytest.approx(together.mean_in_service[row], rel=1e-12)


@st.composite
def engines(draw: st.DrawFn) -> EngineCases:
    def around(low: float, high: float) -> float:
        return float(np.exp(draw(st.floats(np.log(low), np.log(high)))))

    models: list[TokenWorkTimes | LinearTimes] = [TOKEN_WORK, LINEAR]
    times = draw(st.sampled_from(models))
    return EngineCases.of(
        times,
        draw(st.sampled_from([0.0, 1.0, around(1, 1e5)])),
        draw(st.sampled_from([1.0, around(1, 1e5)])),
        draw(st.integers(1, 4096)),
        input_cv=draw(st.sampled_from([0.0, draw(st.floats(0, 10))])),
        output_cv=draw(st.sampled_from([0.0, draw(st.floats(0, 10))])),
        token_budget=draw(st.sampled_from([1.0, np.inf, around(1, 1e5)])),
        kv_tokens=draw(st.sampled_from([np.inf, around(1, 1e8)])),
        prefix_hit_rate=draw(st.floats(0, 1)),
    )


@given(engines())
def test_no_more_than_slots_and_budget_allow(cases: EngineCases) -> None:
    answer = saturation(cases)
    requests = answer.memory.requests
    batch = min(cases.max_batch[0], max(np.floor(cases.token_budget[0]), 1))
    assert 0 <= answer.requests_per_iteration[0] <= batch / requests.output[0] * (1 + 1e-9)
    tokens = answer.prompt_tokens[0] + answer.decoding[0]
    assert tokens <= cases.token_budget[0] * (1 + 1e-9)
    assert 0 <= answer.mean_in_service[0] <= batch * (1 + 1e-9) + 1e-9
    assert 0 <= answer.prefill_share[0] <= 1
    assert np.isfinite(answer.throughput_rps[0])
    assert (answer.throughput_rps[0] > 0) == (answer.memory.too_large[0] < 1)


@given(engines(), st.integers(2, 4))
def test_more_slots_never_complete_fewer_requests_an_iteration(
    cases: EngineCases, times: int
) -> None:
    few = replace(cases, max_batch=np.minimum(cases.max_batch, 1000), kv_tokens=np.full(1, np.inf))
    more = few.with_batch(few.max_batch * times)
    ratio = saturation(more).requests_per_iteration / saturation(few).requests_per_iteration
    # Budgets of little more than a token for each slot starve prompts in ways of their own.
    starved = few.token_budget[0] < 4 * more.max_batch[0]
    assert ratio[0] >= (0.75 if starved else 0.999)


SIMULATED = [
    # n, L, K, input cv, output cv, budget, prefix hit rate
    (1, 300, 80, 1.0, 1.0, 8192, 0.0),
    (3, 1500, 40, 0.7, 0.3, 1024, 0.0),
    (16, 700, 60, 1.0, 0.7, 1024, 0.0),
    (64, 512, 128, 1.0, 1.0, 8192, 0.5),
    (64, 2300, 80, 1.0, 0.7, 2048, 0.0),
    (128, 1500, 20, 0.5, 1.0, 2048, 0.0),
]


@pytest.mark.parametrize("point", SIMULATED)
@pytest.mark.parametrize("kind", ["token-work", "linear"])
def test_throughput_of_the_simulated_engine(
    kind: str, point: tuple[int, int, int, float, float, int, float]
) -> None:
    n, L, K, input_cv, output_cv, budget, hits = point
    times: TokenWorkTimes | LinearTimes = TOKEN_WORK
    parameters: TokenWorkParameters | LinearParameters = TokenWorkParameters(ALPHA, BETA, GAMMA)
    if kind == "linear":
        times, parameters = LINEAR, LinearParameters(10.0, 0.2, 5.0, 0.002)
    answer = one(
        times,
        L,
        K,
        n,
        input_cv=input_cv,
        output_cv=output_cv,
        token_budget=budget,
        prefix_hit_rate=hits,
    )
    simulated = play_saturated(
        parameters,
        n,
        (L, input_cv),
        (K, output_cv),
        offered_rps=2 * answer.throughput_rps[0],
        token_budget=budget,
        prefix_hit_rate=hits,
        requests=60_000,
    )
    # Linear times count the parts of a split prompt as less than a request in service.
    within = 0.03 if kind == "linear" else 0.02
    assert answer.throughput_rps[0] == pytest.approx(simulated.throughput_rps, rel=within)
    assert answer.mean_in_service[0] == pytest.approx(simulated.mean_in_service, rel=0.05)
