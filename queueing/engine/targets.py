"""Targets of the means or percentiles of latencies, and by how much replicas miss them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, IntArray, RowSelector, columns
from queueing.engine.factors import Factors, of_figure
from queueing.engine.mixtures import Mixture

_EASE = 0.05
"""Share of the requests that may be beyond a target, added to both sides of the comparison: so a
search does not see a cliff where hardly any are."""

KEPT_WITHIN = 1e-9
"""A target counts as kept up to this share above it, so that rounding refuses nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class LatencyTarget:
    """A target of one latency; arrays (cases,).

    Attributes:
        at_most_ms: the target; NaN where there is none.
        percentile: the percentile that keeps it, above 0 and below 100; NaN for the mean.
    """

    at_most_ms: FloatArray
    percentile: FloatArray

    @classmethod
    def of(
        cls, count: int, at_most_ms: npt.ArrayLike = np.nan, percentile: npt.ArrayLike = np.nan
    ) -> Self:
        """Build for a number of cases from scalars or arrays."""
        *arrays, _ = columns(at_most_ms, percentile, np.zeros(count))
        return cls(*arrays)

    def take(self, rows: RowSelector) -> Self:
        """Return the target of the selected cases."""
        return type(self)(self.at_most_ms[rows], self.percentile[rows])

    def any(self) -> bool:
        """Tell whether any case has it."""
        return bool(np.any(~np.isnan(self.at_most_ms)))

    def where(self, some: BoolArray) -> Self:
        """Return the target of some of the cases; the others have none."""
        return type(self)(np.where(some, self.at_most_ms, np.nan), self.percentile)

    def margin(self, factors: Factors | None, rows: IntArray) -> FloatArray:
        """Return the log of what a rate is to be divided by that is sized to the target.

        Args:
            factors: corrections of the latency, with margins.
            rows: the cases that are asked about.
        """
        if factors is None or factors.margins is None or not len(rows):
            return np.zeros(len(rows))
        margin = of_figure(factors.margins(rows), self.percentile[rows])
        return np.where(np.isnan(self.at_most_ms[rows]), 0.0, margin)

    def excess(self, mixture: Mixture, factors: Factors | None = None) -> FloatArray:
        """Return how far a latency is beyond the target: above 0 where it is missed.

        For a mean the log of mean over target; for a percentile the log of the share of requests
        beyond the target over the share that may be. Minus infinity where there is no target.

        Args:
            mixture: the distribution of the latency.
            factors: its corrections; none unless told.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.full(len(self.at_most_ms), -np.inf)
            target = self.at_most_ms
            if factors is not None:
                target = factors.allowed_ms(target, self.percentile)
            target = np.maximum(target, 0.0)
            mean = ~np.isnan(self.at_most_ms) & np.isnan(self.percentile)
            if np.any(mean):
                ratio = np.log(mixture.average() / target)
                excess = np.where(mean, ratio, excess)
            share = ~np.isnan(self.at_most_ms) & ~np.isnan(self.percentile)
            if np.any(share):
                beyond = 1.0 - mixture.cdf(np.where(share, target, 1.0) * (1.0 + KEPT_WITHIN))
                may = 1.0 - self.percentile / 100.0
                ratio = np.log((beyond + _EASE * may) / (may + _EASE * may))
                excess = np.where(share, ratio, excess)
        return np.where(np.isnan(excess), np.inf, excess)


@dataclass(frozen=True, slots=True, eq=False)
class EngineTargets:
    """Targets that hold together.

    Attributes:
        ttft: several targets of the time to first token.
        itl: several targets of the mean time between tokens of a request.
        e2e: several targets of the time to the last token.
        tps: output tokens per second to serve in all, array (cases,); it lowers the largest rate
            considered to 90% of the usual one, as a margin. NaN for none.
        max_blocking: share of the requests lost at most, array (cases,). NaN for none.
    """

    ttft: tuple[LatencyTarget, ...]
    itl: tuple[LatencyTarget, ...]
    e2e: tuple[LatencyTarget, ...]
    tps: FloatArray
    max_blocking: FloatArray

    @classmethod
    def of(
        cls,
        count: int,
        *,
        ttft: tuple[LatencyTarget, ...] = (),
        itl: tuple[LatencyTarget, ...] = (),
        e2e: tuple[LatencyTarget, ...] = (),
        tps: npt.ArrayLike = np.nan,
        max_blocking: npt.ArrayLike = np.nan,
    ) -> Self:
        """Build for a number of cases; what is not given is no target."""
        *arrays, _ = columns(tps, max_blocking, np.zeros(count))
        return cls(ttft, itl, e2e, *arrays)

    def __len__(self) -> int:
        return len(self.tps)

    def take(self, rows: RowSelector) -> Self:
        """Return the targets of the selected cases."""
        kept = {
            field.name: tuple(target.take(rows) for target in getattr(self, field.name))
            for field in fields(self)[:3]
        }
        return type(self)(**kept, tps=self.tps[rows], max_blocking=self.max_blocking[rows])

    def only(self, name: str) -> Self:
        """Return the targets of one latency alone: "ttft", "itl" or "e2e"."""
        none = np.full(len(self), np.nan)
        kept = {key: getattr(self, key) if key == name else () for key in ("ttft", "itl", "e2e")}
        return type(self)(**kept, tps=none, max_blocking=none)
