"""The loop: cycle after cycle, one at a time, each with a deadline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from controller.cycle import CycleResult, think
from controller.memory import Memory
from controller.ports import Announcer, Clock, Hands, Lock, Observer, Permit
from controller.problems import ProblemKind, Trouble
from controller.record import CycleRecord, JsonObject, record_of
from controller.refused_limits import with_refusal
from controller.telling import Teller
from stoker.domain.control.changes import (
    ChangeOutcome,
    ChangeResult,
    Direction,
    VariantTarget,
)
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import ControlSettings
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet

logger = logging.getLogger(__name__)

_DONE = (ChangeOutcome.APPLIED, ChangeOutcome.UNCHANGED, ChangeOutcome.EMITTED)
_GIVES_UP = 5
"""Cycles that fail in a row after which another loop had better lead."""


@dataclass(frozen=True, slots=True)
class Document:
    """The fleet and the rules, as they were last read well.

    Attributes:
        fleet: The fleet.
        settings: The rules.
        version: What tells this version from another, such as a hash.
    """

    fleet: Fleet
    settings: ControlSettings
    version: str


class Documents(Protocol):
    """Where the fleet and the rules come from."""

    def read(self) -> Document:
        """Return them as they are now.

        Raises:
            StokerError: They cannot be read, or are wrong.
            OSError: A file cannot be read.
        """
        ...


class Journal(Protocol):
    """Where cycles are written down, and what the loop remembers across a crash."""

    def intend(self, record: CycleRecord) -> None:
        """Write down what is about to be done, before it is."""
        ...

    def write(self, record: CycleRecord, memory: Memory) -> None:
        """Write down what was done, and what to remember."""
        ...


class Approvals(Protocol):
    """In the mode `advise`: which decisions somebody approved."""

    def approved(self, record: CycleRecord) -> frozenset[str]:
        """Return the servers whose decision, just as it stands, is approved."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All that the loop needs of the world.

    Attributes:
        clock: Time.
        documents: The fleet and the rules.
        observer: Eyes.
        hands: Hands.
        lock: Says whether this loop may act.
        journal: Memory on disk.
        approvals: Approvals, in the mode `advise`.
        announcer: Tells the cluster what was done.
        told: Called with every record, for metrics and status.
        paused: Returns whether somebody asked that nothing be changed for now.
        step_down: Called when too many cycles failed in a row, so that another loop may lead.
    """

    clock: Clock
    documents: Documents
    observer: Observer
    hands: Hands
    lock: Lock
    journal: Journal
    approvals: Approvals
    announcer: Announcer
    told: Callable[[CycleRecord], None] = lambda _: None
    paused: Callable[[], bool] = lambda: False
    step_down: Callable[[], None] = lambda: None


class Loop:
    """Runs cycles. Its one state is the memory that each cycle hands to the next.

    Args:
        ports: The world.
        document: The fleet and the rules to begin with.
        memory: What was remembered when the loop last ended.
        interrupted: The record of a cycle that was cut off between plan and act; None for none.
    """

    def __init__(
        self,
        ports: Ports,
        document: Document,
        memory: Memory,
        interrupted: JsonObject | None = None,
    ) -> None:
        self._ports = ports
        self._document = document
        self._memory = memory
        self._teller = Teller(ports.announcer, ports.lock, interrupted)
        self._failures = 0

    @property
    def memory(self) -> Memory:
        """What it remembers now."""
        return self._memory

    @property
    def document(self) -> Document:
        """The fleet and the rules in force."""
        return self._document

    @property
    def failures(self) -> int:
        """Cycles that failed in a row, up to now."""
        return self._failures

    @property
    def withdrawn(self) -> bool:
        """Whether it takes no part in the election, until a cycle does not fail.

        A loop that is not to write takes part in none, and has nothing to withdraw from.
        """
        asked = self._document.settings.loop
        writes = asked.mode is not Mode.OBSERVE and not asked.dry_run
        return writes and self._failures >= _GIVES_UP

    def run(self, ended: Callable[[], bool], most: int | None = None) -> None:
        """Run cycles until `ended()`, or so many; a cycle that fails does not end the loop."""
        clock = self._ports.clock
        count = 0
        while not ended() and (most is None or count < most):
            began = clock.monotonic()
            try:
                self.cycle()
                self._failures = 0
            except Exception as error:
                logger.exception("the cycle failed; nothing more was done in it")
                self._failed(error)
            count += 1
            left = self._document.settings.loop.period_s - (clock.monotonic() - began)
            if not ended() and (most is None or count < most):
                clock.wait(max(0.0, left))

    def cycle(self) -> CycleRecord:
        """Run one cycle, and return its record."""
        clock, ports = self._ports.clock, self._ports
        began = clock.monotonic()
        troubles = self._reload()
        document = self._document
        settings = document.settings
        deadline = began + settings.loop.deadline_s
        stages: dict[str, float] = {}
        with _timed(stages, "observe", clock):
            observation = ports.observer.observe(document.fleet, deadline)
        with _timed(stages, "plan", clock):
            result = think(observation, document.fleet, settings, self._memory)
        number = self._memory.cycles + 1
        leader = not self.withdrawn and ports.lock.holds()
        troubles += self._teller.troubles(observation)
        degraded = self._teller.degraded(result, leader=leader)
        paused = ports.paused()

        def record(results: Sequence[ChangeResult], took_s: float | None) -> CycleRecord:
            return record_of(
                number,
                result,
                results,
                settings.loop.mode,
                leader=leader,
                fleet_version=document.version,
                took_s=took_s,
                troubles=troubles,
                degraded=degraded,
                stages=stages,
                paused=paused,
                dry_run=settings.loop.dry_run,
            )

        intended = record((), None)
        may_act = leader and not paused
        targets = self._targets(result, intended, settings.loop.mode, may_act=may_act)
        if targets and clock.monotonic() >= deadline:
            words = f"the cycle took more than {settings.loop.deadline_s:g} s: nothing was changed"
            troubles.append(Trouble(ProblemKind.CYCLE_LATE, words))
            targets = ()
        results: tuple[ChangeResult, ...] = ()

        def permit() -> str:
            if not ports.lock.holds():
                return "this loop leads no more"
            if ports.paused():
                return "the loop was paused"
            late = clock.monotonic() >= deadline
            return f"the cycle took more than {settings.loop.deadline_s:g} s" if late else ""

        if targets:
            ports.journal.intend(intended)
            with _timed(stages, "act", clock):
                results = self._apply(targets, permit, dry_run=settings.loop.dry_run)
        memory = self._remembered(result, results, leader=leader)
        finished = record(results, clock.monotonic() - began)
        ports.journal.write(finished, memory)
        self._memory = memory
        ports.told(finished)
        if settings.loop.mode is not Mode.OBSERVE and not settings.loop.dry_run:
            self._teller.tell(result, results, leader=leader)
        return finished

    def _failed(self, error: Exception) -> None:
        """Take in that a cycle failed. Who fails again and again keeps the Lease from nobody."""
        self._teller.failed(error)
        self._failures += 1
        if self._failures != _GIVES_UP:
            return
        try:
            self._ports.step_down()
        except Exception:
            logger.exception("the Lease was not given up; it runs out by itself")

    def _reload(self) -> list[Trouble]:
        """Read the documents again; those that are wrong leave the last good ones in force."""
        try:
            self._document = self._ports.documents.read()
        except (StokerError, OSError) as error:
            words = f"the document is not taken, the last good one stays: {error}"
            return [Trouble(ProblemKind.DOCUMENT, words)]
        return []

    def _targets(
        self, result: CycleResult, intended: CycleRecord, mode: Mode, *, may_act: bool
    ) -> tuple[VariantTarget, ...]:
        if mode is Mode.OBSERVE or not may_act:
            return ()
        if mode is Mode.ACT:
            return result.decisions.targets
        approved = self._ports.approvals.approved(intended)
        return tuple(
            target
            for name, decision in sorted(result.decisions.servers.items())
            if name in approved
            for target in decision.targets
        )

    def _apply(
        self, targets: Sequence[VariantTarget], permit: Permit, *, dry_run: bool
    ) -> tuple[ChangeResult, ...]:
        """Write what grows before what shrinks: nothing is taken before what replaces it."""
        ordered = sorted(
            targets,
            key=lambda each: (
                each.replicas_before is not None and each.replicas < each.replicas_before,
                each.ref,
            ),
        )
        return self._ports.hands.apply(ordered, dry_run=dry_run, permit=permit)

    def _remembered(
        self, result: CycleResult, results: Sequence[ChangeResult], *, leader: bool
    ) -> Memory:
        """Return what to hand on: of servers whose change was not made, that it was not made."""
        outcome = {each.target.ref: each.outcome for each in results}
        memory = result.undecided
        for name, decision in result.decisions.servers.items():
            done = all(
                outcome.get(target.ref, ChangeOutcome.FAILED) in _DONE
                for target in decision.targets
            )
            stays = decision.direction is Direction.HOLD or not decision.targets
            if done or stays:
                memory = memory.with_server(name, result.memory.server(name))
            else:
                own = with_refusal(memory.server(name), decision, results, result.observation.at)
                memory = memory.with_server(name, own)
        emitted = result.memory.emitted.after(results, result.observation.at, told=leader)
        return replace(memory, plan=result.memory.plan, emitted=emitted)


@contextmanager
def _timed(stages: dict[str, float], name: str, clock: Clock) -> Iterator[None]:
    """Write down how many seconds a part of the cycle takes."""
    began = clock.monotonic()
    try:
        yield
    finally:
        stages[name] = clock.monotonic() - began
