"""Predictions beside simulations: relative errors, and the limits they must keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.fidelity.predicted import SATURATION, THROUGHPUT, Figure, Predictions
from benchmarks.fidelity.work import Measured
from queueing.arrays import BoolArray, FloatArray

LOADED = 0.8
"""The limits hold up to this share of the saturation throughput."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A figure that is compared, and its limits.

    Attributes:
        name: In words.
        figure: Which.
        median: Largest median of the error over points; None for no limit.
        high: Largest 90th percentile of the error over points; None for no limit.
    """

    name: str
    figure: Figure
    median: float | None = None
    high: float | None = None


JUDGED = (
    Judged("mean ITL", ("itl", "mean"), 0.03, 0.08),
    Judged("p95 ITL", ("itl", "p95"), 0.06, 0.15),
    Judged("mean TTFT", ("ttft", "mean"), 0.05, 0.20),
    Judged("p50 TTFT", ("ttft", "p50"), 0.08, 0.25),
    Judged("p90 TTFT", ("ttft", "p90"), 0.08, 0.25),
    Judged("p95 TTFT", ("ttft", "p95"), 0.08, 0.25),
    Judged("p99 TTFT", ("ttft", "p99"), 0.08, 0.25),
    Judged("p50 ITL", ("itl", "p50")),
    Judged("p99 ITL", ("itl", "p99")),
    Judged("mean ITL by token", ("token_itl", "mean")),
    Judged("p95 ITL by token", ("token_itl", "p95")),
    Judged("p99 ITL by token", ("token_itl", "p99")),
    Judged("mean E2E", ("e2e", "mean")),
    Judged("p95 E2E", ("e2e", "p95")),
    Judged("p99 E2E", ("e2e", "p99")),
    Judged("throughput", THROUGHPUT),
    Judged("saturation throughput", SATURATION),
)

LIMITED = tuple(judged for judged in JUDGED if judged.median is not None)


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of one figure over some points.

    Attributes:
        points: Points that have the figure.
        median: Median of the absolute relative error; NaN without points.
        high: Its 90th percentile.
        bias: Median of the signed one.
    """

    points: int
    median: float
    high: float
    bias: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure, its errors up to the load of the limits, and whether the limits hold."""

    judged: Judged
    errors: Errors

    @property
    def holds(self) -> bool:
        """Tell whether both limits hold."""
        median, high = self.judged.median, self.judged.high
        return (median is None or self.errors.median <= median) and (
            high is None or self.errors.high <= high
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """An analysis beside the simulations of the same points.

    Attributes:
        measured: The points.
        predictions: What the analysis says of them.
    """

    measured: Sequence[Measured]
    predictions: Predictions

    @property
    def loads(self) -> FloatArray:
        """Return the share of the saturation throughput offered at each point."""
        return np.array([item.point.load for item in self.measured])

    def simulated(self, figure: Figure) -> FloatArray:
        """Return what the simulations say, shape (points,)."""
        if figure == SATURATION:
            return np.array([item.saturation_rps for item in self.measured])
        if figure == THROUGHPUT:
            return np.array([item.truth.throughput_rps for item in self.measured])
        return np.array([item.truth.value(*figure) for item in self.measured])

    def predicted(self, figure: Figure) -> FloatArray:
        """Return what the analysis says, shape (points,); NaN where it says nothing."""
        unknown = np.full(len(self.measured), np.nan)
        return self.predictions.figures.get(figure, unknown)

    def signed(self, figure: Figure) -> FloatArray:
        """Return predicted over simulated, less one: shape (points,).

        NaN where the simulation has no such figure (the ITL of single tokens); infinity where the
        analysis has none although the simulation has one, so that no point is left out silently.
        """
        truth = self.simulated(figure)
        predicted = self.predicted(figure)
        with np.errstate(all="ignore"):
            error = predicted / truth - 1
        error[~np.isfinite(predicted) & np.isfinite(truth)] = np.inf
        error[~np.isfinite(truth)] = np.nan
        return error

    def errors(self, figure: Figure, rows: BoolArray) -> Errors:
        """Return the errors over the selected points."""
        error = self.signed(figure)[rows]
        error = error[~np.isnan(error)]
        if not len(error):
            return Errors(0, np.nan, np.nan, np.nan)
        size = np.sort(np.abs(error))
        return Errors(
            len(error),
            float(np.median(size)),
            float(np.percentile(size, 90, method="higher")),
            float(np.median(error)),
        )

    def quiet(self) -> BoolArray:
        """Return which points are judged: those up to the load of the limits."""
        return self.loads <= LOADED

    def verdicts(self) -> list[Verdict]:
        """Return how each limited figure fares."""
        quiet = self.quiet()
        return [Verdict(judged, self.errors(judged.figure, quiet)) for judged in LIMITED]
