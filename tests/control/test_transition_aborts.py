"""Moves that are taken back at every one of their steps, on a real API server."""

from __future__ import annotations

import itertools

import pytest

from stoker.domain.control.choices import TransitionKind
from tests.support.moving import BEFORE, NEW, STAYED, Moving, moving
from tests.support.real_cluster import RealCluster

pytestmark = pytest.mark.timeout(300)  # moves have many steps, and the machine may be busy

_COOLDOWN_S = 600.0


@pytest.mark.parametrize("kind", TransitionKind)
def test_an_abort_at_any_step_returns_to_the_start(
    real_cluster: RealCluster, kind: TransitionKind
) -> None:
    with moving(
        real_cluster,
        kind=kind,
        canary_steps=(0.5, 1.0),
        canary_hold_s=0.0,
        ready_timeout_s=1e6,  # pods look as old as the clock has leapt
    ) as world:
        for steps in itertools.count(1):
            world.hands.written.clear()
            if _moved_in_fewer(world, steps):
                assert steps > 2
                break
            world.abort()
            world.until(lambda: world.arrived(STAYED))
            assert "asked to go back" in world.decision()["reason"]
            # While it is asked for, no other move begins, however long that is.
            world.leapt_s += 2 * _COOLDOWN_S
            world.cycle()
            assert world.wanted(NEW) == 0
            world.abort(asked=False)
            world.leapt_s += 2 * _COOLDOWN_S


def _moved_in_fewer(world: Moving, steps: int) -> bool:
    """Run until so many steps are done; return whether the move is over without so many."""

    def over() -> bool:
        return bool(world.records) and world.decision()["reason"] == "moved"

    world.until(lambda: len(world.hands.written) >= steps or over())
    return len(world.hands.written) < steps


def test_an_abort_after_which_nobody_remembers_leaves_what_the_load_needs(
    real_cluster: RealCluster,
) -> None:
    with moving(
        real_cluster, kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=3600.0
    ) as world:
        world.until(lambda: world.ready() == (2, 1))
        # How many there were is not known any more; as many stay as the load needs.
        world.forgetful = True
        world.crash()
        world.enough = 2 / BEFORE
        world.abort()
        world.until(lambda: world.arrived((2, 0)))
        assert "asked to go back" in world.decision()["reason"]
