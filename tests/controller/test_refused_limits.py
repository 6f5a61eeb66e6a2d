"""A batch limit that is refused: the server is sized for what its pods can do meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.ports import Permit
from controller.recall import memory_from_text, memory_to_text
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, VariantTarget
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    LoopSettings,
    StabilitySettings,
)
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, Rate, workload

CHAT = replace(workload("chat", "H100", 1), max_batch=8)
REFUSALS = [ChangeOutcome.CONFLICT, ChangeOutcome.FORBIDDEN, ChangeOutcome.FAILED]


class StubbornWorld(PlayedWorld):
    """A cluster that writes replicas, and batch limits only when it is asked not to refuse them."""

    refusal: ChangeOutcome | None = None

    def _apply(self, target: VariantTarget, permit: Permit) -> ChangeResult:
        work = self.workloads[target.ref]
        before = work.state.replicas_wanted
        if target.max_batch and self.refusal is not None:
            if target.replicas <= before:
                return ChangeResult(target, self.refusal, before, "somebody else's")
        elif target.max_batch:
            work.state = replace(work.state, max_batch=target.max_batch)
        return super()._apply(target, permit)


def world(
    start: int,
    rate: float | Rate = 250.0,
    refusal: ChangeOutcome | None = None,
    *,
    allowed: bool = True,
    cooldown_move_s: float = 300.0,
) -> StubbornWorld:
    stability = StabilitySettings(
        scale_down_window_s=60.0, cooldown_down_s=0.0, cooldown_move_s=cooldown_move_s
    )
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT),
        stability=stability,
        cluster=ClusterSettings(allow_batch_limit=allowed),
    )
    law = rate if callable(rate) else lambda _: rate
    running = replace(CHAT, replicas_wanted=start)
    played = StubbornWorld(
        controlled_fleet(), settings, [running], {"chat": law}, cards={"H100": 99, "L4": 0}
    )
    played.refusal = refusal
    return played


def sizes(played: StubbornWorld, cycles: int) -> list[int]:
    loop = played.loop()
    found = []
    for _ in range(cycles):
        loop.cycle()
        found.append(played.wanted(CHAT.ref))
        played.advance(30.0)
    return found


def asked(played: StubbornWorld) -> list[int]:
    """The cycles in which a limit was asked for, from 0."""
    return [
        cycle
        for cycle, record in enumerate(played.records)
        for each in record.document["servers"]["chat"]["decision"]["targets"]
        if each["max_batch"]
    ]


NEEDED = sizes(world(9, allowed=False), 3)[-1]
"""Replicas that the load takes of pods that take 8 requests at once."""


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("cooldown_move_s", [0.0, 300.0])
def test_it_grows_as_if_nobody_wrote_limits(refusal: ChangeOutcome, cooldown_move_s: float) -> None:
    played = world(9, refusal=refusal, cooldown_move_s=cooldown_move_s)
    found = sizes(played, 40)
    assert NEEDED > 9
    assert found[0] == 9
    assert set(found[1:]) == {NEEDED}
    assert asked(played) == [0, 20]  # and again ten minutes later


def test_it_grows_where_it_was_to_grow_with_the_limit() -> None:
    # Replicas were written, and the words of that change told that the limit was not.
    assert sizes(world(1, refusal=ChangeOutcome.CONFLICT, cooldown_move_s=0.0), 8)[-1] == NEEDED


@pytest.mark.parametrize("told", [8, 512])
def test_it_shrinks_as_if_nobody_wrote_limits(told: int) -> None:
    def shrunk(*, allowed: bool) -> int:
        played = world(40, allowed=allowed, refusal=ChangeOutcome.FORBIDDEN, cooldown_move_s=0.0)
        work = played.workloads[CHAT.ref]
        work.state = replace(work.state, max_batch=told)
        return sizes(played, 15)[-1]

    assert shrunk(allowed=True) == shrunk(allowed=False) < 40


def test_what_is_taken_is_planned_with_at_once() -> None:
    played = world(NEEDED)
    assert sizes(played, 12)[-1] < 9
    assert asked(played) == [0]


def test_the_refusal_outlives_the_loop() -> None:
    played = world(9, refusal=ChangeOutcome.CONFLICT)
    sizes(played, 1)
    played.memory = memory_from_text(memory_to_text(played.memory))
    assert sizes(played, 3) == [NEEDED] * 3
    assert asked(played) == [0]


def test_it_is_told_what_is_planned_with_and_until_when() -> None:
    played = world(9, refusal=ChangeOutcome.FORBIDDEN)
    sizes(played, 2)
    (words,) = played.records[-1].document["problems"]
    assert words.startswith("chat: its batch limit was not taken")
    assert words.endswith("asked for again in 570 s")
    played.refusal = None
    sizes(played, 25)
    assert played.records[-1].document["problems"] == []
    assert played.workloads[CHAT.ref].state.max_batch != 8


def test_a_refused_size_is_no_refused_limit() -> None:
    played = world(9)
    played.workloads[CHAT.ref].state = replace(
        played.workloads[CHAT.ref].state, replicas_wanted=1, max_batch=None
    )
    played.refuses[CHAT.ref] = ChangeOutcome.CONFLICT
    sizes(played, 1)
    assert played.memory.server("chat").limit_refused_at is None
