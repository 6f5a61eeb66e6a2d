"""Cycles on disk: a line of JSON each for other programs, and a database for questions.

The database is written in one transaction a cycle, so that a crash leaves a whole cycle or none;
what was intended is written before it is done, so that the next loop can tell what was left open.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.memory import Memory
from controller.recall import RecallError, memory_from_text, memory_to_text
from controller.record import CycleRecord, JsonObject

_DAY_S = 86_400.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cycles (
    id INTEGER PRIMARY KEY,
    cycle INTEGER NOT NULL,
    at REAL NOT NULL,
    mode TEXT NOT NULL,
    leader INTEGER NOT NULL,
    took_s REAL,
    document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS cycles_at ON cycles (at);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, text TEXT NOT NULL);
"""
_MEMORY, _INTENDED, _APPROVED = "memory", "intended", "approved"


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

    Raises:
        OSError: The folder or its files cannot be written.
    """

    def __init__(self, folder: Path, retention_days: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._retention_s = retention_days * _DAY_S
        self._lines = folder / "cycles.jsonl"
        self._path = folder / "history.db"
        with self._database() as database:
            database.executescript(_SCHEMA)

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection of this thread alone; what was done is kept if nothing was raised."""
        connection = sqlite3.connect(self._path, timeout=10.0)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            with connection:
                yield connection
        except sqlite3.Error as error:
            raise OSError(None, f"the history cannot be written: {error}", str(self._path)) from (
                error
            )
        finally:
            connection.close()

    def recall(self) -> Recalled:
        """Return what the last loop left."""
        with self._database() as database:
            found = dict(database.execute("SELECT name, text FROM state").fetchall())
        problem = ""
        memory = Memory()
        if _MEMORY in found:
            try:
                memory = memory_from_text(found[_MEMORY])
            except RecallError as error:
                problem = f"{self._path}: {error}; it begins anew"
        interrupted = json.loads(found[_INTENDED]) if found.get(_INTENDED) else None
        return Recalled(memory, interrupted, problem)

    def intend(self, record: CycleRecord) -> None:
        """Write down what is about to be done."""
        with self._database() as database:
            _put(database, _INTENDED, json.dumps(record.document))

    def write(self, record: CycleRecord, memory: Memory) -> None:
        """Write down what was done, and what to remember; old records go."""
        text = json.dumps(record.document, separators=(",", ":"))
        with self._database() as database:
            database.execute(
                "INSERT INTO cycles (cycle, at, mode, leader, took_s, document) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    record.cycle,
                    record.at,
                    record.mode.value,
                    int(record.leader),
                    record.took_s,
                    text,
                ),
            )
            _put(database, _MEMORY, memory_to_text(memory))
            _put(database, _INTENDED, "")
            database.execute("DELETE FROM cycles WHERE at < ?", (record.at - self._retention_s,))
        with self._lines.open("a", encoding="utf-8") as lines:
            lines.write(text + "\n")

    def approve(self, servers: Sequence[str] | None) -> dict[str, JsonObject]:
        """Approve the decisions of the last record just as they stand, and return them.

        An approval holds for that very decision: once the loop decides otherwise, somebody has to
        approve again. Each call replaces the approvals before.

        Args:
            servers: Whose decisions; None for all that change something.
        """
        found = self.last()
        waiting = open_decisions(found[0]) if found else {}
        chosen = {
            name: decision
            for name, decision in waiting.items()
            if servers is None or name in servers
        }
        with self._database() as database:
            _put(database, _APPROVED, json.dumps(chosen))
        return chosen

    def approved(self, record: CycleRecord) -> frozenset[str]:
        """Return the servers whose decision in this record somebody approved as it stands."""
        with self._database() as database:
            row = database.execute("SELECT text FROM state WHERE name = ?", (_APPROVED,)).fetchone()
        approvals = json.loads(row[0]) if row is not None and row[0] else {}
        waiting = open_decisions(record.document)
        return frozenset(
            name
            for name, decision in waiting.items()
            if name in approvals and approvals[name]["targets"] == decision["targets"]
        )

    def last(self, count: int = 1, before: float | None = None) -> tuple[JsonObject, ...]:
        """Return the newest records, the newest first."""
        with self._database() as database:
            rows = database.execute(
                "SELECT document FROM cycles WHERE at < ? ORDER BY at DESC, id DESC LIMIT ?",
                (float("inf") if before is None else before, count),
            ).fetchall()
        return tuple(_document(row[0]) for row in rows)

    def cycle(self, number: int) -> JsonObject | None:
        """Return the newest record of that number; None where there is none."""
        with self._database() as database:
            row = database.execute(
                "SELECT document FROM cycles WHERE cycle = ? ORDER BY id DESC LIMIT 1", (number,)
            ).fetchone()
        return None if row is None else _document(row[0])


def open_decisions(document: JsonObject) -> dict[str, JsonObject]:
    """Return the decisions of a record that change something, by server."""
    return {
        name: server["decision"]
        for name, server in document["servers"].items()
        if server["decision"] is not None and server["decision"]["targets"]
    }


def _document(text: str) -> JsonObject:
    document: dict[str, Any] = json.loads(text)
    return document


def _put(database: sqlite3.Connection, name: str, text: str) -> None:
    database.execute(
        "INSERT INTO state (name, text) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET text = excluded.text",
        (name, text),
    )
