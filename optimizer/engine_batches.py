"""The smallest batch limit that carries nearly as much as any, by the analysis of the engine."""

from __future__ import annotations

import numpy as np

from optimizer.table import FloatArray, IntArray
from queueing.engine import EngineCases, EngineTargets, size_engine

TOLERANCE = 0.02
"""Share of the plateau that may be given up."""

_STEP = 1.25
"""Ratio of neighbouring limits that are sized at first."""


def smallest_near_peak_limit(cases: EngineCases, targets: EngineTargets) -> FloatArray:
    """Return, for each case, the smallest batch limit with throughput near the plateau.

    The throughput of the largest rate within the targets rises with the batch limit until it levels
    off. Limits a quarter apart are sized, from 1 to ``cases.max_batch``; the largest throughput
    among them is the plateau, and between the first limit that comes near it and the one before,
    the smallest that does is bisected.

    Returns:
        Batch limits, array (cases,); NaN where no limit keeps the targets.
    """
    grids = [_limits(most) for most in cases.max_batch.tolist()]
    owner = np.repeat(np.arange(len(cases)), [len(grid) for grid in grids])
    limits = np.concatenate([*grids, np.empty(0)])
    carried = _throughput(cases, targets, owner, limits)
    answer = np.full(len(cases), np.nan)
    below = np.zeros(len(cases))
    needed = np.full(len(cases), np.inf)
    for row in range(len(cases)):
        own = owner == row
        plateau = carried[own].max(initial=0.0)
        if plateau > 0.0:
            needed[row] = (1.0 - TOLERANCE) * plateau
            first = int(np.argmax(carried[own] >= needed[row]))
            answer[row] = limits[own][first]
            below[row] = limits[own][first - 1] if first else 0.0
    while len(rows := np.flatnonzero(answer - below > 1.0)):
        middle = np.floor(0.5 * (answer[rows] + below[rows]))
        near = _throughput(cases, targets, rows, middle) >= needed[rows]
        answer[rows] = np.where(near, middle, answer[rows])
        below[rows] = np.where(near, below[rows], middle)
    return answer


def _limits(most: float) -> FloatArray:
    """Return batch limits from 1 to the largest, each a quarter above the one before or by 1."""
    limits = [1.0]
    while limits[-1] < most:
        limits.append(min(max(np.floor(limits[-1] * _STEP), limits[-1] + 1.0), most))
    return np.array(limits)


def _throughput(
    cases: EngineCases, targets: EngineTargets, rows: IntArray, limits: FloatArray
) -> FloatArray:
    if not len(rows):
        return np.empty(0)
    sized = size_engine(cases.take(rows).with_batch(limits), targets.take(rows))
    return np.where(sized.feasible, sized.throughput_rps, 0.0)
