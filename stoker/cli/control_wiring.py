"""The loop put together: its ports on a real cluster, Prometheus, files and clocks."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.cli.control_files import Eyes, Files
from stoker.domain.control.choices import Actuation, Mode
from stoker.domain.control.settings import ControlSettings, RecordSettings

if TYPE_CHECKING:
    from controller.journal import CycleJournal, Recalled
    from controller.loop import Loop
    from controller.ports import Lock, Observer, Permit
    from controller.record import CycleRecord
    from stoker.domain.control.changes import ChangeResult, Decisions, Notice, VariantTarget

_LISTED_S = 30.0
_LONGEST_WATCH_S = 20.0
_LONGEST_WAIT_S = 10.0
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

    def step_down(self) -> None:
        """Do nothing: nobody waits to take over."""


class WhileActing:
    """Takes part in the election only while the loop may write.

    A loop that only observes, or only tries its writes, must not keep another one from acting; one
    whose document is changed to `act` meanwhile must not act without being elected.

    Args:
        elected: Begins to take part, until the context ends.
        elects: Whether the documents in force let it write.
    """

    def __init__(
        self,
        elected: Callable[[], contextlib.AbstractContextManager[Lock]],
        elects: Callable[[], bool],
    ) -> None:
        self._elected = elected
        self._elects = elects
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
        if not self._elects():
            self._end()
            return True
        if self._part is None:
            self._part = self._stack.enter_context(self._elected())
        return self._part.holds()

    def step_down(self) -> None:
        """Give up what it holds, until it is asked again whether it holds it."""
        self._end()

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

        forbidden = permit() if permit is not None else ""
        if forbidden:
            outcome, words = ChangeOutcome.FAILED, forbidden
        elif dry_run:
            outcome, words = ChangeOutcome.DRY_RUN, "would be emitted for HPA or KEDA to follow"
        else:
            outcome, words = ChangeOutcome.EMITTED, "emitted for HPA or KEDA to follow"
        return tuple(
            ChangeResult(target, outcome, target.replicas_before, words) for target in targets
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
def wired(
    path: Path,
    mode: Mode | None,
    told: Callable[[CycleRecord], None],
    *,
    dry_run: bool = False,
) -> Iterator[Running]:
    """Yield a loop wired to the world that its document names; all ends with the context.

    Args:
        path: The control document.
        mode: What the loop may do, instead of the document's mode; None for that.
        told: Called with every record.
        dry_run: Whether it only tries its writes. It begins with what the loop of this document
            remembers, and leaves nothing behind, not even records.

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
    from controller.loop import Loop, Ports

    files = Files(path, mode, dry_run=dry_run)
    document = files.read()
    settings = document.settings
    clock = WallClock()
    scaling = settings.cluster.actuation is Actuation.SCALE
    identity = f"{socket.gethostname()}-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        folder = records_folder(path, settings.records)
        journal, recalled = _journal(folder, settings.records, stack, dry_run=dry_run)
        notes = [recalled.problem] if recalled.problem else []
        if recalled.interrupted is not None:
            notes.append(cut_off_words(recalled.interrupted))
        if dry_run:
            notes += _paused(folder, settings.records)
        client = connect(settings.cluster)
        mirror = stack.enter_context(
            Mirror(
                ApiServer(client),
                KINDS,
                settings.cluster.namespaces,
                clock.monotonic,
                # Copies that are three periods old are too old to act on: confirm them more often.
                watch_s=min(_LONGEST_WATCH_S, settings.loop.period_s),
                # A server that is back is to be seen by the next cycle but one.
                longest_wait_s=min(_LONGEST_WAIT_S, settings.loop.period_s / 3),
                others=not settings.cluster.sole_tenant,
            )
        )
        mirror.wait_listed(_LISTED_S)

        def eyes(settings: ControlSettings) -> Observer:
            metrics = settings.metrics
            source = PrometheusSource(metrics) if metrics.prometheus_url else None
            return FleetObserver(source, mirror, settings, clock.now, clock.monotonic)

        lock: Alone | WhileActing = Alone()
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
                    lambda: files.elects,
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
            lock.step_down,
        )
        loop = Loop(ports, document, recalled.memory, recalled.interrupted)
        yield Running(loop, clock, journal, tuple(notes))


def _paused(folder: Path, records: RecordSettings) -> Iterator[str]:
    """Yield that the loop whose dry run this is was paused, if it was."""
    from controller.journal import DATABASE, CycleJournal

    if not (folder / DATABASE).is_file():
        return
    found = CycleJournal(folder, records.retention_days, records.retention_mb).orders.paused()
    if found is not None:
        why = f" ({found['reason']})" if found["reason"] else ""
        yield (
            f"the loop is paused{why}: what is tried here, it writes only after "
            "`stoker control resume`"
        )


def _journal(
    folder: Path, records: RecordSettings, stack: contextlib.ExitStack, *, dry_run: bool
) -> tuple[CycleJournal, Recalled]:
    """Return where cycles are written down, and what the loop before remembered.

    Those of a dry run go to a folder that is gone when the stack is.
    """
    from controller.journal import DATABASE, CycleJournal, Recalled
    from controller.memory import Memory

    kept = (records.retention_days, records.retention_mb)
    if not dry_run:
        journal = CycleJournal(folder, *kept, mend=True)
        return journal, journal.recall()
    recalled = Recalled(Memory())
    if (folder / DATABASE).is_file():
        # What the loop left open is told by the loop that goes on.
        recalled = replace(CycleJournal(folder, *kept).recall(), interrupted=None)
    beside = stack.enter_context(tempfile.TemporaryDirectory(prefix="stoker-dry-run-"))
    return CycleJournal(Path(beside), *kept), recalled
