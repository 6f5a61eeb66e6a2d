"""Completions of slots as renewals with lognormal lifetimes, counted over a time.

The variance of the count of one renewal process over an interval that begins at any time is
V(t) = t + 2 ∫ (m(u) - u) du from 0 to t, for lifetimes of mean 1, with m the renewal function
(Cox, Renewal Theory, 1962, section 4.5). m solves m(t) = F(t) + ∫ m(t - u) dF(u), which is done
once on a grid; later the variance grows with the square of the coefficient of variation.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import betainc, gammaincinv, ndtr

from queueing.arrays import FloatArray
from queueing.engine.closed_nodes import FINE

_CVS = np.array([0.04, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
_STEP, _STEPS = 0.01, 1600
_TIMES = 60


def dispersion(turns: FloatArray, cv: FloatArray) -> FloatArray:
    """Return variance over mean of the renewals in a time, starting from any moment.

    Args:
        turns: expected renewals, arrays (..., cases).
        cv: coefficient of variation of the lifetimes, array (cases,).
    """
    table = _variances()
    row = np.clip(np.searchsorted(_CVS, cv, side="right") - 1, 0, len(_CVS) - 2)
    up = np.clip((cv - _CVS[row]) / (_CVS[row + 1] - _CVS[row]), 0.0, 1.0)
    place = np.clip(turns / _STEP, 0.0, _STEPS - 1e-9)
    column = place.astype(np.int64)
    right = place - column
    low = table[row, column] * (1.0 - right) + table[row, column + 1] * right
    high = table[row + 1, column] * (1.0 - right) + table[row + 1, column + 1] * right
    beyond = np.maximum(turns - _STEP * _STEPS, 0.0) * cv**2
    variance = low + up * (high - low) + beyond
    answer: FloatArray = np.where(turns > 1e-9, variance / np.maximum(turns, 1e-9), 1.0)
    return np.maximum(answer, 0.0)


def passage_factors(queue: FloatArray, slots: FloatArray, cv: FloatArray) -> FloatArray:
    """Return how long a request waits for as many completions as stand before it.

    The wait exceeds t where fewer slots than that complete in t: a binomial or negative binomial
    count of the mean and variance of the renewals. A slot alone is a sum of whole lifetimes.

    Args:
        queue: requests in line before it, above 0, array (cases,).
        slots: slots that complete.
        cv: coefficient of variation of the time that a request keeps a slot.

    Returns:
        Equally spaced quantiles at the middles of the strata `FINE`, over their mean.
    """
    count = len(queue)
    deviation = np.sqrt(np.maximum(dispersion(queue / slots, cv), 1e-3) / queue)
    reach = 1.0 + 6.0 * deviation + 2.0 / queue
    times = (np.arange(1, _TIMES + 1)[:, None] / _TIMES) ** 1.5 * reach
    mean = times * queue
    ratio = dispersion(mean / slots, cv)
    ratio = np.where(np.abs(ratio - 1.0) < 1e-6, 1.0 - 1e-6, ratio)
    less = ratio < 1.0
    # Of a count with variance r·mean: binomial with p = 1 - r, or negative binomial with p = 1/r.
    most = np.maximum(mean / np.where(less, 1.0 - ratio, 1.0), 1e-9)
    binomial = betainc(np.maximum(most - queue + 1.0, 1e-9), queue, np.where(less, ratio, 0.5))
    binomial = np.where(most - queue + 1.0 <= 0.0, 1.0, binomial)
    size = np.maximum(mean / np.where(less, 1.0, ratio - 1.0), 1e-9)
    negative = betainc(size, queue, np.where(less, 0.5, 1.0 / np.maximum(ratio, 1e-9)))
    longer = np.where(less, binomial, negative)
    upto = np.concatenate([np.zeros((1, count)), 1.0 - longer])
    upto = np.maximum.accumulate(upto, axis=0)
    times = np.concatenate([np.zeros((1, count)), times])
    middle = 0.5 * (FINE[1:] + FINE[:-1])
    factors = np.empty((len(middle), count))
    for index, level in enumerate(middle):
        right = np.clip((upto < level).sum(axis=0), 1, _TIMES)[None]
        above, below = (np.take_along_axis(upto, at, axis=0)[0] for at in (right, right - 1))
        late, early = (np.take_along_axis(times, at, axis=0)[0] for at in (right, right - 1))
        share = np.clip((level - below) / np.maximum(above - below, 1e-12), 0.0, 1.0)
        factors[index] = early + share * (late - early)
    shape = np.minimum(queue / np.maximum(cv, 1e-4) ** 2, 1e8)
    single = gammaincinv(shape, middle[:, None]) / shape
    factors = np.where(slots <= 1.0, single, factors)
    answer: FloatArray = factors / np.maximum((factors.T @ np.diff(FINE)), 1e-300)
    return answer


@lru_cache(maxsize=1)
def _variances() -> FloatArray:
    """Return V at multiples of the step, shape (cvs, steps + 1)."""
    times = np.arange(_STEPS + 1) * _STEP
    deviation = np.sqrt(np.log1p(_CVS**2))[:, None]
    with np.errstate(divide="ignore"):
        upto = ndtr((np.log(times) + 0.5 * deviation**2) / deviation)
    masses = np.diff(upto, axis=1)
    renewals = np.zeros_like(upto)
    for step in range(1, _STEPS + 1):
        # Lifetimes end at the middle of a step.
        seen = renewals[:, :step][:, ::-1]
        before = 0.5 * (seen + np.concatenate([seen[:, 1:], np.zeros((len(_CVS), 1))], axis=1))
        renewals[:, step] = upto[:, step] + (masses[:, :step] * before).sum(axis=1)
    excess = renewals - times
    # The mean excess settles at (c² - 1)/2: what the grid loses of it grows with time.
    settled = (_CVS[:, None] >= 0.2) & (_CVS[:, None] <= 0.8)
    lost = (excess[:, -1:] - 0.5 * (_CVS[:, None] ** 2 - 1.0)) / times[-1]
    excess -= np.where(settled, lost * times, 0.0)
    area = np.cumsum(0.5 * (excess[:, 1:] + excess[:, :-1]) * _STEP, axis=1)
    area = np.concatenate([np.zeros((len(_CVS), 1)), area], axis=1)
    variances: FloatArray = np.maximum(times + 2.0 * area, 0.0)
    return variances
