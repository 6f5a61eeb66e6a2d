"""Sets of servers on common replicas with all that limits and objectives can see of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.configurations.visible import batch_limits_now
from optimizer.predictions import of_latency, target_use
from optimizer.sharing.barred import NOTHING_BARRED, Barred
from optimizer.sharing.candidates import (
    BLOCK,
    SharedCandidate,
    SharedFleet,
    all_candidates,
    members_that_stay,
)
from optimizer.table import CandidateTable, FloatArray
from queueing.engine.sharing_point import analyze_shared
from stoker.domain.latency import Latency
from stoker.domain.limits import ObjectiveName
from stoker.domain.pools import NO_WISHES
from stoker.domain.routing import Router


@dataclass(frozen=True, slots=True)
class SharedSet:
    """A set of servers on common replicas, and what runs for them now.

    Attributes:
        candidate: Who shares what, with the fewest replicas.
        utilization: Mean requests in service over the batch limit, with so many replicas.
        target_use: Share of its tightest target that each member uses then; 0 where nothing asks.
        stays: Whether what runs for any member keeps accelerator and configuration.
        running: Replicas that run for the members of which that is so.
        keeper: The only member for which anything runs, where that is so of it; else None.
        same_batch: Whether its batch limit is that of the set, as far as that is told.
    """

    candidate: SharedCandidate
    utilization: float
    target_use: tuple[float, ...]
    stays: bool = False
    running: int = 0
    keeper: int | None = None
    same_batch: bool = False

    @property
    def members(self) -> tuple[int, ...]:
        """Indices of the servers, ascending."""
        return self.candidate.way.members

    @property
    def cards_per_replica(self) -> int:
        """Cards of one replica; a slice of one counts as 1."""
        return self.candidate.cards // self.candidate.replicas

    @property
    def unit_cost_per_hour(self) -> float:
        """Cost of one replica per hour at the accelerator's price."""
        return self.candidate.cost_per_hour / self.candidate.replicas


def shared_sets(
    shared: SharedFleet, table: CandidateTable, barred: Barred = NOTHING_BARRED
) -> tuple[SharedSet, ...]:
    """Return the sets that may be part of a best plan under any limits and objectives.

    Args:
        shared: The fleet.
        table: Candidates of each server alone.
        barred: Ways to share that are left out.
    """
    slack = shared.fleet.objectives.includes(ObjectiveName.SLO_SLACK)
    found = [
        item
        for item in all_candidates(shared, barred)
        if not _needless_beside_own(shared, table, item)
    ]
    return tuple(_unlike(figured(shared, found, slack=slack), slack=slack))


def figured(
    shared: SharedFleet, candidates: Sequence[SharedCandidate], *, slack: bool
) -> Iterator[SharedSet]:
    """Yield candidates with their figures, predicted many at once.

    Args:
        shared: The fleet.
        candidates: The candidates.
        slack: Whether the share of targets that is used is asked for.
    """
    batch_now = batch_limits_now(shared.fleet)
    kinds: dict[tuple[int, Router], list[SharedCandidate]] = {}
    for item in candidates:
        key = len(item.way.members), shared.router(item.way)
        kinds.setdefault(key, []).append(item)
    for (_, router), items in kinds.items():
        for start in range(0, len(items), BLOCK):
            part = items[start : start + BLOCK]
            utilization, use = _predicted(shared, part, router, slack=slack)
            for index, item in enumerate(part):
                yield _with_running(
                    shared,
                    SharedSet(item, float(utilization[index]), tuple(use[:, index].tolist())),
                    batch_now.tolist(),
                )


