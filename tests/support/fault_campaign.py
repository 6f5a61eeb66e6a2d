"""What is asked of a loop whose world is broken: it holds still, tells of it, and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.faults import MOST_CYCLES, Injection, note
from controller.degraded import FAULTS
from tests.support.broken_fleet import (
    CHAT,
    DOWN_WINDOW_S,
    NEEDED,
    PACE_S,
    PATIENCE_S,
    PERIOD_S,
    REPLICAS,
    SEARCH,
    WINDOW_S,
)
from tests.support.broken_world import BrokenWorld, told_of
from tests.support.real_cluster import eventually
from tests.support.sightings import above_zero, line_with, quoted, sample

Record = Mapping[str, Any]
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


_SCRAPED_FOR_S: Mapping[Callable[[Record], bool], float] = {as_ever: 0.0, acted: DOWN_WINDOW_S}
"""How long the pods must have been scraped, before the window that rates are taken over."""


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
        status: Words of a line that `stoker control status` has to print.
        metric: Name of a metric, with its labels.
        event: What an event has to begin with.
        metric_holds: What has to hold of the metric's value.
        kind: Name of a further metric, that must be above zero; empty for none.
        broken: Whether it is broken by now, asked without the loop.
        answerable: Whether what was broken can be told again, asked without the loop.
        as_ever: Whether a cycle decided as without the fault.
        meanwhile: Fewest replicas asked of the suffering server while the fault lasts.
        late: Whether the loop notices only once it would change something.
        blind: Whether the suffering server must not shrink while the fault lasts.
        beside: Whether the other server is to be scaled meanwhile.
        event_on: The server that the event tells of.
        pace_s: Time between two cycles afterwards.
        on_load: Whether a decision of its own rests on the load, as `as_ever` and `acted` do.
        scrapes: Whether pods are scraped while it lasts: what is missed is this machine's doing.
        clear: Takes away what the fault was caused by, once all was seen.
    """

    name: str
    begin: Callable[[BrokenWorld], None]
    end: Callable[[BrokenWorld], None]
    told: Callable[[Record], bool]
    status: str
    metric: str
    event: str
    metric_holds: Callable[[float], bool] = above_zero
    kind: str = ""
    broken: Callable[[BrokenWorld], bool] = lambda _: True
    answerable: Callable[[BrokenWorld], bool] = lambda _: True
    as_ever: Callable[[Record], bool] = as_ever
    meanwhile: int = 1
    late: bool = False
    blind: bool = True
    beside: bool = True
    event_on: str = CHAT
    pace_s: float = PACE_S
    on_load: bool = False
    scrapes: bool = True
    clear: Callable[[BrokenWorld], None] = lambda _: None


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
        thorough: Whether the server is let go to its size afterwards, too.
    """
    calm(world)
    began, first = time.time(), len(world.records)
    broken = first
    recovered: Recovery | None = None
    status = metric = event = ""
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
            statuses, metrics = world.status(), world.metrics()
            status = line_with(statuses, fault.status)
            metric = sample(metrics, fault.metric, fault.metric_holds)
            named = not fault.kind or sample(metrics, fault.kind, above_zero)
        finally:
            broken = len(world.records)
            ended = time.monotonic()
            fault.end(world)
        world.plane.wait_ready()
        assert status, f"{fault.status!r} is not in {statuses}"
        assert metric, f"{fault.metric!r} is not as it should be in {metrics}"
        assert named, f"{fault.kind!r} is not above zero in {metrics}"
        losses = wrong(world.records[first:], blind=fault.blind)
        assert not losses, [told_of(each) for each in world.records[first:]]
        if fault.blind and fault.meanwhile == 1:
            assert world.replicas(CHAT) == REPLICAS[CHAT]
        recovered = recovery(
            world,
            fault.as_ever,
            fault.answerable,
            fault.pace_s,
            ended,
            on_load=fault.on_load,
            scrapes=fault.scrapes,
        )
        after = [f"{each['at'] - began:.1f} s: {told_of(each)}" for each in world.records[broken:]]
        assert recovered.cycles <= MOST_CYCLES, after
        if not thorough:
            world.write(REPLICAS[CHAT])  # the next fault begins with all of them
        world.until(lambda _: bool(event_told(world, fault.event, began, fault.event_on)))
        event = event_told(world, fault.event, began, fault.event_on)
        if thorough and fault.meanwhile == 1:
            world.until(lambda _: world.replicas(CHAT) < REPLICAS[CHAT])
            assert world.replicas(CHAT) >= NEEDED
        assert not wrong(world.records[broken:], blind=False), "too few were left afterwards"
    finally:
        fault.clear(world)
        beside = "keeps its size as well"
        if fault.beside:
            beside = f"scaled from {NEEDED - 1} to {NEEDED}"
        note(
            Injection(
                fault.name,
                wrong(world.records[first:broken], blind=fault.blind)
                + wrong(world.records[broken:], blind=False),
                world.crashes,
                None if recovered is None else recovered.cycles,
                None if recovered is None else recovered.seconds,
                beside,
                quoted(status),
                quoted(metric),
                quoted(event),
            )
        )


def _scaled_beside(world: BrokenWorld) -> None:
    """Take a replica from the other server, whose load needs it, and wait until it is back."""
    world.scale(SEARCH, NEEDED - 1)
    world.until(lambda _: world.replicas(SEARCH) == NEEDED)


@dataclass(frozen=True)
class Recovery:
    """How a loop came back.

    Attributes:
        cycles: The how-manieth cycle decided as without the fault, of those that count.
        seconds: Time from the end of the fault until then, whatever was waited for.
    """

    cycles: int
    seconds: float


def recovery(
    world: BrokenWorld,
    as_ever: Callable[[Record], bool],
    answerable: Callable[[BrokenWorld], bool] = lambda _: True,
    pace_s: float = PACE_S,
    ended: float | None = None,
    *,
    on_load: bool = False,
    scrapes: bool = True,
) -> Recovery:
    """Run cycles until one decides as without the fault; return which one it is.

    Cycles before what was broken can be told again do not count, nor do those for whose own work
    this machine had no time. Where the decision rests on the load, those do not count either of
    which Prometheus, by its own count, missed scrapes of the pods, nor those of the window after:
    from the last cycle that missed replicas on, the loop waits for a whole one. The seconds know no
    such exception.

    Args:
        world: The world with a loop.
        as_ever: Whether a cycle decided as without the fault.
        answerable: Whether what was broken can be told again, asked without the loop.
        pace_s: Time between two cycles.
        ended: When the fault ended, on the monotonic clock; None for now.
        on_load: Whether that rests on the load; `as_ever` and `acted` are known to.
        scrapes: Whether pods were scraped while it lasted; else that window is the fault's own.
    """
    counted = 0
    began = time.monotonic()
    whole_s = _SCRAPED_FOR_S.get(as_ever, 0.0 if on_load else None)
    if whole_s is not None and scrapes:
        whole_s += WINDOW_S

    def tells() -> bool:
        whole = whole_s is None or world.scraped_whole((CHAT,), whole_s)
        return whole and answerable(world)

    while time.monotonic() < began + PATIENCE_S:
        before = tells()
        asked = time.monotonic()
        record = world.cycle(0.0)
        decided = time.monotonic()
        if before and tells() and record["took_s"] < PERIOD_S:
            counted += 1
        if as_ever(record):
            return Recovery(max(1, counted), decided - (began if ended is None else ended))
        time.sleep(max(0.0, pace_s - (decided - asked)))
    raise AssertionError(f"it did not recover; the last cycle: {told_of(world.records[-1])}")


def event_told(world: BrokenWorld, words: str, began: float, server: str = CHAT) -> str:
    """Return the first event since then that holds some words; empty for none."""
    return line_with(world.events(server, began), words)
