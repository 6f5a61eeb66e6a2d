"""When a batch limit is written: it restarts every replica, so seldom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.planning import plan_now
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.changes import Direction
from stoker.domain.control.choices import Mode
from stoker.domain.control.cluster import CardStock, ClusterState, VariantState, WorkloadKind
from stoker.domain.control.quiet import QuietHours
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    LoopSettings,
    StabilitySettings,
)
from stoker.domain.fleet import Fleet
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload
from tests.support.playing import changed


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
    quiet = replace(CALM, quiet_hours=(QuietHours(0, 24 * 60),))
    assert limits(1, stability=quiet) == [None]


def sized(
    told: int | None,
    *,
    allowed: bool = False,
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT,
    replicas: int = 9,
    moved: bool = False,
) -> PlayedWorld:
    """Some cycles of a server whose pods take so many requests at once."""
    stability = StabilitySettings(
        scale_down_window_s=60.0, cooldown_down_s=0.0, cooldown_move_s=3600.0
    )
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT),
        stability=stability,
        cluster=ClusterSettings(allow_batch_limit=allowed),
    )
    running = workload("chat", "H100", replicas)
    running = replace(running, max_batch=told, ref=replace(running.ref, kind=kind))
    world = PlayedWorld(controlled_fleet(), settings, [running], {"chat": lambda _: 250.0})
    if moved:
        memory = world.memory.server("chat")
        world.memory = world.memory.with_server("chat", replace(memory, moved_at=world.time))
    loop = world.loop()
    for _ in range(12):
        loop.cycle()
        world.advance(30.0)
    return world


def replicas_of(world: PlayedWorld) -> int:
    (work,) = world.workloads.values()
    return work.state.replicas_wanted


TOLD = 8
"""A batch limit far below the one that a plan would take."""


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"allowed": True, "kind": WorkloadKind.LEADER_WORKER_SET},
        {"allowed": True, "moved": True},
    ],
)
def test_replicas_are_planned_with_the_limit_that_their_pods_have(how: Any) -> None:
    many, few = replicas_of(sized(TOLD, replicas=30, **how)), replicas_of(sized(None))
    assert many > few  # with a limit that nobody told, the plan's own counts
    grown = replicas_of(sized(TOLD, replicas=1, **how))
    assert grown <= many < 30  # it shrinks to what these pods need, but for the hysteresis
    assert many <= 1.1 * grown + 1


def test_nothing_shrinks_before_the_limit_that_it_shrinks_for() -> None:
    # The played cluster takes no limit: once it is asked for, pods count as they are again.
    world = sized(TOLD, allowed=True)
    asked = [
        each
        for record in world.records
        for each in record.document["servers"]["chat"]["decision"]["targets"]
    ]
    assert [each["replicas"] for each in asked if each["max_batch"]] == [9]
    assert min(each["replicas"] for each in asked) == 9


def load(tokens: float) -> Load:
    return Load(200.0, 200.0, tokens)


@pytest.mark.parametrize("analysis", list(Analysis))
@pytest.mark.parametrize("kv_tokens", [None, 400_000])
@pytest.mark.parametrize("tokens", [100.0, 33.3, 700.1])
def test_pods_are_planned_as_if_the_document_told_their_limit(
    analysis: Analysis, kv_tokens: int | None, tokens: float
) -> None:
    fleet = controlled_fleet()
    fleet = replace(
        fleet,
        settings=replace(fleet.settings, analysis=analysis),
        profiles=tuple(replace(each, kv_tokens=kv_tokens) for each in fleet.profiles),
    )
    told = replace(workload("chat", "H100", 3), max_batch=7)
    other = replace(workload("search", "H100", 3), max_batch=5)
    plain = (replace(told, max_batch=None), replace(other, max_batch=None))
    limited = changed(changed(fleet, "chat", max_batch=7), "search", max_batch=5)
    loads = {"chat": load(tokens), "search": load(tokens + 1.7), "code": load(tokens)}
    cards = {"H100": CardStock("H100", 2000, 0, 0)}
    found = plan_now(fleet, loads, ClusterState(0.0, (told, other), cards), {}, 30.0).plan
    wanted = plan_now(limited, loads, ClusterState(0.0, plain, cards), {}, 30.0).plan
    assert found is not None
    assert wanted is not None
    assert [each.max_batch for each in found.allocations][:2] == [7, 5]
    assert found.allocations == wanted.allocations
    assert {each.model for each in found.allocations} == {"org/chat-8b", "code-14b"}


def allocation(fleet: Fleet, *variants: VariantState) -> PlannedAllocation:
    """What the plan has for chat."""
    stocks = {name: CardStock(name, 2000, 0, 0) for name in ("H100", "L4")}
    plan = plan_now(
        fleet, {"chat": load(100.0)}, ClusterState(0.0, variants, stocks), {}, 30.0
    ).plan
    assert plan is not None
    return next(each for each in plan.allocations if each.server == "chat")


@pytest.mark.parametrize("document", [{"max_batch": 64}, {"batch_limits": (7, 64)}])
@pytest.mark.parametrize("analysis", list(Analysis))
def test_a_larger_limit_of_the_document_is_not_that_of_the_pods(
    document: Any, analysis: Analysis
) -> None:
    fleet = controlled_fleet()
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=analysis))
    running = workload("chat", "H100", 3)
    found = allocation(changed(fleet, "chat", **document), replace(running, max_batch=7))
    assert found == allocation(changed(fleet, "chat", max_batch=7), running)
    few = replace(running, max_batch=100)
    assert allocation(changed(fleet, "chat", max_batch=4), few).max_batch == 4


@pytest.mark.parametrize("analysis", list(Analysis))
@pytest.mark.parametrize("kv_tokens", [None, 400_000])
def test_the_limit_of_the_document_counts_where_pods_are_told_none(
    analysis: Analysis, kv_tokens: int | None
) -> None:
    fleet = controlled_fleet()
    fleet = replace(
        fleet,
        settings=replace(fleet.settings, analysis=analysis),
        profiles=tuple(replace(each, kv_tokens=kv_tokens) for each in fleet.profiles),
    )
    fleet = changed(fleet, "chat", max_batch=400)  # more than the profile's
    here, there = workload("chat", "H100", 3), workload("chat", "L4", 0)
    found = allocation(fleet, here, replace(there, max_batch=7))
    wanted = allocation(fleet, here)
    assert found.max_batch == wanted.max_batch == 400
    assert (found.accelerator, found.replicas) == (wanted.accelerator, wanted.replicas)
    assert found.max_rate_rps == pytest.approx(wanted.max_rate_rps, rel=1e-6)


def test_pods_that_nobody_asks_keep_their_limit_too() -> None:
    told = replace(workload("chat", "H100", 3), max_batch=7)
    state = ClusterState(0.0, (told,), {"H100": CardStock("H100", 9, 3, 0)})
    fleet = changed(controlled_fleet(), "chat", min_replicas=2)
    plan = plan_now(fleet, {"chat": Load(0.0, 200.0, 100.0)}, state, {}, 30.0).plan
    assert plan is not None
    (one,) = (each for each in plan.allocations if each.server == "chat")
    assert (one.replicas, one.max_batch) == (2, 7)


def test_what_is_not_placed_is_told_by_its_own_name() -> None:
    told = replace(workload("chat", "H100", 3), max_batch=7)
    other = replace(workload("search", "H100", 3), max_batch=5)
    state = ClusterState(0.0, (told, other), {"H100": CardStock("H100", 2, 2, 0)})
    plan = plan_now(controlled_fleet(), {"search": load(100.0)}, state, {}, 30.0).plan
    assert plan is not None
    assert plan.unplaced
    assert not any("(search)" in f"{each.detail} {each.remedy}" for each in plan.unplaced)
