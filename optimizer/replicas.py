"""Predictions for rows of the candidate table, by way of `queueing`, in a few calls in all.

A fleet may hold both parameter generations: rows are parted by generation, each part is one call,
and the figures are put back in the order of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimizer.fleet_columns import FleetArrays
from optimizer.table import BoolArray, FloatArray, IntArray
from queueing.replica import ReplicaCases, analyze
from queueing.service import LinearService, ServiceTimeModel, TokenWorkService
from queueing.sizing import LatencyTargets, size


@dataclass(frozen=True, slots=True)
class Replicas:
    """One replica each of a number of rows; arrays of shape (rows,).

    Attributes:
        server: Server whose requests it gets.
        profile: Profile of the model on the accelerator; every row has one.
        max_batch: Batch limit.
        max_queue: Queue limit.
    """

    server: IntArray
    profile: IntArray
    max_batch: IntArray
    max_queue: IntArray

    def take(self, rows: IntArray | BoolArray) -> Replicas:
        """Return the selected rows, in that order."""
        return Replicas(
            self.server[rows], self.profile[rows], self.max_batch[rows], self.max_queue[rows]
        )


@dataclass(frozen=True, slots=True)
class ReplicaFigures:
    """Figures of replicas at an arrival rate; arrays of shape (rows,), NaN where unknown.

    Attributes:
        ttft_ms: Mean TTFT.
        itl_ms: Mean ITL.
        utilization: Mean requests in service over the batch limit.
        blocking: Fraction of requests turned away.
    """

    ttft_ms: FloatArray
    itl_ms: FloatArray
    utilization: FloatArray
    blocking: FloatArray

    @classmethod
    def unknown(cls, count: int) -> ReplicaFigures:
        """Return figures of which nothing is known, to be filled in."""
        return cls(*(np.full(count, np.nan) for _ in range(4)))

    def put(self, rows: IntArray | BoolArray, figures: ReplicaFigures) -> None:
        """Write figures at these rows."""
        self.ttft_ms[rows] = figures.ttft_ms
        self.itl_ms[rows] = figures.itl_ms
        self.utilization[rows] = figures.utilization
        self.blocking[rows] = figures.blocking


@dataclass(frozen=True, slots=True)
class ReplicaSizes:
    """The most that replicas carry within their targets; arrays of shape (rows,).

    Attributes:
        valid: Whether the case makes sense to the analysis.
        max_rate_rps: Largest throughput of one replica; NaN where the targets are out of reach.
        ttft_unreachable: No rate keeps the TTFT target.
        itl_unreachable: No rate keeps the ITL target.
        blocking_unreachable: No rate keeps the bound on blocking.
        best_ttft_ms: Lowest TTFT that any rate reaches, where the targets are out of reach.
        best_itl_ms: Lowest ITL that any rate reaches, where the targets are out of reach.
    """

    valid: BoolArray
    max_rate_rps: FloatArray
    ttft_unreachable: BoolArray
    itl_unreachable: BoolArray
    blocking_unreachable: BoolArray
    best_ttft_ms: FloatArray
    best_itl_ms: FloatArray


def size_replicas(
    arrays: FleetArrays, replicas: Replicas, max_blocking: float | None
) -> ReplicaSizes:
    """Return the largest throughput of each replica within its server's targets.

    Args:
        arrays: The fleet.
        replicas: What to size.
        max_blocking: Largest fraction of requests that may be turned away; None for no bound.
    """
    count = len(replicas.server)
    servers = arrays.servers
    sizes = ReplicaSizes(
        valid=np.zeros(count, dtype=np.bool_),
        max_rate_rps=np.full(count, np.nan),
        ttft_unreachable=np.zeros(count, dtype=np.bool_),
        itl_unreachable=np.zeros(count, dtype=np.bool_),
        blocking_unreachable=np.zeros(count, dtype=np.bool_),
        best_ttft_ms=np.full(count, np.nan),
        best_itl_ms=np.full(count, np.nan),
    )
    for rows, cases in _by_generation(arrays, replicas):
        server = replicas.server[rows]
        result = size(
            cases,
            LatencyTargets.of(
                len(rows),
                ttft_ms=_nan_where_infinite(servers.ttft_ms[server]),
                itl_ms=_nan_where_infinite(servers.itl_ms[server]),
                tps=np.where(servers.tps[server] > 0, servers.tps[server], np.nan),
                max_blocking=np.nan if max_blocking is None else max_blocking,
            ),
        )
        sizes.valid[rows] = result.valid
        sizes.max_rate_rps[rows] = np.where(result.feasible, result.throughput_rps, np.nan)
        sizes.ttft_unreachable[rows] = result.ttft_unreachable
        sizes.itl_unreachable[rows] = result.itl_unreachable
        sizes.blocking_unreachable[rows] = result.blocking_unreachable
        sizes.best_ttft_ms[rows] = result.best_ttft_ms
        sizes.best_itl_ms[rows] = result.best_itl_ms
    return sizes


def analyze_replicas(
    arrays: FleetArrays, replicas: Replicas, arrival_rate_rps: FloatArray
) -> ReplicaFigures:
    """Return the figures of each replica at its arrival rate; NaN where they cannot be had."""
    figures = ReplicaFigures.unknown(len(replicas.server))
    for rows, cases in _by_generation(arrays, replicas):
        point = analyze(cases, arrival_rate_rps[rows])
        known = point.valid
        figures.put(
            rows[known],
            ReplicaFigures(
                point.ttft_ms[known],
                point.itl_ms[known],
                point.utilization[known],
                point.blocking[known],
            ),
        )
    return figures


def idle_figures(arrays: FleetArrays, replicas: Replicas) -> tuple[ReplicaFigures, FloatArray]:
    """Return the figures of replicas that get no requests, and the rate they could carry at most.

    A lone request then meets an empty replica: its ITL is that of one sequence of one token. With
    n the batch limit, the rate is n over the time of a first and a last token, as the reference
    has it: a formal figure, since no length of a request is known.
    """
    alpha, beta, gamma, delta = arrays.profiles.parameters_ms[replicas.profile].T
    linear = arrays.profiles.linear[replicas.profile]
    batch = replicas.max_batch.astype(np.float64)
    itl = alpha + beta
    ttft = np.where(linear, gamma + delta, alpha + beta + gamma * batch)
    first = np.where(linear, gamma + delta, alpha + beta)
    last = np.where(linear, alpha + beta * batch, alpha + (beta + gamma) * batch)
    nothing = np.zeros(len(batch))
    with np.errstate(all="ignore"):
        rate = 1000.0 * batch / (first + last)
    return ReplicaFigures(ttft, itl, nothing, nothing.copy()), rate


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
