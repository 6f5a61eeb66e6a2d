"""Loops that crash, that are replaced, and that wake up when they have been: nothing twice."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from benchmarks.soak.faults import MOST_CYCLES, TURNS, Injection, note
from demos.cluster.closed_loop import NAMESPACE
from demos.cluster.processes import free_port
from tests.support.broken_fleet import CHAT, DOWN_WINDOW_S, LEASE_S, NEEDED, PATIENCE_S, REPLICAS
from tests.support.broken_world import BrokenWorld, told_of
from tests.support.fault_campaign import (
    Recovery,
    acted,
    as_ever,
    calm,
    event_told,
    recovery,
    wrong,
)
from tests.support.fault_words import problem_metric
from tests.support.other_loops import Moment, other_loop, stands_still
from tests.support.real_cluster import eventually
from tests.support.sightings import above_zero, line_with, quoted, sample, zero

pytestmark = pytest.mark.timeout(1200)

COUNT = int(os.environ.get(TURNS, "1"))
_STEP = 2
_LEADS, _WAITS = "stoker_leader", "act (not the leader)"


@pytest.fixture
def world(unbroken: BrokenWorld) -> Iterator[BrokenWorld]:
    """The world with more replicas than are needed, and no loop."""
    unbroken.write(REPLICAS[CHAT])
    with unbroken.looping():
        calm(unbroken)
    yield unbroken
    unbroken.spoil_control = lambda _: None


def generation(world: BrokenWorld) -> int:
    """How often somebody changed what the suffering server's Deployment asks for."""
    found = world.apps.read_namespaced_deployment(CHAT, NAMESPACE)
    return int(found.metadata.generation)


def on_record(world: BrokenWorld, since: float) -> list[tuple[int, int]]:
    """Changes of the suffering server that were carried out, as the file of the records has them.

    Of the loop that is told of by `control.yaml`.
    """
    lines = (world.folder / "control-records" / "cycles.jsonl").read_text("utf-8").splitlines()
    return [
        (change["replicas_before"], change["replicas"])
        for record in map(json.loads, lines)
        for change in record["changes"]
        if record["at"] >= since
        and change["outcome"] == "applied"
        and change["workload"].endswith(f"/{CHAT}")
    ]


def leads(world: BrokenWorld) -> bool:
    """Whether the Lease says that this process leads."""
    return world.holder().endswith(f"-{os.getpid()}")


def noted(
    world: BrokenWorld, name: str, found: Recovery | None, status: str, metric: str, event: str
) -> None:
    note(
        Injection(
            name,
            wrong(world.records, blind=False),
            world.crashes + (found is None),
            None if found is None else found.cycles,
            None if found is None else found.seconds,
            "keeps its size as well",
            quoted(status),
            quoted(metric),
            quoted(event),
        )
    )


def in_two_steps(control: dict[str, Any]) -> None:
    """Let a server lose at most two replicas in a cycle: three too many go in two writes."""
    control["stability"]["max_step_down"] = _STEP


@pytest.mark.parametrize("turn", range(COUNT))
@pytest.mark.parametrize("moment", [Moment.KILLED_BEFORE, Moment.KILLED_AFTER])
def test_a_loop_that_crashes_between_plan_and_act_is_taken_up(
    world: BrokenWorld, moment: Moment, turn: int
) -> None:
    began, before = time.time(), generation(world)
    status = metric = event = ""
    found: Recovery | None = None
    world.spoil_control = in_two_steps
    crashed = other_loop(world.write(1), moment)
    all_steps = [(REPLICAS[CHAT], REPLICAS[CHAT] - _STEP), (REPLICAS[CHAT] - _STEP, NEEDED)]
    done = moment is Moment.KILLED_AFTER
    try:
        crashed.start()
        eventually(lambda: not crashed.running, PATIENCE_S)
        ended, taken_up = time.monotonic(), time.time()
        assert generation(world) == before + done
        assert world.replicas(CHAT) == all_steps[0][done]
        with world.looping():
            world.cycle()
            status = line_with(world.status(), "was cut off between plan and act")
            metric = sample(world.metrics(), problem_metric("cut_off"), above_zero)
            assert status
            assert metric
            found = recovery(world, as_ever if done else acted, answerable=leads, ended=ended)
            assert found.cycles <= MOST_CYCLES, [told_of(each) for each in world.records]
            world.until(lambda _: bool(event_told(world, "CutOff: cycle", began)))
            event = event_told(world, "CutOff: cycle", began)
            world.until(lambda _: world.replicas(CHAT) == NEEDED)
            world.for_a_while(2.0)
            # What is left to do is done, from where the crash left it, and nothing is done twice:
            # the Deployment was changed as often as there are writes on record, each of which
            # begins where the one before ended.
            steps = on_record(world, taken_up)
            assert steps[: len(all_steps)] == all_steps[done:]
            assert generation(world) == before + done + len(steps)
    finally:
        crashed.kill()
        where = moment.value.split()[1]
        name = f"a crash (SIGKILL) between plan and act, {where} the write"
        noted(world, name, found, status, metric, event)


