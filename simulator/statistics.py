"""Means and percentiles of one run, with confidence intervals by batch means.

The measured requests are cut, in the order of issue, into `BATCHES` batches of equal size; each
batch gives its own mean and percentiles, and the spread of those gives the half-width of the 95%
interval: t(0.975, batches - 1) * s / sqrt(batches) (Law, Simulation Modeling and Analysis, section
9.5.3). That is honest where a batch is much longer than what its requests remember of each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BATCHES = 20

T_975 = 2.0930240544082634
"""Quantile 0.975 of Student's t with 19 degrees of freedom."""

_LEAST_IN_BATCH = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the half-width of its 95% confidence interval.

    Attributes:
        value: The figure over all measured requests; NaN where none has it.
        ci95: Half-width by batch means; NaN where the requests are too few for it.
    """

    value: float
    ci95: float


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Distribution of a latency over the measured requests, in milliseconds.

    Attributes:
        mean: Mean.
        percentiles: By percent.
    """

    mean: Estimate
    percentiles: Mapping[float, Estimate]


def summarize_latency(values_ms: FloatArray, percents: Sequence[float]) -> LatencySummary:
    """Return mean and percentiles of a latency.

    Args:
        values_ms: One for each request in the order of issue; NaN where a request has none.
        percents: Which percentiles, from 0 to 100.
    """
    known = values_ms[~np.isnan(values_ms)]
    if not len(known):
        nothing = Estimate(float("nan"), float("nan"))
        return LatencySummary(nothing, dict.fromkeys(percents, nothing))
    size = len(known) // BATCHES
    batches = known[len(known) - size * BATCHES :].reshape(BATCHES, -1)
    enough = size >= _LEAST_IN_BATCH
    spread = half_width(batches.mean(axis=1)) if enough else float("nan")
    mean = Estimate(float(known.mean()), spread)
    if not percents:
        return LatencySummary(mean, {})
    overall = np.percentile(known, percents)
    if enough:
        of_batches = np.percentile(batches, percents, axis=1)
        widths = [half_width(row) for row in of_batches]
    else:
        widths = [float("nan")] * len(percents)
    return LatencySummary(
        mean,
        {
            percent: Estimate(float(value), width)
            for percent, value, width in zip(percents, overall, widths, strict=True)
        },
    )


def half_width(batch_values: FloatArray) -> float:
    """Return the half-width of the 95% interval of a mean from `BATCHES` batch values."""
    return float(T_975 * batch_values.std(ddof=1) / np.sqrt(len(batch_values)))
