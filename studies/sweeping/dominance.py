"""Which of some points are dominated: no worse than another in nothing, and worse in something."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BLOCK = 512


def dominated(points: Sequence[Sequence[float]]) -> list[bool]:
    """Tell of each point whether another one dominates it; less is better in every criterion.

    Equal points do not dominate each other.

    Args:
        points: Criteria of each point, all of one length.
    """
    if not points:
        return []
    criteria = np.array(points, dtype=np.float64)
    marks = np.zeros(len(criteria), dtype=np.bool_)
    for start in range(0, len(criteria), _BLOCK):
        block = criteria[start : start + _BLOCK, None, :]
        no_worse = np.all(criteria[None, :, :] <= block, axis=2)
        better = np.any(criteria[None, :, :] < block, axis=2)
        marks[start : start + _BLOCK] = np.any(no_worse & better, axis=1)
    return [bool(mark) for mark in marks]
