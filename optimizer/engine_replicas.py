"""Predictions by the analysis of the engine: percentiles, memory, variability."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Self

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
from optimizer.table import BoolArray, FloatArray, IntArray
from queueing.engine import EnginePoint
from queueing.engine.fewest import fewest_replicas
from queueing.engine.one_of_many import OneOfMany
from queueing.engine.sizing import SMALLEST_LOAD
from stoker.domain.latency import DEFAULT_PERCENTILES, Latency, Statistic

_NEVER = 1e-12
"""Rate in place of 0, at which nothing could be analysed."""


class EnginePredictor:
    """The analysis of replicas as their engine is."""

    def __init__(self, arrays: FleetArrays, fleet: EngineFleet) -> None:
        """Take the fleet, as arrays and as what makes cases of it."""
        self._arrays = arrays
        self._fleet = fleet

    @classmethod
    def of(cls, arrays: FleetArrays, max_blocking: float | None) -> Self:
        """Take the fleet, and the largest fraction of requests that may be turned away."""
        return cls(arrays, EngineFleet(arrays, max_blocking))

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Statistics of latencies that have targets."""
        return self._arrays.servers.statistics

    def size(self, replicas: Replicas) -> ReplicaSizes:
        """Return the largest throughput of each replica within its server's targets."""
        first, of_row = self._fleet.distinct(replicas)
        alone = replicas.take(first)
        found = ReplicaSizes.unknown(len(self.statistics), len(first))
        for rows, many in self._fleet.parts(alone):
            result = many.size(self._fleet.targets(alone.server[rows]))
            found.valid[rows] = many.cases.usable() & (result.max_rate_rps > 0)
            found.max_rate_rps[rows] = np.where(result.feasible, result.throughput_rps, np.nan)
            out = np.flatnonzero(found.valid[rows] & ~result.feasible)
            if len(out):
                lowest_rps = SMALLEST_LOAD * result.max_rate_rps[out]
                server = alone.server[rows[out]]
                self._explain(found, rows[out], server, many.take(out), lowest_rps)
        return ReplicaSizes(
            **{field.name: getattr(found, field.name)[..., of_row] for field in fields(found)}
        )

    def pooled(self, server: IntArray) -> BoolArray:
        """Tell of which servers a replica carries more or less with the number of them."""
        return self._fleet.pooled(server)

    def fewest(
        self, replicas: Replicas, total_rate_rps: FloatArray, least: IntArray, most: IntArray
    ) -> FloatArray:
        """Return the smallest numbers of pooled replicas that keep the targets at a rate to all.

        The search begins with the number that Poisson arrivals at each replica would take.
        """
        many = replace(replicas, count=np.full(len(replicas.server), np.inf))
        split = EnginePredictor(self._arrays, self._fleet.split_at_random())
        start = np.ceil(total_rate_rps / split.size(many).max_rate_rps)
        found = np.full(len(replicas.server), np.nan)
        for rows, router, cases in self._fleet.blocks(replicas):
            found[rows] = fewest_replicas(
                cases,
                router,
                self._fleet.targets(replicas.server[rows]),
                total_rate_rps[rows],
                np.maximum(least[rows], 1).astype(np.float64),
                most[rows].astype(np.float64),
                start[rows],
            )
        return found

    def figures(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaFigures:
        """Return the figures of each replica at its arrival rate; NaN where they cannot be had."""
        figures = ReplicaFigures.unknown(len(replicas.server))
        for rows, many in self._fleet.parts(replicas):
            rate = arrival_rate_rps[rows]
            point = many.analyze(rate, ())
            excesses = self._excesses(many, replicas.server[rows], rate)
            worst = excesses.max(axis=0)
            none = np.isneginf(worst)
            known = many.cases.usable() & point.stable
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
        _, alike = self._fleet.distinct(replicas)
        keys = np.column_stack([alike, arrival_rate_rps])
        _, first, of_row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        # In their own order, so that where no two are alike, nothing is any different.
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        rows = first[order].astype(np.int64)
        alone = self._details(replicas.take(rows), arrival_rate_rps[rows])
        return alone.take(place[of_row.reshape(-1)])

    def _details(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaDetails:
        """Return details of replicas of which no two are alike and have the same rate."""
        asked = {item.percentile for item in self.statistics if item.percentile is not None}
        percentiles = tuple(sorted(asked | set(DEFAULT_PERCENTILES)))
        details = ReplicaDetails.unknown(len(replicas.server), percentiles)
        for rows, many in self._fleet.parts(replicas):
            point = many.analyze(arrival_rate_rps[rows], percentiles)
            known = many.cases.usable() & point.stable
            for latency, figures in zip(Latency, (point.ttft, point.itl, point.e2e), strict=True):
                details.mean_ms[latency][rows[known]] = figures.mean_ms[known]
                details.at_ms[latency][:, rows[known]] = figures.at_ms[:, known]
            bounded = known & np.isfinite(many.cases.kv_tokens)
            details.kv_use[rows[bounded]] = point.kv_use[bounded]
            details.preemptions[rows[known]] = point.preemption_rate[known]
            details.binding[rows] = self._binding(many, replicas.server[rows])
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

    def _binding(self, many: OneOfMany, server: IntArray) -> IntArray:
        """Return what keeps replicas from carrying more: the target missed first, or saturation."""
        result = many.size(self._fleet.targets(server))
        rate = np.maximum(result.rate_rps, _NEVER)
        blocking = many.excess(self._fleet.blocking_bound(server), rate)
        nearest = np.argmax(np.vstack([self._excesses(many, server, rate), blocking]), axis=0)
        binding = np.where(result.limited, nearest, len(self.statistics) + 1)
        return np.where(result.feasible, binding, NO_STATISTIC).astype(np.int64)

    def _explain(
        self,
        sizes: ReplicaSizes,
        rows: IntArray,
        server: IntArray,
        many: OneOfMany,
        lowest_rps: FloatArray,
    ) -> None:
        """Tell, of rows that keep their targets at no rate, which ones, and what is the best."""
        excesses = self._excesses(many, server, lowest_rps)
        sizes.unreachable[:, rows] = excesses > 0.0
        blocking = many.excess(self._fleet.blocking_bound(server), lowest_rps)
        sizes.blocking_unreachable[rows] = blocking > 0.0
        percentiles = tuple({item.percentile or 50.0: None for item in self.statistics})
        point = many.analyze(lowest_rps, percentiles)
        latencies = dict(zip(Latency, (point.ttft, point.itl, point.e2e), strict=True))
        for index, statistic in enumerate(self.statistics):
            latency = latencies[statistic.latency]
            sizes.best_ms[index, rows] = (
                latency.mean_ms
                if statistic.percentile is None
                else latency.at_ms[percentiles.index(statistic.percentile)]
            )

    def _excesses(self, many: OneOfMany, server: IntArray, rate: FloatArray) -> FloatArray:
        """Return how far replicas are beyond each target, (statistics, rows): above 0, missed."""
        found = np.full((len(self.statistics), len(server)), -np.inf)
        for index, rows, target in self._fleet.single_targets(server):
            found[index, rows] = many.take(rows).excess(target, rate[rows])
        return found


def mean_itl_ms(point: EnginePoint) -> FloatArray:
    """Return the mean ITL, 0 where requests of one token have no time between tokens."""
    return np.where(np.isnan(point.itl.mean_ms) & point.stable, 0.0, point.itl.mean_ms)
