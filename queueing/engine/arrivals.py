"""Counts of renewal arrivals: how much they vary over a time, by their coefficient of variation.

For gamma times between arrivals of mean 1 and shape s = 1/c² the expected count after an arrival
is m(t) = sum over k of P(k s, s t), with P the regularized incomplete gamma function, and the
variance of the count over an interval that begins at any time is
V(t) = t + 2 ∫ (m(u) - u) du from 0 to t (Cox, Renewal Theory, 1962, section 4.5).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import gammainc

from queueing.arrays import FloatArray

_CVS = np.array([0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0])
_LOWEST, _PER_DECADE, _DECADES = -4.0, 10, 7
_SMALLEST_CV = 0.1


def count_variance(expected: FloatArray, cv: FloatArray) -> FloatArray:
    """Return the variance of the number of arrivals over a time.

    Args:
        expected: expected number of arrivals in that time, arrays (..., cases).
        cv: coefficient of variation of the times between arrivals, array (cases,), 0 to 10.
    """
    if np.all(cv == 1.0):
        return expected
    return expected * _look_up(_table()[0], expected, cv)


def count_after(expected: FloatArray, cv: FloatArray) -> FloatArray:
    """Return the expected number of arrivals over a time that begins with an arrival.

    That one is not counted. Takes the same arguments as `count_variance`.
    """
    if np.all(cv == 1.0):
        return expected
    return expected * _look_up(_table()[1], expected, cv)


def _look_up(table: FloatArray, expected: FloatArray, cv: FloatArray) -> FloatArray:
    """Return a ratio to the expected count from a table, bilinear in log time and cv."""
    row = np.clip(np.searchsorted(_CVS, cv, side="right") - 1, 0, len(_CVS) - 2)
    up = np.clip((cv - _CVS[row]) / (_CVS[row + 1] - _CVS[row]), 0.0, 1.0)
    with np.errstate(divide="ignore"):
        place = (np.log10(np.maximum(expected, 1e-300)) - _LOWEST) * _PER_DECADE
    place = np.clip(np.nan_to_num(place), 0.0, _PER_DECADE * _DECADES - 1e-9)
    column = place.astype(np.int64)
    right = place - column
    flat = table.ravel()
    width = table.shape[1]
    low = row * width + column
    first = flat[low] + right * (flat[low + 1] - flat[low])
    low = low + width
    second = flat[low] + right * (flat[low + 1] - flat[low])
    dispersion: FloatArray = first + up * (second - first)
    return dispersion


@lru_cache(maxsize=1)
def _table() -> tuple[FloatArray, FloatArray]:
    """Return V(t)/t and m(t)/t, shape (cvs, times)."""
    times = 10.0 ** (_LOWEST + np.arange(_PER_DECADE * _DECADES + 1) / _PER_DECADE)
    rows = [_rows(cv, times) for cv in _CVS]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def _rows(cv: float, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    if cv == 1.0:
        return np.ones(len(times)), np.ones(len(times))
    shape = 1.0 / max(cv, _SMALLEST_CV) ** 2
    settled = 12.0 * max(cv, 1.0) ** 2
    fine = np.concatenate([[0.0], np.geomspace(1e-6, settled, 400)])
    most = int(settled + 8.0 * max(cv, 1.0) * np.sqrt(settled)) + 10
    excess = np.array([gammainc(np.arange(1, most + 1) * shape, shape * t).sum() - t for t in fine])
    middle = 0.5 * (excess[1:] + excess[:-1]) * np.diff(fine)
    integral = np.concatenate([[0.0], np.cumsum(middle)])
    limit = 0.5 * (shape**-1 - 1.0)
    beyond = np.maximum(times - settled, 0.0) * limit
    variance = 1.0 + 2.0 * (np.interp(times, fine, integral) + beyond) / times
    after = 1.0 + np.interp(times, fine, excess, right=limit) / times
    return np.maximum(variance, 0.0), np.maximum(after, 0.0)
