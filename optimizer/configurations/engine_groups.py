"""Replicas of several engines: the analysis of one engine, told in replicas.

A replica of data-parallel degree d is d engines behind one address. Every engine has requests of
its own, so that R such replicas are R d engines, to which the server's router deals its requests:
what an engine does at a rate is told by the analysis, with R d engines behind the router.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.predictions import (
    Predictor,
    ReplicaDetails,
    ReplicaFigures,
    Replicas,
    ReplicaSizes,
)
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.latency import Statistic


@dataclass(frozen=True, slots=True)
class EngineGroups:
    """A predictor of replicas that have several engines each.

    Attributes:
        engine: Predicts engines.
        engines: Engines of a replica of each profile.
    """

    engine: Predictor
    engines: IntArray

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Statistics of latencies that have targets."""
        return self.engine.statistics

    def size(self, replicas: Replicas) -> ReplicaSizes:
        """Return the largest throughput of each replica within its server's targets."""
        sizes = self.engine.size(self._engines(replicas))
        return replace(sizes, max_rate_rps=sizes.max_rate_rps * self._degree(replicas))

    def pooled(self, server: IntArray) -> BoolArray:
        """Tell of which servers the number of replicas decides what one of them carries."""
        return self.engine.pooled(server)

    def fewest(
        self, replicas: Replicas, total_rate_rps: FloatArray, least: IntArray, most: IntArray
    ) -> FloatArray:
        """Return the smallest numbers of pooled replicas that keep the targets at a rate to all.

        As many as have the smallest number of engines.
        """
        degree = self.engines[replicas.profile]
        found = self.engine.fewest(replicas, total_rate_rps, least * degree, most * degree)
        return np.ceil(found / degree)

    def figures(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaFigures:
        """Return the figures of each replica at its arrival rate: those of its engines."""
        rate = arrival_rate_rps / self._degree(replicas)
        return self.engine.figures(self._engines(replicas), rate)

    def details(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaDetails:
        """Return all that is known of each replica at its arrival rate."""
        rate = arrival_rate_rps / self._degree(replicas)
        return self.engine.details(self._engines(replicas), rate)

    def idle(self, replicas: Replicas) -> tuple[ReplicaFigures, FloatArray]:
        """Return the figures of replicas that get no requests, and the rate they could carry."""
        figures, rate = self.engine.idle(self._engines(replicas))
        return figures, rate * self._degree(replicas)

    def _degree(self, replicas: Replicas) -> FloatArray:
        return self.engines[replicas.profile].astype(np.float64)

    def _engines(self, replicas: Replicas) -> Replicas:
        return replace(replicas, count=replicas.count * self._degree(replicas))
