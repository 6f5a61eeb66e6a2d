"""Counts of replicas whose equal shares of a load keep the targets, for many loads of few kinds.

A rate that one replica carries is sized to about a thousandth, so that a share just below it may
still miss a target; candidates of a plan are looked at share by share (`optimizer.counted`), and
hours are too many for that where the analysis takes long. Hours of one way to serve a server differ
in nothing but the share: the shares that keep the targets are searched among them, a few of each
way at a time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from optimizer.counted import TARGET_TOLERANCE
from optimizer.horizon.question import IMPOSSIBLE
from optimizer.predictions import Predictor, Replicas
from optimizer.table import BoolArray, FloatArray, IntArray

_FURTHER_REPLICAS = 32
_TURNS = 4
"""Turns after which every other one halves what is between the shares known."""
_NEAR = 0.99
"""Share of the sized rate that is tried where the largest share misses a target."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Loads on ways to serve them, and counts to begin with; arrays (loads,) or as told.

    Attributes:
        way: Which of the ways each load is on.
        replicas: One replica of each, in as many as are counted.
        rate_rps: The load of all of them.
        most: Largest number of replicas allowed.
        sized_rps: What a replica of each way was sized to carry, (ways,).
        every_share: Whether to look at every share, however many there are.
    """

    way: IntArray
    replicas: Replicas
    rate_rps: FloatArray
    most: IntArray
    sized_rps: FloatArray
    every_share: bool


def kept_counts(predictor: Predictor, asked: Asked) -> IntArray:
    """Return the counts, larger where a share missed a target; `IMPOSSIBLE` where none keeps it.

    With one request in service at a time ITL only rises as the rate falls: more replicas than are
    counted are of no use then.
    """
    counts = asked.replicas.count.astype(np.int64)
    known = _Known.of(predictor, asked)
    rows = np.arange(len(counts))
    for _ in range(_FURTHER_REPLICAS + 1):
        rows = rows[~known.kept(rows, asked.rate_rps[rows] / counts[rows])]
        alone = rows[asked.replicas.max_batch[rows] <= 1]
        counts[alone] = IMPOSSIBLE
        rows = rows[asked.replicas.max_batch[rows] > 1]
        if not len(rows):
            break
        counts[rows] += 1
    counts[rows] = IMPOSSIBLE
    counts[counts > asked.most] = IMPOSSIBLE
    return counts


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the shares of each way; arrays (ways,), written as it goes.

    Attributes:
        predictor: What tells whether a share keeps the targets.
        asked: What is asked.
        good: Largest share known to keep them; 0 where none is.
        bad: Smallest share known to miss them; infinite where none is.
        good_use: Log of how much of the tightest target the one uses.
        bad_use: And the other.
    """

    predictor: Predictor
    asked: Asked
    good: FloatArray
    bad: FloatArray
    good_use: FloatArray
    bad_use: FloatArray

    @classmethod
    def of(cls, predictor: Predictor, asked: Asked) -> _Known:
        """Return that nothing is known."""
        none = np.zeros(len(asked.sized_rps))
        far = np.full(len(none), np.inf)
        return cls(predictor, asked, none, far, -far, far.copy())

    def kept(self, rows: IntArray, share: FloatArray) -> BoolArray:
        """Tell which shares of loads keep the targets."""
        if self.asked.every_share:
            return self._use(rows, share) <= _limit()
        way = self.asked.way[rows]
        for turn in itertools.count():
            open_ = np.flatnonzero((share > self.good[way]) & (share < self.bad[way]))
            if not len(open_):
                break
            self._try(*self._next(rows[open_], share[open_], halve=turn > _TURNS and turn % 2 > 0))
        return np.asarray(share <= self.good[way], dtype=np.bool_)

    def _next(
        self, rows: IntArray, share: FloatArray, *, halve: bool
    ) -> tuple[IntArray, FloatArray]:
        """Return one share of each way to look at: the one closest to where the targets end.

        That is told by the shares known on either side, or taken to be in the middle of them.
        """
        way = self.asked.way[rows]
        low, high = self.good[way], self.bad[way]
        with np.errstate(all="ignore"):
            rise = (_limit() - self.good_use[way]) / (self.bad_use[way] - self.good_use[way])
            aim = low + rise * (high - low)
        told = np.isfinite(self.good_use[way]) & np.isfinite(self.bad_use[way]) & (not halve)
        aim = np.where(told, aim, (low + high) / 2)
        # Nothing is known: the largest. It missed a target: one that is mostly kept.
        near = _NEAR * self.asked.sized_rps[way]
        tried = np.isfinite(high) & (low <= 0.0) & (near < high)
        tried &= self.bad_use[way] < np.inf
        distance = np.where(np.isfinite(high), np.abs(share - aim), -share)
        order = np.lexsort((distance, way))
        first = order[np.flatnonzero(np.diff(way[order], prepend=-1))]
        return rows[first], np.where(tried, near, share)[first]

    def _try(self, rows: IntArray, share: FloatArray) -> None:
        """Look at one share of each of some ways."""
        way, use = self.asked.way[rows], self._use(rows, share)
        kept = use <= _limit()
        self.good[way[kept]], self.good_use[way[kept]] = share[kept], use[kept]
        self.bad[way[~kept]], self.bad_use[way[~kept]] = share[~kept], use[~kept]

    def _use(self, rows: IntArray, share: FloatArray) -> FloatArray:
        """Return the log of how much of the tightest target shares use; infinite if unknown."""
        use = self.predictor.figures(self.asked.replicas.take(rows), share).target_use
        with np.errstate(divide="ignore"):
            return np.asarray(np.nan_to_num(np.log(use), nan=np.inf, neginf=-np.inf, posinf=np.inf))


def _limit() -> float:
    return float(np.log1p(TARGET_TOLERANCE))
