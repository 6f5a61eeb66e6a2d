"""Requests that wait longer than promised although all replicas of the plan are ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.forecast import Forecast
from controller.load import MeasuredLoad
from controller.waiting import with_queue
from stoker.domain.control.choices import ForecastMethod
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.slo import SloTarget
from stoker.domain.workload import Load
from tests.support.playing import CHAT, go, needed, play

RATE = 100.0
PROMISED_S = 0.8
ENOUGH = replace(CHAT, replicas_wanted=2)


def forecast(waiting: float | None, **options: object) -> dict[str, object]:
    world = play(ENOUGH, rate=RATE, **options)  # type: ignore[arg-type]
    if waiting is not None:
        told = Signal.known(waiting, 1.0, "vllm:num_requests_waiting")
        world.extra_signals["chat"] = {SignalName.WAITING: told}
    go(world)
    found: dict[str, object] = world.records[-1].document["servers"]["chat"]["forecast"]
    return found


@pytest.mark.parametrize(
    ("waiting", "more"),
    [
        (None, 0.0),
        (0.0, 0.0),
        (RATE * PROMISED_S, 0.0),  # as many as come while one waits as long as promised
        (RATE * PROMISED_S + 600.0, 20.0),  # to be served within a cycle of 30 s
        (1e9, RATE),  # a figure that is stuck at most doubles the plan
    ],
)
def test_what_waits_too_long_is_planned_for(waiting: float | None, more: float) -> None:
    told = forecast(waiting)
    assert told["arrival_rate_rps"] == pytest.approx(RATE + more)
    assert ("wait longer than promised" in str(told["reason"])) is (more > 0)


def test_while_replicas_start_they_are_waited_for() -> None:
    world = play(replace(CHAT, replicas_wanted=1), rate=RATE, startup_s=1e5)
    world.workloads[CHAT.ref].state = replace(CHAT, replicas_wanted=3)
    world.advance(0.0)
    queue = Signal.known(5000.0, 1.0, "vllm:num_requests_waiting")
    world.extra_signals["chat"] = {SignalName.WAITING: queue}
    go(world)
    told = world.records[-1].document["servers"]["chat"]["forecast"]
    assert told["arrival_rate_rps"] == RATE


def test_a_server_whose_plan_is_too_small_gets_out_of_its_queue() -> None:
    world = play(replace(CHAT, replicas_wanted=needed(RATE)), rate=RATE)
    queue = Signal.known(4000.0, 1.0, "vllm:num_requests_waiting")
    world.extra_signals["chat"] = {SignalName.WAITING: queue}
    go(world)
    assert world.wanted(CHAT.ref) > needed(RATE)


@pytest.mark.parametrize(("unsized", "more"), [(True, 20.0), (False, 0.0)])
def test_a_queue_counts_though_sizes_are_not_measured_now(unsized: bool, more: float) -> None:
    load = Load(RATE, 100.0, 50.0)
    waiting = RATE * PROMISED_S + 600.0
    measured = MeasuredLoad(load, partial=True, waiting=waiting, unsized=unsized)
    target = SloTarget("m", ttft_ms=1000.0 * PROMISED_S)
    told = with_queue(Forecast(RATE, RATE, 60.0, ForecastMethod.LAST), measured, target, 30.0)
    assert told.rate_rps == pytest.approx(RATE + more)
