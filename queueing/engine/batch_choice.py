"""The batch limit with which replicas carry the most within their targets.

What a replica carries rises with its batch limit until a target of ITL or the throughput of full
iterations stops it. A limit that is larger still may let the batch grow until ITL misses its
target, where a smaller one would have made a few requests wait. So the curve has one peak, or
levels off.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray

Carried = Callable[[IntArray, FloatArray], FloatArray]
"""Takes rows and a batch limit for each; returns what they carry, 0 where targets are missed."""

TOLERANCE = 0.005
"""Share of the most that may be given up for a smaller limit."""

_RATIO = 2.0
_NEAR = 1.01
"""Limits within this ratio of each other hide no peak between them."""
_LEVEL = 0.001
"""What differs by less than this share is taken to be alike."""


def best_limits(carried: Carried, largest: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the limits that carry the most, and what they carry; arrays (rows,).

    Limits of a ladder, each twice the one before, are tried first, up to the largest. Steps of it
    that may hide a higher peak are then halved until they are short. Of limits that carry within
    `TOLERANCE` of the most, the answer is the smallest that halving finds.

    Args:
        carried: what rows carry at limits; a row may stand there several times.
        largest: largest limits, whole numbers from 1.

    Returns:
        Limits and what they carry; the largest limit, and 0, where none keeps the targets.
    """
    if not len(largest):
        return largest, largest.copy()
    steps = np.arange(int(np.ceil(np.log2(largest.max(initial=1.0)))) + 1)
    ladder = np.minimum(_RATIO ** steps[:, None], largest)
    ladder[1:][ladder[1:] == ladder[:-1]] = np.nan
    tried = _Tried(carried, len(largest))
    tried.at(ladder)
    while np.any(tried.at(tried.promising())):
        pass
    needed = (1.0 - TOLERANCE) * tried.most()
    while np.any(tried.at(tried.below(needed))):
        pass
    limit, rate = tried.smallest(needed)
    none = rate <= 0.0
    return np.where(none, largest, limit), np.where(none, 0.0, rate)


class _Tried:
    """Limits tried, ascending, and what they carry: mutable, and private to one call."""

    def __init__(self, carried: Carried, count: int) -> None:
        self._carried = carried
        # NaN and minus infinity fill up rows with fewer limits, at their ends.
        self._limits = np.empty((0, count))
        self._rates = np.empty((0, count))

    def at(self, limits: FloatArray) -> BoolArray:
        """Try limits, (tries, rows) with NaN for none; tell which rows had any."""
        given = ~np.isnan(limits)
        rates = np.full(limits.shape, -np.inf)
        rows = np.nonzero(given)[1].astype(np.int64)
        if len(rows):
            rates[given] = self._carried(rows, limits[given])
            limits = np.vstack([self._limits, limits])
            order = np.argsort(limits, axis=0, kind="stable")
            kept = int(np.count_nonzero(~np.isnan(limits), axis=0).max())
            self._limits = np.take_along_axis(limits, order, axis=0)[:kept]
            rates = np.vstack([self._rates, rates])
            self._rates = np.take_along_axis(rates, order, axis=0)[:kept]
        return np.asarray(given.any(axis=0))

    def most(self) -> FloatArray:
        """Return the most that each row carries."""
        most: FloatArray = self._rates.max(axis=0)
        return most

    def promising(self) -> FloatArray:
        """Return the middles of steps that may hide a higher peak, (steps, rows); NaN elsewhere.

        Those are steps that rise, or are the first after one that does, where a rate in proportion
        to the limit would come to be the most before their end.
        """
        low, high = self._limits[:-1], self._limits[1:]
        most = self.most()
        rises = self._rates[:-1] < (1.0 - _LEVEL) * self._rates[1:]
        first = np.ones_like(rises)
        first[1:] = rises[:-1]
        hides = (rises | first) & (self._rates[:-1] * high > (1.0 + _LEVEL) * most * low)
        middle = np.clip(np.rint(np.sqrt(low * high)), low + 1.0, high - 1.0)
        wide = high > np.maximum(_NEAR * low, low + 1.0)
        return np.where(wide & hides & (most > 0.0), middle, np.nan)

    def below(self, needed: FloatArray) -> FloatArray:
        """Return the middle below the smallest limit that carries what is needed, (1, rows)."""
        limit, _ = self.smallest(needed)
        lower = np.where(self._limits < limit, self._limits, 0.0).max(axis=0)
        wide = (needed > 0.0) & (limit - lower > 1.0)
        return np.where(wide, np.floor(0.5 * (limit + lower)), np.nan)[None, :]

    def smallest(self, needed: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the smallest limits tried that carry what is needed, and what they carry."""
        first = np.argmax(self._rates >= needed, axis=0)[None, :]
        limit = np.take_along_axis(self._limits, first, axis=0)[0]
        return limit, np.take_along_axis(self._rates, first, axis=0)[0]
