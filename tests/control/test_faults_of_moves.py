"""A move to another accelerator during which the world breaks: it rests, and goes on."""

from __future__ import annotations

import pytest

from stoker.domain.control.choices import TransitionKind
from stoker.domain.control.signals import Signal, SignalName
from tests.support.moving import BEFORE, MOVED, WANTED, moving
from tests.support.real_cluster import RealCluster

_CYCLES = 6


@pytest.mark.parametrize("kind", [TransitionKind.ROLLING, TransitionKind.BLUE_GREEN])
def test_a_move_rests_while_the_load_is_unknown(
    real_cluster: RealCluster, kind: TransitionKind
) -> None:
    with moving(real_cluster, kind=kind) as world:
        world.until(lambda: world.sizes()[1] > 0)
        known = dict(world.told.signals)
        before = world.sizes()
        world.told.signals = {SignalName.ARRIVAL_RATE: Signal.unknown("nobody measures it")}
        for _ in range(_CYCLES):
            world.cycle()
            assert "load_unknown" in world.decision()["held"]
            assert world.sizes()[0] == before[0], "the old ones went though nobody knows the load"
            assert world.sizes()[1] >= before[1]
        world.told.signals = known
        world.until(lambda: world.arrived(MOVED))
        # Make before break, all the way: the old ones went only after the new ones were there.
        assert world.hands.written[-1][1] == 0
        assert before[0] <= BEFORE
        assert world.sizes()[1] == WANTED
