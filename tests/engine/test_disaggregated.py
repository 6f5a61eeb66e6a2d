from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from queueing.engine.cases import EngineCases
from queueing.engine.disaggregated import DisaggregatedPoint, analyze_disaggregated
from queueing.engine.open import analyze_engine
from queueing.engine.split import Split, best_split
from queueing.engine.stations import Transfer
from queueing.engine.targets import EngineTargets, LatencyTarget
from queueing.engine.times import LinearTimes, TokenWorkTimes
from simulator import (
    Disaggregated,
    Engine,
    FixedLength,
    GammaArrivals,
    Length,
    LognormalLength,
    Pool,
    Scenario,
    SeparateLengths,
    TraceArrivals,
    simulate,
    summarize,
)
from stoker.domain.profile import LinearParameters, TokenWorkParameters
from stoker.domain.routing import Router

ALPHA, BETA, GAMMA = 8.0, 0.03, 0.0003
PERCENTILES = (50.0, 95.0)


def replica(
    max_batch: float = 32.0,
    *,
    input_tokens: float = 1000.0,
    output_tokens: float = 100.0,
    cv: float = 0.5,
    arrival_cv: float = 1.0,
    max_queue: float = np.inf,
) -> EngineCases:
    return EngineCases.of(
        TokenWorkTimes.of(ALPHA, BETA, GAMMA),
        input_tokens,
        output_tokens,
        max_batch,
        max_queue,
        input_cv=cv,
        output_cv=cv,
        arrival_cv=arrival_cv,
    )


def work(tokens: float, reads: float) -> float:
    return ALPHA + BETA * tokens + GAMMA * reads


def analyze(rate: float, *, transfer: Transfer | None = None) -> DisaggregatedPoint:
    return analyze_disaggregated(
        replica(4.0), replica(32.0), 2, 1, rate, PERCENTILES, transfer=transfer
    )


def test_a_lone_request_takes_what_its_iterations_take() -> None:
    L, K = 300.0, 50
    engine = replica(8.0, input_tokens=L, output_tokens=K, cv=0.0)
    point = analyze_disaggregated(
        engine, engine, 1, 1, 1e-6, PERCENTILES, transfer=Transfer.of(1, 20.0, 0.01)
    )
    prefill = work(L, L)
    decode = sum(work(1, L + j) for j in range(1, K))
    travel = 20.0 + 0.01 * L
    assert point.ttft.mean_ms[0] == pytest.approx(prefill, rel=1e-3)
    assert point.e2e.mean_ms[0] == pytest.approx(prefill + travel + decode, rel=1e-3)
    assert point.itl.mean_ms[0] == pytest.approx((travel + decode) / (K - 1), rel=1e-3)
    assert point.token_itl.mean_ms[0] == pytest.approx((travel + decode) / (K - 1), rel=1e-3)
    np.testing.assert_allclose(point.e2e.at_ms[:, 0], point.e2e.mean_ms[0], rtol=1e-2)


def test_linear_times_of_a_lone_request() -> None:
    L, K = 300.0, 50
    engine = replace(
        replica(8.0, input_tokens=L, output_tokens=K, cv=0.0),
        times=LinearTimes.of(10.0, 0.5, 6.0, 0.02),
    )
    point = analyze_disaggregated(engine, engine, 1, 1, 1e-6, PERCENTILES)
    assert point.ttft.mean_ms[0] == pytest.approx(6.0 + 0.02 * L, rel=1e-3)
    assert point.itl.mean_ms[0] == pytest.approx(10.5, rel=1e-3)


def test_the_first_pool_is_an_engine_of_one_token_answers() -> None:
    prefill = replica(4.0, arrival_cv=1.3)
    point = analyze_disaggregated(prefill, replica(), 1, 2, 8.0, PERCENTILES)
    one = replace(prefill, output_tokens=np.ones(1), output_cv=np.zeros(1))
    # Pools are not corrected.
    alone = analyze_engine(one, 8.0, PERCENTILES, corrected=False)
    np.testing.assert_allclose(point.ttft.at_ms, alone.ttft.at_ms)
    np.testing.assert_allclose(point.prefill.e2e.mean_ms, alone.ttft.mean_ms)


