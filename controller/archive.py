"""The database of cycles: SQLite with a write-ahead log, bounded in age and in size.

Every call has a connection of its own, so that threads and other processes may read while the loop
writes. One transaction writes one cycle: a crash leaves the whole of it or nothing.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.record import CycleRecord, JsonObject
from controller.summary import summary_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cycles (
    id INTEGER PRIMARY KEY,
    cycle INTEGER NOT NULL,
    at REAL NOT NULL,
    mode TEXT NOT NULL,
    leader INTEGER NOT NULL,
    took_s REAL,
    document BLOB NOT NULL,
    summary TEXT
);
CREATE INDEX IF NOT EXISTS cycles_at ON cycles (at);
CREATE INDEX IF NOT EXISTS cycles_cycle ON cycles (cycle);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, text TEXT NOT NULL);
"""
_WAIT_S = 10.0
_SHARE_OF_THE_OLDEST = 20
"""Where the database is too large, a twentieth of its cycles goes at a time."""
_DAMAGED = ("malformed", "not a database")


@dataclass(frozen=True, slots=True)
class Kept:
    """A cycle as it is kept.

    Attributes:
        key: Its key: it grows with every cycle that is written, and is never used again.
        document: The record, or what was asked for of it.
    """

    key: int
    document: JsonObject


class Archive:
    """The database of one loop.

    Args:
        path: The file; made where it is not there.

    Raises:
        OSError: It cannot be opened, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self.transaction() as database:
            known = {row[1] for row in database.execute("PRAGMA table_info(cycles)")}
            database.executescript(_SCHEMA)
            if known and "summary" not in known:
                database.execute("ALTER TABLE cycles ADD COLUMN summary TEXT")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection of this thread alone; what was done is kept if nothing was raised.

        Raises:
            OSError: The database cannot be read or written.
        """
        connection = None
        try:
            connection = sqlite3.connect(self._path, timeout=_WAIT_S)
            # What is deleted is given back to the disk; only a file that is made now can be told.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            with connection:
                yield connection
        except sqlite3.Error as error:
            message = f"the history cannot be read or written: {error}"
            raise OSError(None, message, str(self._path)) from error
        finally:
            if connection is not None:
                connection.close()

    def add(self, database: sqlite3.Connection, record: CycleRecord) -> None:
        """Write a cycle down."""
        text = json.dumps(record.document, separators=(",", ":"))
        database.execute(
            "INSERT INTO cycles (cycle, at, mode, leader, took_s, document, summary) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                record.cycle,
                record.at,
                record.mode.value,
                int(record.leader),
                record.took_s,
                zlib.compress(text.encode(), level=1),
                json.dumps(summary_of(record.document)),
            ),
        )

    def forget(self, database: sqlite3.Connection, before: float, most_bytes: float) -> None:
        """Delete cycles that began earlier, and the oldest ones while all take more bytes."""
        database.execute("DELETE FROM cycles WHERE at < ?", (before,))
        while _used_bytes(database) > most_bytes:
            (count,) = database.execute("SELECT count(*) FROM cycles").fetchone()
            if count <= 1:
                break
            database.execute(
                "DELETE FROM cycles WHERE id IN (SELECT id FROM cycles ORDER BY id LIMIT ?)",
                (min(count - 1, 1 + count // _SHARE_OF_THE_OLDEST),),
            )
        database.execute("PRAGMA incremental_vacuum(1000)").fetchall()

    def newest(self, count: int, *, offset: int = 0) -> tuple[JsonObject, ...]:
        """Return whole records, the newest first."""
        with self.transaction() as database:
            rows = database.execute(
                "SELECT document FROM cycles ORDER BY id DESC LIMIT ? OFFSET ?", (count, offset)
            ).fetchall()
        return tuple(opened(row[0]) for row in rows)

    def numbered(self, number: int) -> JsonObject | None:
        """Return the newest record of that number; None where there is none."""
        with self.transaction() as database:
            row = database.execute(
                "SELECT document FROM cycles WHERE cycle = ? ORDER BY id DESC LIMIT 1", (number,)
            ).fetchone()
        return None if row is None else opened(row[0])

    def page(
        self,
        count: int,
        *,
        before: int | None = None,
        since: float | None = None,
        until: float | None = None,
        view: Callable[[JsonObject], JsonObject | None] | None = None,
    ) -> tuple[Kept, ...]:
        """Return cycles, the newest first.

        Args:
            count: Most cycles.
            before: Only those with a smaller key.
            since: Only those that began then or later, in seconds since the epoch.
            until: Only those that began earlier.
            view: What is asked for of each whole record; None for its summary. A record of which
                nothing is asked for is an empty one.
        """
        # Cycles of an earlier version have no summary of their own.
        wanted = "document, NULL" if view is not None else "coalesce(summary, document), summary"
        with self.transaction() as database:
            rows = database.execute(
                f"SELECT id, {wanted} FROM cycles "
                "WHERE id < ? AND at >= ? AND at < ? ORDER BY id DESC LIMIT ?",
                (
                    before if before is not None else 2**63 - 1,
                    float("-inf") if since is None else since,
                    float("inf") if until is None else until,
                    count,
                ),
            )
            # One after the other: whole records of a large fleet are megabytes each.
            return tuple(
                Kept(key, opened(kept) if summary else (view or summary_of)(opened(kept)) or {})
                for key, kept, summary in rows
            )


def damaged(error: OSError) -> bool:
    """Whether a database failed because its file is no sound database any more."""
    return any(words in str(error) for words in _DAMAGED)


def opened(kept: str | bytes) -> JsonObject:
    """Return a record from what the database keeps of it."""
    text = zlib.decompress(kept).decode() if isinstance(kept, bytes) else kept
    document: dict[str, Any] = json.loads(text)
    return document


def get(database: sqlite3.Connection, name: str) -> str:
    """Return what is kept under a name beside the cycles; empty for nothing."""
    row = database.execute("SELECT text FROM state WHERE name = ?", (name,)).fetchone()
    return "" if row is None else str(row[0])


def put(database: sqlite3.Connection, name: str, text: str) -> None:
    """Keep something under a name beside the cycles."""
    database.execute(
        "INSERT INTO state (name, text) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET text = excluded.text",
        (name, text),
    )


def _used_bytes(database: sqlite3.Connection) -> int:
    def figure(name: str) -> int:
        return int(database.execute(f"PRAGMA {name}").fetchone()[0])

    return (figure("page_count") - figure("freelist_count")) * figure("page_size")
