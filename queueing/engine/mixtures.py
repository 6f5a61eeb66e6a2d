"""Mixtures of shifted gamma distributions, and their percentiles.

Every latency is such a mixture: over the state met, over what is found running there, over token
lengths. Parts are matched by mean and variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import gammainc, ndtr

from queueing.arrays import FloatArray

_ROUGH_SHAPE = 0.4
_HALVINGS = 44


class Shape(StrEnum):
    """Family of the distribution of a part."""

    GAMMA = "gamma"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Parts of a mixture, of one family; arrays (parts, cases).

    Attributes:
        weight: probability of a part.
        shift: least value of a part.
        mean: mean excess over it, not negative.
        variance: variance of a part, not negative.
        shape: family of the excess.
    """

    weight: FloatArray
    shift: FloatArray
    mean: FloatArray
    variance: FloatArray
    shape: Shape = Shape.GAMMA

    def cdf(self, value: FloatArray) -> FloatArray:
        """Return the probability of being in a part and at most a value, array (cases,)."""
        excess = value - self.shift
        if self.shape is Shape.LOGNORMAL:
            share = lognormal_cdf(excess, self.mean, self.variance)
        else:
            share = gamma_cdf(excess, self.mean, self.variance)
        below: FloatArray = (self.weight * share).sum(axis=0)
        return below


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A mixture of shifted distributions; the weights of a case sum to 1.

    Attributes:
        parts: its parts.
        most: largest value that can be, array (cases,); infinite unless told.
    """

    parts: tuple[Parts, ...]
    most: FloatArray | None = None

    def average(self) -> FloatArray:
        """Return the mean, array (cases,)."""
        terms = [(part.weight * (part.shift + part.mean)).sum(axis=0) for part in self.parts]
        average: FloatArray = np.sum(terms, axis=0)
        return average

    def spread(self) -> FloatArray:
        """Return the variance, array (cases,)."""
        squares = [
            (part.weight * ((part.shift + part.mean) ** 2 + part.variance)).sum(axis=0)
            for part in self.parts
        ]
        spread: FloatArray = np.maximum(np.sum(squares, axis=0) - self.average() ** 2, 0.0)
        return spread

    def cdf(self, value: FloatArray) -> FloatArray:
        """Return the probability to be at most a value, array (cases,)."""
        below: FloatArray = np.sum([part.cdf(value) for part in self.parts], axis=0)
        return below if self.most is None else np.where(value >= self.most, 1.0, below)

    def percentiles(self, percentiles: tuple[float, ...]) -> FloatArray:
        """Return percentiles, array (percentiles, cases): bisection, to 1e-9 of the range."""
        start = self.average() + np.sqrt(self.spread())
        rows = []
        for percentile in percentiles:
            share = percentile / 100.0
            low = np.zeros(len(start))
            high = start
            for _ in range(40):
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
        return np.array(rows).reshape(len(percentiles), len(start))


def lognormal_cdf(value: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the distribution function of a lognormal distribution by its mean and variance."""
    mean = np.maximum(mean, 1e-30)
    spread = np.log1p(np.maximum(variance / (mean * mean), 1e-18))
    with np.errstate(divide="ignore"):
        place = np.log(np.maximum(value, 0.0) / mean) + 0.5 * spread
    return np.where(value < 0.0, 0.0, ndtr(place / np.sqrt(spread)))


def gamma_cdf(value: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the distribution function of a gamma distribution by its mean and variance.

    By the cube root of Wilson and Hilferty (1931) from a shape of 0.4 on: within 0.0075 from the
    median up, as for all shares from a shape of 1.3 on; up to 0.09 in the lowest tenth of smaller
    shapes. Exactly below a shape of 0.4. No variance is a step.
    """
    mean = np.maximum(mean, 1e-30)
    shape = mean * mean / np.maximum(variance, 1e-18 * mean * mean)
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
