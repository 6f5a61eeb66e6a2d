"""Rates whose window is not full yet: served at once, never taken for load that grows or falls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.demand import startup_of
from controller.journal import CycleJournal
from controller.memory import ServerMemory
from controller.recall import memory_from_text, memory_to_text
from controller.startups import StartupTimes, Watch
from stoker.domain.control.choices import Mode
from stoker.domain.control.cluster import ReplicaPhase, ReplicaState
from stoker.domain.control.settings import (
    ControlSettings,
    ForecastSettings,
    LoopSettings,
    MetricSettings,
    StabilitySettings,
)
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import workload
from tests.support.playing import CHAT, PERIOD_S, SMALL, decision, go, needed, play

WINDOW_S = 60.0
RATE = 240.0
SETTINGS = ControlSettings(
    loop=LoopSettings(mode=Mode.ACT, period_s=PERIOD_S),
    metrics=MetricSettings(window_s=WINDOW_S),
    forecast=ForecastSettings(quantile=0.9, startup_s=120.0),
    stability=StabilitySettings(scale_down_window_s=90.0),
)


def as_a_window_fills(begins_s: float = 0.0) -> Callable[[float], float]:
    """A steady rate as it is told while the window that it is taken over fills."""
    return lambda seconds: RATE * min(1.0, (seconds - begins_s + 10.0) / WINDOW_S)


def test_a_window_that_fills_is_no_load_that_grows() -> None:
    world = play(CHAT, rate=as_a_window_fills(), settings=SETTINGS)
    enough = needed(RATE)
    sizes = []
    for _ in range(40):
        go(world)
        sizes.append(world.wanted(CHAT.ref))
        told = world.records[-1].document["servers"]["chat"]["forecast"]
        assert told["arrival_rate_rps"] <= 1.01 * RATE
    assert sizes[2:] == [enough] * 38  # as soon as the window is full, and no more ever after


def test_a_fresh_server_grows_while_its_window_fills() -> None:
    world = play(CHAT, rate=lambda seconds: 3 * as_a_window_fills()(seconds), settings=SETTINGS)
    go(world, 2)
    assert world.wanted(CHAT.ref) > 1
    seen = world.records[-1].document["servers"]["chat"]
    assert seen["partial"]
    assert "younger than the 60 s" in seen["load_reason"]


def test_a_window_that_fills_again_after_a_gap_makes_nothing_smaller() -> None:
    back_s = 900.0

    def law(seconds: float) -> float | None:
        if seconds < 600:
            return RATE
        return None if seconds < back_s else as_a_window_fills(back_s)(seconds)

    calm = StabilitySettings(scale_down_window_s=0.0, hysteresis=0.0, cooldown_down_s=0.0)
    world = play(CHAT, rate=law, settings=replace(SETTINGS, stability=calm))
    enough = needed(RATE)
    go(world, 10)
    assert world.wanted(CHAT.ref) == enough > 1
    for _ in range(40):
        go(world)
        assert world.wanted(CHAT.ref) == enough
    assert decision(world)["held"] == []


@pytest.mark.parametrize(("away_s", "full"), [(30.0, True), (600.0, False)])
def test_a_loop_that_starts_again_remembers_whether_windows_are_full(
    away_s: float, full: bool
) -> None:
    world = play(CHAT, rate=RATE, settings=SETTINGS)
    go(world, 5)
    world.memory = memory_from_text(memory_to_text(world.memory))
    world.advance(away_s - PERIOD_S)
    go(world)
    assert world.records[-1].document["servers"]["chat"]["partial"] is not full


@pytest.mark.parametrize(
    ("apart_s", "period_s", "shrinks"),
    [(30.0, 30.0, True), (300.0, 300.0, True), (300.0, 150.0, True), (300.0, 30.0, False)],
)
def test_a_loop_begun_anew_for_each_cycle_shrinks_where_its_period_is_how_often_it_is_begun(
    tmp_path: Path, apart_s: float, period_s: float, shrinks: bool
) -> None:
    settings = replace(SETTINGS, loop=LoopSettings(mode=Mode.ACT, period_s=period_s))
    world = play(CHAT, rate=lambda s: RATE if s < 1500.0 else RATE / 10, settings=settings)
    sizes = []
    while world.monotonic() < 3600.0:
        journal = CycleJournal(tmp_path, retention_days=1.0)
        world.memory = journal.recall().memory
        world.loop().cycle()
        journal.write(world.records[-1], world.memory)
        sizes.append(world.wanted(CHAT.ref))
        world.advance(apart_s)
    assert max(sizes) == needed(RATE) > needed(RATE / 10)
    assert sizes[-1] == needed(RATE / 10 if shrinks else RATE)
    # Whoever is away for longer than two periods has not seen what happened meanwhile.
    held = world.records[-1].document["servers"]["chat"]["decision"]["held"]
    assert held == ([] if shrinks else ["partial_reports"])


def test_a_short_gap_does_not_empty_a_window() -> None:
    memory = ServerMemory().told(0.0, 60.0).told(60.0, 60.0)
    assert memory.told_since == 0.0
    assert memory.told(121.0, 60.0).told_since == 121.0


# How long a start takes


def test_start_up_times_are_those_of_the_accelerator_that_the_server_runs_on() -> None:
    chat = controlled_fleet().servers[0]
    startups = StartupTimes({(chat.model, "H100"): (40.0,), (chat.model, "L4"): (300.0,)})

    def startup(*variants: object) -> float:
        return startup_of(chat, variants, startups, SETTINGS)  # type: ignore[arg-type]

    assert startup(CHAT, SMALL) == 40.0
    assert startup(replace(CHAT, replicas_wanted=0), replace(SMALL, replicas_wanted=2)) == 300.0
    # Nowhere yet: it may be started on either.
    assert startup(replace(CHAT, replicas_wanted=0), SMALL) == 300.0
    assert startup(workload("chat", "2xH100", 1)) == SETTINGS.forecast.startup_s
    assert startup() == SETTINGS.forecast.startup_s


def test_replicas_are_ordered_ahead_of_growing_load_by_what_they_take_to_start() -> None:
    """On a ramp, the slower the start the earlier the same size is asked for."""

    def asked_at(startup_s: float) -> float:
        begun = StartupTimes({("org/chat-8b", "H100"): (startup_s,)})
        world = play(
            CHAT,
            rate=lambda seconds: 20.0 + max(0.0, seconds - 300.0) * 0.1,
            settings=SETTINGS,
            startup_s=startup_s,
        )
        world.memory = replace(world.memory, startups=begun)
        while world.wanted(CHAT.ref) < 3:
            go(world)
        return world.monotonic()

    assert asked_at(600.0) < asked_at(300.0) < asked_at(30.0)


def test_a_pod_that_starts_teaches_how_long_its_kind_takes() -> None:
    world = play(CHAT, rate=RATE, settings=SETTINGS, startup_s=77.0)
    world.workloads[CHAT.ref].pods.clear()
    go(world, 8)
    assert world.memory.startups.expected_s("org/chat-8b", "H100", 1.0) == 77.0
    assert world.memory.startups.expected_s("org/chat-8b", "L4", 1.0) == 1.0
    assert world.memory.startups.expected_s("code-14b", "H100", 1.0) == 1.0


def test_a_pod_that_waits_for_cards_teaches_nothing_of_starts() -> None:
    pod = ReplicaState("a", ReplicaPhase.READY, "node", 0.0, 500.0, 540.0)
    waits = replace(pod, phase=ReplicaPhase.PENDING, node="", scheduled_at=None, ready_at=None)
    times = StartupTimes()
    for seen, at in ((waits, 490.0), (pod, 550.0)):
        times = times.with_variant(
            "m", replace(CHAT, replicas=(seen,)), Watch(at, 90.0, 30.0, 900.0)
        )
    assert times.expected_s("m", "H100", 1.0) == 40.0