def test_a_transfer_adds_its_time_once() -> None:
    plain = analyze(10.0)
    moved = analyze(10.0, transfer=Transfer.of(1, 40.0, 0.01))
    travel = 40.0 + 0.01 * 1000.0
    np.testing.assert_allclose(moved.ttft.at_ms, plain.ttft.at_ms)
    assert moved.e2e.mean_ms - plain.e2e.mean_ms == pytest.approx(travel)
    more = moved.token_itl.mean_ms - plain.token_itl.mean_ms
    assert more == pytest.approx(travel / 99.0, rel=0.01)
    assert np.all(moved.itl.at_ms > plain.itl.at_ms)


def test_the_parts_of_a_request_sum_to_the_whole() -> None:
    point = analyze(12.0, transfer=Transfer.of(1, 7.0))
    whole = point.prefill.e2e.mean_ms + 7.0 + point.decode.e2e.mean_ms
    assert point.e2e.mean_ms == pytest.approx(whole, rel=1e-3)


def test_requests_of_one_token_end_at_the_first_pool() -> None:
    engine = replica(8.0, output_tokens=1.0, cv=0.0)
    point = analyze_disaggregated(
        engine, engine, 1, 1, 5.0, PERCENTILES, transfer=Transfer.of(1, 99.0)
    )
    np.testing.assert_allclose(point.e2e.at_ms, point.ttft.at_ms, rtol=1e-6)
    assert np.isnan(point.itl.mean_ms[0])
    assert point.decode.throughput_rps[0] == pytest.approx(0.0, abs=1e-9)


def test_who_is_turned_away_does_not_decode() -> None:
    point = analyze_disaggregated(replica(1.0, max_queue=1.0), replica(), 1, 1, 40.0, PERCENTILES)
    assert point.prefill.blocking[0] > 0.2
    assert point.throughput_rps == pytest.approx(40.0 * (1 - point.prefill.blocking))
    assert point.decode.arrival_rate_rps == pytest.approx(point.throughput_rps, rel=1e-3)


def test_latency_rises_with_the_load_and_falls_with_replicas() -> None:
    rows = np.zeros(6, dtype=np.int64)
    prefill, decode = replica(4.0).take(rows), replica().take(rows)
    rates = np.linspace(2.0, 20.0, 6)
    point = analyze_disaggregated(prefill, decode, 1, 2, rates, PERCENTILES)
    assert np.all(point.stable)
    for figure in (point.ttft.mean_ms, point.itl.mean_ms, point.e2e.at_ms[1], point.decode_load):
        assert np.all(np.diff(figure) > 0)
    more = analyze_disaggregated(prefill, decode, 2, 4, rates, PERCENTILES)
    assert np.all(more.ttft.mean_ms < point.ttft.mean_ms)
    assert np.all(more.itl.mean_ms < point.itl.mean_ms)


def test_the_bottleneck_is_the_pool_with_the_higher_load() -> None:
    rows = np.zeros(2, dtype=np.int64)
    point = analyze_disaggregated(
        replica(4.0).take(rows), replica().take(rows), [1, 8], [8, 1], 60.0, PERCENTILES
    )
    assert point.bottleneck.tolist() == ["prefill", "decode"]
    assert point.stable.tolist() == [False, False]
    assert np.isinf(point.e2e.mean_ms).all()


def test_pools_with_no_replica_and_cases_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="decode_replicas is 0"):
        analyze_disaggregated(replica(), replica(), 1, 0, 1.0)
    with pytest.raises(ValueError, match="1 prefill cases and 2 decode cases"):
        analyze_disaggregated(replica(), replica().take(np.array([0, 0])), 1, 1, 1.0)
    with pytest.raises(ValueError, match=r"ms_per_token is -1 \(allowed: finite, 0 or more\)"):
        Transfer.of(1, 0.0, -1.0)


def length(mean: float, cv: float) -> Length:
    return LognormalLength(mean, cv) if cv else FixedLength(mean)


