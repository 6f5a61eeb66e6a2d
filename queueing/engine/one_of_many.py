"""One of several replicas behind a router: what it carries and does as its share of them all.

Where a router does not look at the replicas, one of them is a replica of its own, with arrivals
that come by its share (see `queueing.engine.routing.share_cv`); any number of replicas will do
then, a whole one or not, since only the share counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, RowSelector, columns
from queueing.engine.answer import engine_point
from queueing.engine.cases import EngineCases
from queueing.engine.fleet_sizing import fleet_excess, size_fleet
from queueing.engine.misses import target_excess
from queueing.engine.open import analyze_engine
from queueing.engine.point import PERCENTILES, EnginePoint, scattered
from queueing.engine.routing import INDEPENDENT, fleet_scene, share_cv
from queueing.engine.sizing import EngineSizing, size_engine
from queueing.engine.targets import EngineTargets
from stoker.domain.routing import Router


@dataclass(frozen=True, slots=True, eq=False)
class OneOfMany:
    """Replicas, each one of several alike behind a router; all rates are those of one.

    Attributes:
        cases: the replicas; `arrival_cv` is that of the arrivals to all of them, or of its own
            where `router` is None.
        count: how many there are behind each router, array (cases,).
        router: how a request finds its replica; None where each is a replica of its own.
    """

    cases: EngineCases
    count: FloatArray
    router: Router | None

    @classmethod
    def of(cls, cases: EngineCases, count: npt.ArrayLike, router: Router) -> Self:
        """Build from replicas whose `arrival_cv` is that of the arrivals to all.

        Args:
            cases: the replicas.
            count: how many there are behind each router, at least 1; whole ones for routers that
                look at the replicas.
            router: how a request finds its replica.
        """
        many, _ = columns(count, np.zeros(len(cases)))
        if router not in INDEPENDENT:
            return cls(cases, many, router)
        own = share_cv(router, many, cases.arrival_cv)
        return cls(replace(cases, arrival_cv=own), many, None)

    def __len__(self) -> int:
        return len(self.cases)

    def take(self, rows: RowSelector) -> Self:
        """Return some of the replicas."""
        return replace(self, cases=self.cases.take(rows), count=self.count[rows])

    def size(self, targets: EngineTargets) -> EngineSizing:
        """Return the largest rates of one at which all of them keep their targets."""
        if self.router is None:
            return size_engine(self.cases, targets)
        found = size_fleet(self.cases, self.count, self.router, targets)
        return replace(
            found,
            rate_rps=found.rate_rps / self.count,
            throughput_rps=found.throughput_rps / self.count,
            max_rate_rps=found.max_rate_rps / self.count,
        )

    def excess(self, targets: EngineTargets, arrival_rate_rps: FloatArray) -> FloatArray:
        """Return how far they are beyond the worst of their targets (see `target_excess`)."""
        if self.router is None:
            return target_excess(self.cases, targets, arrival_rate_rps)
        return fleet_excess(
            self.cases, self.count, self.router, targets, self.count * arrival_rate_rps
        )

    def analyze(
        self, arrival_rate_rps: FloatArray, percentiles: tuple[float, ...] = PERCENTILES
    ) -> EnginePoint:
        """Return what one of them does at its rate; cases that make no sense come back as NaN."""
        if self.router is None:
            return analyze_engine(self.cases, arrival_rate_rps, percentiles)
        good = self.cases.usable() & np.isfinite(arrival_rate_rps) & (arrival_rate_rps >= 0.0)
        rows = np.flatnonzero(good)
        part, rate = self.take(rows), arrival_rate_rps[rows]
        with np.errstate(all="ignore"):
            offered = np.maximum(rate, 1e-12) * part.count / 1e3
            scene = fleet_scene(part.cases, part.count, self.router, offered)
            return scattered(engine_point(scene, rate, percentiles), rows, len(self))
