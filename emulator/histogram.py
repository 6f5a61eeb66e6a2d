"""A histogram in the form of Prometheus, cheap enough for every token."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Histogram:
    """Counts of values by bucket, with their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Begin empty.

        Args:
            bounds: Upper bounds of the buckets, ascending; the last bucket, to infinity, is added.
        """
        self._bounds = list(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, count: int = 1) -> None:
        """Count a value, so many times."""
        self._counts[bisect_left(self._bounds, value)] += count
        self._sum += value * count

    @property
    def count(self) -> int:
        """Values counted."""
        return sum(self._counts)

    @property
    def sum(self) -> float:
        """Sum of the values counted."""
        return self._sum

    def cumulative(self) -> list[tuple[str, float]]:
        """Return the values at or below each bound: the bound as text, and how many."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        totals = [float(total) for total in accumulate(self._counts)]
        return list(zip(names, totals, strict=True))
