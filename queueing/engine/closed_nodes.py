"""Distributions as few weighted values: strata of random lengths, and percentiles of mixtures.

A distribution is cut at fixed probabilities, finer towards the upper tail, and each stratum is
represented by its conditional mean: means are kept exactly, and percentiles of sums and functions
of several such distributions come from all combinations of their values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from queueing.arrays import FloatArray

FINE = np.concatenate(
    [np.linspace(0.0, 0.9, 19), [0.92, 0.94, 0.955, 0.97, 0.98, 0.988, 0.995, 0.999, 1.0]]
)
"""Edges of the strata of what shapes a latency most."""
COARSE = np.array([0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0])
"""Edges of the strata of what only blurs it."""


def lognormal_factors(cv: FloatArray, edges: FloatArray) -> FloatArray:
    """Return the conditional means, over the mean, of the strata of lognormal distributions.

    Args:
        cv: coefficients of variation, arrays of any shape.
        edges: probabilities at the edges of the strata, from 0 to 1.

    Returns:
        Shape (strata, *cv.shape); all 1 where cv is 0.
    """
    deviation = np.sqrt(np.log1p(cv**2))
    at = ndtri(edges).reshape(-1, *([1] * np.ndim(cv)))
    # The part of the mean below a quantile z is Φ(z − σ).
    below = ndtr(at - deviation)
    weights = np.diff(edges).reshape(-1, *([1] * np.ndim(cv)))
    factors: FloatArray = np.diff(below, axis=0) / weights
    return factors


def stratify(
    masses: FloatArray, values: Sequence[FloatArray], edges: FloatArray
) -> list[FloatArray]:
    """Return the conditional means of quantities over the strata of a distribution on a grid.

    Args:
        masses: probabilities of the cells in ascending order, shape (cells, cases).
        values: quantities in these cells, each of the same shape.
        edges: probabilities at the edges of the strata.

    Returns:
        One array (strata, cases) for each quantity.
    """
    total = masses.sum(axis=0)
    upto = np.concatenate([np.zeros_like(masses[:1]), np.cumsum(masses, axis=0)])
    wanted = edges[:, None] * total
    # The cell in which each edge lies, and the share of the cell below the edge.
    cell = np.empty(wanted.shape, dtype=np.int64)
    for row, level in enumerate(wanted):
        cell[row] = np.clip((upto[1:] < level).sum(axis=0), 0, len(masses) - 1)
    inside = np.take_along_axis(masses, cell, axis=0)
    rest = wanted - np.take_along_axis(upto, cell, axis=0)
    share = np.clip(np.divide(rest, inside, out=np.zeros_like(rest), where=inside > 0.0), 0.0, 1.0)
    answer = []
    for value in values:
        part = masses * value
        sums = np.concatenate([np.zeros_like(part[:1]), np.cumsum(part, axis=0)])
        at = np.take_along_axis(sums, cell, axis=0)
        at = at + share * np.take_along_axis(part, cell, axis=0)
        answer.append(np.diff(at, axis=0) / np.maximum(np.diff(wanted, axis=0), 1e-300))
    return answer


def percentiles_of(
    values: FloatArray, weights: FloatArray, percentiles: Sequence[float]
) -> FloatArray:
    """Return percentiles of weighted values.

    Between two values each stands at the middle of its weight, and the percentiles between are
    interpolated.

    Args:
        values: shape (values, cases).
        weights: shape (values, cases), not negative.
        percentiles: from 0 to 100.

    Returns:
        Shape (percentiles, cases).
    """
    order = np.argsort(values, axis=0)
    ascending = np.take_along_axis(values, order, axis=0)
    weight = np.take_along_axis(np.broadcast_to(weights, values.shape), order, axis=0)
    middle = np.cumsum(weight, axis=0) - 0.5 * weight
    total = np.maximum(weight.sum(axis=0), 1e-300)
    answer = np.empty((len(percentiles), values.shape[1]))
    last = len(values) - 1
    for row, percent in enumerate(percentiles):
        wanted = percent / 100.0 * total
        above = np.clip((middle < wanted).sum(axis=0), 0, last)[None]
        below = np.maximum(above - 1, 0)
        low, high = (np.take_along_axis(middle, index, axis=0)[0] for index in (below, above))
        span = high - low
        share = np.divide(wanted - low, span, out=np.ones_like(span), where=span > 0.0)
        first, second = (
            np.take_along_axis(ascending, index, axis=0)[0] for index in (below, above)
        )
        answer[row] = first + np.clip(share, 0.0, 1.0) * (second - first)
    return answer


def combine(*parts: FloatArray) -> FloatArray:
    """Return all products of weights: arrays (n, cases) to one of (n1·n2·…, cases)."""
    product = parts[0]
    for part in parts[1:]:
        product = (product[:, None] * part[None]).reshape(-1, product.shape[-1])
    return product
