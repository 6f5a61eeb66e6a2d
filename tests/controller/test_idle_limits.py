"""Batch limits while nobody asks: nothing tells which is right, so pods keep theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.ports import Permit
from stoker.domain.control.changes import ChangeResult, VariantTarget
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    LoopSettings,
    ServerControl,
    StabilitySettings,
)
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload
from tests.support.playing import decision

RUNNING = workload("chat", "H100", 3)
LEAST = 2


class TakingWorld(PlayedWorld):
    """A cluster that takes the batch limits that are written."""

    written: tuple[tuple[float, int], ...] = ()
    """When each was written, in seconds from the start, and which."""

    def _apply(self, target: VariantTarget, permit: Permit) -> ChangeResult:
        if target.max_batch is not None:
            work = self.workloads[target.ref]
            work.state = replace(work.state, max_batch=target.max_batch)
            self.written = (*self.written, (self.monotonic(), target.max_batch))
        return super()._apply(target, permit)


def played(
    told: int | None, rate: Callable[[float], float], cycles: int, *, allowed: bool = True
) -> TakingWorld:
    """Half a minute a cycle, with pods that are told a limit and at least two replicas."""
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT),
        stability=StabilitySettings(
            scale_down_window_s=60.0, cooldown_down_s=0.0, cooldown_move_s=300.0
        ),
        cluster=ClusterSettings(allow_batch_limit=allowed),
        servers={"chat": ServerControl("chat", min_replicas=LEAST)},
    )
    running = replace(RUNNING, max_batch=told)
    world = TakingWorld(controlled_fleet(), settings, [running], {"chat": rate})
    loop = world.loop()
    for _ in range(cycles):
        loop.cycle()
        world.advance(30.0)
    return world


def by_turns(seconds: float) -> float:
    """Ten minutes of load and ten of none."""
    return 200.0 if seconds // 600 % 2 == 0 else 0.0


def right_limit() -> int:
    ((_, limit),) = played(None, lambda _: 200.0, 1).written
    return limit


def test_idle_spells_change_no_limit() -> None:
    assert played(right_limit(), by_turns, 100).written == ()


def test_a_limit_that_is_far_off_waits_until_requests_come() -> None:
    world = played(8, lambda seconds: 0.0 if seconds < 600 else 200.0, 25)
    ((at, limit),) = world.written
    assert at == 600.0
    assert limit == pytest.approx(right_limit(), rel=0.05)


@pytest.mark.parametrize("allowed", [True, False])
def test_an_idle_server_goes_to_its_least_size_whatever_its_pods_are_told(allowed: bool) -> None:
    world = played(8, lambda _: 0.0, 20, allowed=allowed)
    assert (world.wanted(RUNNING.ref), world.written) == (LEAST, ())
    assert decision(world)["held"] == []
