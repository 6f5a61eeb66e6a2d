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
from controller.record import CycleRecord, JsonObject, record_of
from controller.telling import Teller
from stoker.domain.control.changes import (
    ChangeOutcome,
    ChangeResult,
    Direction,
    VariantTarget,
)
from stoker.domain.control.settings import ControlSettings, Mode
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet

logger = logging.getLogger(__name__)

_DONE = (ChangeOutcome.APPLIED, ChangeOutcome.UNCHANGED, ChangeOutcome.DRY_RUN)


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

    @property
    def memory(self) -> Memory:
        """What it remembers now."""
        return self._memory

    @property
    def document(self) -> Document:
        """The fleet and the rules in force."""
        return self._document

    def run(self, ended: Callable[[], bool], most: int | None = None) -> None:
        """Run cycles until `ended()`, or so many; a cycle that fails does not end the loop."""
        clock = self._ports.clock
        count = 0
        while not ended() and (most is None or count < most):
            began = clock.monotonic()
            try:
                self.cycle()
            except Exception as error:
                logger.exception("the cycle failed; nothing more was done in it")
                self._teller.failed(error)
            count += 1
            left = self._document.settings.loop.period_s - (clock.monotonic() - began)
            if not ended() and (most is None or count < most):
                clock.wait(max(0.0, left))

    def cycle(self) -> CycleRecord:
        """Run one cycle, and return its record."""
        clock, ports = self._ports.clock, self._ports
        began = clock.monotonic()
        problems = self._reload()
        document = self._document
        settings = document.settings
        deadline = began + settings.loop.deadline_s
        stages: dict[str, float] = {}
        with _timed(stages, "observe", clock):
            observation = ports.observer.observe(document.fleet, deadline)
        with _timed(stages, "plan", clock):
            result = think(observation, document.fleet, settings, self._memory)
        number = self._memory.cycles + 1
        leader = ports.lock.holds()
        problems += self._teller.problems(observation)
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
                problems=problems,
                stages=stages,
                paused=paused,
            )

        intended = record((), None)
        may_act = leader and not paused
        targets = self._targets(result, intended, settings.loop.mode, may_act=may_act)
        if targets and clock.monotonic() >= deadline:
            problems.append(
                f"the cycle took more than {settings.loop.deadline_s:g} s: nothing was changed"
            )
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
                results = self._apply(targets, permit)
        memory = self._remembered(result, results)
        finished = record(results, clock.monotonic() - began)
        ports.journal.write(finished, memory)
        self._memory = memory
        ports.told(finished)
        if settings.loop.mode is not Mode.OBSERVE:
            self._teller.tell(result, results, leader=leader)
        return finished

    def _reload(self) -> list[str]:
        """Read the documents again; those that are wrong leave the last good ones in force."""
        try:
            self._document = self._ports.documents.read()
        except (StokerError, OSError) as error:
            return [f"the document is not taken, the last good one stays: {error}"]
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

    def _apply(self, targets: Sequence[VariantTarget], permit: Permit) -> tuple[ChangeResult, ...]:
        """Write what grows before what shrinks: nothing is taken before what replaces it."""
        ordered = sorted(
            targets,
            key=lambda each: (
                each.replicas_before is not None and each.replicas < each.replicas_before,
                each.ref,
            ),
        )
        return self._ports.hands.apply(ordered, dry_run=False, permit=permit)

    def _remembered(self, result: CycleResult, results: Sequence[ChangeResult]) -> Memory:
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
        return replace(memory, plan=result.memory.plan)


@contextmanager
def _timed(stages: dict[str, float], name: str, clock: Clock) -> Iterator[None]:
    """Write down how many seconds a part of the cycle takes."""
    began = clock.monotonic()
    try:
        yield
    finally:
        stages[name] = clock.monotonic() - began
