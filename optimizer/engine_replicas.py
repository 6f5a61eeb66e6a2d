"""Predictions by the analysis of the engine: percentiles, memory, variability."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from optimizer.engine_fleet import EngineFleet
from optimizer.fleet_columns import FleetArrays
from optimizer.predictions import (
    NO_STATISTIC,
    ReplicaDetails,
    ReplicaFigures,
    Replicas,
    ReplicaSizes,
    idle_figures,
)
from optimizer.table import FloatArray, IntArray
from queueing.engine import EngineCases, EnginePoint, analyze_engine, size_engine
from queueing.engine.misses import target_excess
from queueing.engine.sizing import SMALLEST_LOAD
from stoker.domain.latency import DEFAULT_PERCENTILES, Latency, Statistic

_NEVER = 1e-12
"""Rate in place of 0, at which nothing could be analysed."""


class EnginePredictor:
    """The analysis of replicas as their engine is."""

    def __init__(self, arrays: FleetArrays, max_blocking: float | None) -> None:
        """Take the fleet, and the largest fraction of requests that may be turned away."""
        self._arrays = arrays
        self._fleet = EngineFleet(arrays, max_blocking)

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Statistics of latencies that have targets."""
        return self._arrays.servers.statistics

    def size(self, replicas: Replicas) -> ReplicaSizes:
        """Return the largest throughput of each replica within its server's targets."""
        first, of_row = self._fleet.distinct(replicas)
        alone = replicas.take(first)
        found = ReplicaSizes.unknown(len(self.statistics), len(first))
        for rows, cases in self._fleet.parts(alone):
            result = size_engine(cases, self._fleet.targets(alone.server[rows]))
            found.valid[rows] = cases.usable() & (result.max_rate_rps > 0)
            found.max_rate_rps[rows] = np.where(result.feasible, result.throughput_rps, np.nan)
            out = np.flatnonzero(found.valid[rows] & ~result.feasible)
            if len(out):
                lowest_rps = SMALLEST_LOAD * result.max_rate_rps[out]
                self._explain(
                    found, rows[out], alone.server[rows[out]], cases.take(out), lowest_rps
                )
        return ReplicaSizes(
            **{field.name: getattr(found, field.name)[..., of_row] for field in fields(found)}
        )

    def figures(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaFigures:
        """Return the figures of each replica at its arrival rate; NaN where they cannot be had."""
        figures = ReplicaFigures.unknown(len(replicas.server))
        for rows, cases in self._fleet.parts(replicas):
            rate = arrival_rate_rps[rows]
            point = analyze_engine(cases, rate, ())
            excesses = self._excesses(cases, replicas.server[rows], rate)
            worst = excesses.max(axis=0)
            none = np.isneginf(worst)
            known = cases.usable() & point.stable
            with np.errstate(over="ignore"):
                use = np.exp(worst)
            figures.put(
                rows[known],
                ReplicaFigures(
                    point.ttft.mean_ms[known],
                    mean_itl_ms(point)[known],
                    point.utilization[known],
                    point.blocking[known],
                    use[known],
                    np.where(none, NO_STATISTIC, np.argmax(excesses, axis=0))[known],
                ),
            )
        return figures

    def details(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaDetails:
        """Return all that is known of each replica at its arrival rate."""
        asked = {item.percentile for item in self.statistics if item.percentile is not None}
        percentiles = tuple(sorted(asked | set(DEFAULT_PERCENTILES)))
        details = ReplicaDetails.unknown(len(replicas.server), percentiles)
        for rows, cases in self._fleet.parts(replicas):
            point = analyze_engine(cases, arrival_rate_rps[rows], percentiles)
            known = cases.usable() & point.stable
            for latency, figures in zip(Latency, (point.ttft, point.itl, point.e2e), strict=True):
                details.mean_ms[latency][rows[known]] = figures.mean_ms[known]
                details.at_ms[latency][:, rows[known]] = figures.at_ms[:, known]
            bounded = known & np.isfinite(cases.kv_tokens)
            details.kv_use[rows[bounded]] = point.kv_use[bounded]
            details.preemptions[rows[known]] = point.preemption_rate[known]
            details.binding[rows] = self._binding(cases, replicas.server[rows])
        return details

    def idle(self, replicas: Replicas) -> tuple[ReplicaFigures, FloatArray]:
        """Return the figures of replicas that get no requests, and the rate they could carry."""
        times = self._fleet.times(replicas)
        one = np.ones(len(replicas.server))
        none = np.zeros(len(replicas.server))
        batch = replicas.max_batch.astype(np.float64)
        first = times.iteration_ms(none, none, one, one, one)
        itl = times.iteration_ms(one, one, none, none, none)
        last = times.iteration_ms(batch, one, none, none, none)
        return idle_figures(first, itl, 1000.0 * batch, first + last)

    def _binding(self, cases: EngineCases, server: IntArray) -> IntArray:
        """Return what keeps replicas from carrying more: the target missed first, or saturation."""
        result = size_engine(cases, self._fleet.targets(server))
        rate = np.maximum(result.rate_rps, _NEVER)
        blocking = target_excess(cases, self._fleet.blocking_bound(server), rate)
        nearest = np.argmax(np.vstack([self._excesses(cases, server, rate), blocking]), axis=0)
        binding = np.where(result.limited, nearest, len(self.statistics) + 1)
        return np.where(result.feasible, binding, NO_STATISTIC).astype(np.int64)

    def _explain(
        self,
        sizes: ReplicaSizes,
        rows: IntArray,
        server: IntArray,
        cases: EngineCases,
        lowest_rps: FloatArray,
    ) -> None:
        """Tell, of rows that keep their targets at no rate, which ones, and what is the best."""
        excesses = self._excesses(cases, server, lowest_rps)
        sizes.unreachable[:, rows] = excesses > 0.0
        blocking = target_excess(cases, self._fleet.blocking_bound(server), lowest_rps)
        sizes.blocking_unreachable[rows] = blocking > 0.0
        percentiles = tuple({item.percentile or 50.0: None for item in self.statistics})
        point = analyze_engine(cases, lowest_rps, percentiles)
        latencies = dict(zip(Latency, (point.ttft, point.itl, point.e2e), strict=True))
        for index, statistic in enumerate(self.statistics):
            latency = latencies[statistic.latency]
            sizes.best_ms[index, rows] = (
                latency.mean_ms
                if statistic.percentile is None
                else latency.at_ms[percentiles.index(statistic.percentile)]
            )

    def _excesses(self, cases: EngineCases, server: IntArray, rate: FloatArray) -> FloatArray:
        """Return how far replicas are beyond each target, (statistics, rows): above 0, missed."""
        found = np.full((len(self.statistics), len(server)), -np.inf)
        for index, rows, target in self._fleet.single_targets(server):
            found[index, rows] = target_excess(cases.take(rows), target, rate[rows])
        return found


def mean_itl_ms(point: EnginePoint) -> FloatArray:
    """Return the mean ITL, 0 where requests of one token have no time between tokens."""
    return np.where(np.isnan(point.itl.mean_ms) & point.stable, 0.0, point.itl.mean_ms)