def _predicted(
    shared: SharedFleet, items: Sequence[SharedCandidate], router: Router, *, slack: bool
) -> tuple[FloatArray, FloatArray]:
    """Return utilization, (cases,), and share of its tightest target by member and case."""
    asked = shared.asked([item.way for item in items])
    count = np.array([item.replicas for item in items], dtype=np.float64) * asked.engines
    servers = shared.arrays.servers
    percentiles = tuple(
        sorted({s.percentile for s in servers.statistics if s.percentile is not None})
    )
    point = analyze_shared(
        asked.shared, asked.rate_rps, percentiles if slack else (), replicas=count, router=router
    )
    use = np.zeros((len(asked.targets), len(items)))
    if not slack:
        return point.utilization, use
    members = np.array([item.way.members for item in items], dtype=np.int64)
    for place, own in enumerate(point.classes):
        latencies = dict(zip(Latency, (own.ttft, own.itl, own.e2e), strict=True))
        values = np.vstack(
            [
                latencies[item.latency].mean_ms
                if item.percentile is None
                else latencies[item.latency].at_ms[percentiles.index(item.percentile)]
                for item in servers.statistics
            ]
        )
        # Requests of one token have no time between tokens.
        one = servers.output_tokens[members[:, place]] <= 1
        of_itl = of_latency(servers.statistics, Latency.ITL)[:, None]
        values = np.where(np.isnan(values) & one & of_itl, 0.0, values)
        found, _ = target_use(values, servers.limits_ms[:, members[:, place]])
        use[place] = np.where(np.isfinite(found), found, 1.0)
    return point.utilization, use


def _with_running(shared: SharedFleet, item: SharedSet, batch_now: list[int]) -> SharedSet:
    """Return a set with what runs for its members now."""
    servers = shared.arrays.servers
    rows = np.array(item.members)
    stays = members_that_stay(shared, item.candidate.way)
    runs = servers.current_replicas[rows] > 0
    keeper = int(rows[runs][0]) if runs.sum() == 1 and stays.any() else None
    return replace(
        item,
        stays=bool(stays.any()),
        running=int(servers.current_replicas[rows][stays].sum()),
        keeper=keeper,
        same_batch=keeper is not None and batch_now[keeper] in (0, item.candidate.way.max_batch),
    )


def _unlike(sets: Iterator[SharedSet], *, slack: bool) -> Iterator[SharedSet]:
    """Yield the sets that no other of the same servers and profile is as good as.

    With as many replicas they differ in their batch limit alone, and so in power, and in whether
    that is the limit which runs now; where slack of targets counts, nothing is left out.
    """
    if slack:
        yield from sets
        return
    best: dict[tuple[tuple[int, ...], int, int, bool], SharedSet] = {}
    for item in sets:
        way = item.candidate.way
        key = way.members, way.profile, item.candidate.replicas, item.same_batch
        if key not in best or item.utilization < best[key].utilization:
            best[key] = item
    yield from best.values()


def _needless_beside_own(shared: SharedFleet, table: CandidateTable, item: SharedCandidate) -> bool:
    """Return whether replicas of their own, on the same profile, are as good under all limits.

    Seen only where nothing but their number tells them apart: nothing runs for the members, nothing
    is asked of where they stand, and power and slack play no part.
    """
    fleet, way = shared.fleet, item.way
    limits, objectives = fleet.limits, fleet.objectives
    rows = np.array(way.members)
    told = (
        limits.power_w is not None
        or limits.idle_power_w is not None
        or limits.headroom.survive is not None
        or limits.max_server_spot_share is not None
        or limits.max_changes is not None
        or limits.max_replicas_per_server is not None
        or any(
            objectives.includes(name)
            for name in (ObjectiveName.ENERGY, ObjectiveName.SLO_SLACK, ObjectiveName.CHANGES)
        )
        or np.any(shared.arrays.servers.current_replicas[rows] > 0)
        or any(
            fleet.wishes.get(fleet.servers[member].name, NO_WISHES) != NO_WISHES
            for member in way.members
        )
    )
    if told or table.profile is None:
        return False
    own = 0
    for member in way.members:
        span = slice(int(table.row_start[member]), int(table.row_start[member + 1]))
        same = table.accepted[span] & (table.profile[span] == way.profile)
        counts = table.replicas[span][same]
        if not counts.size:
            return False
        own += int(counts.min())
    return own <= item.replicas
