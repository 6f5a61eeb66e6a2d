"""Sets of servers on common replicas, predicted: how many, at what cost and value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.engine_fleet import EngineFleet
from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import FleetArrays, total_rate_rps
from optimizer.sharing.barred import NOTHING_BARRED, Barred
from optimizer.sharing.sets import SharedWay, shared_ways
from optimizer.table import NO_NAME, BoolArray, CandidateTable, FloatArray, IntArray
from queueing.engine import EngineTargets
from queueing.engine.build import iteration_times
from queueing.engine.sharing import SharedCases
from queueing.engine.sharing_sizing import fewest_shared
from stoker.domain.fleet import Fleet
from stoker.domain.routing import Router

BLOCK = 2048
"""Cases computed at once."""


@dataclass(frozen=True, slots=True)
class SharedCandidate:
    """A set of servers on common replicas that keep the targets of all of them.

    Attributes:
        way: Who shares what.
        replicas: Replicas in all.
        cards: Cards in all.
        card_type: Index of the card type.
        cost_per_hour: Cost of all replicas.
        value: Cost of the change from what runs now for its members.
    """

    way: SharedWay
    replicas: int
    cards: int
    card_type: int
    cost_per_hour: float
    value: float


@dataclass(frozen=True, slots=True)
class Asked:
    """Sets of as many servers each, as questions to the analysis; arrays (cases,).

    Attributes:
        shared: The replicas.
        targets: Targets of each member, (members,).
        rate_rps: Of all members together.
        engines: Engines of one replica.
    """

    shared: SharedCases
    targets: tuple[EngineTargets, ...]
    rate_rps: FloatArray
    engines: FloatArray


class SharedFleet:
    """Makes questions to the analysis of sets of servers of one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Take the fleet."""
        self.fleet = fleet
        self.arrays: FleetArrays = fleet_arrays(fleet)
        self.rate_rps = total_rate_rps(self.arrays.servers, fleet.rules.tps_replaces_rate)
        self._times = iteration_times(self.arrays.profiles.parameters)
        self._engine = EngineFleet(self.arrays, fleet.rules.max_blocking)

    def router(self, way: SharedWay) -> Router:
        """Return how a request finds its replica, which is alike for all members."""
        return Router(int(self.arrays.servers.router[way.members[0]]))

    def engine_priorities(self, way: SharedWay) -> tuple[int, ...] | None:
        """Return whose requests are admitted first, by member; None without priorities."""
        if not self.fleet.sharing[way.group].priorities:
            return None
        own = [int(self.arrays.servers.priority[member]) for member in way.members]
        ranks = {priority: rank for rank, priority in enumerate(sorted(set(own)))}
        return tuple(ranks[priority] for priority in own)

    def asked(self, ways: Sequence[SharedWay]) -> Asked:
        """Return ways with equally many members as questions."""
        servers, profiles = self.arrays.servers, self.arrays.profiles
        members = np.array([way.members for way in ways], dtype=np.int64).T
        profile = np.array([way.profile for way in ways], dtype=np.int64)
        rate = self.rate_rps[members]
        priority = np.array(
            [self.engine_priorities(way) or (0,) * len(way.members) for way in ways]
        ).T
        # Streams together are about as bursty as they are on average (Whitt 1982, the asymptotic
        # method for superposed renewal processes).
        spread = (rate * servers.arrival_cv[members] ** 2).sum(axis=0) / rate.sum(axis=0)
        shared = SharedCases.of(
            self._times.take(profile),
            rate,
            servers.input_tokens[members],
            servers.output_tokens[members],
            [way.max_batch for way in ways],
            [way.max_queue for way in ways],
            priority=priority,
            input_cv=servers.input_cv[members],
            output_cv=servers.output_cv[members],
            prefix_hit_rate=servers.prefix_hit_rate[members],
            arrival_cv=np.sqrt(spread),
            token_budget=profiles.token_budget[profile],
            kv_tokens=profiles.kv_tokens[profile],
        )
        targets = tuple(self._engine.targets(row) for row in members)
        engines = profiles.engines[profile].astype(np.float64)
        return Asked(shared, targets, rate.sum(axis=0), engines)


def shared_candidates(
    shared: SharedFleet,
    table: CandidateTable,
    capacity: IntArray,
    barred: Barred = NOTHING_BARRED,
) -> tuple[SharedCandidate, ...]:
    """Return the sets of servers on common replicas that may be part of a best plan.

    Args:
        shared: The fleet.
        table: Candidates of each server alone.
        capacity: Cards available by type, shape (types,).
        barred: Ways that are left out.
    """
    found = [
        item for item in all_candidates(shared, barred) if item.cards <= capacity[item.card_type]
    ]
    return _worthwhile(table, found)


def all_candidates(
    shared: SharedFleet, barred: Barred = NOTHING_BARRED
) -> tuple[SharedCandidate, ...]:
    """Return every set of servers on common replicas in every way that keeps all targets.

    Args:
        shared: The fleet.
        barred: Ways that are left out.
    """
    ways = tuple(filter(barred.allows, shared_ways(shared.fleet, shared.arrays)))
    return tuple(
        _candidate(shared, way, int(count))
        for way, count in zip(ways, fewest_replicas(shared, ways).tolist(), strict=True)
        if np.isfinite(count)
    )


def fewest_replicas(shared: SharedFleet, ways: Sequence[SharedWay]) -> FloatArray:
    """Return the replicas of each way; NaN where no number keeps the targets of all."""
    found = np.full(len(ways), np.nan)
    kinds: dict[tuple[int, Router], list[int]] = {}
    for index, way in enumerate(ways):
        kinds.setdefault((len(way.members), shared.router(way)), []).append(index)
    for (_, router), rows in kinds.items():
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            some = [ways[index] for index in part]
            asked = shared.asked(some)
            found[part] = fewest_shared(
                asked.shared,
                asked.targets,
                asked.rate_rps,
                np.array([way.least for way in some], dtype=np.float64),
                np.array([way.most for way in some], dtype=np.float64),
                router,
                asked.engines,
            )
    return found


def _candidate(shared: SharedFleet, way: SharedWay, replicas: int) -> SharedCandidate:
    accelerators, profiles = shared.arrays.accelerators, shared.arrays.profiles
    units = replicas * int(profiles.units[way.profile])
    cost = float(accelerators.cost_per_hour[way.accelerator]) * units
    return SharedCandidate(
        way,
        replicas,
        units * int(accelerators.cards[way.accelerator]),
        int(accelerators.card_type[way.accelerator]),
        cost,
        _value(shared, way, replicas, cost),
    )


def _value(shared: SharedFleet, way: SharedWay, replicas: int, cost_per_hour: float) -> float:
    """Return the value: the cost of the change from what runs now for all members together.

    What runs on the same accelerator in the same configuration stays. All else that runs is torn
    down, and where nothing stays all of it is set up: the penalty is on both.
    """
    servers = shared.arrays.servers
    now, rows = servers.transitions, np.array(way.members)
    runs = servers.current_replicas[rows] > 0
    stays = members_that_stay(shared, way)
    cost_now = now.cost_per_hour[rows]
    moved = float(cost_now[~stays].sum())
    same = int(servers.current_replicas[rows][stays].sum()) == replicas
    if stays.any() and same and not (runs & ~stays).any():
        return 0.0
    torn = moved if stays.any() else moved + cost_per_hour
    return cost_per_hour - float(cost_now.sum()) + now.penalty * torn


def members_that_stay(shared: SharedFleet, way: SharedWay) -> BoolArray:
    """Return for which members something runs on the accelerator and in the configuration."""
    servers = shared.arrays.servers
    now, rows = servers.transitions, np.array(way.members)
    stays = now.accelerator[rows] == way.accelerator
    if now.configuration is not None:
        own = int(shared.arrays.profiles.configuration[way.profile])
        stays &= now.configuration[rows] == (NO_NAME if own < 0 else own)
    if now.prefill_replicas is not None:
        stays &= now.prefill_replicas[rows] == 0
    return np.asarray(stays & (servers.current_replicas[rows] > 0), dtype=np.bool_)


def _worthwhile(
    table: CandidateTable, candidates: Sequence[SharedCandidate]
) -> tuple[SharedCandidate, ...]:
    """Return the candidates that nothing on the same cards beats.

    One is beaten by another of the same servers, or by replicas of their own for each of its
    members, with as few cards and as little value. Exchanging them never makes a plan worse.
    """
    kept: list[SharedCandidate] = []
    alike: dict[tuple[tuple[int, ...], int], list[SharedCandidate]] = {}
    for item in candidates:
        alike.setdefault((item.way.members, item.card_type), []).append(item)
    for (members, card_type), items in alike.items():
        least = np.inf
        apart = _apart(table, members, card_type)
        for item in sorted(items, key=lambda one: (one.cards, one.value)):
            beaten = any(cards <= item.cards and value <= item.value for cards, value in apart)
            if item.value < least and not beaten:
                kept.append(item)
                least = item.value
    return tuple(kept)


def _apart(
    table: CandidateTable, members: tuple[int, ...], card_type: int
) -> list[tuple[int, float]]:
    """Return cards and value of the members on replicas of their own: by value, and by cards."""
    of_type: BoolArray = table.accepted & (table.card_type == card_type)
    found = []
    for by_cards in (False, True):
        cards, value = 0, 0.0
        for member in members:
            span = slice(int(table.row_start[member]), int(table.row_start[member + 1]))
            rows = np.flatnonzero(of_type[span]) + span.start
            if not len(rows):
                return []
            keys = (table.value[rows], table.cards[rows])
            best = rows[np.lexsort(keys if by_cards else keys[::-1])[0]]
            cards += int(table.cards[best])
            value += float(table.value[best])
        found.append((cards, value))
    return found
