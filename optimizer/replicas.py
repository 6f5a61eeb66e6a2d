"""Predictions by the analysis of the reference, in a few calls in all.

A fleet may hold both parameter generations: rows are parted by generation, each part is one call,
and the figures are put back in the order of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimizer.fleet_columns import FleetArrays
from optimizer.predictions import (
    NO_STATISTIC,
    ReplicaDetails,
    ReplicaFigures,
    Replicas,
    ReplicaSizes,
    idle_figures,
    target_use,
)
from optimizer.table import BoolArray, FloatArray, IntArray
from queueing.replica import ReplicaCases, analyze
from queueing.service import LinearService, ServiceTimeModel, TokenWorkService
from queueing.sizing import LatencyTargets, Sizing, size
from stoker.domain.latency import Statistic

_BOUND = 1.0 - 1e-6
"""Share of a target, or of a bound, that a figure takes where the rate stops at it."""


@dataclass(frozen=True, slots=True)
class ReferencePredictor:
    """The analysis of the reference, on means; its targets are of mean TTFT and mean ITL alone.

    Attributes:
        arrays: The fleet.
        max_blocking: Largest fraction of requests that may be turned away; None for no bound.
    """

    arrays: FleetArrays
    max_blocking: float | None

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Statistics of latencies that have targets."""
        return self.arrays.servers.statistics

    def size(self, replicas: Replicas) -> ReplicaSizes:
        """Return the largest throughput of each replica within its server's targets."""
        sizes = ReplicaSizes.unknown(len(self.statistics), len(replicas.server))
        for rows, cases in _by_generation(self.arrays, replicas):
            result = size(cases, self._targets(replicas.server[rows]))
            sizes.valid[rows] = result.valid
            sizes.max_rate_rps[rows] = np.where(result.feasible, result.throughput_rps, np.nan)
            sizes.unreachable[0, rows] = result.ttft_unreachable
            sizes.unreachable[1, rows] = result.itl_unreachable
            sizes.blocking_unreachable[rows] = result.blocking_unreachable
            sizes.best_ms[0, rows] = result.best_ttft_ms
            sizes.best_ms[1, rows] = result.best_itl_ms
        return sizes

    def pooled(self, server: IntArray) -> BoolArray:
        """Tell that a replica carries the same beside any number of others."""
        return np.zeros(len(server), dtype=np.bool_)

    def fewest(
        self, replicas: Replicas, total_rate_rps: FloatArray, least: IntArray, most: IntArray
    ) -> FloatArray:
        """Return that no number is known, for none are pooled."""
        del total_rate_rps, least, most
        return np.full(len(replicas.server), np.nan)

    def figures(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaFigures:
        """Return the figures of each replica at its arrival rate; NaN where they cannot be had."""
        figures = ReplicaFigures.unknown(len(replicas.server))
        for rows, cases in _by_generation(self.arrays, replicas):
            point = analyze(cases, arrival_rate_rps[rows])
            values = np.vstack([point.ttft_ms, point.itl_ms])
            use, tightest = target_use(
                values, self.arrays.servers.limits_ms[:2, replicas.server[rows]]
            )
            known = point.valid
            figures.put(
                rows[known],
                ReplicaFigures(
                    point.ttft_ms[known],
                    point.itl_ms[known],
                    point.utilization[known],
                    point.blocking[known],
                    use[known],
                    tightest[known],
                ),
            )
        return figures

    def details(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaDetails:
        """Return what keeps each replica from carrying more; means are all it knows otherwise."""
        del arrival_rate_rps  # percentiles, KV memory and preemptions are unknown at any rate
        details = ReplicaDetails.unknown(len(replicas.server))
        for rows, cases in _by_generation(self.arrays, replicas):
            targets = self._targets(replicas.server[rows])
            details.binding[rows] = self._binding(size(cases, targets), targets)
        return details

    def idle(self, replicas: Replicas) -> tuple[ReplicaFigures, FloatArray]:
        """Return the figures of replicas that get no requests, and the rate they could carry."""
        alpha, beta, gamma, delta = self.arrays.profiles.parameters_ms[replicas.profile].T
        linear = self.arrays.profiles.linear[replicas.profile]
        batch = replicas.max_batch.astype(np.float64)
        ttft = np.where(linear, gamma + delta, alpha + beta + gamma * batch)
        first = np.where(linear, gamma + delta, alpha + beta)
        last = np.where(linear, alpha + beta * batch, alpha + (beta + gamma) * batch)
        return idle_figures(ttft, alpha + beta, 1000.0 * batch, first + last)

    def _targets(self, server: IntArray) -> LatencyTargets:
        servers = self.arrays.servers
        return LatencyTargets.of(
            len(server),
            ttft_ms=_nan_where_infinite(servers.limits_ms[0, server]),
            itl_ms=_nan_where_infinite(servers.limits_ms[1, server]),
            tps=np.where(servers.tps[server] > 0, servers.tps[server], np.nan),
            max_blocking=np.nan if self.max_blocking is None else self.max_blocking,
        )

    def _binding(self, result: Sizing, targets: LatencyTargets) -> IntArray:
        """Return what the largest rate stops at: a target, the bound on blocking, or neither."""
        with np.errstate(all="ignore"):
            use = np.vstack(
                [
                    result.point.ttft_ms / targets.ttft_ms,
                    result.point.itl_ms / targets.itl_ms,
                    result.point.blocking / targets.max_blocking,
                ]
            )
        use = np.nan_to_num(use, nan=0.0)
        most = np.argmax(use, axis=0)
        last = len(self.statistics)
        code = np.where(most == 2, last, most)
        code = np.where(use.max(axis=0) >= _BOUND, code, last + 1)
        return np.where(result.feasible, code, NO_STATISTIC).astype(np.int64)


def _by_generation(
    arrays: FleetArrays, replicas: Replicas
) -> Iterator[tuple[IntArray, ReplicaCases]]:
    """Yield the rows of each parameter generation present, and their cases."""
    linear = arrays.profiles.linear[replicas.profile]
    for generation in (True, False):
        rows = np.flatnonzero(linear == generation)
        if not len(rows):
            continue
        part = replicas.take(rows)
        alpha, beta, gamma, delta = arrays.profiles.parameters_ms[part.profile].T
        service: ServiceTimeModel = (
            LinearService.of(alpha, beta, gamma, delta)
            if generation
            else TokenWorkService.of(alpha, beta, gamma)
        )
        yield (
            rows,
            ReplicaCases(
                service=service,
                input_tokens=arrays.servers.input_tokens[part.server],
                output_tokens=arrays.servers.output_tokens[part.server],
                max_batch=part.max_batch.astype(np.float64),
                max_queue=part.max_queue.astype(np.float64),
            ),
        )


def _nan_where_infinite(target: FloatArray) -> FloatArray:
    return np.where(np.isfinite(target), target, np.nan)
