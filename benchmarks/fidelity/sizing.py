"""Replicas sized to p95 targets, simulated at the rate found and beyond it.

The targets of a replica are 1.2 to 3 times its 95th percentiles of TTFT and ITL under a light load,
a tenth of its saturation throughput. The rate found should keep both, and 10% more should break
one of them, or more than saturate the replica: then nothing was given away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.fidelity.case import OperatingPoint, Replica
from benchmarks.fidelity.simulated import Effort, Precision, Truth
from benchmarks.fidelity.store import Store
from benchmarks.fidelity.work import saturation, truth_at
from queueing.arrays import FloatArray

TOLERANCE = 1.02
"""A target is kept up to this multiple of it."""
BEYOND = 1.1
"""What is tried beside the rate found, as a multiple of it."""
KEPT, BROKEN = 0.97, 0.5
"""Shares of the replicas: at least so many are to keep their targets at the rate found, and more
than so many to break one beyond it."""
LIGHT = 0.1
"""Load at which the targets are taken, as a share of the saturation throughput."""

PRECISE = Effort((Precision("ttft", "p95", 0.01), Precision("itl", "p95", 0.01)))
ROUGH = Effort((Precision("ttft", "p95", 0.03), Precision("itl", "p95", 0.03)))
_CLEAR = 0.06
"""Distance from a limit, relative, from which a rough figure decides."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A replica and the 95th percentiles that it should keep.

    Attributes:
        replica: The replica.
        seed: Of its simulations.
        saturation_rps: Its saturation throughput, simulated.
        ttft_ms: Target.
        itl_ms: Target; NaN where no request has two tokens.
    """

    replica: Replica
    seed: int
    saturation_rps: float
    ttft_ms: float
    itl_ms: float


@dataclass(frozen=True, slots=True)
class Promising:
    """The task of choosing targets: simulates the replica under a light load.

    Attributes:
        point: Whose replica is meant.
        ttft_factor: The target over the figure under a light load.
        itl_factor: Likewise.
        store: Where results are kept.
    """

    point: OperatingPoint
    ttft_factor: float
    itl_factor: float
    store: Store

    def __call__(self) -> Promise:
        """Return the replica with its targets."""
        replica, seed = self.point.replica, self.point.seed
        saturated = saturation(replica, seed, self.store)
        light = truth_at(replica, LIGHT * saturated, seed, PRECISE, self.store)
        return Promise(
            replica,
            seed,
            saturated,
            self.ttft_factor * light.value("ttft", "p95"),
            self.itl_factor * light.value("itl", "p95"),
        )


def promising(points: Sequence[OperatingPoint], seed: int, store: Store) -> list[Promising]:
    """Return the tasks for some points, with factors spread evenly from 1.2 to 3."""
    random = np.random.default_rng([seed, 95])
    factors = 1.2 + 1.8 * (
        random.permuted(np.tile(np.arange(len(points)), (2, 1)), axis=1)
        + random.random((2, len(points)))
    ) / len(points)
    return [
        Promising(point, round(float(ttft), 3), round(float(itl), 3), store)
        for point, ttft, itl in zip(points, *factors, strict=True)
    ]


Sizer = Callable[[Sequence[Promise]], FloatArray]
"""Returns the largest rate at which each replica keeps its targets, requests per second; 0 where
there is none."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A sized replica in simulation.

    Attributes:
        promise: Replica and targets.
        rate_rps: The rate found; 0 where none was.
        at_rate: 95th percentiles over targets at the rate, the larger of TTFT and ITL; NaN where
            no rate was found, infinity beyond saturation.
        beyond: The same at `BEYOND` times the rate.
    """

    promise: Promise
    rate_rps: float
    at_rate: float
    beyond: float

    @property
    def found(self) -> bool:
        """Tell whether a rate was found."""
        return self.rate_rps > 0

    @property
    def kept(self) -> bool:
        """Tell whether the targets are kept at the rate."""
        return self.at_rate <= TOLERANCE

    @property
    def broken(self) -> bool:
        """Tell whether more load breaks one."""
        return self.beyond > 1.0


@dataclass(frozen=True, slots=True)
class Checking:
    """The task of simulating a sized replica.

    Attributes:
        promise: Replica and targets.
        rate_rps: The rate found; 0 where none was.
        store: Where results are kept.
        efforts: How precisely, the next one where the one before comes close to a limit.
    """

    promise: Promise
    rate_rps: float
    store: Store
    efforts: tuple[Effort, ...] = (ROUGH, PRECISE)

    def __call__(self) -> Sized:
        """Return what comes out at the rate and beyond it."""
        if not self.rate_rps > 0:
            return Sized(self.promise, 0.0, math.nan, math.nan)
        return Sized(
            self.promise,
            self.rate_rps,
            self._over_target(self.rate_rps, TOLERANCE),
            self._over_target(BEYOND * self.rate_rps, 1.0),
        )

    def _over_target(self, rate_rps: float, limit: float) -> float:
        promise = self.promise
        if rate_rps >= promise.saturation_rps:
            return math.inf
        ratio = math.nan
        for effort in self.efforts:
            truth = truth_at(promise.replica, rate_rps, promise.seed, effort, self.store)
            ratio = over_target(promise, truth)
            if abs(ratio / limit - 1) > _CLEAR:
                break
        return ratio


def over_target(promise: Promise, truth: Truth) -> float:
    """Return the larger of the two 95th percentiles over their targets."""
    ratios = (
        truth.value("ttft", "p95") / promise.ttft_ms,
        truth.value("itl", "p95") / promise.itl_ms,
    )
    return max(ratio for ratio in ratios if not math.isnan(ratio))


@dataclass(frozen=True, slots=True)
class SizingVerdict:
    """What sizing achieved over all replicas.

    Attributes:
        replicas: How many were sized.
        found: Share for which a rate was found; each could keep its targets at a light load.
        kept: Share of those that keep both targets within the tolerance.
        broken: Share of those that more load breaks.
        worst: Largest percentile over target.
    """

    replicas: int
    found: float
    kept: float
    broken: float
    worst: float

    @classmethod
    def of(cls, sized: Sequence[Sized]) -> SizingVerdict:
        """Sum up."""
        found = [item for item in sized if item.found]
        count = max(len(found), 1)
        return cls(
            len(sized),
            len(found) / max(len(sized), 1),
            sum(item.kept for item in found) / count,
            sum(item.broken for item in found) / count,
            max((item.at_rate for item in found), default=math.nan),
        )
