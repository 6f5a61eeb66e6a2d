"""What one loop writes down: cycles, its memory, and what somebody ordered meanwhile.

What was intended is written before it is done, so that the next loop can tell what was left open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from controller.archive import Archive, damaged, get, put
from controller.lines import Lines
from controller.memory import Memory
from controller.orders import Orders
from controller.recall import RecallError, memory_from_text, memory_to_text
from controller.record import CycleRecord, JsonObject
from controller.samples import LoadSamples, with_histories

DATABASE = "history.db"
_DAY_S = 86_400.0
_MB = 1_000_000.0
_MEMORY, _INTENDED = "memory", "intended"


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a loop finds when it begins.

    Attributes:
        memory: What was remembered; nothing where nothing was written.
        interrupted: The record of what was intended and perhaps not done; None where the last
            loop ended in order.
        problem: What could not be read, in words; empty for nothing.
    """

    memory: Memory
    interrupted: JsonObject | None = None
    problem: str = ""


class CycleJournal:
    """The records of one loop, in a folder of their own.

    Args:
        folder: The folder; made where it is not there.
        retention_days: Days after which records are deleted.
        retention_mb: Megabytes that the database may take, and as many the lines of JSON.
        mend: Whether a damaged database is set aside for a new one, as the loop needs it; whoever
            only reads leaves it where it is.

    Attributes:
        archive: All cycles that are kept.
        orders: What somebody ordered meanwhile.

    Raises:
        OSError: The folder or its files cannot be written, or read.
    """

    def __init__(
        self,
        folder: Path,
        retention_days: float,
        retention_mb: float = 1000.0,
        *,
        mend: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._retention_s = retention_days * _DAY_S
        self._most_bytes = retention_mb * _MB
        self._lines = Lines(folder, self._retention_s, self._most_bytes)
        self._path = folder / DATABASE
        self._problem = ""
        try:
            self.archive = Archive(self._path)
        except OSError as error:
            if not (mend and damaged(error)):
                raise
            # A loop that cannot remember must still keep a fleet at its size.
            aside = _set_aside(self._path)
            self._problem = f"{error}; it was set aside as {aside.name}, and begins anew"
            self.archive = Archive(self._path)
        self.orders = Orders(self.archive)
        with self.archive.transaction() as database:
            self._samples = LoadSamples(database)

    def recall(self) -> Recalled:
        """Return what the last loop left."""
        with self.archive.transaction() as database:
            remembered, intended = get(database, _MEMORY), get(database, _INTENDED)
            problem = self._problem
            memory = Memory()
            if remembered:
                try:
                    memory = with_histories(memory_from_text(remembered), database)
                except RecallError as error:
                    problem = f"{self._path}: {error}; it begins anew"
        return Recalled(memory, json.loads(intended) if intended else None, problem)

    def intend(self, record: CycleRecord) -> None:
        """Write down what is about to be done."""
        with self.archive.transaction() as database:
            put(database, _INTENDED, json.dumps(record.document))

    def write(self, record: CycleRecord, memory: Memory) -> None:
        """Write down what was done, and what to remember; old records and old orders go."""
        with self.archive.transaction() as database:
            self.archive.add(database, record)
            put(database, _MEMORY, memory_to_text(memory, histories=False))
            self._samples.add(database, memory)
            put(database, _INTENDED, "")
            self.orders.outlived(database, record.document)
            self.archive.forget(database, record.at - self._retention_s, self._most_bytes)
        self._samples.kept(memory)
        self._lines.add(json.dumps(record.document, separators=(",", ":")), record.at)

    def approved(self, record: CycleRecord) -> frozenset[str]:
        """Return the servers whose decision in this record somebody approved as it stands."""
        return self.orders.approved(record.document)

    def last(self, count: int = 1) -> tuple[JsonObject, ...]:
        """Return the newest records, the newest first."""
        return self.archive.newest(count)

    def cycle(self, number: int) -> JsonObject | None:
        """Return the newest record of that number; None where there is none."""
        return self.archive.numbered(number)


def _set_aside(path: Path) -> Path:
    """Rename a damaged database, and drop the logs that belong to it."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
