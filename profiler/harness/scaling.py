"""From times of few layers to those of all: a fixed part, and one for each layer."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np


def scaled(counts: Sequence[int], times_ms: Sequence[float], layers: int) -> float:
    """Return the time of a number of layers, from those of other numbers.

    The straight line of least squares through them; the very time where only that number was timed.

    Args:
        counts: Numbers of layers, ascending.
        times_ms: Their times.
        layers: Layers to tell the time of.
    """
    if len(counts) == 1:
        return times_ms[0]
    slope, fixed = np.polyfit(np.asarray(counts, float), np.asarray(times_ms, float), 1)
    return float(fixed + slope * layers)


def scaled_samples(
    counts: Sequence[int], series: Sequence[Sequence[float]], layers: int
) -> tuple[float, ...]:
    """Return the times of all layers, run by run, from series that took turns."""
    return tuple(scaled(counts, turn, layers) for turn in zip(*series, strict=True))


def bend(counts: Sequence[int], times_ms: Sequence[float]) -> float | None:
    """Return how far the middle numbers of layers are off the line through the outer two.

    The largest relative deviation; None where there are only two numbers.
    """
    if len(counts) < 3:
        return None
    outer = (counts[0], counts[-1]), (times_ms[0], times_ms[-1])
    middle = zip(counts[1:-1], times_ms[1:-1], strict=True)
    return max(abs(scaled(*outer, count) / time - 1.0) for count, time in middle)


def typical_bend(bends: Sequence[float | None]) -> float | None:
    """Return the median of the deviations that are known; None where none is."""
    known = [each for each in bends if each is not None]
    return statistics.median(known) if known else None
