"""Candidates of a server by load, looked up by accelerator, configuration and batch limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from optimizer.candidates import every_candidate
from optimizer.horizon.batch_limits import Place, SeenLimit
from optimizer.table import (
    ACCEPTED,
    EMPTY,
    REJECTIONS,
    BoolArray,
    CandidateTable,
    FloatArray,
    IntArray,
)
from stoker.domain.fleet import Fleet
from stoker.domain.server import Server
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load

Limits = Mapping[Place, frozenset[int]]
Key = tuple[int, int, int]
"""Accelerator, configuration (-1 without a name) and batch limit."""

_AT_A_TIME = 2000
"""Loads that are sized in one table."""


class LoadTables:
    """Candidate tables of some loads, looked up by load."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[Key, tuple[CandidateTable, int]]] = {}
        self.rejected: dict[int, dict[str, None]] = {}
        self.stands_for: dict[int, int] = {}
        self.sized_alone: set[int] = set()
        self.counts: dict[tuple[int, Key], int] = {}

    def add(self, table: CandidateTable, kinds: Sequence[int]) -> None:
        """Keep the rows of a table whose servers are these loads."""
        for row in range(len(table.server)):
            sized = kinds[int(table.server[row])]
            kind = self.stands_for[sized]
            self.rows.setdefault(kind, {})
            if table.accelerator[row] == EMPTY:
                continue
            if table.rejection[row] != ACCEPTED:
                word = REJECTIONS[int(table.rejection[row]) - 1].value
                name = table.accelerators[int(table.accelerator[row])]
                self.rejected.setdefault(kind, {})[f"{name}: {word}"] = None
                continue
            if table.prefill_replicas is not None and table.prefill_replicas[row] > 0:
                continue
            named = -1 if table.configuration is None else int(table.configuration[row])
            key = (int(table.accelerator[row]), named, int(table.max_batch[row]))
            self.rows[kind].setdefault(key, (table, row))
            self.counts.setdefault((sized, key), int(table.replicas[row]))

    def seen(self, kinds: Sequence[int]) -> Iterator[SeenLimit]:
        """Yield the batch limits of these loads by accelerator."""
        for kind in kinds:
            for key, (table, row) in self.rows[self.stands_for[kind]].items():
                largest = 0 if table.largest_batch is None else int(table.largest_batch[row])
                yield SeenLimit(key[:2], key[2], largest or key[2])

    def keep(self, place: IntArray, limits: Mapping[int, Limits]) -> None:
        """Leave out the rows of some servers that have other limits than theirs."""
        for server, own in limits.items():
            for kind in {self.stands_for[kind] for kind in place[server].tolist()}:
                self.rows[kind] = {
                    key: row
                    for key, row in self.rows[kind].items()
                    if key[2] in own.get(key[:2], {key[2]})
                }

    def reason(self, kinds: Sequence[int]) -> str:
        """Return why these loads cannot be served, in words."""
        words: dict[str, None] = {}
        for kind in kinds:
            words |= self.rejected.get(self.stands_for.get(kind, kind), {})
        return "; ".join(words) or "no accelerator can serve it in every hour"


def sized_tables(
    fleet: Fleet,
    kinds: Sequence[Server],
    place: IntArray,
    pooled: BoolArray,
    total: FloatArray,
    analysis: Analysis,
) -> LoadTables:
    """Size the loads that stand for all of them.

    Of the loads of a server that differ in the rate alone, where they are sized once, the smallest
    stands for all. A way of serving that is of no use at one load may be at another: all are kept.
    """
    tables = LoadTables()
    alike: dict[tuple[int, Load], list[int]] = {}
    owner = np.zeros(len(kinds), dtype=np.int64)
    for at in range(len(place)):
        owner[place[at]] = at
    for kind, server in enumerate(kinds):
        assert server.load is not None  # a demand has no unknown loads
        if pooled[kind] or server.load.is_zero:
            tables.sized_alone.add(kind)
            tables.stands_for[kind] = kind
        else:
            load = replace(server.load, arrival_rate_rps=0.0, throughput_rps=None)
            alike.setdefault((int(owner[kind]), load), []).append(kind)
    sized = dict.fromkeys(tables.sized_alone)
    for members in alike.values():
        ordered = sorted(members, key=lambda kind: float(total[kind]))
        sized[ordered[0]] = None
        tables.stands_for |= dict.fromkeys(members, ordered[0])
    asked = list(sized)
    for first in range(0, len(asked), _AT_A_TIME):
        part = asked[first : first + _AT_A_TIME]
        servers = tuple(kinds[kind] for kind in part)
        tables.add(every_candidate(replace(fleet, servers=servers), analysis), part)
    return tables
