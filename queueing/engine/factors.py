"""What corrections do to a latency and to its targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from queueing.arrays import FloatArray, IntArray
from queueing.engine.point import Latency

KNOTS = (50.0, 90.0, 95.0, 99.0)
"""Percentiles that are corrected each by itself; those between, in between."""


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Corrections of a latency; arrays (1 + knots, cases).

    Attributes:
        expected: logs of what mean and knots are multiplied by.
        apart_ms: part of the latency that is not corrected, array (cases,).
        margins: tells, of some of the cases, logs of what a rate is to be divided by that is sized
            to mean or knots, array (1 + knots, some cases); None where nobody asked.
    """

    expected: FloatArray
    apart_ms: FloatArray
    margins: Callable[[IntArray], FloatArray] | None = None

    def correct(self, latency: Latency, percentiles: tuple[float, ...]) -> Latency:
        """Return a latency as expected; percentiles stay in their order."""
        apart = self.apart_ms
        mean = apart + (latency.mean_ms - apart) * np.exp(self.expected[0])
        at = latency.at_ms.copy()
        order = np.argsort(percentiles)
        for index in order:
            log = between_knots(self.expected[1:], np.full(len(apart), percentiles[index]))
            at[index] = apart + (at[index] - apart) * np.exp(log)
        at[order] = np.maximum.accumulate(at[order], axis=0)
        return Latency(mean, at)

    def above(self, expected: Factors, high: Factors) -> Factors:
        """Return these, raised by what some latency is higher at most than it is expected to be.

        Args:
            expected: corrections of the latency.
            high: likewise, so that few are above.
        """
        raised = self.expected + np.maximum(high.expected - expected.expected, 0.0)
        return Factors(raised, self.apart_ms)

    def allowed_ms(self, target_ms: FloatArray, percentile: FloatArray) -> FloatArray:
        """Return what the analysis may say at most for a target to be kept as expected.

        Args:
            target_ms: array (cases,).
            percentile: array (cases,); NaN for the mean.
        """
        log = of_figure(self.expected, percentile)
        allowed: FloatArray = self.apart_ms + (target_ms - self.apart_ms) * np.exp(-log)
        return allowed


def of_figure(values: FloatArray, percentile: FloatArray) -> FloatArray:
    """Return what holds for the mean or at a percentile.

    Args:
        values: of the mean and at the knots, array (1 + knots, cases).
        percentile: array (cases,); NaN for the mean.
    """
    mean = np.isnan(percentile)
    at_percentile = between_knots(values[1:], np.where(mean, KNOTS[0], percentile))
    return np.where(mean, values[0], at_percentile)


def between_knots(values: FloatArray, percentile: FloatArray) -> FloatArray:
    """Return what holds at a percentile, linear in normal deviates between the knots.

    Args:
        values: at the knots, array (knots, cases).
        percentile: array (cases,); beyond the knots the nearest one counts.
    """
    if np.all(percentile == percentile[:1]):
        percentile = percentile[:1]  # looked up once for all
    deviates = ndtri(np.array(KNOTS) / 100.0)
    place = ndtri(np.clip(percentile, KNOTS[0], KNOTS[-1]) / 100.0)
    upper = np.clip(np.searchsorted(deviates, place), 1, len(KNOTS) - 1)
    share = (place - deviates[upper - 1]) / (deviates[upper] - deviates[upper - 1])
    columns = np.arange(values.shape[1])
    low, high = values[upper - 1, columns], values[upper, columns]
    between: FloatArray = low + share * (high - low)
    return between
