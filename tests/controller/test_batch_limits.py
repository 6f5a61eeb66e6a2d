"""When a batch limit is written: it restarts every replica, so seldom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stoker.domain.control.changes import Direction
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    LoopSettings,
    Mode,
    StabilitySettings,
)
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload


def limits(
    told: int | None, cycles: int = 1, *, allowed: bool = True, stability: StabilitySettings
) -> list[int | None]:
    """The limit that each of some cycles, half a minute apart, decides to write for the server."""
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT),
        stability=stability,
        cluster=ClusterSettings(allow_batch_limit=allowed),
    )
    running = replace(workload("chat", "H100", 1), max_batch=told)
    world = PlayedWorld(controlled_fleet(), settings, [running], {"chat": lambda _: 40.0})
    loop = world.loop()
    found = []
    for _ in range(cycles):
        decision = loop.cycle().document["servers"]["chat"]["decision"]
        found.append(next((each["max_batch"] for each in decision["targets"]), None))
        if found[-1] is not None:
            same = decision["targets"][0]["replicas"] == decision["targets"][0]["replicas_before"]
            assert (decision["direction"] == Direction.MOVE.value) == same
        world.advance(30.0)
    return found


CALM = StabilitySettings(cooldown_move_s=90.0)


def wanted() -> int:
    (limit,) = limits(None, stability=CALM)
    assert limit is not None
    return limit


def test_a_limit_that_nobody_told_is_written() -> None:
    assert wanted() > 1
    assert limits(None, stability=CALM, allowed=False) == [None]


@pytest.mark.parametrize(
    ("factor", "written"), [(1.0, False), (0.95, False), (0.5, True), (2, True)]
)
def test_a_difference_within_the_hysteresis_is_left(factor: float, written: bool) -> None:
    (limit,) = limits(round(factor * wanted()), stability=CALM)
    assert limit == (wanted() if written else None)


def test_after_one_the_next_waits_as_a_move_does() -> None:
    # The played cluster does not take the limit: it is asked for again, when that is due.
    found = limits(1, 5, stability=CALM)
    assert [limit is not None for limit in found] == [True, False, False, True, False]


def test_none_is_written_in_quiet_hours() -> None:
    quiet = replace(CALM, quiet_hours=((0, 24 * 60),))
    assert limits(1, stability=quiet) == [None]
