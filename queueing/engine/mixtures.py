"""Mixtures of shifted gamma distributions, and their percentiles.

Every latency is such a mixture: over the state met, over what is found running there, over token
lengths. Parts are matched by mean and variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, ndtr

from queueing.arrays import FloatArray

_ROUGH_SHAPE = 0.4
_HALVINGS = 44


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A mixture of shifted gamma distributions; arrays (parts, cases).

    Attributes:
        weight: probability of a part; those of a case sum to 1.
        shift: least value of a part.
        mean: mean excess over it, not negative.
        variance: variance of a part, not negative.
    """

    weight: FloatArray
    shift: FloatArray
    mean: FloatArray
    variance: FloatArray

    @classmethod
    def joined(cls, *mixtures: Mixture) -> Mixture:
        """Return all parts of several mixtures, whose weights sum to 1 together."""
        return cls(
            np.concatenate([mixture.weight for mixture in mixtures]),
            np.concatenate([mixture.shift for mixture in mixtures]),
            np.concatenate([mixture.mean for mixture in mixtures]),
            np.concatenate([mixture.variance for mixture in mixtures]),
        )

    def average(self) -> FloatArray:
        """Return the mean, array (cases,)."""
        average: FloatArray = (self.weight * (self.shift + self.mean)).sum(axis=0)
        return average

    def spread(self) -> FloatArray:
        """Return the variance, array (cases,)."""
        value = self.shift + self.mean
        square = (self.weight * (value**2 + self.variance)).sum(axis=0)
        spread: FloatArray = np.maximum(square - (self.weight * value).sum(axis=0) ** 2, 0.0)
        return spread

    def cdf(self, value: FloatArray) -> FloatArray:
        """Return the probability to be at most a value, array (cases,)."""
        below: FloatArray = (
            self.weight * gamma_cdf(value - self.shift, self.mean, self.variance)
        ).sum(axis=0)
        return below

    def percentiles(self, percentiles: tuple[float, ...]) -> FloatArray:
        """Return percentiles, array (percentiles, cases): bisection, to 1e-9 of the range."""
        top = self.shift + self.mean + np.sqrt(self.variance)
        top = np.where(self.weight > 0.0, top, 0.0)
        rows = []
        for percentile in percentiles:
            share = percentile / 100.0
            low = np.zeros(top.shape[1])
            high = top.max(axis=0)
            for _ in range(30):
                short = self.cdf(high) < share
                if not np.any(short):
                    break
                high = np.where(short, 2.0 * high, high)
            for _ in range(_HALVINGS):
                middle = 0.5 * (low + high)
                short = self.cdf(middle) < share
                low = np.where(short, middle, low)
                high = np.where(short, high, middle)
            rows.append(high)
        return np.array(rows).reshape(len(percentiles), top.shape[1])


def gamma_cdf(value: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the distribution function of a gamma distribution by its mean and variance.

    By the cube root of Wilson and Hilferty (1931), within 0.01 from a shape of 0.4 on; exactly
    below. No variance is a step.
    """
    mean = np.maximum(mean, 1e-300)
    shape = mean * mean / np.maximum(variance, 1e-24 * mean * mean)
    positive = np.maximum(value, 0.0)
    root = np.sqrt(shape)
    with np.errstate(over="ignore"):
        result = ndtr(3.0 * root * (np.cbrt(positive / mean) - 1.0) + 1.0 / (3.0 * root))
    rough = shape < _ROUGH_SHAPE
    if np.any(rough):
        shape, positive, mean = np.broadcast_arrays(shape, positive, mean)
        rough = np.broadcast_to(rough, shape.shape)
        result[rough] = gammainc(shape[rough], (positive / mean)[rough] * shape[rough])
    return np.where(value < 0.0, 0.0, result)
