"""Roots of many functions of one variable at once, each in its own bracket."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from queueing.arrays import FloatArray, IntArray

Evaluate = Callable[[IntArray, FloatArray], FloatArray]
"""Takes the numbers of the functions still searched and a point for each; returns the values."""

_NARROWEST = 1e-12
_MOST_STEPS = 120


def last_not_positive(
    evaluate: Evaluate,
    low: FloatArray,
    high: FloatArray,
    value_low: FloatArray,
    value_high: FloatArray,
    *,
    close_enough: float,
    narrowest: float = _NARROWEST,
) -> FloatArray:
    """Return, for each function, a point where its value is not positive, at a sign change.

    Method of Chandrupatla (1997): inverse quadratic interpolation where the last three points
    show that it is safe, bisection elsewhere. A function leaves the search as soon as a value is
    within ``close_enough`` of zero (then that point is returned, on whichever side), or when its
    bracket is narrower than a share of the point (then its end that is not positive is returned,
    also where the function jumps).

    Args:
        evaluate: the functions.
        low: lower ends of the brackets, positive.
        high: upper ends.
        value_low: values at the lower ends, not positive.
        value_high: values at the upper ends, positive.
        close_enough: a value this close to zero counts as zero.
        narrowest: that share.
    """
    good = low.copy()
    rows = np.arange(len(low), dtype=np.int64)
    # a: latest point; b: the end of opposite sign; c: the point before.
    a, b, fa, fb = high.copy(), low.copy(), value_high.copy(), value_low.copy()
    c, fc = b, fb
    step = np.clip(fa / (fa - fb), 0.05, 0.95)
    for _ in range(_MOST_STEPS):
        if not len(rows):
            break
        x = a + step * (b - a)
        fx = evaluate(rows, x)
        same = (fx <= 0.0) == (fa <= 0.0)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        close = np.abs(fx) <= close_enough
        good[rows] = np.where(close | (fx <= 0.0), x, np.where(fb <= 0.0, b, good[rows]))
        width, least = np.abs(b - a), narrowest * np.maximum(a, b)
        going = ~close & (width > least)
        rows = rows[going]
        a, b, c = a[going], b[going], c[going]
        fa, fb, fc = fa[going], fb[going], fc[going]
        step = _next_step(a, b, c, fa, fb, fc, (0.5 * least / width)[going])
    return good


def _next_step(
    a: FloatArray,
    b: FloatArray,
    c: FloatArray,
    fa: FloatArray,
    fb: FloatArray,
    fc: FloatArray,
    least: FloatArray,
) -> FloatArray:
    """Return the share of the way from a to b at which to evaluate next."""
    xi = (a - b) / (c - b)
    phi = (fa - fb) / (fc - fb)
    interpolate = (phi * phi < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
    quadratic = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (
        fc - fb
    )
    step = np.where(interpolate, quadratic, 0.5)
    clipped: FloatArray = np.clip(step, least, 1.0 - least)
    return clipped
