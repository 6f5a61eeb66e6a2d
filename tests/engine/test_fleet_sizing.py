"""The largest rates of fleets behind a router, and of two pools as one system."""

from __future__ import annotations

import numpy as np
import pytest

from queueing.engine.cases import EngineCases
from queueing.engine.disaggregated import analyze_disaggregated
from queueing.engine.fleet_sizing import fleet_excess, size_fleet
from queueing.engine.pool_sizing import pools_excess, size_pools
from queueing.engine.routing import INDEPENDENT, analyze_fleet, fleet_saturation_rps
from queueing.engine.sizing import LARGEST_LOAD, TPS_MARGIN, size_engine
from queueing.engine.stations import System, Transfer
from queueing.engine.targets import EngineTargets, LatencyTarget
from queueing.engine.times import TokenWorkTimes
from stoker.domain.routing import Router

ROWS = np.zeros(3, dtype=np.int64)
SIZES = np.array([1.0, 3.0, 8.0])


def replica(max_batch: float = 16.0, max_queue: float = 200.0) -> EngineCases:
    times = TokenWorkTimes.of(8.0, 0.03, 0.0003)
    return EngineCases.of(times, 512, 128, max_batch, max_queue, input_cv=1.0, output_cv=1.0)


def targets(
    ttft_ms: float = np.nan,
    itl_ms: float = np.nan,
    percentile: float = np.nan,
    *,
    tps: float = np.nan,
    max_blocking: float = np.nan,
) -> EngineTargets:
    return EngineTargets.of(
        1,
        ttft=(LatencyTarget.of(1, ttft_ms, percentile),),
        itl=(LatencyTarget.of(1, itl_ms, percentile),),
        tps=tps,
        max_blocking=max_blocking,
    )


@pytest.mark.parametrize("router", Router)
@pytest.mark.parametrize("wanted", [targets(100.0, 13.0), targets(150.0, 20.0, 95.0)])
def test_a_fleet_of_one_carries_what_a_replica_does(router: Router, wanted: EngineTargets) -> None:
    fleet = size_fleet(replica(), 1, router, wanted)
    alone = size_engine(replica(), wanted, corrected=router in INDEPENDENT)
    assert fleet.rate_rps == pytest.approx(alone.rate_rps, rel=3e-3)
    assert fleet.max_rate_rps == pytest.approx(alone.max_rate_rps)
    assert fleet.throughput_rps == pytest.approx(alone.throughput_rps, rel=3e-3)


@pytest.mark.parametrize("router", Router)
def test_targets_hold_at_the_rate_and_not_beyond(router: Router) -> None:
    wanted = targets(120.0, 14.0, 95.0).take(ROWS)
    cases = replica().take(ROWS)
    sized = size_fleet(cases, SIZES, router, wanted)
    assert np.all(sized.feasible)
    assert np.all(sized.limited)
    assert np.all(np.diff(sized.rate_rps) > 0)
    point = analyze_fleet(cases, SIZES, router, sized.rate_rps, (95.0,))
    assert np.all(point.ttft.at_ms[0] <= 120.0 * (1 + 1e-6))
    assert np.all(point.itl.at_ms[0] <= 14.0 * (1 + 1e-6))
    # A margin is told where it is asked for, and differs a little with the load.
    less, more = (0.98, 1.03) if router in INDEPENDENT else (1.0, 1.02)
    assert np.all(fleet_excess(cases, SIZES, router, wanted, less * sized.rate_rps) <= 0.0)
    assert np.all(fleet_excess(cases, SIZES, router, wanted, more * sized.rate_rps) > 0.0)


def test_a_random_split_of_poisson_arrivals_gains_nothing() -> None:
    wanted = targets(120.0, percentile=95.0)
    alone = size_fleet(replica(), 1, Router.RANDOM, wanted).rate_rps
    many = size_fleet(replica(), 5, Router.RANDOM, wanted).rate_rps
    assert many == pytest.approx(5 * alone, rel=1e-3)
    assert size_fleet(replica(), 5, Router.SHORTEST_QUEUE, wanted).rate_rps > 1.05 * many


def test_saturation_decides_without_targets_and_tokens_take_a_margin() -> None:
    most = fleet_saturation_rps(replica(), np.array([4.0]))
    free = size_fleet(replica(), 4, Router.ROUND_ROBIN, targets())
    assert free.rate_rps == pytest.approx(LARGEST_LOAD * most)
    assert not free.limited[0]
    tokens = size_fleet(replica(), 4, Router.ROUND_ROBIN, targets(tps=1000.0))
    assert tokens.rate_rps == pytest.approx(TPS_MARGIN * LARGEST_LOAD * most)


def test_who_may_be_turned_away_bounds_the_rate() -> None:
    cases = replica(8.0, 2.0)
    sized = size_fleet(cases, 3, Router.RANDOM, targets(max_blocking=0.01))
    point = analyze_fleet(cases, 3, Router.RANDOM, sized.rate_rps)
    assert point.blocking[0] == pytest.approx(0.01, rel=0.01)
    assert sized.throughput_rps == pytest.approx(point.throughput_rps)


def test_targets_out_of_reach_carry_nothing() -> None:
    sized = size_fleet(replica(), 4, Router.LEAST_KV, targets(1.0))
    assert not sized.feasible[0]
    assert (sized.rate_rps[0], sized.throughput_rps[0]) == (0.0, 0.0)
    assert sized.max_rate_rps[0] > 0.0
    with pytest.raises(ValueError, match=r"replicas is 0 \(allowed"):
        size_fleet(replica(), 0, Router.RANDOM, targets())


def pools() -> System:
    return System(
        replica(4.0),
        replica(32.0),
        np.array([2.0]),
        np.array([2.0]),
        Transfer.of(1, 5.0, 0.01),
        Router.ROUND_ROBIN,
        Router.SHORTEST_QUEUE,
    )


def test_pools_keep_their_targets_at_the_rate_and_not_beyond() -> None:
    wanted = targets(150.0, 14.0, 95.0)
    sized = size_pools(pools(), wanted)
    rate = sized.rate_rps
    assert sized.feasible[0]
    assert 0 < rate[0] < sized.max_rate_rps[0]
    assert pools_excess(pools(), wanted, rate)[0] <= 0.0
    assert pools_excess(pools(), wanted, 1.02 * rate)[0] > 0.0


def test_two_pools_as_one_system() -> None:
    point = analyze_disaggregated(
        replica(4.0), replica(32.0), 2, 2, 12.0, (95.0,), transfer=Transfer.of(1, 5.0, 0.01)
    )
    whole = point.whole()
    assert whole.e2e is point.e2e
    assert whole.wait is point.prefill.wait
    # Little's law, but for the requests that travel.
    travelling = 12.0 * (5.0 + 0.01 * 512) / 1e3
    present = 12.0 * point.e2e.mean_ms / 1e3 - travelling
    assert whole.mean_in_system == pytest.approx(present, rel=0.02)
    assert whole.utilization == pytest.approx(whole.mean_in_service / (2 * 4 + 2 * 32))
    assert np.isnan(whole.kv_use[0])
