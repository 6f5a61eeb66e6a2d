"""A smooth surface through measured times, which knows how well it knows itself anywhere.

Gaussian-process regression of the logarithms of times over a plane (Rasmussen and Williams,
*Gaussian Processes for Machine Learning*, 2006, chapter 2): a base of few parameters, and
departures from it that are alike at places that are near. How near, and how large departures are,
is what makes the times measured likeliest when each is predicted from all others (section 5.4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import nnls

from queueing.arrays import FloatArray

_REACHES = (1.0, 2.0, 4.0, 8.0)
"""Distances tried over which departures stay alike, in doublings of the axes."""

_DEPARTURES = (0.02, 0.05, 0.12, 0.3)
"""Sizes of departures tried, in logarithms."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A surface through times.

    Attributes:
        base: Parameters of the base, (terms,).
        places: Where times are known, (timings, axes), in doublings.
        weights: What each departure contributes elsewhere, (timings,).
        factor: Cholesky factor of the covariance of the departures.
        reaches: Distances over which they stay alike, (axes,).
        departure: Their size.
        left_out: Deviation in logarithms of each time from its prediction by the others.
    """

    base: FloatArray
    places: FloatArray
    weights: FloatArray
    factor: FloatArray
    reaches: FloatArray
    departure: float
    left_out: FloatArray

    @classmethod
    def through(
        cls,
        places: FloatArray,
        terms: FloatArray,
        times: FloatArray,
        noise: FloatArray,
        like: Surface | None = None,
    ) -> Self:
        """Return the surface through times.

        Args:
            places: Where they were measured, (timings, axes), in doublings.
            terms: Terms of the base there, (timings, terms), none negative.
            times: The times, (timings,), positive; at least one.
            noise: Their relative standard errors.
            like: A surface to take the size and the reach of departures from; they are searched
                for unless given.
        """
        tried = [(size, *reaches) for size, *reaches in
                 product(_DEPARTURES, *[_REACHES] * places.shape[1])]  # fmt: skip
        if like is not None:
            tried = [(like.departure, *like.reaches.tolist())]
        base = nnls(terms / times[:, None], np.ones(len(times)))[0]
        departures = np.log(times) - _log_base(terms, base)
        best: tuple[float, Self] | None = None
        for departure, *reaches in tried:
            scale = np.array(reaches)
            covariance = departure**2 * _alike(places, places, scale) + np.diag(noise**2)
            try:
                factor = cho_factor(covariance, lower=True)
            except LinAlgError:
                continue
            inverse = cho_solve(factor, np.eye(len(times)))
            weights = inverse @ departures
            variance = 1.0 / np.diag(inverse)
            left_out = weights * variance
            likelihood = -0.5 * float(np.sum(np.log(variance) + left_out**2 / variance))
            if best is None or likelihood > best[0]:
                surface = cls(base, places, weights, factor[0], scale, departure, left_out)
                best = (likelihood, surface)
        if best is None:
            raise ValueError("no surface goes through these times")
        return best[1]

    def at(self, places: FloatArray, terms: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return times, and the standard deviation of their logarithms.

        Args:
            places: Where, (places, axes).
            terms: Terms of the base there.
        """
        alike = self.departure**2 * _alike(places, self.places, self.reaches)
        logs = _log_base(terms, self.base) + alike @ self.weights
        known = np.sum(alike * cho_solve((self.factor, True), alike.T).T, axis=1)
        return np.exp(logs), np.sqrt(np.maximum(self.departure**2 - known, 0.0))


def _log_base(terms: FloatArray, base: FloatArray) -> FloatArray:
    result: FloatArray = np.log(np.maximum(terms @ base, np.finfo(np.float64).tiny))
    return result


def _alike(one: FloatArray, other: FloatArray, reaches: FloatArray) -> FloatArray:
    """Return the Matérn covariance of order 5/2: of departures that bend but have no corners."""
    steps = (one[:, None, :] - other[None, :, :]) / reaches
    distance = np.sqrt(5.0 * np.sum(steps * steps, axis=2))
    alike: FloatArray = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return alike
