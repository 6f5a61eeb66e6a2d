"""Moves to another accelerator in a played world."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.memory import Memory
from controller.recall import memory_from_text, memory_to_text
from controller.transition import ABORT
from stoker.domain.control.choices import TransitionKind
from stoker.domain.control.settings import TransitionSettings
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.fleet import Fleet
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import workload
from tests.support.playing import (
    CHAT,
    PERIOD_S,
    SETTINGS,
    SMALL,
    decision,
    go,
    needed,
    play,
    with_rules,
)


def test_a_move_without_a_free_card_leaves_the_server_free_to_grow() -> None:
    settings = with_rules(cooldown_move_s=0.0)
    full = workload("search", "L4", 8)  # it is to give seven up, and calms down first
    world = play(
        CHAT,
        SMALL,
        full,
        others={"search": 2.0},
        cards={"H100": 8, "L4": 8},
        rate=120.0,
        settings=settings,
    )
    go(world)
    assert world.wanted(SMALL.ref) == 0
    assert world.wanted(CHAT.ref) == needed(120.0) > 1


def test_a_dip_in_the_midst_of_a_move_does_not_take_replicas() -> None:
    def law(seconds: float) -> float:
        return 4.0 if 30 <= seconds < 100 else 120.0

    waves = replace(SETTINGS, transition=TransitionSettings(surge_replicas=2))
    held = replace(CHAT, replicas_wanted=4)
    fleet = priced(L4=0.2)  # a move pays at once
    world = play(held, SMALL, rate=law, startup_s=60.0, settings=waves, fleet=fleet)
    loop = world.loop()
    for _ in range(12):
        loop.cycle()
        assert world.ready(CHAT.ref) / 4 + world.ready(SMALL.ref) / 7 >= 1
        world.advance(PERIOD_S)
    assert (world.wanted(CHAT.ref), world.ready(SMALL.ref)) == (0, 7)


def test_a_move_is_not_begun_for_a_dip() -> None:
    def law(seconds: float) -> float:
        return 4.0 if 60 <= seconds < 120 else 120.0

    here = needed(120.0)
    world = play(replace(CHAT, replicas_wanted=here), SMALL, rate=law, fleet=priced(L4=0.9))
    loop = world.loop()
    held = set()
    for _ in range(8):
        loop.cycle()
        held |= set(decision(world)["held"])
        assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (here, 0)
        world.advance(PERIOD_S)
    assert "stabilizing" in held


@pytest.mark.parametrize("gap", ["load", "state", "loop"])
def test_a_gap_does_not_hide_the_load_before_a_dip(gap: str) -> None:
    gap_s = 600.0
    back_s = gap_s + (900.0 if gap == "loop" else PERIOD_S)

    def law(seconds: float) -> float | None:
        if gap == "load" and gap_s <= seconds < back_s:
            return None
        return 4.0 if back_s <= seconds < back_s + 60 else 120.0

    here = needed(120.0)
    world = play(replace(CHAT, replicas_wanted=here), SMALL, rate=law, fleet=priced(L4=0.9))
    while world.monotonic() < back_s + 300:
        if gap == "loop" and world.monotonic() == gap_s:
            world.memory = memory_from_text(memory_to_text(world.memory))
            world.advance(back_s - gap_s)
        world.blind_cluster = gap == "state" and gap_s <= world.monotonic() < back_s
        go(world)
        assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (here, 0)


def test_a_move_for_less_load_begins_once_that_has_lasted() -> None:
    def law(seconds: float) -> float:
        return 120.0 if seconds < 60 else 4.0

    here = needed(120.0)
    world = play(replace(CHAT, replicas_wanted=here), SMALL, rate=law, fleet=priced(L4=0.9))
    go(world, 16)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (0, 1)


def priced(**prices: float) -> Fleet:
    """The fleet with other prices of accelerators."""
    fleet = controlled_fleet()
    accelerators = tuple(
        replace(each, cost_per_hour=prices.get(each.name, each.cost_per_hour))
        for each in fleet.accelerators
    )
    return replace(fleet, accelerators=accelerators)


@pytest.mark.parametrize(("share", "moves"), [(0.7, True), (0.95, False)])
def test_a_server_of_the_right_size_moves_where_that_saves_more_than_it_costs(
    share: float, moves: bool
) -> None:
    here = needed(120.0)
    there = 7  # replicas on L4
    h100 = next(each for each in controlled_fleet().accelerators if each.name == "H100")
    fleet = priced(L4=share * here * h100.cost_per_hour / there)
    world = play(replace(CHAT, replicas_wanted=here), SMALL, rate=120.0, fleet=fleet)
    go(world, 12)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == ((0, there) if moves else (here, 0))


def test_a_move_heeds_the_bounds_of_where_it_goes() -> None:
    world = play(replace(CHAT, replicas_wanted=2), replace(SMALL, min_replicas=3), rate=2.0)
    go(world, 8)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (0, 3)


def test_an_abort_that_stays_on_keeps_the_server_sized_where_it_is() -> None:
    stay = replace(CHAT, annotations={ABORT: "true"})
    world = play(stay, SMALL, rate=120.0, settings=with_rules(cooldown_move_s=0.0))
    go(world, 4)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (needed(120.0), 0)


@pytest.mark.parametrize("forget", [False, True])
@pytest.mark.parametrize("after", range(1, 7))
def test_an_abort_never_leaves_fewer_than_are_needed(after: int, forget: bool) -> None:
    world = play(replace(CHAT, replicas_wanted=4), SMALL, rate=2.0, startup_s=60.0)
    go(world, after)
    if forget:
        world.memory = Memory()
    work = world.workloads[CHAT.ref]
    work.state = replace(work.state, annotations={ABORT: "true"})
    for _ in range(10):
        before = world.ready(CHAT.ref) + world.ready(SMALL.ref)
        go(world)
        assert world.ready(CHAT.ref) + world.ready(SMALL.ref) >= min(before, 1) > 0


def test_load_that_grows_while_a_canary_is_watched_is_carried() -> None:
    def law(seconds: float) -> float:
        return 30.0 if seconds < 100 else 120.0

    canary = TransitionSettings(
        kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=3600.0
    )
    world = play(
        replace(CHAT, replicas_wanted=4),
        SMALL,
        rate=law,
        settings=replace(SETTINGS, transition=canary),
        startup_s=30.0,
    )
    go(world, 4)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (2, 1)
    go(world, 4)
    # Two of four old ones carry what one of two new ones would: six of seven new ones are needed.
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (2, 6)


def test_a_move_that_waits_for_cards_for_ever_is_taken_back() -> None:
    moving = TransitionSettings(ready_timeout_s=200.0)
    world = play(
        replace(CHAT, replicas_wanted=2),
        replace(SMALL, min_replicas=4),
        rate=2.0,
        cards={"H100": 4, "L4": 2},
        settings=replace(SETTINGS, transition=moving),
    )
    go(world, 6)
    assert world.wanted(SMALL.ref) == 2
    go(world, 8)
    assert world.wanted(SMALL.ref) == 0
    assert world.wanted(CHAT.ref) >= 1


def test_a_move_rests_while_the_load_is_told_in_part() -> None:
    world = play(replace(CHAT, replicas_wanted=2), SMALL, rate=2.0)
    go(world, 1)
    world.reporting["chat"] = 0.0
    go(world, 6)
    assert world.wanted(CHAT.ref) == 2
    del world.reporting["chat"]
    go(world, 4)
    assert world.wanted(CHAT.ref) == 0


def test_latency_that_breaks_the_target_takes_a_canary_back() -> None:
    canary = TransitionSettings(
        kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=90.0
    )
    settings = replace(SETTINGS, transition=canary)
    world = play(replace(CHAT, replicas_wanted=2), SMALL, rate=2.0, settings=settings)
    go(world, 4)
    assert world.ready(SMALL.ref) == 1
    world.extra_signals["chat"] = {SignalName.TTFT_MEAN: Signal.known(2000.0, 1.0, "q")}
    go(world, 3)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (2, 0)
