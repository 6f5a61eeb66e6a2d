"""Which rows are alike: shapes of requests, and levels of load, for cross-validation."""

from __future__ import annotations

import numpy as np

from profiler.fit.points import Points
from queueing.arrays import FloatArray, IntArray

ALIKE = 0.28
"""Lengths within this distance of logarithms (a third) belong to one shape."""
_LOAD_FOLDS = 5


def shapes(points: Points) -> IntArray:
    """Return a number for each point, the same for points of like prompt and output lengths.

    Runs of one shape differ in their mean lengths as samples do, so lengths are linked to shapes:
    points belong together where a chain of points, each within `ALIKE` of the next, joins them.
    """
    lengths = np.log(np.stack([points.input_tokens, points.output_tokens], axis=1))
    distance = np.max(np.abs(lengths[:, None, :] - lengths[None, :, :]), axis=2)
    label = np.arange(len(points), dtype=np.int64)
    near = distance <= ALIKE
    while True:
        least = np.min(np.where(near, label[None, :], len(label)), axis=1).astype(np.int64)
        if np.array_equal(least, label):
            break
        label = least
    _, numbers = np.unique(label, return_inverse=True)
    return numbers.astype(np.int64)


def load_levels(points: Points) -> IntArray:
    """Return a fold for each point by the rank of its load within its shape, five at most.

    The last fold holds the highest loads of every shape: predicting them is extrapolation.
    """
    numbers = shapes(points)
    fold = np.zeros(len(points), dtype=np.int64)
    for number in np.unique(numbers):
        for closed in (False, True):
            rows = np.flatnonzero((numbers == number) & (points.closed == closed))
            fold[rows] = _ranked(points.load[rows])
    return fold


def _ranked(loads: FloatArray) -> IntArray:
    if not len(loads):
        return np.zeros(0, dtype=np.int64)
    _, rank = np.unique(loads, return_inverse=True)
    levels = int(rank.max()) + 1
    folds = min(_LOAD_FOLDS, levels)
    return (rank * folds // levels).astype(np.int64)
