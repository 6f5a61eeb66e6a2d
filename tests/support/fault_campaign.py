"""What is asked of a loop whose world is broken: it holds still, tells of it, and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.faults import MOST_CYCLES, Injection, note
from controller.degraded import FAULTS
from tests.support.broken_world import (
    CHAT,
    DOWN_WINDOW_S,
    NEEDED,
    PACE_S,
    PATIENCE_S,
    PERIOD_S,
    REPLICAS,
    SEARCH,
    BrokenWorld,
    told_of,
)
from tests.support.real_cluster import eventually

Record = Mapping[str, Any]
PROBLEMS = "stoker_problems"
"""The metric of whatever has no one of its own; it has to be above 0."""
_FAULTS = frozenset(each.value for each in FAULTS)


def held(record: Record, server: str = CHAT) -> frozenset[str]:
    """What held a server back in a cycle."""
    return frozenset(record["servers"][server]["decision"]["held"])


def outcomes(record: Record, server: str = CHAT) -> list[str]:
    """What came of the changes of a server in a cycle."""
    return [
        each["outcome"] for each in record["changes"] if each["workload"].endswith(f"/{server}")
    ]


def as_ever(record: Record) -> bool:
    """Whether the suffering server was decided on as without a fault."""
    told = record["servers"][CHAT]
    wanted = told["decision"]["wanted_replicas"]
    return (
        record["leader"]
        and record["plan"]["status"] != "none"
        and told["load"] is not None
        and not told["partial"]
        and not held(record) & _FAULTS
        and wanted is not None
        and wanted < REPLICAS[CHAT]
        and all(each in ("applied", "unchanged") for each in outcomes(record))
    )


def acted(record: Record) -> bool:
    """Whether the suffering server was changed."""
    return "applied" in outcomes(record)


def wrong(records: Sequence[Record], *, blind: bool) -> int:
    """How often a server lost replicas that it must not lose.

    Args:
        records: Cycles.
        blind: Whether something that a smaller size rests on was unknown all the time.
    """
    count = 0
    for record in records:
        for change in record["changes"]:
            before, after = change["replicas_before"], change["replicas"]
            if change["outcome"] != "applied" or before is None or after >= before:
                continue
            count += after < NEEDED or (blind and change["workload"].endswith(f"/{CHAT}"))
    return count


@dataclass(frozen=True)
class Fault:
    """Something to break, and what is to be seen of it.

    Attributes:
        name: What it is, for the table.
        begin: Breaks it.
        end: Mends it.
        told: Whether a cycle shows that the loop noticed.
        status: What `stoker control status` has to say.
        metric: What the loop's metrics have to say.
        event: What an event has to say.
        broken: Whether it is broken by now, asked without the loop.
        answerable: Whether what was broken can be told again, asked without the loop.
        as_ever: Whether a cycle decided as without the fault.
        meanwhile: Fewest replicas asked of the suffering server while the fault lasts.
        late: Whether the loop notices only once it would change something.
        blind: Whether the suffering server must not shrink while the fault lasts.
        beside: Whether the other server is to be scaled meanwhile.
        event_on: The server that the event tells of.
        pace_s: Time between two cycles afterwards.
    """

    name: str
    begin: Callable[[BrokenWorld], None]
    end: Callable[[BrokenWorld], None]
    told: Callable[[Record], bool]
    status: str
    metric: str
    event: str
    broken: Callable[[BrokenWorld], bool] = lambda _: True
    answerable: Callable[[BrokenWorld], bool] = lambda _: True
    as_ever: Callable[[Record], bool] = as_ever
    meanwhile: int = 1
    late: bool = False
    blind: bool = True
    beside: bool = True
    event_on: str = CHAT
    pace_s: float = PACE_S


def calm(world: BrokenWorld) -> None:
    """Bring the world to where all is well, and the suffering server has more than it needs."""

    def well(record: Record) -> bool:
        servers = record["servers"]
        return (
            record["leader"]
            and not record["problems"]
            and all(each["load"] is not None and not each["partial"] for each in servers.values())
            and {each["server"]: each["ready"] for each in record["cluster"]["workloads"]}
            == REPLICAS
            and servers[CHAT]["decision"]["wanted_replicas"] == REPLICAS[CHAT]
        )

    world.write(REPLICAS[CHAT])
    world.until(well)


def endure(world: BrokenWorld, fault: Fault, *, thorough: bool) -> None:
    """Cause a fault, watch the loop through it, and note what came of it.

    Args:
        world: A world with a loop.
        fault: What to break.
        thorough: Whether to wait for what the loop does in the end, too.
    """
    calm(world)
    began, first = time.time(), len(world.records)
    broken = first
    cycles: int | None = None
    told_status = told_metrics = False
    try:
        fault.begin(world)
        try:
            eventually(lambda: fault.broken(world), PATIENCE_S)
            if not fault.late:
                world.until(fault.told)
            world.write(fault.meanwhile)
            if fault.late:
                world.until(fault.told)
            if fault.beside:
                _scaled_beside(world)
            world.for_a_while(DOWN_WINDOW_S + PACE_S)
            world.until(fault.told)
            told_status = fault.status in world.status()
            told_metrics = fault.metric in world.metrics() and (
                fault.metric != PROBLEMS or f"{PROBLEMS} 0.0" not in world.metrics()
            )
        finally:
            broken = len(world.records)
            fault.end(world)
        world.plane.wait_ready()
        assert told_status, f"{fault.status!r} is not in {world.status()}"
        assert told_metrics, f"{fault.metric!r} is not in {world.metrics()}"
        losses = wrong(world.records[first:], blind=fault.blind)
        assert not losses, [told_of(each) for each in world.records[first:]]
        if fault.blind and fault.meanwhile == 1:
            assert world.replicas(CHAT) == REPLICAS[CHAT]
        cycles = recovery(world, fault.as_ever, fault.answerable, fault.pace_s)
        assert cycles <= MOST_CYCLES
        world.until(lambda _: _events(world, fault, began))
        if thorough and fault.meanwhile == 1:
            world.until(lambda _: world.replicas(CHAT) < REPLICAS[CHAT])
            assert world.replicas(CHAT) >= NEEDED
        assert not wrong(world.records[broken:], blind=False), "too few were left afterwards"
    finally:
        beside = "keeps its size as well"
        if fault.beside:
            beside = f"scaled from {NEEDED - 1} to {NEEDED}"
        note(
            Injection(
                fault.name,
                wrong(world.records[first:broken], blind=fault.blind)
                + wrong(world.records[broken:], blind=False),
                world.crashes,
                cycles,
                beside,
                f"`{fault.status}`",
                f"`{fault.metric.strip()}`",
                f"`{fault.event}`",
            )
        )


def _scaled_beside(world: BrokenWorld) -> None:
    """Take a replica from the other server, whose load needs it, and wait until it is back."""
    world.scale(SEARCH, NEEDED - 1)
    world.until(lambda _: world.replicas(SEARCH) == NEEDED)


def recovery(
    world: BrokenWorld,
    as_ever: Callable[[Record], bool],
    answerable: Callable[[BrokenWorld], bool] = lambda _: True,
    pace_s: float = PACE_S,
) -> int:
    """Run cycles until one decides as without the fault; return the how-manieth it is.

    Cycles before what was broken can be told again do not count, nor do those for whose own work
    this machine had no time.
    """
    counted = 0
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        before = answerable(world)
        record = world.cycle(pace_s)
        if before and answerable(world) and record["took_s"] < PERIOD_S:
            counted += 1
        if as_ever(record):
            return max(1, counted)
    raise AssertionError(f"it did not recover; the last cycle: {told_of(world.records[-1])}")


def _events(world: BrokenWorld, fault: Fault, began: float) -> bool:
    return any(fault.event in each for each in world.events(fault.event_on, began))
