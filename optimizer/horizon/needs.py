"""Replicas that each option of a server takes in each hour.

What one replica carries within its targets is the same at any load where requests are split at
random, so that a server is sized once for each kind of request and the rest is rounding up. Behind
other routers, and for bursts, what one carries depends on how many there are: every load is then
sized on its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.candidates import build_candidates
from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import total_rate_rps
from optimizer.horizon.question import IMPOSSIBLE
from optimizer.predictors import predictor_of
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
from stoker.domain.horizon import HourlyDemand
from stoker.domain.server import Server
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load

Key = tuple[int, int, int]
"""Accelerator, configuration (-1 without a name) and batch limit."""

_AT_A_TIME = 2000
"""Loads that are sized in one table."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to serve one server.

    Attributes:
        server: Index of the server.
        accelerator: Index of the accelerator configuration.
        configuration: Name of the configuration among several; None for the only one.
        max_batch: Batch limit of a replica.
        card_type: Type of its cards.
        cards: Cards of a replica.
        price: Price of a replica on demand, per hour.
        need: Replicas by hour, `IMPOSSIBLE` where it cannot serve.
        most: Largest number of replicas allowed.
    """

    server: int
    accelerator: str
    configuration: str | None
    max_batch: int
    card_type: str
    cards: int
    price: float
    need: tuple[int, ...]
    most: int


@dataclass(frozen=True, slots=True)
class Needs:
    """Ways to serve all servers, and why some cannot be served.

    Attributes:
        ways: Ways, sorted by server.
        reasons: For servers without a way: the rejections, in words.
    """

    ways: tuple[Way, ...]
    reasons: Mapping[int, str]


def replica_needs(fleet: Fleet, demand: HourlyDemand, analysis: Analysis) -> Needs:
    """Return what each accelerator takes to carry each hour of each server's load.

    Args:
        fleet: The fleet; loads of its servers are those of the demand.
        demand: The load of every server of the fleet, in the fleet's order.
        analysis: Performance model behind the counts.

    Raises:
        InvalidInputError: A target is beyond the analysis.
    """
    kinds, place = _kinds(fleet, demand)
    whole = replace(fleet, servers=tuple(kinds))
    arrays = fleet_arrays(whole)
    predictor = predictor_of(analysis, arrays, fleet.rules)
    pooled = predictor.pooled(np.arange(len(kinds), dtype=np.int64))
    total = total_rate_rps(arrays.servers, fleet.rules.tps_replaces_rate)
    tables = _tables(fleet, kinds, place, pooled, total, analysis)
    ways: list[Way] = []
    reasons: dict[int, str] = {}
    for server in range(len(fleet.servers)):
        found = _ways_of(server, place[server], tables, total, demand.hours)
        ways += found
        if not any(IMPOSSIBLE not in way.need for way in found):
            reasons[server] = tables.reason(sorted(set(place[server].tolist())))
    return Needs(tuple(ways), reasons)


def _kinds(fleet: Fleet, demand: HourlyDemand) -> tuple[list[Server], IntArray]:
    """Return the servers with every load that occurs, and which of them each hour is."""
    kinds: list[Server] = []
    index: dict[tuple[int, Load], int] = {}
    place = np.zeros((len(fleet.servers), demand.hours), dtype=np.int64)
    for at, (server, loads) in enumerate(zip(fleet.servers, demand.loads, strict=True)):
        for hour, load in enumerate(loads):
            key = (at, load)
            if key not in index:
                index[key] = len(kinds)
                kinds.append(replace(server, name=f"{server.name} {len(kinds)}", load=load))
            place[at, hour] = index[key]
    return kinds, place


class _Tables:
    """Candidate tables of some loads, looked up by load."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[Key, tuple[CandidateTable, int]]] = {}
        self.rejected: dict[int, dict[str, None]] = {}
        self.stands_for: dict[int, int] = {}
        self.sized_alone: set[int] = set()

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

    def reason(self, kinds: Sequence[int]) -> str:
        """Return why these loads cannot be served, in words."""
        words: dict[str, None] = {}
        for kind in kinds:
            words |= self.rejected.get(self.stands_for.get(kind, kind), {})
        return "; ".join(words) or "no accelerator can serve it in every hour"


def _tables(
    fleet: Fleet,
    kinds: Sequence[Server],
    place: IntArray,
    pooled: BoolArray,
    total: FloatArray,
    analysis: Analysis,
) -> _Tables:
    """Size the loads that stand for all of them.

    Of the loads of a server that differ in the rate alone, where they are sized once, the smallest,
    the median and the largest stand for all: on one accelerator a way of serving that is of no use
    at one of them may be at another.
    """
    tables = _Tables()
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
        sized |= dict.fromkeys((ordered[0], ordered[len(ordered) // 2], ordered[-1]))
        tables.stands_for |= dict.fromkeys(members, ordered[0])
    asked = list(sized)
    for first in range(0, len(asked), _AT_A_TIME):
        part = asked[first : first + _AT_A_TIME]
        servers = tuple(kinds[kind] for kind in part)
        tables.add(build_candidates(replace(fleet, servers=servers), analysis), part)
    return tables


def _ways_of(
    server: int,
    kinds: IntArray,
    tables: _Tables,
    total: FloatArray,
    hours: int,
) -> list[Way]:
    """Return the ways of one server over all hours."""
    own = {kind: tables.rows[tables.stands_for[kind]] for kind in set(kinds.tolist())}
    keys: dict[Key, tuple[CandidateTable, int]] = {}
    for rows in own.values():
        keys |= rows
    idle = {kind for kind, rows in own.items() if not rows and not total[kind] > 0}
    ways = []
    for key, (table, sample) in sorted(keys.items(), key=lambda item: item[0]):
        need = np.full(hours, IMPOSSIBLE, dtype=np.int64)
        for kind, rows in own.items():
            here = kinds == kind
            if kind in idle:
                need[here] = 0
            elif key in rows:
                told, row = rows[key]
                need[here] = _replicas(told, row, float(total[kind]), tables, kind)
        named = int(table.configuration[sample]) if table.configuration is not None else -1
        ways.append(
            Way(
                server=server,
                accelerator=table.accelerators[key[0]],
                configuration=table.configurations[named] if named >= 0 else None,
                max_batch=key[2],
                card_type=table.card_types[int(table.card_type[sample])],
                cards=int(table.cards_per_replica[sample]),
                price=float(table.unit_cost_per_hour[sample]),
                need=tuple(need.tolist()),
                most=int(table.max_replicas[sample]),
            )
        )
    if not ways and idle and len(idle) == len(own):
        ways.append(Way(server, "", None, 0, "", 1, 0.0, (0,) * hours, 0))
    return ways


def _replicas(table: CandidateTable, row: int, rate: float, tables: _Tables, kind: int) -> int:
    """Return the replicas that a load takes: as sized, or by the rate that one carries."""
    if kind in tables.sized_alone:
        return int(table.replicas[row])
    least = max(int(table.min_replicas[row]), 1)
    needed = max(least, int(np.ceil(rate / float(table.max_rate_rps[row]))))
    return needed if needed <= int(table.max_replicas[row]) else IMPOSSIBLE
