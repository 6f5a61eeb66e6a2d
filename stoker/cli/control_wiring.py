"""The loop put together: its ports on a real cluster, Prometheus, files and clocks."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.cli.control_files import Eyes, Files
from stoker.domain.control.settings import Actuation, ControlSettings, Mode, RecordSettings

if TYPE_CHECKING:
    from controller.journal import CycleJournal
    from controller.loop import Loop
    from controller.ports import Lock, Observer, Permit
    from controller.record import CycleRecord
    from stoker.domain.control.changes import ChangeResult, Decisions, Notice, VariantTarget

_LISTED_S = 30.0
_LONGEST_WATCH_S = 20.0
_RECORDS = "stoker-records"


class WallClock:
    """The machine's clock; `wake` ends a wait at once."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now(self) -> float:
        """Return the time of day, in seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return a time that never goes back, in seconds."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until somebody wakes the loop; return whether somebody did."""
        woken = self._woken.wait(seconds)
        self._woken.clear()
        return woken

    def wake(self) -> None:
        """End the wait that is going on, or the next one."""
        self._woken.set()


class Alone:
    """The lock of a loop that takes part in no election: it may always act."""

    problem = ""

    def holds(self) -> bool:
        """Return that this loop may act."""
        return True


class WhileActing:
    """Takes part in the election only while the mode lets the loop act.

    A loop that only observes must not keep another one from acting; one whose document is changed
    to `act` meanwhile must not act without being elected.

    Args:
        elected: Begins to take part, until the context ends.
        mode: The mode in force.
    """

    def __init__(
        self,
        elected: Callable[[], contextlib.AbstractContextManager[Lock]],
        mode: Callable[[], Mode],
    ) -> None:
        self._elected = elected
        self._mode = mode
        self._part: Lock | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> WhileActing:
        self.holds()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def problem(self) -> str:
        """Why it cannot take part in the election; empty where it can, or need not."""
        return "" if self._part is None else self._part.problem

    def holds(self) -> bool:
        """Return whether this loop may do what its mode asks for."""
        if self._mode() is Mode.OBSERVE:
            self._end()
            return True
        if self._part is None:
            self._part = self._stack.enter_context(self._elected())
        return self._part.holds()

    def _end(self) -> None:
        self._part = None
        self._stack.close()


class Quiet:
    """Announces nothing."""

    problem = ""

    def announce(
        self, decisions: Decisions, results: Sequence[ChangeResult], notices: Sequence[Notice]
    ) -> None:
        """Do nothing."""


class Emitting:
    """Hands that write nothing: the desired replicas are metrics, for HPA or KEDA to follow."""

    def apply(
        self, targets: Sequence[VariantTarget], *, dry_run: bool, permit: Permit | None = None
    ) -> tuple[ChangeResult, ...]:
        """Tell that somebody else writes them."""
        from stoker.domain.control.changes import ChangeOutcome, ChangeResult

        del dry_run, permit
        return tuple(
            ChangeResult(
                target,
                ChangeOutcome.UNCHANGED,
                target.replicas_before,
                "emitted for HPA or KEDA to follow",
            )
            for target in targets
        )


@dataclass(frozen=True, slots=True)
class Running:
    """A loop ready to run.

    Attributes:
        loop: The loop.
        clock: Its clock.
        journal: Its records.
        notes: What to say before it begins.
    """

    loop: Loop
    clock: WallClock
    journal: CycleJournal
    notes: tuple[str, ...]


def records_folder(path: Path, records: RecordSettings) -> Path:
    """Return the folder of the records of a control document."""
    return path.parent / (records.folder or _RECORDS)


@contextlib.contextmanager
def wired(path: Path, mode: Mode | None, told: Callable[[CycleRecord], None]) -> Iterator[Running]:
    """Yield a loop wired to the world that its document names; all ends with the context.

    Raises:
        InvalidInputError: The documents are wrong.
        StokerError: There is no way to the cluster, or an extra is missing.
        OSError: The records cannot be written.
    """
    from actuator.kubernetes.events import EventWriter
    from actuator.kubernetes.hands import ClusterHands
    from actuator.kubernetes.lease import Leadership
    from collector.kubernetes.api import ApiServer, connect
    from collector.kubernetes.mirror import Mirror
    from collector.kubernetes.state import KINDS
    from collector.observer import FleetObserver
    from collector.prometheus.source import PrometheusSource
    from controller.degraded import cut_off_words
    from controller.journal import CycleJournal
    from controller.loop import Loop, Ports

    files = Files(path, mode)
    document = files.read()
    settings = document.settings
    clock = WallClock()
    records = settings.records
    folder = records_folder(path, records)
    journal = CycleJournal(folder, records.retention_days, records.retention_mb, mend=True)
    recalled = journal.recall()
    notes = [recalled.problem] if recalled.problem else []
    if recalled.interrupted is not None:
        notes.append(cut_off_words(recalled.interrupted))
    client = connect(settings.cluster)
    scaling = settings.cluster.actuation is Actuation.SCALE
    identity = f"{socket.gethostname()}-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        mirror = stack.enter_context(
            Mirror(
                ApiServer(client),
                KINDS,
                settings.cluster.namespaces,
                clock.monotonic,
                # Copies that are three periods old are too old to act on: confirm them more often.
                watch_s=min(_LONGEST_WATCH_S, settings.loop.period_s),
            )
        )
        mirror.wait_listed(_LISTED_S)

        def eyes(settings: ControlSettings) -> Observer:
            metrics = settings.metrics
            source = PrometheusSource(metrics) if metrics.prometheus_url else None
            return FleetObserver(source, mirror, settings, clock.now, clock.monotonic)

        lock: Lock = Alone()
        if settings.lease.enabled:
            lock = stack.enter_context(
                WhileActing(
                    lambda: Leadership(
                        client,
                        settings.lease,
                        identity,
                        clock.monotonic,
                        lambda leads: clock.wake() if leads else None,
                    ),
                    lambda: files.in_force,
                )
            )
        ports = Ports(
            clock,
            files,
            Eyes(files, eyes),
            ClusterHands(client, settings.cluster) if scaling else Emitting(),
            lock,
            journal,
            journal,
            EventWriter(client, "stoker", clock.now) if settings.records.events else Quiet(),
            told,
            lambda: journal.orders.paused() is not None,
        )
        loop = Loop(ports, document, recalled.memory, recalled.interrupted)
        yield Running(loop, clock, journal, tuple(notes))
