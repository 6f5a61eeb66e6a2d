"""The `overlap` model in the analysis: the times that the simulator plays, and delays outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.engine import (
    EngineCases,
    EnginePoint,
    EngineTargets,
    LatencyTarget,
    analyze_engine,
    size_engine,
)
from queueing.engine.build import iteration_times
from queueing.engine.closed import analyze_closed
from queueing.engine.disaggregated import analyze_disaggregated
from queueing.engine.joining import JoiningTimes
from queueing.engine.stations import Transfer
from simulator import (
    Arrivals,
    ClosedLoop,
    Disaggregated,
    Engine,
    FixedLength,
    LognormalLength,
    PoissonArrivals,
    Pool,
    Scenario,
    SeparateLengths,
    Summary,
    simulate,
    summarize,
)
from simulator.setup import build_world
from stoker.domain.curve import IterationTable
from stoker.domain.profile import OverlapParameters, ServiceParameters, TokenWorkParameters
from tests.engine.test_curve import RISING, TIMING, State, played_ms, states, told_ms

QUICK = OverlapParameters(2.5, 4.0, 0.02, 0.02, 4e-5, 1e-6, 1.0)
LATE = replace(QUICK, first_token_ms=15.0, first_token_sequence_ms=0.4, first_token_output_ms=0.05)

DELAYS = ("first_token_ms", "first_token_sequence_ms", "first_token_output_ms")


def some_times() -> st.SearchStrategy[float]:
    return st.one_of(st.just(0.0), st.floats(1e-6, 10.0))


overlaps = st.builds(OverlapParameters, st.floats(1e-3, 10.0), *[some_times()] * 9)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(overlaps, states), min_size=1, max_size=6))
def test_iterations_take_the_time_that_the_simulator_plays(
    cases: list[tuple[OverlapParameters, State]],
) -> None:
    cases = [(p, (max(s[0], 1), *s[1:])) for p, s in cases]
    parameters: list[ServiceParameters] = [p for p, _ in cases]
    told = told_ms(iteration_times(parameters), [state for _, state in cases])
    played = [played_ms(p, state) for p, state in cases]
    np.testing.assert_allclose(told, played, rtol=1e-12, atol=1e-12)


late_tables = st.builds(
    lambda delays: replace(RISING, **dict(zip(DELAYS, delays, strict=True))),
    st.tuples(some_times(), some_times(), some_times()),
)


@given(overlaps | late_tables, st.integers(0, 500), st.integers(1, 5000))
def test_first_tokens_are_as_late_as_the_simulator_plays(
    parameters: OverlapParameters | IterationTable, decoding: int, output: int
) -> None:
    world = build_world(scenario(parameters, PoissonArrivals(1.0), 1), 0.0, 0.0)
    times = iteration_times([TokenWorkParameters(1.0, 0.0, 0.0), parameters])
    told = times.first_token_delay_ms(np.array([decoding] * 2), np.array([output] * 2))
    played = TIMING.first_token_delay(world, 0, decoding, output)
    np.testing.assert_allclose(told, [0.0, played], rtol=1e-12)


def lengths(cv: float) -> SeparateLengths:
    if cv == 0.0:
        return SeparateLengths(FixedLength(300), FixedLength(100))
    return SeparateLengths(LognormalLength(300, cv), LognormalLength(100, cv))


def scenario(
    parameters: OverlapParameters | IterationTable,
    arrivals: Arrivals,
    requests: int,
    cv: float = 0.6,
) -> Scenario:
    return Scenario(arrivals, lengths(cv), Pool(Engine(parameters, 64)), requests, seed=3)


def seen(
    parameters: OverlapParameters, arrivals: Arrivals, requests: int = 8000, cv: float = 0.6
) -> Summary:
    return summarize(simulate(scenario(parameters, arrivals, requests, cv)))


def cases_of(parameters: OverlapParameters, cv: float = 0.6, count: int = 1) -> EngineCases:
    times = iteration_times([parameters] * count)
    return EngineCases.of(times, 300.0, 100.0, 64.0, input_cv=cv, output_cv=cv)


def assert_close(point: EnginePoint, summary: Summary, within: float) -> None:
    for told, played in (
        (point.ttft, summary.ttft_ms),
        (point.itl, summary.itl_ms),
        (point.e2e, summary.e2e_ms),
    ):
        assert told.mean_ms[0] == pytest.approx(played.mean.value, rel=within)
        assert told.at_ms[0, 0] == pytest.approx(played.percentiles[50.0].value, rel=within)
    assert point.throughput_rps[0] == pytest.approx(summary.throughput_rps.value, rel=0.03)
    assert point.mean_in_service[0] == pytest.approx(summary.mean_batch, rel=within)


@pytest.mark.parametrize("rate", [1.0, 8.0, 20.0])
def test_latencies_at_a_rate_are_those_of_the_simulator(rate: float) -> None:
    point = analyze_engine(cases_of(LATE), rate)
    assert_close(point, seen(LATE, PoissonArrivals(rate)), 0.05)


@pytest.mark.parametrize("clients", [1, 2, 8, 32, 96])
def test_latencies_of_a_closed_loop_are_those_of_the_simulator(clients: int) -> None:
    point = analyze_closed(cases_of(LATE), clients)
    assert_close(point, seen(LATE, ClosedLoop(clients)), 0.06)
    # Little's law, of all clients and of those whose tokens are not on their way.
    assert point.throughput_rps[0] * point.e2e.mean_ms[0] == pytest.approx(1e3 * clients)
    assert point.mean_in_system[0] < clients


def test_clients_in_lockstep_stay_so() -> None:
    for clients in (1, 2, 8):
        point = analyze_closed(cases_of(LATE, 0.0), clients)
        assert_close(point, seen(LATE, ClosedLoop(clients), 2000, 0.0), 0.02)


def test_the_delay_is_no_engine_time() -> None:
    # The spread of the delay is part of what the correction looks at: by the formulas alone.
    quick, late = (analyze_engine(cases_of(p), 20.0, corrected=False) for p in (QUICK, LATE))
    for name in ("throughput_rps", "saturation_rps", "utilization", "kv_use"):
        np.testing.assert_allclose(getattr(late, name), getattr(quick, name), rtol=1e-9)
    np.testing.assert_allclose(late.itl.at_ms, quick.itl.at_ms, rtol=1e-9)
    np.testing.assert_allclose(late.wait.at_ms, quick.wait.at_ms, rtol=1e-9)
    more = late.ttft.mean_ms - quick.ttft.mean_ms
    np.testing.assert_allclose(late.e2e.mean_ms - quick.e2e.mean_ms, more, rtol=1e-9)
    decoding = late.mean_in_service[0]
    assert more[0] == pytest.approx(15.0 + 0.4 * decoding + 0.05 * 100, rel=0.05)


def test_a_fixed_delay_is_added_and_not_corrected() -> None:
    quick, late = (
        analyze_engine(cases_of(p), 20.0) for p in (QUICK, replace(QUICK, first_token_ms=25.0))
    )
    np.testing.assert_allclose(late.ttft.at_ms, quick.ttft.at_ms + 25.0, rtol=1e-6)
    np.testing.assert_allclose(late.ttft.mean_ms, quick.ttft.mean_ms + 25.0, rtol=1e-6)
    np.testing.assert_allclose(late.e2e.at_ms, quick.e2e.at_ms + 25.0, rtol=1e-6)
    np.testing.assert_allclose(late.mean_in_service, quick.mean_in_service, rtol=1e-6)


def test_sizing_leaves_room_for_the_delay() -> None:
    def largest(parameters: OverlapParameters, ttft_ms: float) -> float:
        target = LatencyTarget(np.array([ttft_ms]), np.array([95.0]))
        sizing = size_engine(cases_of(parameters), EngineTargets.of(1, ttft=(target,)))
        return float(sizing.rate_rps[0])

    late = replace(QUICK, first_token_ms=25.0)
    assert largest(late, 50.0) == pytest.approx(largest(QUICK, 25.0), rel=1e-2)
    assert largest(late, 24.0) == 0.0


def test_first_tokens_are_late_once_where_pools_share_the_work() -> None:
    sixteen = Engine(LATE, 64)
    system = Disaggregated(Pool(sixteen), Pool(sixteen), transfer_ms=20.0)
    played = summarize(simulate(Scenario(PoissonArrivals(10.0), lengths(0.6), system, 8000)))
    one = cases_of(LATE)
    told = analyze_disaggregated(one, one, 1, 1, 10.0, transfer=Transfer.of(1, 20.0))
    assert told.ttft.mean_ms[0] == pytest.approx(played.ttft_ms.mean.value, rel=0.05)
    assert told.e2e.mean_ms[0] == pytest.approx(played.e2e_ms.mean.value, rel=0.03)
    assert told.itl.mean_ms[0] == pytest.approx(played.itl_ms.mean.value, rel=0.03)
    np.testing.assert_array_equal(
        JoiningTimes(one.times).first_token_delay_ms(np.array([3.0]), np.array([9.0])), [0.0]
    )


def test_parameters_without_engine_time_are_not_usable() -> None:
    nothing = OverlapParameters(0, 0, 0, 0, 0, 0, 0, 5.0)
    negative = replace(QUICK, first_token_ms=-1.0)
    assert iteration_times([QUICK, nothing, negative]).usable().tolist() == [True, False, False]