@pytest.mark.parametrize("turn", range(COUNT))
def test_a_leader_that_stood_still_writes_nothing_when_it_wakes_up(
    world: BrokenWorld, turn: int
) -> None:
    began, before = time.time(), generation(world)
    status = metric = event = ""
    found: Recovery | None = None
    failed = 'stoker_changes_total{outcome="failed"}'

    # It would shrink the server; the one that replaces it would not.
    document, port = world.write(1, "first"), free_port()
    first = other_loop(document, Moment.STOPPED, "--metrics-port", str(port))

    def metrics_of_first(name: str, holds: Callable[[float], bool]) -> str:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60.0, trust_env=False).text
        return sample(page.splitlines(), name, holds)

    try:
        first.start()
        eventually(lambda: stands_still(first), PATIENCE_S)
        ended = time.monotonic()
        assert world.holder().endswith(f"-{first.pid}")
        world.write(REPLICAS[CHAT])
        with world.looping():
            found = recovery(world, lambda record: record["leader"], answerable=leads, ended=ended)
            assert found.cycles <= MOST_CYCLES, [told_of(each) for each in world.records]
            first.resume()

            words = "this loop leads no more"
            world.until(lambda _: words in event_told(world, "ScalingFailed: chat", began))
            event = event_told(world, "ScalingFailed: chat", began)
            eventually(lambda: bool(line_with(world.status(document), _WAITS)), PATIENCE_S)
            status = line_with(world.status(document), _WAITS)
            eventually(lambda: bool(metrics_of_first(_LEADS, zero)), PATIENCE_S)
            metric = metrics_of_first(failed, above_zero)
            assert metric
            world.for_a_while(2.0)
            assert generation(world) == before
            assert world.replicas(CHAT) == REPLICAS[CHAT]
            assert world.records[-1]["leader"]
            assert sample(world.metrics(), _LEADS, above_zero)
    finally:
        first.kill()
        name = "two leaders: one stands still (SIGSTOP) before its write, is replaced, and wakes up"
        noted(world, name, found, status, metric, event)


@pytest.mark.parametrize("turn", range(COUNT))
@pytest.mark.parametrize("slow", [False, True], ids=["alone", "while the API server is slow"])
def test_when_the_leader_is_killed_another_one_goes_on(
    world: BrokenWorld, slow: bool, turn: int
) -> None:
    began = time.time()
    status = metric = event = ""
    found: Recovery | None = None
    first = other_loop(world.write(REPLICAS[CHAT], "first"), Moment.NONE)
    try:
        first.start()
        eventually(lambda: world.holder().endswith(f"-{first.pid}"), PATIENCE_S)
        world.write(1)  # the one that waits would shrink the server
        with world.looping():
            world.cycle()
            if slow:
                world.detour.delay_s = 2.0
                world.until(lambda record: any("no answer" in each for each in record["problems"]))
            else:
                world.for_a_while(DOWN_WINDOW_S + 1.0)
            status = line_with(world.status(), "no answer" if slow else _WAITS)
            if slow:
                metric = sample(world.metrics(), problem_metric("lease"), above_zero)
            else:
                metric = sample(world.metrics(), _LEADS, zero)
            assert status
            assert metric
            first.kill()
            ended = time.monotonic()
            if slow:
                world.for_a_while(LEASE_S)
            # Nothing was done without the Lease.
            assert not any(each["leader"] or each["changes"] for each in world.records)
            if slow:
                world.detour.delay_s, ended = 0.0, time.monotonic()
            found = recovery(world, acted, answerable=leads, ended=ended)
            assert found.cycles <= MOST_CYCLES, [told_of(each) for each in world.records]
            assert sample(world.metrics(), _LEADS, above_zero)
            world.until(lambda _: bool(event_told(world, "Scaled: chat", began)))
            event = event_told(world, "Scaled: chat", began)
            assert NEEDED <= world.replicas(CHAT) < REPLICAS[CHAT]
    finally:
        world.detour.delay_s = 0.0
        first.kill()
        name = "the leader is killed (SIGKILL), and another one waits"
        name += "; the API server is slow meanwhile" if slow else ""
        noted(world, name, found, status, metric, event)
