"""Loops that crash, that are replaced, and that wake up when they have been: nothing twice."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.soak.faults import MOST_CYCLES, TURNS, Injection, note
from demos.cluster.closed_loop import NAMESPACE
from tests.support.broken_world import CHAT, NEEDED, PATIENCE_S, REPLICAS, BrokenWorld
from tests.support.fault_campaign import PROBLEMS, acted, as_ever, calm, recovery, wrong
from tests.support.other_loops import Moment, other_loop, stands_still
from tests.support.real_cluster import eventually

pytestmark = pytest.mark.timeout(1200)

COUNT = int(os.environ.get(TURNS, "1"))


@pytest.fixture
def world(unbroken: BrokenWorld) -> BrokenWorld:
    """The world with more replicas than are needed, and no loop."""
    unbroken.write(REPLICAS[CHAT])
    with unbroken.looping():
        calm(unbroken)
    return unbroken


def generation(world: BrokenWorld) -> int:
    """How often somebody changed what the suffering server's Deployment asks for."""
    found = world.apps.read_namespaced_deployment(CHAT, NAMESPACE)
    return int(found.metadata.generation)


def written(world: BrokenWorld) -> list[Mapping[str, Any]]:
    """Changes of the suffering server that the loop of this process carried out."""
    return [
        change
        for record in world.records
        for change in record["changes"]
        if change["outcome"] == "applied" and change["workload"].endswith(f"/{CHAT}")
    ]


def leads(world: BrokenWorld) -> bool:
    """Whether the Lease says that this process leads."""
    return world.holder().endswith(f"-{os.getpid()}")


def noted(
    world: BrokenWorld, name: str, cycles: int | None, status: str, metric: str, event: str
) -> None:
    lost = world.crashes + (cycles is None)
    beside = "keeps its size as well"
    bad = wrong(world.records, blind=False)
    note(Injection(name, bad, lost, cycles, beside, f"`{status}`", f"`{metric}`", f"`{event}`"))


@pytest.mark.parametrize("turn", range(COUNT))
@pytest.mark.parametrize("moment", [Moment.KILLED_BEFORE, Moment.KILLED_AFTER])
def test_a_loop_that_crashes_between_plan_and_act_is_taken_up(
    world: BrokenWorld, moment: Moment, turn: int
) -> None:
    began, before = time.time(), generation(world)
    status, metric = "was cut off between plan and act", PROBLEMS
    event = "CutOff: cycle"
    cycles: int | None = None
    crashed = other_loop(world.write(1), moment)
    try:
        crashed.start()
        eventually(lambda: not crashed.running, PATIENCE_S)
        done = moment is Moment.KILLED_AFTER
        assert generation(world) == before + done
        left = world.replicas(CHAT)
        assert (left < REPLICAS[CHAT]) is done
        with world.looping():
            first = world.cycle()
            assert any(status in each for each in first["problems"])
            assert status in world.status()
            assert f"{metric} 0.0" not in world.metrics()
            cycles = recovery(world, as_ever if done else acted, answerable=leads)
            assert cycles <= MOST_CYCLES
            world.until(lambda _: any(event in each for each in world.events(CHAT, began)))
            world.for_a_while(2.0)
            # Neither lost nor done twice: each write takes replicas from those that were left. (The
            # load that is measured may let them go in two steps.)
            steps = [(each["replicas_before"], each["replicas"]) for each in written(world)]
            assert generation(world) == before + done + len(steps)
            sizes = [left, *(after for _, after in steps)]
            assert [size for size, _ in steps] == sizes[:-1]
            assert sizes == sorted(set(sizes), reverse=True)
            assert NEEDED <= world.replicas(CHAT) == sizes[-1] < REPLICAS[CHAT]
    finally:
        crashed.kill()
        noted(
            world,
            f"a crash (SIGKILL) between plan and act, {moment.value.split()[1]} the write",
            cycles,
            status,
            metric,
            event,
        )


@pytest.mark.parametrize("turn", range(COUNT))
def test_a_leader_that_stood_still_writes_nothing_when_it_wakes_up(
    world: BrokenWorld, turn: int
) -> None:
    began, before = time.time(), generation(world)
    status, event = "this loop leads no more", "ScalingFailed: chat"  # of the one that woke up
    cycles: int | None = None

    # It would shrink the server; the one that replaces it would not.
    first = other_loop(world.write(1, "first"), Moment.STOPPED)
    try:
        first.start()
        eventually(lambda: stands_still(first), PATIENCE_S)
        assert world.holder().endswith(f"-{first.pid}")
        world.write(REPLICAS[CHAT])
        with world.looping():
            cycles = recovery(world, lambda record: record["leader"], answerable=leads)
            assert cycles <= MOST_CYCLES
            first.resume()

            world.until(lambda _: any(status in each for each in world.events(CHAT, began)))
            world.for_a_while(2.0)
            assert generation(world) == before
            assert world.replicas(CHAT) == REPLICAS[CHAT]
            assert world.records[-1]["leader"]
            assert '"leader": true' in world.status()
            assert any(event in each for each in world.events(CHAT, began))
    finally:
        first.kill()
        noted(
            world,
            "two leaders: one stands still (SIGSTOP) before its write, is replaced, and wakes up",
            cycles,
            '"leader": true',
            "stoker_leader 1.0",
            event,
        )


@pytest.mark.parametrize("turn", range(COUNT))
def test_when_the_leader_is_killed_another_one_goes_on(world: BrokenWorld, turn: int) -> None:
    began = time.time()
    event = "Scaled: chat"
    cycles: int | None = None
    first = other_loop(world.write(REPLICAS[CHAT], "first"), Moment.NONE)
    try:
        first.start()
        eventually(lambda: world.holder().endswith(f"-{first.pid}"), PATIENCE_S)
        world.write(1)  # the one that waits would shrink the server
        with world.looping():
            waiting = world.for_a_while(5.0)
            assert not any(each["leader"] or each["changes"] for each in waiting)
            assert "stoker_leader 0.0" in world.metrics()
            first.kill()
            cycles = recovery(world, acted, answerable=leads)
            assert cycles <= MOST_CYCLES
            world.until(lambda _: any(event in each for each in world.events(CHAT, began)))
            assert NEEDED <= world.replicas(CHAT) < REPLICAS[CHAT]
    finally:
        first.kill()
        noted(
            world,
            "the leader is killed (SIGKILL), and another one waits",
            cycles,
            '"leader": true',
            "stoker_leader 1.0",
            event,
        )
