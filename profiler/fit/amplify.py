"""How much the load on an engine amplifies an error of its iteration times."""

from __future__ import annotations

import numpy as np

from profiler.fit.candidate import Candidate
from profiler.fit.mixture import mixture
from profiler.fit.operating import operate
from profiler.fit.points import Points
from queueing.arrays import FloatArray

LARGEST = 20.0
_STEP = 0.01


def amplification(points: Points, candidate: Candidate) -> FloatArray:
    """Return the relative error of the ITL for a small relative error of all times, (points,).

    In an open loop the batch n carries the rate n / (K gap(n)), so slower iterations fill it: with
    e = d ln gap / d ln n the ITL moves 1 / (1 - e) as much as the times do. In a closed loop the
    batch is given, and nothing is amplified.
    """
    steady = operate(points, candidate)
    more = mixture(points, candidate, (1.0 + _STEP) * steady.decoding)
    elasticity = np.log(more.gap_ms / steady.iterations.gap_ms) / np.log1p(_STEP)
    amplified = 1.0 / np.maximum(1.0 - elasticity, 1.0 / LARGEST)
    amplified = np.where(steady.saturated, LARGEST, np.maximum(amplified, 1.0))
    return np.where(points.closed, 1.0, amplified)
