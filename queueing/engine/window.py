"""The numbers of requests in service that matter, covered by few nodes.

Probabilities live on `FINE` equally spaced numbers, every one of them where that many cover the
window. What iterations take changes slowly with the number in service: it is evaluated at `COARSE`
of them and taken as linear between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import BoolArray, FloatArray

FINE = 29
_NEAR = np.array([0, 1, 2, 3, 5, 8, 12, 18, 28])
_EVEN = np.array([0, 3, 7, 10, 14, 18, 21, 25, 28])
COARSE = len(_NEAR)
_STEPS: FloatArray = np.arange(FINE, dtype=np.float64)


def _between(knots: FloatArray) -> FloatArray:
    """Return the matrix (fine, coarse) that interpolates linearly between knots."""
    return np.array([np.interp(_STEPS, knots, row) for row in np.eye(len(knots))]).T


_FROM_NEAR, _FROM_EVEN = _between(_NEAR), _between(_EVEN)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Numbers in service from `first` on, 1 at least; arrays (cases,) unless said otherwise.

    Attributes:
        first: the lowest number.
        step: the distance of fine nodes, 1 at least.
        near: whether every number from 1 on is a fine node.
        fine: the fine nodes, array (fine, cases).
        coarse: the coarse nodes, array (coarse, cases).
        inside: which fine nodes are in the window, array (fine, cases).
        last: index of the last fine node inside.
    """

    first: FloatArray
    step: FloatArray
    near: BoolArray
    fine: FloatArray
    coarse: FloatArray
    inside: BoolArray
    last: FloatArray

    @classmethod
    def around(cls, centre: FloatArray, deviation: FloatArray, most: FloatArray) -> Window:
        """Return the window that covers six deviations around a number, within 1 and `most`."""
        top = np.maximum(most, 1.0)
        first = np.floor(centre - 6.0 * deviation)
        first = np.clip(first, 1.0, np.maximum(top - (FINE - 1.0), 1.0))
        end = np.clip(np.ceil(centre + 6.0 * deviation + 6.0), first, top)
        end = np.minimum(np.maximum(end, first + (FINE - 1.0)), top)
        step = np.maximum((end - first) / (FINE - 1.0), 1.0)
        near = (first <= 1.0) & (step <= 1.0)
        fine = first + step * _STEPS[:, None]
        places = np.where(near, _NEAR[:, None], _EVEN[:, None])
        last = np.minimum(np.floor((end - first) / step + 1e-9), FINE - 1.0)
        return cls(first, step, near, fine, first + step * places, _STEPS[:, None] <= last, last)

    def spread(self, coarse: FloatArray) -> FloatArray:
        """Return values at the fine nodes from those at the coarse ones."""
        if np.all(self.near):
            return _FROM_NEAR @ coarse
        if not np.any(self.near):
            return _FROM_EVEN @ coarse
        return np.where(self.near, _FROM_NEAR @ coarse, _FROM_EVEN @ coarse)

    def gather(self, fine: FloatArray) -> FloatArray:
        """Return weights of the coarse nodes from those of the fine ones: the same sums."""
        if np.all(self.near):
            return _FROM_NEAR.T @ fine
        if not np.any(self.near):
            return _FROM_EVEN.T @ fine
        return np.where(self.near, _FROM_NEAR.T @ fine, _FROM_EVEN.T @ fine)
