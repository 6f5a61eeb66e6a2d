"""Start-up times in a played world: what a pod teaches, and what it never does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from controller.recall import memory_from_text, memory_to_text
from controller.record import JsonObject
from controller.startups import StartupTimes, Watch
from controller.summary import explanation_of
from stoker.cli.control_explanation import explanation_report
from stoker.cli.control_report import status_report
from stoker.cli.output import plain_text
from stoker.domain.control.choices import Mode
from stoker.domain.control.cluster import ReplicaPhase, ReplicaState, VariantState
from stoker.domain.control.settings import (
    ControlSettings,
    ForecastSettings,
    LoopSettings,
    TransitionSettings,
)
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedPod, PlayedWorld, workload

CHAT = workload("chat", "H100", 2)
MODEL = "org/chat-8b"
PERIOD_S, TOLD_S = 30.0, 120.0
TWO_DAYS_S = 172_800.0
SETTINGS = ControlSettings(
    loop=LoopSettings(mode=Mode.ACT, period_s=PERIOD_S),
    forecast=ForecastSettings(startup_s=TOLD_S),
)


def world(
    rate: float = 40.0, slope: float = 0.0, settings: ControlSettings = SETTINGS
) -> PlayedWorld:
    """A cluster whose pods are two days old when the loop comes."""
    played = PlayedWorld(
        controlled_fleet(), settings, [CHAT], {"chat": lambda passed_s: rate + slope * passed_s}
    )
    for pod in pods(played):
        pod.created_at, pod.placed_at = played.began - TWO_DAYS_S, played.began - TWO_DAYS_S
    return played


def pods(played: PlayedWorld) -> list[PlayedPod]:
    return played.workloads[CHAT.ref].pods


def go(played: PlayedWorld, cycles: int = 1) -> JsonObject:
    loop = played.loop()
    for _ in range(cycles):
        loop.cycle()
        played.advance(PERIOD_S)
    return played.records[-1].document


def learned(played: PlayedWorld) -> tuple[float, ...]:
    return played.memory.startups.seconds.get((MODEL, "H100"), ())


def grow(played: PlayedWorld, replicas: int) -> None:
    work = played.workloads[CHAT.ref]
    work.state = replace(work.state, replicas_wanted=replicas, min_replicas=replicas)


def test_a_live_cluster_teaches_nothing_when_the_loop_comes() -> None:
    played = world()
    pods(played)[0].again_at = played.began - 600.0  # its container was restarted ten minutes ago
    pods(played)[1].again_at = played.began + 45.0  # and this one is on its way back
    document = go(played, 6)
    assert learned(played) == ()
    assert document["servers"]["chat"]["forecast"]["horizon_s"] == TOLD_S + PERIOD_S


def test_an_old_pod_that_gets_ready_again_orders_no_more_replicas() -> None:
    sizes = []
    for again in (False, True):
        played = world(slope=1 / 60)
        if again:
            pods(played)[0].again_at = played.began - 600.0
        go(played, 12)
        sizes.append(played.wanted(CHAT.ref))
    assert sizes[0] == sizes[1] <= 2


@pytest.mark.parametrize("away_s", [1.0, 20.0, 400.0])
def test_restarts_flaps_and_lost_nodes_teach_nothing(away_s: float) -> None:
    """A restart, a probe that fails for once, a node that is not ready: Ready turns true anew."""
    played = world()
    go(played, 3)
    for pod in pods(played):
        pod.again_at = played.time + away_s
    go(played, 20)
    assert learned(played) == ()


def test_a_new_pod_teaches_once_whatever_becomes_of_it() -> None:
    played = world()
    played.startup_s = 77.0
    go(played, 2)
    grow(played, 3)
    go(played, 5)
    assert learned(played) == (77.0,)
    for pod in pods(played):
        pod.again_at = played.time + 50.0
    go(played, 5)
    assert learned(played) == (77.0,)


def test_what_was_watched_outlives_the_loop() -> None:
    played = world()
    go(played, 2)
    grow(played, 3)
    go(played)
    played.memory = memory_from_text(memory_to_text(played.memory))
    go(played, 4)
    assert learned(played) == (60.0,)
    assert memory_from_text(memory_to_text(played.memory)).startups == played.memory.startups


def test_what_happened_while_nobody_looked_teaches_nothing() -> None:
    played = world()
    go(played, 2)
    grow(played, 3)
    go(played)
    assert played.ready(CHAT.ref) == 2
    played.advance(7200.0)
    pods(played)[-1].again_at = played.time - 60.0
    go(played, 3)
    assert learned(played) == ()


def test_a_start_that_takes_longer_than_it_may_does_not_count() -> None:
    settings = replace(SETTINGS, transition=TransitionSettings(ready_timeout_s=200.0))
    played = world(settings=settings)
    played.startup_s = 300.0
    go(played, 2)
    grow(played, 3)
    (told,) = go(played, 13)["startups"]
    assert (told["seconds"], told["starts"], told["too_long"]) == (TOLD_S, 0, 1)


def replica(
    name: str, phase: ReplicaPhase, created_at: float, ready_at: float | None = None, why: str = ""
) -> ReplicaState:
    return ReplicaState(name, phase, "node", created_at, created_at, ready_at, why)


def looks(*seen: tuple[float, Iterable[ReplicaState]]) -> StartupTimes:
    times = StartupTimes()
    for at, replicas in seen:
        variant: VariantState = replace(CHAT, replicas=tuple(replicas))
        times = times.with_variant(MODEL, variant, Watch(at, 90.0, 30.0, 900.0))
    return times


def test_a_crash_on_the_way_is_no_start() -> None:
    crashed = replica("a", ReplicaPhase.STARTING, 10.0, why="CrashLoopBackOff: back-off 40s")
    starting = replica("a", ReplicaPhase.STARTING, 10.0)
    ready = replica("a", ReplicaPhase.READY, 10.0, 115.0)
    assert looks((0.0, ()), (30.0, [starting]), (60.0, [starting]), (120.0, [ready])).seconds
    found = looks((0.0, ()), (30.0, [starting]), (60.0, [crashed]), (120.0, [ready]))
    assert found.seconds == {}


def test_a_start_with_a_restart_is_no_start() -> None:
    ready = replace(replica("a", ReplicaPhase.READY, 10.0, 115.0), restarts=1)
    starting = replica("a", ReplicaPhase.STARTING, 10.0)
    assert looks((0.0, ()), (60.0, [starting]), (120.0, [ready])).seconds == {}


def test_a_pod_of_the_same_name_is_another_one() -> None:
    """Those of a stateful set are called what the ones before were called."""
    found = looks(
        (0.0, [replica("chat-0", ReplicaPhase.READY, -5000.0, -4000.0)]),
        (30.0, [replica("chat-0", ReplicaPhase.STARTING, 20.0)]),
        (60.0, [replica("chat-0", ReplicaPhase.READY, 20.0, 55.0)]),
    )
    assert found.seconds == {(MODEL, "H100"): (35.0,)}


def test_an_old_pod_that_is_adopted_teaches_nothing() -> None:
    found = looks((0.0, ()), (30.0, [replica("a", ReplicaPhase.READY, -5000.0, 20.0)]))
    assert found.seconds == {}


def test_workloads_of_one_model_do_not_forget_each_others_pods() -> None:
    other = workload("code", "H100", 1)
    times = StartupTimes()
    for at in (0.0, 30.0, 60.0, 90.0):
        for each in (CHAT, other):
            ready = replica(each.server, ReplicaPhase.READY, 10.0, 25.0)
            seen = replace(each, replicas=(ready,) if at > 0 else ())
            times = times.with_variant(MODEL, seen, Watch(at, 90.0, 30.0, 900.0))
    assert times.seconds == {(MODEL, "H100"): (15.0, 15.0)}
    assert times.only([CHAT.ref]).looks.keys() == {CHAT.ref}


def test_times_of_an_earlier_version_are_left() -> None:
    wrong = '{"model": "m", "accelerator": "H100", "seconds": [172000.0], "counted": ["a"]}'
    text = f'{{"version": 2, "cycles": 4, "servers": {{}}, "startups": [{wrong}]}}'
    back = memory_from_text(text)
    assert (back.cycles, back.startups) == (4, StartupTimes())


def test_what_was_learned_is_shown() -> None:
    played = world()
    (told,) = go(played)["startups"]
    expected = {"model": MODEL, "accelerator": "H100", "servers": ["chat"], "too_long": 0}
    assert told == {**expected, "seconds": TOLD_S, "starts": 0, "origin": "told"}
    grow(played, 4)
    document = go(played, 5)
    assert document["startups"] == [{**expected, "seconds": 60.0, "starts": 2, "origin": "learned"}]
    status = plain_text(status_report(document))
    row = next(line for line in status.splitlines() if line.startswith(MODEL))
    assert row.split() == [MODEL, "H100", "60", "2", "learned"]
    explained = plain_text(explanation_report(explanation_of(document, "chat")))
    assert "takes 60 s to start on H100, as learned from 2 starts." in explained
    assert explanation_of(document, "code")["startups"] == []
