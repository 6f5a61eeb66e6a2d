"""The smallest fleet: it keeps the targets, no smaller one does, and no bound is above it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import RequestStatus
from stoker.domain.latency import Latency
from stoker.domain.profile import (
    LinearParameters,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.routing import Router
from studies.traces.goal import TraceGoal
from studies.traces.playing import play, run_whole, scenario_of
from studies.traces.replica import ReplicaOption
from studies.traces.requests import RequestTrace
from studies.traces.search import MinimumFleet, SearchSettings, TraceStatus, minimum_fleet
from studies.traces.study import search_fleets
from tests.support.traces import QUICK, SHARED, SLOW, SLOWEST, generated, option, shared_trace

GOAL = TraceGoal(0.95, ttft_ms=1000.0, itl_ms=60.0)


def attainment(
    replica: ReplicaOption, trace: RequestTrace, replicas: int, goal: TraceGoal, router: Router
) -> float:
    """Return the share of requests within all targets, counted apart from the product."""
    records = run_whole(scenario_of(replica, trace, replicas, router)).records
    met = 0
    for row in range(len(records)):
        done = records.status[row] == RequestStatus.DONE
        ttft = records.first_token_ms[row] - records.arrival_ms[row]
        gaps = records.output_tokens[row] - 1
        itl = (records.completion_ms[row] - records.first_token_ms[row]) / gaps if gaps else 0.0
        in_time = (goal.ttft_ms is None or ttft <= goal.ttft_ms) and (
            goal.itl_ms is None or itl <= goal.itl_ms
        )
        met += bool(done and in_time)
    return met / len(records)


def check(found: MinimumFleet, trace: RequestTrace, goal: TraceGoal, router: Router) -> None:
    """Check what is said of the smallest fleet against runs of its own."""
    assert found.status is TraceStatus.MET
    assert found.replicas is not None
    assert found.answer is not None
    kept = attainment(found.option, trace, found.replicas, goal, router)
    assert kept == pytest.approx(found.answer.attainment)
    assert kept >= goal.share
    assert found.answer.percentiles_ms[Latency.TTFT] <= (goal.ttft_ms or np.inf)
    for fewer in range(1, found.replicas):
        assert attainment(found.option, trace, fewer, goal, router) < goal.share
    assert found.refuted_below == found.replicas
    assert found.bound.replicas is not None
    assert found.patient is not None
    assert found.patient.replicas is not None
    assert found.bound.replicas <= found.patient.replicas <= found.replicas


@pytest.mark.parametrize("router", [Router.SHORTEST_QUEUE, Router.ROUND_ROBIN, Router.LEAST_KV])
@pytest.mark.parametrize("speed", [0.5, 4.0])
def test_one_less_breaks_it(router: Router, speed: float) -> None:
    trace = generated().sped_up(speed)
    found = minimum_fleet(option(), trace, GOAL, SearchSettings(router))
    check(found, trace, GOAL, router)


def test_a_random_router_keeps_the_targets_with_every_seed() -> None:
    trace, replica = generated(), option()
    settings = SearchSettings(Router.RANDOM, seeds=(0, 1, 2, 3))
    found = minimum_fleet(replica, trace, GOAL, settings)
    assert found.replicas is not None
    for seed in settings.seeds:
        assert play(replica, trace, found.replicas, Router.RANDOM, GOAL, (seed,)).meets(
            GOAL, len(trace)
        )
    assert not play(replica, trace, found.replicas - 1, Router.RANDOM, GOAL, settings.seeds).meets(
        GOAL, len(trace)
    )


def test_a_request_that_nobody_can_serve_in_time_is_named() -> None:
    trace = generated(requests=100)
    slow = TraceGoal(0.95, ttft_ms=20.0)
    found = minimum_fleet(option(), trace, slow)
    assert found.status is TraceStatus.UNREACHABLE
    assert found.replicas is None
    assert found.reach is not None
    assert found.reach.missing.size > slow.may_miss(len(trace))
    # As many replicas as requests do no better.
    best = attainment(option(), trace, 100, slow, Router.SHORTEST_QUEUE)
    assert best <= found.reach.attainment < 0.95


@pytest.mark.parametrize("requests", [20, 40, 100])
def test_the_percentile_of_the_share_is_within_the_target(requests: int) -> None:
    # As many as may have prompts that take seconds, and wait for one another.
    late = requests // 20
    lengths = [100] * (requests - late) + [60_000] * late
    trace = RequestTrace.of(np.arange(requests) * 3000.0, lengths, [5] * requests)
    found = minimum_fleet(option(), trace, TraceGoal(0.95, ttft_ms=100.0, itl_ms=60.0))
    assert found.answer is not None
    assert found.answer.attainment == 0.95
    assert found.answer.worst_ttft_ms > 1000.0
    assert found.answer.percentiles_ms[Latency.TTFT] <= 100.0
    assert found.answer.percentiles_ms[Latency.ITL] <= 60.0


def test_requests_thousands_of_years_apart_are_a_trace() -> None:
    trace = RequestTrace.of([0.0, 10.0, 3e15], [100] * 3, [20] * 3)
    found = minimum_fleet(option(), trace, GOAL)
    assert found.replicas == 1
    assert found.proposed == 1


@given(
    st.lists(st.sampled_from([0.0, 0.1, 1.0, 7.0, 300.0]), min_size=1, max_size=60),
    st.floats(0.01, 1.0),
    st.sampled_from([0.7, 10.0]),
)
def test_the_rate_of_busy_windows_counts_idle_ones(
    gaps: list[float], share: float, window_ms: float
) -> None:
    trace = RequestTrace.of(np.cumsum(gaps), [1] * len(gaps), [1] * len(gaps))
    windows = (trace.arrival_ms // window_ms).astype(np.int64)
    rates = 1000.0 * np.bincount(windows) / window_ms
    assert trace.busy_rate_rps(window_ms, share) == pytest.approx(float(np.quantile(rates, share)))


def test_of_requests_at_one_moment_no_rate_is_known() -> None:
    trace = RequestTrace.of([0.0] * 40, [500] * 40, [50] * 40)
    assert trace.rate_rps is None
    found = minimum_fleet(option(), trace, GOAL)
    assert found.proposed is None
    assert found.answer is not None
    assert found.answer.meets(GOAL, 40)
    later = RequestTrace.of([0.0, 500.0], [500] * 2, [50] * 2)
    assert later.rate_rps == later.load().arrival_rate_rps == 4.0


def test_one_that_takes_hours_makes_nobody_else_late() -> None:
    # Alone on a replica of one slot the first takes some four hours; the second has its own.
    trace = RequestTrace.of([0.0, 1000.0], [100, 100], [1_000_000, 20])
    found = minimum_fleet(
        option(max_batch=1, kv_tokens=None), trace, TraceGoal(1.0, ttft_ms=1000.0)
    )
    assert found.reach is not None
    assert found.reach.attainment == 1.0
    assert found.replicas == 2


def test_the_most_replicas_allowed_may_be_too_few() -> None:
    trace = generated().sped_up(8)
    found = minimum_fleet(option(), trace, GOAL, SearchSettings(most_replicas=2))
    assert found.status is TraceStatus.NOT_FOUND
    assert [each.replicas for each in found.played][-1] == 2


def test_all_requests_may_be_asked_for() -> None:
    trace = generated(requests=200)
    goal = TraceGoal(1.0, ttft_ms=1500.0, itl_ms=100.0)
    found = minimum_fleet(option(), trace, goal)
    assert found.answer is not None
    assert found.answer.attainment == 1.0


def test_costs_are_those_of_the_replicas() -> None:
    trace = generated()
    found = minimum_fleet(option(cost=3.0), trace, GOAL)
    assert found.replicas is not None
    assert found.cost_per_hour == 3.0 * found.replicas
    hours = trace.span_ms / 3.6e6
    tokens = float((trace.input_tokens + trace.output_tokens).sum())
    assert found.cost_per_million_tokens(trace) == pytest.approx(
        3.0 * found.replicas * hours / tokens * 1e6
    )


def test_tokens_that_nobody_serves_are_not_paid_for() -> None:
    # The second request never fits in memory, and is refused.
    trace = RequestTrace.of([0.0, 1000.0, 2000.0], [100, 10, 100], [10, 3_000_000, 10])
    found = minimum_fleet(option(cost=3.0), trace, TraceGoal(0.5, ttft_ms=1000.0))
    assert found.answer is not None
    assert found.answer.completed == pytest.approx(2 / 3)
    assert found.answer.tokens == 220
    assert found.cost_per_million_tokens(trace) == pytest.approx(3.0 * 2 / 3600 / 220 * 1e6)


def test_the_cheapest_fleet_of_a_model_comes_first() -> None:
    trace = generated()
    options = [option(QUICK, name="dear", cost=50.0), option(SLOW, name="cheap", cost=1.0)]
    seen: list[int] = []
    study = search_fleets(options, trace, GOAL, SearchSettings(), report=seen.append)
    best = study.best("m")
    assert best is not None
    assert best.option.accelerator.name == "cheap"
    assert seen == [1, 2]


PARAMETERS: st.SearchStrategy[ServiceParameters] = st.one_of(
    st.builds(
        TokenWorkParameters,
        st.floats(1, 20),
        st.floats(0.01, 0.1),
        st.floats(1e-5, 1e-3),
    ),
    st.builds(
        LinearParameters,
        st.floats(1, 20),
        st.floats(0.05, 1.0),
        st.floats(0, 20),
        st.floats(0.001, 0.02),
    ),
    st.builds(
        OverlapParameters,
        st.floats(0.5, 5),
        st.floats(1, 15),
        st.floats(0.01, 0.1),
        st.floats(0.01, 0.3),
        st.floats(1e-5, 2e-4),
        st.floats(0, 1e-6),
        st.floats(0, 5),
        st.floats(0, 20),
    ),
)


@settings(max_examples=12, deadline=None)
@given(
    PARAMETERS,
    st.integers(0, 1000),
    st.floats(5, 80),
    st.floats(0.8, 1.0),
    st.floats(300, 4000),
    st.floats(25, 300),
    st.sampled_from([Router.SHORTEST_QUEUE, Router.ROUND_ROBIN, Router.LEAST_KV]),
)
def test_no_fleet_is_below_the_bound(
    parameters: ServiceParameters,
    seed: int,
    rate_rps: float,
    share: float,
    ttft_ms: float,
    itl_ms: float,
    router: Router,
) -> None:
    trace = generated(seed, 120, rate_rps)
    goal = TraceGoal(share, ttft_ms, itl_ms)
    found = minimum_fleet(
        option(parameters), trace, goal, SearchSettings(router, most_replicas=120)
    )
    if found.replicas is None:
        assert attainment(option(parameters), trace, 120, goal, router) < share
    else:
        # Played apart: what the bound refutes is never played by the search.
        for fewer in range(1, found.replicas):
            assert attainment(option(parameters), trace, fewer, goal, router) < share
        assert found.patient is not None
        assert (found.patient.replicas or 0) <= found.replicas


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared traces are not here")
@pytest.mark.parametrize(
    ("name", "ttft_ms", "itl_ms", "speed"),
    [("azure2023_conv", 1000.0, 100.0, 20.0), ("mooncake_conversation", 15_000.0, 200.0, 8.0)],
)
def test_shared_traces(name: str, ttft_ms: float, itl_ms: float, speed: float) -> None:
    trace = shared_trace(name).first(400)
    goal = TraceGoal(0.95, ttft_ms, itl_ms)
    sizes = []
    for model in ("small", "large"):
        for parameters in (QUICK, SLOW, SLOWEST):
            replica = option(parameters, model=model, kv_tokens=300_000, max_batch=128)
            if model == "large":
                twice = TokenWorkParameters(
                    1.6 * parameters.alpha_ms, 1.8 * parameters.beta_ms, parameters.gamma_ms
                )
                replica = option(twice, model=model, kv_tokens=200_000, max_batch=64)
            for pace in (1.0, speed):
                found = minimum_fleet(replica, trace.sped_up(pace), goal)
                check_quickly(found, goal)
                sizes.append(found.replicas or 0)
    assert max(sizes) >= 10


def check_quickly(found: MinimumFleet, goal: TraceGoal) -> None:
    """Check what the search itself has played."""
    assert found.status is TraceStatus.MET
    assert found.replicas is not None
    assert found.answer is not None
    assert found.answer.attainment >= goal.share
    if found.replicas > 1:
        assert found.one_less is not None
        assert found.one_less.attainment < goal.share
    assert found.refuted_below == found.replicas
    assert found.patient is not None
    assert (found.patient.replicas or 0) <= found.replicas
