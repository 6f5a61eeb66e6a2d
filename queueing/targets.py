"""Targets of latency and loss, and by how much a point exceeds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, RowSelector, columns
from queueing.block import BlockPoint

KEPT_WITHIN = 1e-9
"""A target counts as kept up to this share above it, so that rounding refuses nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class LatencyTargets:
    """Targets: arrays (cases,), NaN where there is none. All set ones hold together.

    Attributes:
        ttft_ms: mean time to first token at most.
        itl_ms: mean inter-token latency at most.
        tps: output tokens per second to serve in all; it lowers the largest rate considered
            to 90% of the usual one, as a margin, and is not itself compared here.
        max_blocking: share of the requests lost at most.
    """

    ttft_ms: FloatArray
    itl_ms: FloatArray
    tps: FloatArray
    max_blocking: FloatArray

    @classmethod
    def of(
        cls,
        count: int,
        *,
        ttft_ms: npt.ArrayLike = np.nan,
        itl_ms: npt.ArrayLike = np.nan,
        tps: npt.ArrayLike = np.nan,
        max_blocking: npt.ArrayLike = np.nan,
    ) -> Self:
        """Build for a number of cases from scalars or arrays; what is not given is no target."""
        *arrays, _ = columns(ttft_ms, itl_ms, tps, max_blocking, np.zeros(count))
        return cls(*arrays)

    def __len__(self) -> int:
        return len(self.ttft_ms)

    def take(self, rows: RowSelector) -> Self:
        """Return the targets of the selected cases."""
        return type(self)(
            self.ttft_ms[rows], self.itl_ms[rows], self.tps[rows], self.max_blocking[rows]
        )

    def only(self, *, ttft: bool = False, itl: bool = False) -> Self:
        """Return the targets with all others unset."""
        none = np.full(len(self), np.nan)
        return type(self)(self.ttft_ms if ttft else none, self.itl_ms if itl else none, none, none)


@dataclass(frozen=True, slots=True, eq=False)
class Ceilings:
    """Targets in the form that the search compares: their reciprocals, 0 where there is none."""

    per_ttft: FloatArray
    per_itl: FloatArray
    per_blocking: FloatArray

    @classmethod
    def of(cls, targets: LatencyTargets) -> Self:
        """Convert; a target of zero or less cannot be kept."""
        return cls(
            _reciprocal(targets.ttft_ms),
            _reciprocal(targets.itl_ms),
            _reciprocal(targets.max_blocking),
        )

    def take(self, rows: RowSelector) -> Self:
        """Return the ceilings of the selected cases."""
        return type(self)(self.per_ttft[rows], self.per_itl[rows], self.per_blocking[rows])

    def without_itl(self, rows: BoolArray) -> Self:
        """Return the ceilings with none on ITL at these cases."""
        return type(self)(self.per_ttft, np.where(rows, 0.0, self.per_itl), self.per_blocking)

    def ttft_excess(self, point: BlockPoint) -> FloatArray:
        """Return log of TTFT over target, not positive where it is kept."""
        return _log_excess(point.latencies.ttft_ms * self.per_ttft)

    def itl_excess(self, point: BlockPoint) -> FloatArray:
        """Return log of ITL over target, not positive where it is kept."""
        return _log_excess(point.latencies.itl_ms * self.per_itl)

    def blocking_excess(self, point: BlockPoint) -> FloatArray:
        """Return log of blocking over target, not positive where it is kept."""
        return _log_excess(point.means.blocking * self.per_blocking)

    def excess(self, point: BlockPoint) -> FloatArray:
        """Return the largest of the excesses: not positive where all targets are kept."""
        worst = np.maximum(
            point.latencies.ttft_ms * self.per_ttft, point.latencies.itl_ms * self.per_itl
        )
        return _log_excess(np.maximum(worst, point.means.blocking * self.per_blocking))


def _log_excess(ratio: FloatArray) -> FloatArray:
    """Return log ratio less half the allowance; finite, and positive where it is not a number."""
    bounded = np.minimum(np.maximum(ratio, 1e-300), 1e300)
    bounded[np.isnan(bounded)] = 1e300
    excess: FloatArray = np.log(bounded) - 0.5 * KEPT_WITHIN
    return excess


def _reciprocal(target: FloatArray) -> FloatArray:
    return np.where(np.isnan(target), 0.0, 1.0 / np.maximum(target, 0.0))
