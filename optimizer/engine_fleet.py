"""Replicas of a fleet as cases of the analysis of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from optimizer.fleet_columns import FleetArrays
from optimizer.predictions import Replicas
from optimizer.table import FloatArray, IntArray
from queueing.engine import EngineCases, EngineTargets, IterationTimes, LatencyTarget
from queueing.engine.build import iteration_times
from stoker.domain.latency import Latency, Statistic

_BLOCK = 4096
"""Cases computed at once: the states of more would not fit into fast memory."""


class EngineFleet:
    """Makes cases and targets of replicas of one fleet."""

    def __init__(self, arrays: FleetArrays, max_blocking: float | None) -> None:
        """Take the fleet, and the largest fraction of requests that may be turned away."""
        self._arrays = arrays
        self._max_blocking = np.nan if max_blocking is None else max_blocking
        self._times = iteration_times(arrays.profiles.parameters)

    def times(self, replicas: Replicas) -> IterationTimes:
        """Return the times of iterations of each replica."""
        return self._times.take(replicas.profile)

    def parts(self, replicas: Replicas) -> Iterator[tuple[IntArray, EngineCases]]:
        """Yield rows that are computed together, of like batch limits, as cases."""
        servers, profiles = self._arrays.servers, self._arrays.profiles
        order = np.argsort(replicas.max_batch, kind="stable")
        for start in range(0, len(order), _BLOCK):
            rows = order[start : start + _BLOCK]
            part = replicas.take(rows)
            yield (
                rows,
                EngineCases.of(
                    self._times.take(part.profile),
                    servers.input_tokens[part.server],
                    servers.output_tokens[part.server],
                    part.max_batch,
                    part.max_queue,
                    input_cv=servers.input_cv[part.server],
                    output_cv=servers.output_cv[part.server],
                    arrival_cv=servers.arrival_cv[part.server],
                    token_budget=profiles.token_budget[part.profile],
                    kv_tokens=profiles.kv_tokens[part.profile],
                    prefix_hit_rate=servers.prefix_hit_rate[part.server],
                ),
            )

    def distinct(self, replicas: Replicas) -> tuple[IntArray, IntArray]:
        """Return rows of which no two are the same to the sizing, and which of them each row is.

        What a replica can carry does not depend on how much its server must.
        """
        servers = self._arrays.servers
        columns = [
            replicas.profile,
            replicas.max_batch,
            replicas.max_queue,
            *(
                values[replicas.server]
                for values in (
                    servers.input_tokens,
                    servers.output_tokens,
                    servers.input_cv,
                    servers.output_cv,
                    servers.arrival_cv,
                    servers.prefix_hit_rate,
                    servers.tps > 0,
                    *servers.limits_ms,
                )
            ),
        ]
        if not len(replicas.server):
            return replicas.server, replicas.server
        keys = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        return first.astype(np.int64), inverse.reshape(-1).astype(np.int64)

    def targets(self, server: IntArray) -> EngineTargets:
        """Return all that servers promise, and the bound on blocking."""
        limits = self._limits(server)
        by_latency = {
            latency: tuple(
                _target(statistic, limits_ms)
                for statistic, limits_ms in zip(self._statistics, limits, strict=True)
                if statistic.latency is latency and not np.isnan(limits_ms).all()
            )
            for latency in Latency
        }
        tps = self._arrays.servers.tps[server]
        return EngineTargets.of(
            len(server),
            ttft=by_latency[Latency.TTFT],
            itl=by_latency[Latency.ITL],
            e2e=by_latency[Latency.E2E],
            tps=np.where(tps > 0, tps, np.nan),
            max_blocking=self._max_blocking,
        )

    def single_targets(self, server: IntArray) -> Iterator[tuple[int, IntArray, EngineTargets]]:
        """Yield index of each statistic, rows that have a target of it, and that target alone."""
        limits = self._limits(server)
        for index, statistic in enumerate(self._statistics):
            rows = np.flatnonzero(~np.isnan(limits[index]))
            if len(rows):
                target = (_target(statistic, limits[index, rows]),)
                match statistic.latency:
                    case Latency.TTFT:
                        yield index, rows, EngineTargets.of(len(rows), ttft=target)
                    case Latency.ITL:
                        yield index, rows, EngineTargets.of(len(rows), itl=target)
                    case Latency.E2E:
                        yield index, rows, EngineTargets.of(len(rows), e2e=target)

    def blocking_bound(self, server: IntArray) -> EngineTargets:
        """Return the bound on blocking alone."""
        return EngineTargets.of(len(server), max_blocking=self._max_blocking)

    @property
    def _statistics(self) -> Sequence[Statistic]:
        return self._arrays.servers.statistics

    def _limits(self, server: IntArray) -> FloatArray:
        """Return the target of each statistic, NaN where there is none."""
        limits = self._arrays.servers.limits_ms[:, server]
        return np.where(np.isfinite(limits), limits, np.nan)


def _target(statistic: Statistic, limits_ms: FloatArray) -> LatencyTarget:
    percentile = np.nan if statistic.percentile is None else statistic.percentile
    return LatencyTarget.of(len(limits_ms), limits_ms, percentile)
