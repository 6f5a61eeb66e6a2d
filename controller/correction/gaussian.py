"""The arithmetic of the filter: two quantities, known with an error, and what a measurement adds.

The extended Kalman filter of the textbooks (Kalman 1960; Jazwinski, Stochastic Processes and
Filtering Theory, 1970), one scalar measurement at a time, which needs no inverse of a matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Gaussian:
    """What is known of two quantities.

    Attributes:
        mean: Their means.
        variance: Their variances.
        covariance: Of one with the other.
    """

    mean: Pair
    variance: Pair
    covariance: float = 0.0

    @classmethod
    def around_zero(cls, sd: float) -> Gaussian:
        """Return two quantities that are zero within `sd`, each on its own."""
        return cls((0.0, 0.0), (sd * sd, sd * sd))

    @property
    def sd(self) -> Pair:
        """Their standard deviations."""
        return math.sqrt(self.variance[0]), math.sqrt(self.variance[1])

    def walked(self, variance: float, most_sd: float) -> Gaussian:
        """Return what is known after a random walk of that variance.

        What is known at first is never forgotten: variances end at that of `most_sd`, and the
        correlation stays as it is.
        """
        largest = most_sd * most_sd
        grown = tuple(each + variance for each in self.variance)
        first, second = (min(1.0, math.sqrt(largest / each)) for each in grown)
        return Gaussian(
            self.mean,
            (grown[0] * first * first, grown[1] * second * second),
            self.covariance * first * second,
        )

    def spread_of(self, slope: Pair) -> float:
        """Return the variance of a measurement of that slope, by what is known."""
        first, second = self._times(slope)
        return max(0.0, slope[0] * first + slope[1] * second)

    def updated(self, part: int, slope: Pair, innovation: float, noise: float) -> Gaussian:
        """Return what is known after a measurement that teaches one quantity alone.

        The other keeps its mean and its variance, yet its error counts as an error of the
        measurement, in the covariance too (a consider filter: Schmidt 1966). A filter that learns
        both from every measurement finds that it knows what it cannot: along a curve each new
        slope looks like news of the other quantity.

        Args:
            part: The quantity that is learned, 0 or 1.
            slope: How the measurement changes with each quantity.
            innovation: What was measured, less what was expected.
            noise: Variance of the measurement's own error, above 0.
        """
        products = self._times(slope)
        total = self.spread_of(slope) + noise
        gain = products[part] / total
        mean, variance = list(self.mean), list(self.variance)
        mean[part] += gain * innovation
        variance[part] = max(0.0, variance[part] - gain * products[part])
        return Gaussian(
            (mean[0], mean[1]),
            (variance[0], variance[1]),
            self.covariance - gain * products[1 - part],
        )

    def within(self, largest: float) -> Gaussian:
        """Return the same with means of at most that size."""
        first, second = (min(largest, max(-largest, each)) for each in self.mean)
        return Gaussian((first, second), self.variance, self.covariance)

    def _times(self, slope: Pair) -> Pair:
        return (
            self.variance[0] * slope[0] + self.covariance * slope[1],
            self.covariance * slope[0] + self.variance[1] * slope[1],
        )
