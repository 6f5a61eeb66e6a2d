"""A server that cannot be served in full does not give up what serves it for a part elsewhere."""

from __future__ import annotations

from dataclasses import replace

from controller.memory import Transition
from stoker.domain.settings import SaturationPolicy
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld
from tests.support.playing import CHAT, SMALL, decision, go, needed, play, with_rules


def busy(running: int, cards: dict[str, int], rate: float, small: int = 0) -> PlayedWorld:
    fleet = controlled_fleet()
    cheap = tuple(
        replace(each, cost_per_hour=0.05) if each.name == "L4" else each
        for each in fleet.accelerators
    )
    settings = replace(fleet.settings, saturation_policy=SaturationPolicy.PRIORITY_EXHAUSTIVE)
    return play(
        replace(CHAT, replicas_wanted=running),
        replace(SMALL, replicas_wanted=small),
        rate=rate,
        fleet=replace(fleet, settings=settings, accelerators=cheap),
        cards=cards,
        settings=with_rules(cooldown_move_s=0.0),
        startup_s=20.0,
    )


def test_no_move_begins_to_a_part_of_what_is_needed() -> None:
    rate = 1000.0
    most = 5
    assert needed(rate) > most
    world = busy(most, {"H100": most, "L4": 1}, rate)
    go(world, 10)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (most, 0)


def test_it_grows_where_it_is_as_far_as_cards_go() -> None:
    world = busy(3, {"H100": 5, "L4": 1}, 1000.0)
    go(world, 4)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (5, 0)


def test_a_move_under_way_takes_nothing_while_the_rest_is_not_served() -> None:
    world = busy(5, {"H100": 5, "L4": 1}, 1000.0, small=1)
    memory = world.memory.server("chat")
    move = Transition(CHAT.ref, SMALL.ref, 5, world.time, wanted_before=1)
    world.memory = world.memory.with_server("chat", replace(memory, transition=move))
    go(world, 10)
    assert world.ready(CHAT.ref) == 5
    assert decision(world)["reason"]


def test_a_mix_is_held_and_says_what_the_fleet_needs() -> None:
    fleet = controlled_fleet()
    mixing = replace(fleet, settings=replace(fleet.settings, heterogeneous=True))
    start = replace(CHAT, replicas_wanted=1)
    world = play(start, SMALL, rate=250.0, fleet=mixing, cards={"H100": 2, "L4": 9})
    go(world, 3)
    told = decision(world)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (1, 0)
    assert told["held"] == ["no_workload"]
    assert "optimizer.heterogeneous: false" in told["reason"]
