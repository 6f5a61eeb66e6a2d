"""The simulation against closed forms, and against what must hold in any of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from simulator import (
    ClosedLoop,
    Engine,
    FixedLength,
    GammaArrivals,
    LognormalLength,
    Pool,
    RequestStatus,
    Router,
    Run,
    Scenario,
    SeparateLengths,
    TokenLengths,
    UniformLength,
    simulate,
    summarize,
)
from stoker.domain.profile import LinearParameters, TokenWorkParameters
from tests.support.simulations import scenarios

# One decode iteration takes 1 ms whatever its batch, and prefill next to nothing.
UNIT = LinearParameters(1.0, 0.0, 1e-9, 0.0)


def one_server(lengths: TokenLengths, utilization: float, mean_ms: float) -> Run:
    rate_rps = 1000 * utilization / mean_ms
    return simulate(
        Scenario(GammaArrivals(rate_rps, 1.0), lengths, Pool(Engine(UNIT, 1)), 400_000, seed=11)
    )


@pytest.mark.parametrize("utilization", [0.3, 0.7])
def test_waits_of_M_D_1(utilization: float) -> None:
    lengths = SeparateLengths(FixedLength(1), FixedLength(101))
    wait = summarize(one_server(lengths, utilization, 100.0)).wait_ms.mean
    expected = utilization / (2 * (1 - utilization)) * 100.0
    assert wait.value == pytest.approx(expected, abs=3 * wait.ci95)
    assert wait.ci95 < 0.05 * expected


def test_waits_of_M_G_1() -> None:
    # Pollaczek and Khinchine: lengths with the variation of an exponential distribution.
    lengths = SeparateLengths(FixedLength(1), LognormalLength(101, 1.0))
    run = one_server(lengths, 0.6, 100.0)
    service = run.records.output_tokens - 1.0
    load = 0.6 * service.mean() / 100.0
    variation = service.var() / service.mean() ** 2
    expected = load / (1 - load) * (1 + variation) / 2 * service.mean()
    wait = summarize(run).wait_ms.mean
    assert wait.value == pytest.approx(expected, abs=3 * wait.ci95)


def test_iterations_alone() -> None:
    # 300 tokens in chunks of 128: three iterations; then 9 decode iterations.
    engine = Engine(TokenWorkParameters(10.0, 0.5, 0.01), 4, token_budget=128)
    lengths = SeparateLengths(FixedLength(300), FixedLength(10))
    records = simulate(
        Scenario(ClosedLoop(1), lengths, Pool(engine), 1), warm_up=0, cool_down=0
    ).records
    prefill = 3 * 10 + 0.5 * 300 + 0.01 * (128 + 256 + 300)
    decode = 9 * (10 + 0.5) + 0.01 * sum(300 + j for j in range(1, 10))
    assert records.ttft_ms[0] == pytest.approx(prefill, rel=1e-12)
    assert records.itl_ms[0] == pytest.approx(decode / 9, rel=1e-12)


def test_a_closed_loop_of_one_is_always_busy() -> None:
    engine = Engine(TokenWorkParameters(10.0, 0.5, 0.01), 4)
    lengths = SeparateLengths(UniformLength(10, 200), UniformLength(5, 50))
    summary = summarize(simulate(Scenario(ClosedLoop(1), lengths, Pool(engine), 3000)))
    assert summary.mean_batch == pytest.approx(1.0, rel=1e-9)
    assert summary.busy == pytest.approx(1.0, rel=1e-9)
    assert summary.throughput_rps.value == pytest.approx(1000 / summary.e2e_ms.mean.value, rel=0.02)


def test_littles_law() -> None:
    engine = Engine(TokenWorkParameters(8.0, 0.05, 0.0005), 16, max_queue=100)
    lengths = SeparateLengths(LognormalLength(200, 1), LognormalLength(80, 1))
    summary = summarize(
        simulate(Scenario(GammaArrivals(12.0, 1.3), lengths, Pool(engine), 60_000, seed=4))
    )
    in_system = summary.mean_batch + summary.mean_waiting
    rate = summary.offered_rps * (1 - summary.blocking)
    assert in_system == pytest.approx(rate * summary.e2e_ms.mean.value / 1000, rel=0.01)


@given(scenarios())
def test_nothing_is_lost(scenario: Scenario) -> None:
    run = simulate(scenario, warm_up=0, cool_down=0)
    status = run.records.status
    assert set(status.tolist()) <= {1, 2, 3}
    done = status == RequestStatus.DONE
    assert np.isfinite(run.records.completion_ms[done]).all()
    assert np.isnan(run.records.completion_ms[~done]).all()
    assert (run.records.ttft_ms[done] > 0).all()
    assert (run.records.completion_ms[done] >= run.records.first_token_ms[done]).all()


def test_the_same_seed_gives_the_same_run() -> None:
    engine = Engine(TokenWorkParameters(8.0, 0.05, 0.0005), 16, kv_tokens=4000)
    lengths = SeparateLengths(LognormalLength(200, 1), LognormalLength(80, 1))

    def run(seed: int) -> Run:
        pool = Pool(engine, 3, Router.RANDOM)
        return simulate(Scenario(GammaArrivals(20.0, 1.3), lengths, pool, 2000, seed=seed))

    first, again, other = run(1), run(1), run(2)
    assert first.records.completion_ms.tobytes() == again.records.completion_ms.tobytes()
    assert first.token_gaps.tokens.tobytes() == again.token_gaps.tokens.tobytes()
    assert first.records.completion_ms.tobytes() != other.records.completion_ms.tobytes()


def test_progress_changes_nothing() -> None:
    engine = Engine(TokenWorkParameters(8.0, 0.05, 0.0005), 16)
    lengths = SeparateLengths(FixedLength(200), FixedLength(80))
    scenario = Scenario(GammaArrivals(10.0, 1.0), lengths, Pool(engine), 1000)
    seen: list[float] = []
    run = simulate(scenario, on_progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 10
    plain = simulate(scenario)
    assert run.records.completion_ms.tobytes() == plain.records.completion_ms.tobytes()


def test_better_routing_waits_less() -> None:
    engine = Engine(TokenWorkParameters(8.0, 0.05, 0.0005), 8)
    lengths = SeparateLengths(LognormalLength(200, 1), LognormalLength(80, 1))
    waits = [
        summarize(
            simulate(Scenario(GammaArrivals(26.0, 1.0), lengths, Pool(engine, 4, router), 30_000))
        ).ttft_ms.mean.value
        for router in (Router.SHORTEST_QUEUE, Router.ROUND_ROBIN, Router.RANDOM)
    ]
    assert waits == sorted(waits)


@pytest.mark.parametrize(("mean", "cv"), [(100.0, 0.0), (100.5, 0.0), (250.25, 0.7), (80.0, 1.5)])
def test_lengths_keep_their_moments(mean: float, cv: float) -> None:
    drawn = LognormalLength(mean, cv).draw(400_000, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(mean, rel=0.02)
    assert drawn.std() / drawn.mean() == pytest.approx(cv, abs=0.05)


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0, 2.0])
def test_arrivals_keep_their_moments(cv: float) -> None:
    times = GammaArrivals(5.0, cv).times_ms(200_000, np.random.default_rng(1))
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(200.0, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, abs=0.03)


@pytest.mark.parametrize(
    "arguments",
    [{"max_batch": 0}, {"max_batch": 1, "kv_tokens": 8}, {"max_batch": 1, "max_queue": -1}],
)
def test_limits_of_no_engine_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Engine(UNIT, **arguments)


def test_confidence_covers() -> None:
    """Half-widths are honest: most intervals of short runs hold the mean of a long one."""
    engine = Engine(TokenWorkParameters(8.0, 0.05, 0.0005), 8)
    lengths = SeparateLengths(FixedLength(200), LognormalLength(50, 1))

    def mean(requests: int, seed: int) -> tuple[float, float]:
        scenario = Scenario(GammaArrivals(9.0, 1.0), lengths, Pool(engine), requests, seed)
        found = summarize(simulate(scenario)).ttft_ms.mean
        return found.value, found.ci95

    truth, width = mean(2_000_000, 1000)
    assert width < 0.02 * truth
    covered = sum(
        abs(value - truth) <= half for value, half in (mean(10_000, s) for s in range(60))
    )
    assert covered >= 50
    assert not math.isnan(truth)
