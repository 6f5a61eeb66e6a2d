"""Cards that are short, and what one cycle may change."""

from __future__ import annotations

from dataclasses import replace

from stoker.domain.control.changes import ChangeOutcome
from tests.support.played_world import workload
from tests.support.playing import (
    BUSY,
    CHAT,
    CODE,
    SEARCH,
    SMALL,
    decision,
    go,
    needed,
    play,
    with_rules,
)


def test_the_more_important_server_takes_the_free_cards() -> None:
    bulk = replace(SEARCH, server="search")
    world = play(CHAT, bulk, others={"search": 400.0}, cards={"H100": 6})
    go(world)
    total = world.wanted(CHAT.ref) + world.wanted(bulk.ref)
    assert world.wanted(CHAT.ref) == needed()
    assert total <= 6


def test_growth_waits_for_cards_that_another_server_is_still_to_give_up() -> None:
    world = play(
        CHAT, workload("search", "H100", 6), others={"search": 5.0}, cards={"H100": 8}, rate=BUSY
    )
    go(world)
    assert world.wanted(CHAT.ref) == 2
    assert decision(world)["held"] == ["no_capacity"]
    assert "wait for free H100" in decision(world)["reason"]
    go(world, 6)
    assert world.wanted(CHAT.ref) == needed()
    assert decision(world)["held"] == []


def test_of_two_that_want_the_same_card_one_moves_and_the_other_is_sized_where_it_is() -> None:
    world = play(
        replace(CHAT, replicas_wanted=2),
        SMALL,
        replace(SEARCH, replicas_wanted=2),
        workload("search", "L4", 0),
        rate=2.0,
        others={"search": 2.0},
        cards={"H100": 8, "L4": 1},
    )
    go(world)
    assert decision(world)["direction"] == "move"
    assert decision(world, "search")["direction"] == "hold"
    assert decision(world, "search")["wanted_accelerator"] == "H100"


def test_a_cycle_changes_no_more_cards_than_allowed_important_servers_first() -> None:
    world = play(
        CHAT,
        workload("search", "H100", 6),
        CODE,
        others={"search": 5.0, "code": BUSY},
        settings=with_rules(max_cards_change=2),
    )
    seen = []
    for _ in range(12):
        sizes = [world.wanted(each.ref) for each in (CHAT, CODE, SEARCH)]
        go(world)
        after = [world.wanted(each.ref) for each in (CHAT, CODE, SEARCH)]
        assert sum(abs(a - b) for a, b in zip(after, sizes, strict=True)) <= 2
        seen.append(after)
    assert seen[0] == [3, 1, 6]  # chat before code, which is as important, and both before search
    assert seen[-1][0] == needed()
    assert seen[-1][2] < 6


def test_what_was_cut_says_so() -> None:
    world = play(CHAT, settings=with_rules(max_cards_change=1))
    go(world)
    assert world.wanted(CHAT.ref) == 2
    assert decision(world)["direction"] == "up"
    assert decision(world)["held"] == ["change_limit"]
    assert "chat" in world.records[-1].document["problems"][-1]


def test_a_cycle_adds_no_more_cost_than_allowed_and_takes_as_much_as_it_likes() -> None:
    cheap = with_rules(max_cost_change_per_hour=3.5)  # one H100 costs 3
    world = play(CHAT, workload("search", "H100", 6), others={"search": 5.0}, settings=cheap)
    go(world)
    assert world.wanted(CHAT.ref) == 2
    go(world, 7)
    assert world.wanted(SEARCH.ref) == 1


def test_a_limit_below_one_replica_says_that_it_is_never_kept() -> None:
    big = workload("chat", "H100", 1, cards=8)
    for rules, words in (
        (
            with_rules(max_cards_change=4),
            "max_cards_change 4 is less than the 8 cards of one replica: raise it",
        ),
        (
            with_rules(max_cost_change_per_hour=20.0),
            "max_cost_change_per_hour 20 is less than the 24 of one replica: raise it",
        ),
    ):
        world = play(big, settings=rules)
        go(world, 2)
        assert world.wanted(big.ref) == 1
        assert decision(world)["held"] == ["change_limit"]
        assert words in decision(world)["reason"]
        assert "waits" not in decision(world)["reason"]


def test_a_refused_write_is_decided_again() -> None:
    world = play(CHAT)
    world.refuses[CHAT.ref] = ChangeOutcome.CONFLICT
    go(world, 2)
    assert world.wanted(CHAT.ref) == 1
    world.refuses.clear()
    go(world)
    assert world.wanted(CHAT.ref) == needed()
