"""Measured loads on disk: each cycle adds its own, and now and then the table is written anew.

Histories are by far the most of what a loop remembers, and hardly change from cycle to cycle: to
write all of them every time would be tens of megabytes a cycle for hundreds of servers.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

from controller.history import LoadHistory, LoadSample
from controller.memory import Memory

_SCHEMA = """
CREATE TABLE IF NOT EXISTS loads (
    server TEXT NOT NULL,
    at REAL NOT NULL,
    arrival_rate_rps REAL NOT NULL,
    input_tokens REAL,
    output_tokens REAL,
    PRIMARY KEY (server, at)
) WITHOUT ROWID;
"""
_CYCLES = 120
"""Cycles after which the table is written anew, so that what histories let go of goes too."""


class LoadSamples:
    """The table of one loop, in the database of its cycles.

    Args:
        database: The database, to make the table in.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        database.execute(_SCHEMA)
        self._last: dict[str, float] = {}
        self._cycles = 0

    def add(self, database: sqlite3.Connection, memory: Memory) -> None:
        """Write what came since the last cycle that was `kept`; everything, now and then."""
        last = self._last
        if self._cycles % _CYCLES == 0:
            last = {}
            database.execute("DELETE FROM loads")
        database.executemany(
            "INSERT OR REPLACE INTO loads VALUES (?, ?, ?, ?, ?)",
            (
                (name, each.at, each.arrival_rate_rps, each.input_tokens, each.output_tokens)
                for name, server in memory.servers.items()
                for each in _since(server.history, last.get(name))
            ),
        )

    def kept(self, memory: Memory) -> None:
        """Take note that what was added is on disk."""
        newest = ((name, each.history.last) for name, each in memory.servers.items())
        self._last = {name: sample.at for name, sample in newest if sample is not None}
        self._cycles += 1


def with_histories(memory: Memory, database: sqlite3.Connection) -> Memory:
    """Return a memory with the histories of the table, for servers that it knows without any."""
    rows = database.execute("SELECT * FROM loads ORDER BY server, at")
    servers = dict(memory.servers)
    for name, own in itertools.groupby(rows, key=lambda row: str(row[0])):
        samples = tuple(LoadSample(*row[1:]) for row in own)
        if name in servers and not servers[name].history.samples:
            servers[name] = replace(servers[name], history=LoadHistory(samples))
    return replace(memory, servers=servers)


def _since(history: LoadHistory, last: float | None) -> Iterator[LoadSample]:
    if last is None:
        return iter(history.samples)
    return itertools.takewhile(lambda each: each.at > last, reversed(history.samples))
