"""The closed loop while a part of its world breaks: nothing shrinks, and afterwards it goes on.

Two servers under a load that two replicas of each can carry. One has five: whatever the loop is not
kept from, it would do, and each fault lasts longer than its window of scaling down. The other one
is healthy, and goes on being scaled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks.soak.faults import TURNS
from tests.support.broken_world import BrokenWorld
from tests.support.fault_campaign import Fault, endure
from tests.support.faults_of_parts import FAULTS

pytestmark = pytest.mark.timeout(1200)

COUNT = int(os.environ.get(TURNS, "1"))
"""How often each fault is caused; more often in `make soak`."""


@pytest.fixture
def world(unbroken: BrokenWorld) -> Iterator[BrokenWorld]:
    """The world with a loop."""
    unbroken.write(1)
    with unbroken.looping():
        yield unbroken


@pytest.mark.parametrize("turn", range(COUNT))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.split(":")[-1].strip())
def test_nothing_shrinks_while_it_lasts_and_the_loop_goes_on(
    world: BrokenWorld, fault: Fault, turn: int
) -> None:
    endure(world, fault, thorough=0 < turn == COUNT - 1)
