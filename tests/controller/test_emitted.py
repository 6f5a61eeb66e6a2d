"""Hands off in a closed loop: somebody else follows the gauge late, in part, or never."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from controller.recall import memory_from_text, memory_to_text
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import StabilitySettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.hands_off import (
    CHAT,
    DESIRED,
    PERIOD_S,
    SETTINGS,
    Follower,
    HandsOff,
    at_once,
    by_steps,
    hands_off,
    late,
    never,
)
from tests.support.played_world import PlayedWorld, workload


def turns(sizes: list[float]) -> int:
    """How often they turn from growing to shrinking or back."""
    steps = [after - before for before, after in pairwise(sizes) if after != before]
    return sum(one * other < 0 for one, other in pairwise(steps))


FOLLOWERS = [never, at_once, late(1), late(4), by_steps(1), by_steps(3, most=4)]


@pytest.mark.parametrize("cooldown_s", [0.0, 300.0, 1e6])
@pytest.mark.parametrize("follower", FOLLOWERS)
def test_what_is_desired_stays_desired_whoever_follows(
    follower: Follower, cooldown_s: float
) -> None:
    off = hands_off(follower, stability=StabilitySettings(cooldown_up_s=cooldown_s))
    sizes = off.go(10)
    assert sizes[0] > 4
    assert set(sizes) == set(sizes[:1])


@pytest.mark.parametrize("follower", FOLLOWERS)
def test_a_load_that_falls_is_followed_down_without_a_saw(follower: Follower) -> None:
    off = hands_off(follower, rate=lambda passed_s: 600.0 if passed_s < 200.0 else 60.0)
    sizes = off.go(25)
    assert sizes[-1] < sizes[0]
    assert turns(sizes) == 0


def test_a_follower_that_comes_in_time_is_seen() -> None:
    off = hands_off(late(2))
    sizes = off.go(6)
    assert off.world.wanted(CHAT.ref) == sizes[-1]
    assert not off.world.memory.emitted.sizes
    off.scale(1)  # somebody else takes them away again: the loop sees that, and asks once more
    assert off.go()[0] == sizes[-1]


def test_cooldowns_count_from_what_was_emitted() -> None:
    stability = StabilitySettings(cooldown_up_s=100.0)
    off = hands_off(
        never, rate=lambda passed_s: 300.0 if passed_s < 30.0 else 900.0, stability=stability
    )
    sizes = off.go(6)
    first, last = sizes[0], sizes[-1]
    assert last > first
    assert sizes == [first] * 4 + [last] * 2  # 120 s are the first moment after 100 s


def test_an_unknown_load_holds_what_was_emitted() -> None:
    off = hands_off(never, rate=lambda passed_s: 600.0 if passed_s < 60.0 else None)
    sizes = off.go(6)
    assert off.world.records[-1].document["servers"]["chat"]["load"] is None
    assert set(sizes) == {sizes[0]}


def test_a_cluster_that_cannot_be_seen_tells_nothing_and_forgets_nothing() -> None:
    off = hands_off(never)
    (size,) = off.go()
    off.world.blind_cluster = True
    for _ in range(12):
        off.metrics.told(off.loop.cycle())
        assert not off.samples()[DESIRED[0]].samples  # no series is no change
        off.world.advance(PERIOD_S)
    off.world.blind_cluster = False
    off.world.rates["chat"] = lambda _: None
    assert off.go() == [size]


def test_a_loop_that_starts_again_goes_on_emitting() -> None:
    off = hands_off(never)
    sizes = off.go(2)
    off.world.memory = memory_from_text(memory_to_text(off.world.memory))
    off.world.rates["chat"] = lambda _: None
    off.begin()
    assert off.go() == sizes[-1:]
    off.world.advance(3600.0)  # an hour without a loop: others have decided meanwhile
    off.begin()
    assert off.go() == [1.0]


def test_a_workload_that_is_paused_is_asked_for_nothing() -> None:
    off = hands_off(by_steps(1))
    off.go(2)
    work = off.world.workloads[CHAT.ref]
    work.state = replace(work.state, paused=True)
    has = off.world.wanted(CHAT.ref)
    assert off.go(2) == [has, has]


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ADVISE])
def test_nothing_is_emitted_in_modes_that_change_nothing(mode: Mode) -> None:
    settings = replace(SETTINGS, loop=replace(SETTINGS.loop, mode=mode))
    off = hands_off(at_once, settings=settings)
    assert off.go(3) == [1.0, 1.0, 1.0]
    assert off.counted("up") == 0


def test_what_was_approved_stays_emitted_and_waits_no_more() -> None:
    settings = replace(SETTINGS, loop=replace(SETTINGS.loop, mode=Mode.ADVISE))
    off = hands_off(never, settings=settings)
    off.go()
    assert off.world.records[-1].document["proposal"]["servers"] == ["chat"]
    off.world.approves = frozenset({"chat"})
    (size,) = off.go()
    assert size > 1
    off.world.approves = frozenset()
    assert off.go(3) == [size] * 3
    assert off.world.records[-1].document["proposal"] is None


def test_one_that_does_not_lead_emits_nothing() -> None:
    off = hands_off(never)
    off.world.leads = False
    assert off.go(3) == [1.0] * 3


def test_dry_runs_emit_nothing() -> None:
    settings = replace(SETTINGS, loop=replace(SETTINGS.loop, dry_run=True))
    off = hands_off(never, settings=settings)
    assert off.go(3) == [1.0] * 3


def test_changes_are_counted_and_told_once() -> None:
    off = hands_off(late(2), rate=lambda passed_s: 600.0 if passed_s < 200.0 else 60.0)
    off.go(25)
    sizes = off.desired
    for prefix in ("wva", "inferno"):
        assert off.counted("up", prefix) == 1
        assert off.counted("down", prefix) == sum(b < a for a, b in pairwise(sizes))
    emitted = {
        sample.labels["outcome"]: sample.value
        for sample in off.samples()["stoker_changes"].samples
        if sample.value
    }
    assert emitted == {"emitted": off.counted("up") + off.counted("down")}
    notices = [each for each in off.world.notices if each.ref == CHAT.ref]
    told = [each.words for each in notices if each.reason == "Emitted"]
    assert len(told) == emitted["emitted"]
    assert told[0].startswith(f"chat: 1 to {sizes[0]:.0f} replicas are emitted")
    assert all(each.well for each in notices if each.reason == "Emitted")


def test_a_move_makes_before_it_breaks_though_others_write() -> None:
    """Ten replicas go to the other accelerator: those that serve never fall below what it takes."""
    small = workload("chat", "L4", 0)
    settings = replace(SETTINGS, stability=StabilitySettings(cooldown_move_s=0.0))
    world = PlayedWorld(
        controlled_fleet(), settings, [workload("chat", "H100", 2), small], {"chat": lambda _: 2.0}
    )
    off = HandsOff(world, never)
    for cycle in range(30):
        off.metrics.told(off.loop.cycle())
        if cycle % 3 == 2:  # it comes now and then
            for ref in (CHAT.ref, small.ref):
                off.scale(int(off.gauge(DESIRED[0], ref)), ref)
        assert world.ready(CHAT.ref) + world.ready(small.ref) >= 1
        world.advance(PERIOD_S)
    assert world.wanted(CHAT.ref) == 0
    assert world.ready(small.ref) >= 1
