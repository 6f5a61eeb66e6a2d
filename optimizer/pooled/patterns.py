"""Patterns: options with places for all their replicas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.table import IntArray


@dataclass(frozen=True, slots=True)
class Patterns:
    """Options with places for all their replicas.

    Attributes:
        option: Option of each, shape (patterns,).
        entry_pattern: Pattern of each entry, ascending, shape (entries,).
        entry_pair: Pair of option and pool of each entry, shape (entries,).
        entry_replicas: Replicas that stand there, shape (entries,).
    """

    option: IntArray
    entry_pattern: IntArray
    entry_pair: IntArray
    entry_replicas: IntArray

    @property
    def count(self) -> int:
        """Number of patterns."""
        return self.option.size

    def joined(self, other: Patterns) -> Patterns:
        """Return these and other patterns."""
        return Patterns(
            np.concatenate([self.option, other.option]),
            np.concatenate([self.entry_pattern, self.count + other.entry_pattern]),
            np.concatenate([self.entry_pair, other.entry_pair]),
            np.concatenate([self.entry_replicas, other.entry_replicas]),
        )

    def take(self, chosen: IntArray) -> Patterns:
        """Return some of them, in ascending order."""
        place = np.full(self.count, -1, dtype=np.int64)
        place[chosen] = np.arange(chosen.size)
        kept = place[self.entry_pattern] >= 0
        return Patterns(
            self.option[chosen],
            place[self.entry_pattern[kept]],
            self.entry_pair[kept],
            self.entry_replicas[kept],
        )