@pytest.mark.parametrize(
    ("pools", "routers", "rate", "cv", "arrival_cv", "travel"),
    [
        ((2, 2), (Router.ROUND_ROBIN, Router.SHORTEST_QUEUE), 20.0, 0.5, 1.0, (10.0, 0.01)),
        ((1, 1), (Router.RANDOM, Router.RANDOM), 8.0, 1.0, 1.0, (0.0, 0.0)),
        ((3, 1), (Router.RANDOM, Router.RANDOM), 15.0, 0.0, 1.5, (30.0, 0.0)),
        ((1, 4), (Router.RANDOM, Router.ROUND_ROBIN), 14.0, 0.8, 0.5, (0.0, 0.02)),
    ],
)
def test_simulated_pools_do_the_same(
    pools: tuple[int, int],
    routers: tuple[Router, Router],
    rate: float,
    cv: float,
    arrival_cv: float,
    travel: tuple[float, float],
) -> None:
    point = analyze_disaggregated(
        replica(4.0, cv=cv, arrival_cv=arrival_cv),
        replica(48.0, cv=cv),
        *pools,
        rate,
        PERCENTILES,
        transfer=Transfer.of(1, *travel),
        prefill_router=routers[0],
        decode_router=routers[1],
    )
    parameters = TokenWorkParameters(ALPHA, BETA, GAMMA)
    system = Disaggregated(
        Pool(Engine(parameters, max_batch=4), pools[0], routers[0]),
        Pool(Engine(parameters, max_batch=48), pools[1], routers[1]),
        *travel,
    )
    lengths = SeparateLengths(length(1000, cv), length(100, cv))
    scenario = Scenario(GammaArrivals(rate, arrival_cv), lengths, system, 50_000, seed=3)
    played = summarize(simulate(scenario), PERCENTILES)
    for answer, measured, mean, tail in (
        (point.ttft, played.ttft_ms, 0.15, 0.25),
        (point.itl, played.itl_ms, 0.05, 0.08),
        (point.token_itl, played.token_itl_ms, 0.05, 0.08),
        (point.e2e, played.e2e_ms, 0.04, 0.08),
    ):
        assert answer.mean_ms[0] == pytest.approx(measured.mean.value, rel=mean)
        assert answer.at_ms[1, 0] == pytest.approx(measured.percentiles[95].value, rel=tail)
    assert point.throughput_rps[0] == pytest.approx(played.throughput_rps.value, rel=0.02)


def test_a_lone_simulated_request_takes_the_same_to_the_microsecond() -> None:
    parameters = LinearParameters(10.0, 0.5, 6.0, 0.02)
    engine = Engine(parameters, max_batch=8)
    system = Disaggregated(Pool(engine), Pool(engine), 5.0, 0.01)
    scenario = Scenario(
        TraceArrivals((0.0, 5000.0)), SeparateLengths(FixedLength(300), FixedLength(40)), system, 2
    )
    e2e = simulate(scenario, warm_up=0.0, cool_down=0.0).records.e2e_ms
    cases = replace(
        replica(8.0, input_tokens=300.0, output_tokens=40.0, cv=0.0),
        times=LinearTimes.of(10.0, 0.5, 6.0, 0.02),
    )
    point = analyze_disaggregated(
        cases, cases, 1, 1, 1e-6, PERCENTILES, transfer=Transfer.of(1, 5.0, 0.01)
    )
    assert point.e2e.mean_ms[0] == pytest.approx(float(e2e[0]), rel=1e-4)


def targets(
    *, ttft_p95: float = np.nan, itl_mean: float = np.nan, e2e_p95: float = np.nan
) -> EngineTargets:
    return EngineTargets.of(
        1,
        ttft=(LatencyTarget.of(1, ttft_p95, 95.0),),
        itl=(LatencyTarget.of(1, itl_mean),),
        e2e=(LatencyTarget.of(1, e2e_p95, 95.0),),
    )


def split(cards: int, wanted: EngineTargets, first: int = 1, second: int = 2) -> Split:
    return best_split(
        replica(4.0), replica(48.0), cards, first, second, wanted, transfer=Transfer.of(1, 5.0)
    )


