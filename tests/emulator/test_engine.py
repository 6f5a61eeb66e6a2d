"""What the iteration loop does beyond what the simulator knows: requests that break off, faults."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.dialect import Dialect, buckets_of
from emulator.engine import IterationLoop
from emulator.meter import Meter
from emulator.requests import EmulatedRequest, RequestState
from simulator import Engine
from stoker.domain.profile import TokenWorkParameters

PLAIN = TokenWorkParameters(10.0, 0.0, 0.0)


def loop_of(engine: Engine | None = None) -> tuple[IterationLoop, Meter]:
    meter = Meter(buckets_of(Dialect.VLLM, 1000))
    return IterationLoop(engine or Engine(PLAIN, 8, kv_tokens=1600), meter), meter


def test_tokens_are_told_when_they_are_made() -> None:
    loop, _ = loop_of()
    times: list[float] = []
    loop.submit(EmulatedRequest(5, 3, on_token=times.append), 100.0)
    loop.play(115.0)
    assert times == [110.0]
    loop.play(1000.0)
    assert times == [110.0, 120.0, 130.0]


@pytest.mark.parametrize("after_ms", [0.0, 5.0, 25.0, 65.0])
def test_who_breaks_off_frees_memory_and_hurts_nobody(after_ms: float) -> None:
    loop, _ = loop_of()
    stays, goes = EmulatedRequest(100, 5), EmulatedRequest(300, 50)
    loop.submit(stays, 0.0)
    loop.submit(goes, 0.0)
    loop.abort(goes, after_ms)
    loop.play(1e9)
    assert (stays.state, goes.state) == (RequestState.DONE, RequestState.ABORTED)
    assert stays.completion_ms == 50.0
    assert (loop.in_system, loop.memory.used) == (0, 0)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 60),
            st.integers(1, 20),
            st.integers(0, 300),
            st.none() | st.integers(0, 90),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(4, 20),
)
def test_nothing_is_lost_whoever_breaks_off(
    asked: list[tuple[int, int, int, int | None]], blocks: int
) -> None:
    engine = Engine(
        TokenWorkParameters(3.0, 0.1, 0.01),
        4,
        token_budget=24,
        kv_tokens=blocks * 8,
        block_tokens=8,
    )
    loop, meter = loop_of(engine)
    events: list[tuple[float, int, EmulatedRequest]] = []
    requests = []
    for prompt, output, at, patience in asked:
        request = EmulatedRequest(prompt, output)
        requests.append(request)
        events.append((float(at), 0, request))
        if patience is not None:
            events.append((float(at + patience), 1, request))
    for at_ms, kind, request in sorted(events, key=lambda event: event[:2]):
        if kind == 0:
            loop.submit(request, at_ms)
        else:
            loop.abort(request, at_ms)
    loop.play(1e9)
    assert all(request.ended for request in requests)
    assert (loop.in_system, loop.memory.used, loop.next_ms()) == (0, 0, math.inf)
    done = [one for one in requests if one.state is RequestState.DONE]
    assert meter.finished_by["length"] == len(done)
    assert meter.output_tokens.sum == sum(one.output_tokens for one in done)


def test_a_freeze_shifts_what_runs() -> None:
    loop, _ = loop_of()
    request = EmulatedRequest(5, 3)
    loop.submit(request, 0.0)
    loop.freeze(5.0)
    loop.play(500.0)
    assert loop.next_ms() == math.inf
    late = EmulatedRequest(5, 1)
    loop.submit(late, 400.0)
    loop.thaw(505.0)
    loop.play(1e9)
    assert request.first_token_ms == 510.0
    assert request.completion_ms == 530.0
    assert late.admitted_ms == 510.0


def test_a_slowdown_holds_from_the_next_iteration_on() -> None:
    loop, meter = loop_of()
    request = EmulatedRequest(5, 3)
    loop.submit(request, 0.0)
    loop.play(5.0)
    loop.slowdown = 3.0
    loop.play(1e9)
    assert request.completion_ms == 10.0 + 30.0 + 30.0
    assert meter.itl_s.sum == pytest.approx(0.06)


def test_a_crash_loses_everything() -> None:
    loop, _ = loop_of()
    requests = [EmulatedRequest(5, 30) for _ in range(12)]
    for request in requests:
        loop.submit(request, 0.0)
    loop.play(25.0)
    loop.fail_all(25.0, "gone")
    assert {one.state for one in requests} == {RequestState.FAILED}
    assert (loop.in_system, loop.memory.used, loop.next_ms()) == (0, 0, math.inf)
    again = EmulatedRequest(5, 2)
    loop.submit(again, 30.0)
    loop.play(100.0)
    assert again.completion_ms == 50.0


@pytest.mark.parametrize(("prompt", "output", "cached"), [(0, 1, 0), (1, 0, 0), (5, 1, 5)])
def test_requests_that_nobody_can_send(prompt: int, output: int, cached: int) -> None:
    with pytest.raises(ValueError, match="allowed"):
        EmulatedRequest(prompt, output, cached)
