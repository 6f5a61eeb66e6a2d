"""Why servers of a played world are held, and the bounds of their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from stoker.domain.control.cluster import VariantState
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import workload
from tests.support.playing import (
    BUSY,
    CHAT,
    CODE,
    SETTINGS,
    changed,
    decision,
    go,
    needed,
    play,
    with_server,
)


def test_a_paused_server_is_left_alone() -> None:
    world = play(replace(CHAT, paused=True))
    go(world, 3)
    assert world.wanted(CHAT.ref) == 1
    assert decision(world)["held"] == ["paused"]
    assert decision(world)["targets"] == []


def test_cards_of_a_paused_server_are_not_given_to_others() -> None:
    # Search pauses with 6 of 8 cards and no load at all: chat may have the other two alone.
    paused = replace(workload("search", "H100", 6), paused=True)
    world = play(CHAT, paused, others={"search": 0.0}, cards={"H100": 8})
    go(world, 3)
    assert world.wanted(paused.ref) == 6
    assert world.wanted(CHAT.ref) <= 2
    assert decision(world)["held"] == ["no_capacity"]
    assert decision(world)["wanted_replicas"] is None  # no plan promises it cards of the other


def test_cards_of_workloads_that_cannot_be_managed_are_not_given_away() -> None:
    lost = replace(workload("nobody", "H100", 6), problem="its label names no server")
    world = play(CHAT, lost, cards={"H100": 8})
    go(world)
    assert world.wanted(CHAT.ref) == 1
    assert decision(world)["held"] == ["no_capacity"]


@pytest.mark.parametrize(
    ("variants", "rate", "reason"),
    [
        ((), BUSY, "no_workload"),
        ((CHAT,), None, "load_unknown"),
        ((CHAT,), 20000.0, "no_capacity"),
    ],
)
def test_why_a_server_is_held(
    variants: Sequence[VariantState], rate: float | None, reason: str
) -> None:
    world = play(*variants, rate=rate)
    go(world, 2)
    told = decision(world)
    assert (told["direction"], told["held"], told["targets"]) == ("hold", [reason], [])
    assert told["reason"]


def test_a_model_without_profile_is_held_and_others_go_on() -> None:
    fleet = controlled_fleet()
    profiles = tuple(each for each in fleet.profiles if each.model != "code-14b")
    world = play(CHAT, CODE, fleet=replace(fleet, profiles=profiles), others={"code": 50.0})
    go(world)
    assert decision(world, "code")["held"] == ["no_profile"]
    assert "no profile" in decision(world, "code")["reason"]
    assert world.wanted(CODE.ref) == 1
    assert world.wanted(CHAT.ref) == needed() > 1


def test_targets_that_nothing_meets_are_no_missing_profile() -> None:
    fleet = controlled_fleet()
    classes = tuple(
        replace(each, targets=tuple(replace(t, itl_ms=0.5) for t in each.targets))
        for each in fleet.service_classes
    )
    world = play(CHAT, fleet=replace(fleet, service_classes=classes))
    go(world)
    assert decision(world)["held"] == ["no_capacity"]
    assert world.wanted(CHAT.ref) == 1


def test_a_cluster_that_does_not_tell_holds_all() -> None:
    world = play(CHAT)
    world.blind_cluster = True
    go(world)
    assert decision(world)["held"] == ["state_unknown"]


# Bounds


@pytest.mark.parametrize("where", ["annotation", "control", "document"])
def test_least_and_most_hold_wherever_they_stand(where: str) -> None:
    def bounded(rate: float, **bound: Any) -> int:
        variant, settings, fleet = CHAT, SETTINGS, controlled_fleet()
        if where == "annotation":
            variant = replace(CHAT, **bound)
        elif where == "control":
            settings = with_server(**bound)
        else:
            fleet = changed(fleet, **bound)
        world = play(variant, rate=rate, settings=settings, fleet=fleet)
        go(world, 2)
        return world.wanted(CHAT.ref)

    assert needed() > 2
    assert bounded(BUSY, max_replicas=2) == 2
    assert bounded(1.0, min_replicas=5) == 5


def test_a_most_below_what_is_needed_says_so() -> None:
    world = play(CHAT, settings=with_server(max_replicas=2))
    go(world)
    assert f"{needed()} replicas would be needed, and 2 are allowed" in decision(world)["reason"]


def test_a_most_set_below_what_runs_is_reached_though_the_load_asks_for_more() -> None:
    world = play(replace(CHAT, replicas_wanted=6, max_replicas=2))
    go(world, 8)
    assert world.wanted(CHAT.ref) == 2


def test_a_least_above_the_most_wins() -> None:
    world = play(replace(CHAT, min_replicas=4, max_replicas=2))
    go(world)
    assert world.wanted(CHAT.ref) == 4
