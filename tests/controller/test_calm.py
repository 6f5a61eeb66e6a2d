"""What keeps a played world calm: quiet hours, cooldowns, and loads told in part."""

from __future__ import annotations

from dataclasses import replace

from controller.memory import Memory
from stoker.domain.control.quiet import QuietHours
from tests.support.playing import (
    CHAT,
    SEARCH,
    SMALL,
    decision,
    go,
    needed,
    play,
    with_rules,
)


def test_nothing_shrinks_in_quiet_hours_and_growth_goes_on() -> None:
    quiet = with_rules(quiet_hours=(QuietHours(0, 24 * 60),))
    world = play(replace(CHAT, replicas_wanted=6), rate=5.0, settings=quiet)
    go(world, 8)
    assert world.wanted(CHAT.ref) == 6
    assert decision(world)["held"] == ["quiet_hours"]
    world = play(CHAT, settings=quiet)
    go(world)
    assert world.wanted(CHAT.ref) == needed()


def test_no_move_begins_in_quiet_hours_and_the_server_is_sized_where_it_is() -> None:
    world = play(
        CHAT, SMALL, settings=with_rules(quiet_hours=(QuietHours(0, 24 * 60),)), rate=120.0
    )
    go(world, 3)
    assert world.wanted(SMALL.ref) == 0
    assert world.wanted(CHAT.ref) == needed(120.0) > 1


def test_a_move_that_a_cooldown_forbids_leaves_the_server_sized_where_it_is() -> None:
    world = play(CHAT, SMALL, rate=120.0)
    memory = Memory().server("chat")
    world.memory = Memory({"chat": replace(memory, moved_at=world.time - 10.0)})
    go(world)
    assert world.wanted(SMALL.ref) == 0
    assert world.wanted(CHAT.ref) == needed(120.0)


def test_a_plan_that_wants_an_accelerator_without_workload_is_made_again() -> None:
    # Search runs on an H100 and a cheaper L4 would do, for which it has no workload.
    world = play(CHAT, SEARCH, others={"search": 30.0})
    go(world)
    assert decision(world, "search")["wanted_accelerator"] == "H100"
    assert decision(world, "search")["held"] == []


def test_a_load_told_in_part_makes_nothing_smaller() -> None:
    world = play(replace(CHAT, replicas_wanted=6), rate=5.0)
    world.reporting["chat"] = 2.0
    go(world, 8)
    assert world.wanted(CHAT.ref) == 6
    assert decision(world)["held"] == ["partial_reports"]


def test_a_loop_that_was_away_watches_the_whole_window_again() -> None:
    world = play(replace(CHAT, replicas_wanted=6), rate=250.0, settings=with_rules())
    go(world, 10)
    before = world.wanted(CHAT.ref)
    world.advance(3600.0)
    world.rates["chat"] = lambda _: 5.0
    for _ in range(3):
        go(world)
        assert world.wanted(CHAT.ref) == before > 1
    go(world)
    assert world.wanted(CHAT.ref) == 1
