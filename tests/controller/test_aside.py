"""Workloads without replicas that nothing speaks for, beside others that are clear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stoker.domain.control.cluster import ReplicaPhase, ReplicaState, VariantState
from stoker.domain.control.settings import ServerControl
from stoker.domain.control.signals import Signal, SignalName
from tests.controller.test_configurations import (
    FAST,
    RATE,
    SLOW,
    SLOW_NEED,
    after,
    chat,
    two_ways,
)
from tests.support.playing import SMALL, decision, go, play, with_rules

AT_ONCE = with_rules(cooldown_move_s=0.0)
UNSIZED = {
    each: Signal.unknown("nothing tells it")
    for each in (SignalName.INPUT_TOKENS, SignalName.OUTPUT_TOKENS)
}


def told(world: Any) -> str:
    return " ".join(world.records[-1].document["problems"])


OLD = [chat("", 0, "chat-old"), chat(SLOW, 0, "chat-old"), chat(SLOW, 0, "a-chat")]


@pytest.mark.parametrize("old", OLD)
def test_one_without_replicas_beside_one_that_runs_is_in_nobodys_way(old: VariantState) -> None:
    slow = chat(SLOW, 1)
    world = after(slow, old)
    assert (world.wanted(slow.ref), world.wanted(old.ref)) == (SLOW_NEED, 0)
    assert decision(world)["held"] == []
    assert str(old.ref) in told(world)
    assert "stoker.dev/managed" in told(world)


@pytest.mark.parametrize("old", OLD)
def test_its_batch_limit_and_bounds_are_nobodys(old: VariantState) -> None:
    slow = replace(chat(SLOW, 1), max_batch=512)
    world = after(slow, replace(old, max_batch=1, min_replicas=50, max_replicas=1))
    assert (world.wanted(slow.ref), world.wanted(old.ref)) == (SLOW_NEED, 0)


@pytest.mark.parametrize("old", OLD)
def test_the_one_that_runs_shrinks_and_the_other_stays_at_zero(old: VariantState) -> None:
    slow = chat(SLOW, SLOW_NEED + 4)
    world = after(slow, old)
    assert (world.wanted(slow.ref), world.wanted(old.ref)) == (SLOW_NEED, 0)


@pytest.mark.parametrize("first", [True, False])
def test_two_that_are_both_at_zero_are_held(first: bool) -> None:
    one, two = chat(SLOW, 0), chat(SLOW, 0, "chat-old")
    world = after(*((one, two) if first else (two, one)))
    assert (world.wanted(one.ref), world.wanted(two.ref)) == (0, 0)
    assert decision(world)["held"] == ["no_workload"]


def test_pods_that_end_are_still_there() -> None:
    """While they do, it may be that somebody is putting the one in place of the other."""
    slow, old = chat(SLOW, 1), chat(SLOW, 0, "chat-old")
    world = play(slow, old, rate=RATE, fleet=two_ways(), settings=AT_ONCE)
    ends = ReplicaState("old-1", ReplicaPhase.TERMINATING, "node", 0.0)
    seen = world.variant

    def variant(ref: Any) -> VariantState:
        return replace(seen(ref), replicas=(ends,)) if ref == old.ref else seen(ref)

    world.variant = variant  # type: ignore[method-assign]
    go(world, 4)
    assert world.wanted(slow.ref) == 1
    assert decision(world)["held"] == ["no_workload"]
    world.variant = seen  # type: ignore[method-assign]
    go(world, 4)
    assert world.wanted(slow.ref) == SLOW_NEED


def test_two_that_run_are_held_and_a_third_at_zero_changes_nothing() -> None:
    one, two, three = chat(SLOW, 2), chat(SLOW, 1, "chat-v2"), chat(SLOW, 0, "chat-v3")
    world = after(one, two, three)
    assert [world.wanted(each.ref) for each in (one, two, three)] == [2, 1, 0]
    assert decision(world)["held"] == ["no_workload"]
    assert str(three.ref) in told(world)


def test_a_pause_counts_wherever_it_is_written() -> None:
    slow, old = chat(SLOW, 1), replace(chat(SLOW, 0, "chat-old"), paused=True)
    world = after(slow, old)
    assert world.wanted(slow.ref) == 1
    assert decision(world)["held"] == ["paused"]


def test_it_goes_neither_elsewhere_nor_to_zero_while_its_twin_waits_at_zero() -> None:
    """With both at zero nobody could tell which of them to start again."""
    slow, fast, old = chat(SLOW, SLOW_NEED), chat(FAST, 0), chat(SLOW, 0, "chat-old")
    world = after(slow, fast, old, cycles=14)
    assert [world.wanted(each.ref) for each in (slow, fast, old)] == [SLOW_NEED, 0, 0]
    settings = replace(AT_ONCE, servers={"chat": ServerControl("chat", scale_to_zero=True)})
    rate = {"rate": lambda seconds: RATE if seconds < 60 else 0.0}
    world = play(slow, old, fleet=two_ways(), settings=settings, gateway=True, **rate)  # type: ignore[arg-type]
    go(world, 30)
    assert (world.wanted(slow.ref), world.wanted(old.ref)) == (1, 0)
    assert decision(world)["held"] == ["no_workload"]
    assert str(old.ref) in decision(world)["reason"]


@pytest.mark.parametrize("label", ["", "int4"])
def test_one_that_cannot_be_told_keeps_nobody_from_moving(label: str) -> None:
    slow, fast, old = chat(SLOW, SLOW_NEED), chat(FAST, 0), chat(label, 0, "chat-old")
    world = after(slow, fast, old, cycles=14)
    assert (world.wanted(slow.ref), world.wanted(old.ref)) == (0, 0)
    assert 0 < world.wanted(fast.ref) < SLOW_NEED


def test_workloads_of_two_configurations_are_none_of_these() -> None:
    slow, fast = chat(SLOW, SLOW_NEED), chat(FAST, 0)
    world = after(slow, fast, SMALL, cycles=1)
    assert not any(str(each.ref) in told(world) for each in (slow, fast, SMALL))


# From zero


@pytest.mark.parametrize("label", ["", "int4"])
@pytest.mark.parametrize("name", ["a-chat", "z-chat"])
@pytest.mark.parametrize("sized", [True, False])
def test_the_first_replica_is_of_a_workload_that_can_be_told(
    label: str, name: str, sized: bool
) -> None:
    slow, old = chat(SLOW, 0), chat(label, 0, name)
    world = play(slow, old, rate=RATE, fleet=two_ways(), settings=AT_ONCE)
    if not sized:
        world.extra_signals["chat"] = UNSIZED
        go(world, 2)
        assert (world.wanted(slow.ref), world.wanted(old.ref)) == (1, 0)
        del world.extra_signals["chat"]
    go(world, 8)
    assert (world.wanted(slow.ref), world.wanted(old.ref)) == (SLOW_NEED, 0)
    assert decision(world)["held"] == []


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("label", ["", "int4"])
def test_where_none_can_be_told_none_is_started(label: str, sized: bool) -> None:
    """It would be held at its first replica, whatever comes."""
    old = chat(label, 0, "chat-old")
    world = play(old, rate=RATE, fleet=two_ways(), settings=AT_ONCE)
    if not sized:
        world.extra_signals["chat"] = UNSIZED
    go(world, 4)
    assert world.wanted(old.ref) == 0
    assert decision(world)["held"] == ["no_profile"]
    for words in (str(old.ref), "stoker.dev/configuration", SLOW, FAST):
        assert words in decision(world)["reason"]
