"""Replicas that each option of a server takes in each hour.

What one replica carries within its targets is the same at any load where requests are split at
random, so that a server is sized once for each kind of request; the rest is rounding up, and a look
at whether the shares keep the targets. Behind other routers, and for bursts, what one carries
depends on how many there are: every load is then sized on its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import total_rate_rps
from optimizer.horizon.batch_limits import limits_of_all_hours, offered
from optimizer.horizon.kept_shares import Asked, kept_counts
from optimizer.horizon.load_tables import Key, Limits, LoadTables, sized_tables
from optimizer.horizon.question import IMPOSSIBLE
from optimizer.predictions import Predictor, Replicas
from optimizer.predictors import predictor_of
from optimizer.table import (
    CandidateTable,
    FloatArray,
    IntArray,
)
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import HourlyDemand
from stoker.domain.server import Server
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load


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
    tables = sized_tables(fleet, kinds, place, pooled, total, analysis)
    limits = _limits(fleet, place, tables, total)
    if limits:
        for server, own in limits.items():
            for kind in set(place[server].tolist()):
                kinds[kind] = offered(kinds[kind], own)
        tables = sized_tables(fleet, kinds, place, pooled, total, analysis)
        tables.keep(place, limits)
    _count_others(tables, predictor, total, every_share=analysis is Analysis.REFERENCE)
    ways: list[Way] = []
    reasons: dict[int, str] = {}
    for server in range(len(fleet.servers)):
        found = _undominated(_ways_of(server, place[server], tables, total, demand.hours))
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


def _limits(
    fleet: Fleet, place: IntArray, tables: LoadTables, total: FloatArray
) -> dict[int, Limits]:
    """Return the batch limits to offer to the servers whose hours have different ones."""
    limits = {}
    for at, server in enumerate(fleet.servers):
        loaded = [kind for kind in sorted(set(place[at].tolist())) if total[kind] > 0]
        own = limits_of_all_hours(server, tables.seen(loaded))
        if own is not None:
            limits[at] = own
    return limits


def _ways_of(
    server: int,
    kinds: IntArray,
    tables: LoadTables,
    total: FloatArray,
    hours: int,
) -> list[Way]:
    """Return the ways of one server over all hours."""
    own = {kind: tables.rows[tables.stands_for[kind]] for kind in set(kinds.tolist())}
    keys: dict[Key, tuple[CandidateTable, int]] = {}
    for rows in own.values():
        keys |= rows
    idle = {kind for kind, rows in own.items() if not rows and not total[kind] > 0}
    # Without load a minimum of replicas is the same number at any batch limit.
    kept = {
        (kind, key[:2]): tables.counts[kind, key]
        for kind, rows in own.items()
        for key in rows
        if not total[kind] > 0
    }
    ways = []
    for key, (table, sample) in sorted(keys.items(), key=lambda item: item[0]):
        need = np.full(hours, IMPOSSIBLE, dtype=np.int64)
        for kind, rows in own.items():
            here = kinds == kind
            if kind in idle:
                need[here] = 0
            elif key in rows:
                need[here] = tables.counts[kind, key]
            elif (kind, key[:2]) in kept:
                need[here] = kept[kind, key[:2]]
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


def _undominated(ways: Sequence[Way]) -> list[Way]:
    """Return the ways but those that another on the same accelerator is as good as every hour."""

    def as_good(one: Way, other: Way) -> bool:
        return (
            one.accelerator == other.accelerator
            and one.cards <= other.cards
            and one.price <= other.price
            and all(
                its == IMPOSSIBLE or IMPOSSIBLE != mine <= its
                for mine, its in zip(one.need, other.need, strict=True)
            )
        )

    return [
        way
        for at, way in enumerate(ways)
        if not any(
            as_good(one, way) and (other < at or not as_good(way, one))
            for other, one in enumerate(ways)
            if other != at
        )
    ]


def _count_others(
    tables: LoadTables, predictor: Predictor, total: FloatArray, *, every_share: bool
) -> None:
    """Count the replicas of loads that others stand for, so that their shares keep the targets."""
    found: list[tuple[int, Key]] = []
    ways: dict[tuple[int, Key], int] = {}
    asked: list[tuple[int, ...]] = []
    counts, sized = [], []
    for kind, stands in tables.stands_for.items():
        for key, (table, row) in tables.rows.get(stands, {}).items():
            if (kind, key) in tables.counts:
                continue
            most, carried = int(table.max_replicas[row]), float(table.max_rate_rps[row])
            needed = max(int(table.min_replicas[row]), 1, int(np.ceil(total[kind] / carried)))
            if needed > most or kind in tables.sized_alone:
                tables.counts[kind, key] = IMPOSSIBLE
                continue
            if (stands, key) not in ways:
                ways[stands, key] = len(ways)
                sized.append(carried)
            assert table.profile is not None  # of every table that is built here
            profile, queue = int(table.profile[row]), int(table.max_queue[row])
            asked.append((ways[stands, key], kind, profile, key[2], queue, most))
            found.append((kind, key))
            counts.append(needed)
    if not found:
        return
    way, server, profile_of, max_batch, max_queue, most_of = np.array(asked, dtype=np.int64).T
    count = np.array(counts, dtype=np.float64)
    replicas = Replicas(server, profile_of, max_batch, max_queue, count)
    kept = kept_counts(
        predictor,
        Asked(way, replicas, total[server], most_of, np.array(sized), every_share),
    )
    tables.counts |= zip(found, kept.tolist(), strict=True)
