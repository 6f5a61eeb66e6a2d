"""Loops that die in the midst of a move, on a real API server: another one gets there all the same.

The loop dies before every single write and after it, before it could write anything down, and
between cycles. What goes on knows the cluster and what was written down before, or the cluster
alone: then it has to look for a while before anything shrinks.
"""

from __future__ import annotations

import pytest

from stoker.domain.control.choices import TransitionKind
from tests.support.moving import MOVED, NEW, OLD, STAYED, moving
from tests.support.real_cluster import RealCluster

pytestmark = pytest.mark.timeout(300)  # moves have many steps, and the machine may be busy


@pytest.mark.parametrize("forgetful", [False, True], ids=["recalls", "forgets"])
@pytest.mark.parametrize("kind", TransitionKind)
def test_a_loop_that_dies_at_every_write_gets_there(
    real_cluster: RealCluster, kind: TransitionKind, forgetful: bool
) -> None:
    # Nobody who forgets knows how long a canary was watched.
    hold_s = 0.0 if forgetful else 5.0
    with moving(real_cluster, kind=kind, canary_steps=(0.5, 1.0), canary_hold_s=hold_s) as world:
        world.forgetful = forgetful
        world.hands.deadly = True
        world.until(lambda: world.arrived(MOVED), after=world.crash_often)
        # One more cycle each: it is over, and stays over.
        for _ in range(2):
            world.cycle()
            world.crash()
        assert world.arrived(MOVED)
        deaths: dict[tuple[str, int], set[str]] = {
            (name, replicas): set() for name, replicas in world.hands.written
        }
        for when, name, replicas in world.hands.died:
            deaths.setdefault((name, replicas), set()).add(when)
        # What a loop died before may be overtaken, where the next one sees that more may go.
        done = set(world.hands.written)
        assert all(deaths[each] == {"before", "after"} for each in done), deaths
        for name, replicas in deaths.keys() - done:
            assert name == OLD, deaths
            assert any(one == OLD and less < replicas for one, less in done), deaths
        # Nothing was given up that had been made: the new workload only ever grew.
        sizes = [replicas for name, replicas in world.hands.written if name == NEW]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("kind", TransitionKind)
def test_a_loop_that_dies_on_the_way_back_gets_back(
    real_cluster: RealCluster, kind: TransitionKind
) -> None:
    with moving(real_cluster, kind=kind, canary_steps=(0.5, 1.0), canary_hold_s=0.0) as world:
        world.until(lambda: world.wanted(NEW) > 0)
        world.abort()
        world.hands.deadly = True
        world.until(lambda: world.arrived(STAYED), after=world.crash_often)
        assert any(when == "after" for when, *_ in world.hands.died)