@pytest.mark.parametrize(
    "wanted",
    [
        targets(ttft_p95=200.0, itl_mean=14.0),
        targets(ttft_p95=90.0),
        targets(itl_mean=11.0, e2e_p95=2500.0),
    ],
)
def test_the_best_split_is_that_of_a_search_by_hand(wanted: EngineTargets) -> None:
    found = split(13, wanted)
    assert found.prefill_replicas.tolist() == list(range(1, 12))
    assert np.all(found.prefill_replicas + 2 * found.decode_replicas <= 13)
    assert found.cards.tolist() == (found.prefill_replicas + 2 * found.decode_replicas).tolist()
    assert found.best is not None

    rows = np.zeros(11, dtype=np.int64)
    low, high = np.zeros(11), 0.999 * found.saturation_rps
    for _ in range(30):
        middle = 0.5 * (low + high)
        point = analyze_disaggregated(
            replica(4.0).take(rows),
            replica(48.0).take(rows),
            found.prefill_replicas,
            found.decode_replicas,
            middle,
            (95.0,),
            transfer=Transfer.of(11, 5.0),
        )
        kept = np.ones(11, dtype=np.bool_)
        for value, target in (
            (point.ttft.at_ms[0], wanted.ttft[0].at_most_ms),
            (point.itl.mean_ms, wanted.itl[0].at_most_ms),
            (point.e2e.at_ms[0], wanted.e2e[0].at_most_ms),
        ):
            kept &= np.isnan(target) | (value <= target * (1 + 1e-6))
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    by_hand = low
    np.testing.assert_allclose(found.rate_rps, by_hand, rtol=2e-3)
    assert found.rate_rps[found.best] >= by_hand.max() * (1 - 2e-3)


def test_no_split_breaks_a_target_at_its_rate() -> None:
    wanted = targets(ttft_p95=250.0, itl_mean=13.0)
    found = split(20, wanted)
    rows = np.zeros(len(found.rate_rps), dtype=np.int64)
    point = analyze_disaggregated(
        replica(4.0).take(rows),
        replica(48.0).take(rows),
        found.prefill_replicas,
        found.decode_replicas,
        found.rate_rps,
        (95.0,),
        transfer=Transfer.of(len(rows), 5.0),
    )
    assert np.all(point.ttft.at_ms[0] <= 250.0 * (1 + 1e-6))
    assert np.all(point.itl.mean_ms <= 13.0 * (1 + 1e-6))
    assert np.all(found.rate_rps < found.saturation_rps)


def test_more_cards_carry_more_and_tighter_targets_less() -> None:
    def carried(cards: int, wanted: EngineTargets) -> float:
        found = split(cards, wanted)
        assert found.best is not None
        return float(found.rate_rps[found.best])

    loose = targets(ttft_p95=300.0, itl_mean=20.0)
    rates = [carried(cards, loose) for cards in (3, 6, 12, 24)]
    assert rates == sorted(rates)
    assert rates[3] > 2 * rates[1]
    assert carried(12, targets(ttft_p95=100.0, itl_mean=11.0)) < rates[2]


def test_targets_out_of_reach_have_no_split() -> None:
    found = split(6, targets(ttft_p95=1.0))
    assert found.best is None
    assert np.all(found.rate_rps == 0.0)


def test_without_targets_saturation_decides() -> None:
    found = split(9, targets())
    np.testing.assert_allclose(found.rate_rps, 0.999 * found.saturation_rps)


def test_a_split_needs_a_replica_of_each_pool() -> None:
    with pytest.raises(ValueError, match=r"cards is 2 \(allowed: 3 or more"):
        split(2, targets())
    with pytest.raises(ValueError, match=r"prefill_cards_per_replica is 0 \(allowed: 1 or more\)"):
        split(8, targets(), first=0)
    with pytest.raises(ValueError, match=r"prefill has 2 cases \(allowed: 1\)"):
        best_split(replica().take(np.array([0, 0])), replica(), 4, 1, 1, targets())
