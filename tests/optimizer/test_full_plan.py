"""Plans by the analysis of the engine: percentiles, KV memory, variability."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from optimizer.candidates import build_candidates
from optimizer.planner import plan_fleet
from optimizer.table import REJECTIONS
from simulator import (
    Engine,
    GammaArrivals,
    LognormalLength,
    Pool,
    Scenario,
    SeparateLengths,
    simulate,
    summarize,
)
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.limits import Headroom, Limits, Survival
from stoker.domain.plan import PlanStatus
from stoker.domain.profile import ModelProfile, TokenWorkParameters
from stoker.domain.reasons import Rejection
from stoker.domain.settings import Analysis, OptimizerSettings, SolverKind
from stoker.domain.slo import PercentileTarget, ServiceClass, SloTarget
from stoker.domain.workload import Load
from tests.support.small_fleets import BIG, BRONZE, GOLD, LOAD, PROFILES, make_fleet, make_server

FULL = OptimizerSettings(analysis=Analysis.FULL)
REFERENCE = OptimizerSettings(analysis=Analysis.REFERENCE)


def promising(*percentiles: PercentileTarget, **means: float) -> Fleet:
    """Return a fleet of one server with these targets."""
    target = SloTarget("m", percentiles=percentiles, **means)
    return make_fleet(classes=(ServiceClass("gold", 1, (target,)), BRONZE))


def p95_ttft(limit_ms: float) -> PercentileTarget:
    return PercentileTarget(Latency.TTFT, 95.0, limit_ms)


def only_allocation(fleet: Fleet, settings: OptimizerSettings = FULL) -> PlannedAllocation:
    plan = plan_fleet(fleet, settings)
    assert plan.analysis is settings.analysis
    assert plan.status is PlanStatus.OPTIMAL, plan.unplaced
    (found,) = plan.allocations
    return found


@pytest.mark.parametrize("solver", [SolverKind.MILP, SolverKind.GREEDY])
@pytest.mark.parametrize(
    "fleet",
    [
        promising(ttft_ms=1000.0, itl_ms=60.0),
        promising(p95_ttft(1000.0), PercentileTarget(Latency.ITL, 95.0, 60.0), e2e_ms=900.0),
        dataclasses.replace(
            promising(ttft_ms=1000.0, itl_ms=60.0),
            limits=Limits(headroom=Headroom(survive=Survival.REPLICA)),
        ),
    ],
    ids=["means", "percentiles", "spare"],
)
def test_a_target_of_time_between_tokens_asks_nothing_of_single_tokens(
    fleet: Fleet, solver: SolverKind
) -> None:
    single = make_server(load=Load(4.0, 128, 1))
    if fleet.limits != Limits() and solver is SolverKind.GREEDY:
        pytest.skip("plans with spare replicas are not greedy")
    plan = plan_fleet(
        dataclasses.replace(fleet, servers=(single,)), dataclasses.replace(FULL, solver=solver)
    )
    (found,) = plan.allocations
    assert found.fully_served
    assert found.latencies[Latency.ITL].at(None) is None
    assert (found.ttft_ms or np.inf) <= 1000.0


def test_percentiles_are_reported_and_ascend() -> None:
    found = only_allocation(promising(p95_ttft(800.0), itl_ms=60.0))
    assert set(found.latencies) == set(Latency)
    for latency in found.latencies.values():
        values = [latency.at(percentile) or 0.0 for percentile in (50.0, 90.0, 95.0, 99.0)]
        assert values == sorted(values)
        assert values[0] > 0.0
    ttft = found.latencies[Latency.TTFT]
    assert (found.ttft_ms, found.itl_ms) == (ttft.mean_ms, found.latencies[Latency.ITL].mean_ms)
    assert (ttft.at(95.0) or 0.0) <= 800.0 * (1 + 1e-6)
    assert found.binding in {"ttft_ms.p95", "itl_ms.mean", "blocking", "throughput"}


def test_the_reference_reports_what_binds_and_no_percentiles() -> None:
    found = only_allocation(make_fleet(), REFERENCE)
    assert found.latencies == {}
    assert found.binding in {"ttft_ms.mean", "itl_ms.mean", "blocking", "throughput"}


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        (promising(p95_ttft(800.0)), "gold.m.ttft_ms.p95"),
        (promising(e2e_ms=9000.0), "gold.m.e2e_ms.mean"),
    ],
)
def test_the_reference_refuses_what_it_cannot_promise(fleet: Fleet, words: str) -> None:
    with pytest.raises(InvalidInputError, match=r"--analysis full") as error:
        plan_fleet(fleet, REFERENCE)
    assert words in str(error.value)


def test_a_tighter_percentile_never_lets_a_replica_carry_more() -> None:
    rates = [
        build_candidates(promising(p95_ttft(limit), itl_ms=100.0), Analysis.FULL).max_rate_rps
        for limit in (2000.0, 800.0, 400.0, 250.0)
    ]
    for looser, tighter in itertools.pairwise(rates):
        both = ~np.isnan(looser) & ~np.isnan(tighter)
        assert np.all(tighter[both] <= looser[both] * (1 + 1e-6))
        assert not np.any(np.isnan(looser) & ~np.isnan(tighter))


def test_targets_hold_together() -> None:
    mean = build_candidates(promising(ttft_ms=300.0), Analysis.FULL).max_rate_rps
    tail = build_candidates(promising(p95_ttft(400.0)), Analysis.FULL).max_rate_rps
    both = build_candidates(promising(p95_ttft(400.0), ttft_ms=300.0), Analysis.FULL).max_rate_rps
    np.testing.assert_allclose(both, np.minimum(mean, tail), rtol=1e-3)


def test_what_is_out_of_reach_is_told_with_the_best() -> None:
    fleet = promising(p95_ttft(5.0))
    plan = plan_fleet(fleet, FULL)
    (missed,) = plan.unplaced
    assert set(missed.rejections.values()) == {Rejection.TTFT_UNREACHABLE}
    assert "p95 TTFT at best" in missed.remedy
    assert "against a target of 5 ms" in missed.remedy
    slow = plan_fleet(promising(e2e_ms=50.0), FULL).unplaced[0]
    assert set(slow.rejections.values()) == {Rejection.E2E_UNREACHABLE}
    assert "E2E at best" in slow.remedy


def test_variability_costs_replicas() -> None:
    def carried(**changes: float) -> float:
        load = dataclasses.replace(LOAD, **changes)
        fleet = promising(p95_ttft(600.0), itl_ms=60.0)
        server = make_server(load=load)
        fleet = dataclasses.replace(fleet, servers=(server,))
        return float(build_candidates(fleet, Analysis.FULL).max_rate_rps[0])

    steady = carried()
    assert carried(arrival_cv=3.0) < steady
    assert carried(input_tokens_cv=1.5) < steady
    assert carried(output_tokens_cv=1.0) < steady
    assert carried(prefix_hit_rate=0.9) > steady


def test_kv_memory_bounds_what_a_replica_carries() -> None:
    def table(kv_tokens: int | None) -> tuple[float, str]:
        profile = dataclasses.replace(PROFILES[0], kv_tokens=kv_tokens)
        fleet = make_fleet(profiles=(profile,), accelerators=(BIG,), cards={"B": 99})
        found = build_candidates(fleet, Analysis.FULL)
        code = int(found.rejection[0])
        return float(found.max_rate_rps[0]), REJECTIONS[code - 1].value if code else ""

    unbounded, why = table(None)
    assert why == ""
    bounded, why = table(4000)
    assert why == ""
    assert bounded < 0.6 * unbounded
    # The correction looks at how much room there is, too.
    assert table(10_000_000)[0] == pytest.approx(unbounded, rel=5e-3)
    assert table(300)[1] == "memory"  # one request of 384 tokens does not fit


def test_kv_use_is_reported_where_there_is_a_capacity() -> None:
    profile = dataclasses.replace(PROFILES[0], kv_tokens=20_000)
    fleet = make_fleet(profiles=(profile,), accelerators=(BIG,))
    found = only_allocation(fleet)
    assert found.kv_use is not None
    assert 0.0 < found.kv_use < 1.0
    assert only_allocation(make_fleet()).kv_use is None


def test_the_reference_says_what_it_does_not_heed() -> None:
    load = dataclasses.replace(LOAD, output_tokens_cv=1.0)
    profiles = tuple(dataclasses.replace(item, kv_tokens=50_000) for item in PROFILES)
    fleet = make_fleet(make_server(load=load), profiles=profiles)
    notes = plan_fleet(fleet, REFERENCE).notes
    assert any("variability" in note and "1 load (s)" in note for note in notes)
    assert any("KV memory of 3 profiles" in note for note in notes)
    assert not any("heed" in note for note in plan_fleet(fleet, FULL).notes)


def test_mixes_and_best_effort_are_predicted_too() -> None:
    servers = [make_server(f"s{k}", load=Load(6.0 + k, 128, 256)) for k in range(3)]
    fleet = make_fleet(*servers, cards={"B": 4, "C": 9})
    for settings in (
        dataclasses.replace(FULL, heterogeneous=True),
        dataclasses.replace(FULL, solver=SolverKind.GREEDY),
        dataclasses.replace(FULL, unlimited=True),
    ):
        plan = plan_fleet(fleet, settings)  # checked by itself
        for item in plan.allocations:
            for part in item.mix or (item,):
                assert part.latencies[Latency.E2E].mean_ms is not None


def test_a_server_without_load_keeps_its_minimum() -> None:
    idle = make_server("idle", load=Load(0.0, 0.0, 0.0), min_replicas=2)
    found = only_allocation(make_fleet(idle))
    assert found.replicas == 2
    assert found.utilization == 0.0
    assert found.latencies == {}


@pytest.mark.parametrize("cv", [0.0, 1.0])
def test_the_simulator_agrees_with_a_plan(cv: float) -> None:
    load = Load(20.0, 256, 128, arrival_cv=1.0, output_tokens_cv=cv)
    fleet = promising(p95_ttft(150.0), itl_ms=40.0)
    profile = ModelProfile("m", "Big", 1, 64, 256, TokenWorkParameters(8.0, 0.03, 0.0003))
    fleet = dataclasses.replace(
        fleet,
        servers=(make_server(load=load, max_batch=48),),
        profiles=(profile,),
        accelerators=(BIG,),
    )
    found = only_allocation(fleet)
    share = found.arrival_rate_rps / found.replicas
    lengths = SeparateLengths(LognormalLength(256, 0.0), LognormalLength(128, cv))
    engine = Engine(profile.parameters, max_batch=48, max_queue=480)
    run = simulate(Scenario(GammaArrivals(share, 1.0), lengths, Pool(engine), 20_000, 3))
    seen = summarize(run, (95.0,))
    assert found.itl_ms == pytest.approx(seen.itl_ms.mean.value, rel=0.05)
    assert found.ttft_ms == pytest.approx(seen.ttft_ms.mean.value, rel=0.10)
    predicted = found.latencies[Latency.TTFT].at(95.0)
    assert predicted == pytest.approx(seen.ttft_ms.percentiles[95.0].value, rel=0.12)


def test_reference_and_full_are_told_apart() -> None:
    fleet = make_fleet(classes=(GOLD, BRONZE))
    reference, full = (build_candidates(fleet, analysis) for analysis in Analysis)
    assert (reference.analysis, full.analysis) == (Analysis.REFERENCE, Analysis.FULL)
    assert not np.array_equal(reference.ttft_ms, full.ttft_ms)
