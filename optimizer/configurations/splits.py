"""The fewest units of an accelerator that keep targets as two pools, and their best split.

Prefill and decode replicas of a candidate stand on the same accelerator, so that units, cards and
cost are one measure. The fewest units are searched of which some split keeps every target at the
whole load; of the splits of so many units the one that carries most is taken, as
`queueing.engine.split.best_split` would.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.configurations.pools import PoolFleet, PoolRows
from optimizer.table import BoolArray, FloatArray, IntArray
from queueing.engine.pool_sizing import size_pools
from queueing.engine.sizing import LARGEST_LOAD, TPS_MARGIN

_MOST_SPLITS = 256
"""Splits of a number of units that are looked at; of more, that many at equal distances."""


@dataclass(frozen=True, slots=True)
class BestSplits:
    """The splits found; arrays of shape (rows,).

    Attributes:
        prefill: Prefill replicas; 0 where no split was found.
        decode: Decode replicas.
        rate_rps: Largest throughput of both pools within the targets; NaN where none was found.
    """

    prefill: IntArray
    decode: IntArray
    rate_rps: FloatArray


def best_splits(
    pools: PoolFleet,
    rows: PoolRows,
    rate_rps: FloatArray,
    least: IntArray,
    most: IntArray,
    *,
    losing: bool = False,
) -> BestSplits:
    """Return the best splits of the fewest units that keep the targets of each row.

    More units are taken to keep whatever fewer keep. The split returned keeps the targets.

    Args:
        pools: The fleet.
        rows: Pools whose targets can be kept at some rate; their sizes are not looked at.
        rate_rps: Requests per second to each.
        least: Smallest number of replicas of both pools together.
        most: Largest number of them.
        losing: Whether the targets are to be kept, and so many replicas left, after the loss of any
            one replica. Of splits of so many units that carries most after its worse loss.
    """
    search = _Search.of(pools, rows, rate_rps, least, most, losing=losing)
    units = search.fewest_units()
    found = np.flatnonzero(units > 0)
    prefill, decode = np.zeros(len(units), dtype=np.int64), np.zeros(len(units), dtype=np.int64)
    carried = np.full(len(units), np.nan)
    if len(found):
        owner, first, second = search.splits(found, units[found])
        kept = search.kept(owner, first, second)
        splits = owner, first, second = owner[kept], first[kept], second[kept]
        rate = search.left(owner, first, second) if losing else search.carried(*splits)
        used = first * search.prefill_units[owner] + second * search.decode_units[owner]
        order = np.lexsort((first, used, -rate, owner))
        best = order[np.unique(owner[order], return_index=True)[1]]
        prefill[owner[best]], decode[owner[best]] = first[best], second[best]
        if losing:
            rate[best] = search.carried(owner[best], first[best], second[best])
        # The search keeps a little off the targets; the load itself is known to keep them.
        carried[owner[best]] = np.maximum(rate[best], rate_rps[owner[best]])
    return BestSplits(prefill, decode, carried)


@dataclass(frozen=True, slots=True)
class _Search:
    """Rows, the rates to them, and what bounds their pools; arrays of shape (rows,)."""

    pools: PoolFleet
    rows: PoolRows
    rate_rps: FloatArray
    least: IntArray
    most: IntArray
    prefill_units: IntArray
    decode_units: IntArray
    prefill_least: IntArray
    decode_least: IntArray
    losing: bool

    @classmethod
    def of(
        cls,
        pools: PoolFleet,
        rows: PoolRows,
        rate_rps: FloatArray,
        least: IntArray,
        most: IntArray,
        *,
        losing: bool,
    ) -> _Search:
        one = np.ones(len(rows.server), dtype=np.int64)
        first, second = pools.saturation_rps(replace(rows, prefill=one, decode=one))
        units = pools.units(rows.profile)
        margin = np.where(np.isnan(pools.engines.targets(rows.server).tps), 1.0, TPS_MARGIN)
        fewest = [
            np.clip(np.ceil(rate_rps / (LARGEST_LOAD * margin * full)) + losing, 1, most).astype(
                np.int64
            )
            for full in (first, second)
        ]
        if losing:
            fewest = [np.maximum(item, 2) for item in fewest]
        whole = np.maximum(least, 2) + losing
        first, second = fewest
        return cls(pools, rows, rate_rps, whole, most, *units, first, second, losing)

    def fewest_units(self) -> IntArray:
        """Return the fewest units of which some split keeps the targets; 0 where none does."""
        floor = self.prefill_least * self.prefill_units + self.decode_least * self.decode_units
        ceiling = self.most * np.maximum(self.prefill_units, self.decode_units)
        low, high = floor - 1, np.zeros(len(floor), dtype=np.int64)
        step = np.ones(len(floor), dtype=np.int64)
        trial = floor.copy()
        active = np.flatnonzero((floor <= ceiling) & (self.least <= self.most))
        while len(active):
            kept = self._any_kept(active, trial[active])
            high[active[kept]] = trial[active[kept]]
            low[active[~kept]] = trial[active[~kept]]
            unknown = high[active] == 0
            going = np.where(unknown, low[active] < ceiling[active], high[active] - low[active] > 1)
            active, unknown = active[going], unknown[going]
            further = np.minimum(low[active] + step[active], ceiling[active])
            middle = (low[active] + high[active]) // 2
            trial[active] = np.where(unknown, further, middle)
            step[active[unknown]] *= 2
        return high

    def _any_kept(self, index: IntArray, units: IntArray) -> BoolArray:
        owner, first, second = self.splits(index, units)
        kept = self.kept(owner, first, second)
        found = np.zeros(len(self.rate_rps), dtype=np.bool_)
        found[owner[kept]] = True
        return found[index]

    def splits(self, index: IntArray, units: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Return row, prefill and decode replicas of the splits of units that are allowed."""
        own, other = self.prefill_units[index], self.decode_units[index]
        low = self.prefill_least[index]
        high = (units - self.decode_least[index] * other) // own
        span = np.maximum(high - low + 1, 0)
        count = np.minimum(span, _MOST_SPLITS)
        which = np.repeat(np.arange(len(index)), count)
        position = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        last = np.maximum(count - 1, 1)[which]
        first = low[which] + position * np.maximum(span - 1, 0)[which] // last
        second = (units[which] - first * own[which]) // other[which]
        owner = index[which]
        total = first + second
        # What is over the largest number is left unused.
        second = np.minimum(second, self.most[owner] - first)
        allowed = (total >= self.least[owner]) & (second >= self.decode_least[owner])
        return owner[allowed], first[allowed], second[allowed]

    def kept(self, owner: IntArray, first: IntArray, second: IntArray) -> BoolArray:
        """Tell which splits keep the targets of their rows at the rates of these."""
        if not self.losing:
            return self._keeps(owner, first, second)
        kept = self._keeps(owner, first - 1, second)
        kept[kept] = self._keeps(owner[kept], first[kept], second[kept] - 1)
        return kept

    def left(self, owner: IntArray, first: IntArray, second: IntArray) -> FloatArray:
        """Return what splits carry within the targets after the worse loss of a replica."""
        return np.minimum(
            self.carried(owner, first - 1, second), self.carried(owner, first, second - 1)
        )

    def _keeps(self, owner: IntArray, first: IntArray, second: IntArray) -> BoolArray:
        if not len(owner):
            return np.zeros(0, dtype=np.bool_)
        beyond = self.pools.excess(self._rows(owner, first, second), self.rate_rps[owner])
        return np.asarray(beyond <= 0.0, dtype=np.bool_)

    def carried(self, owner: IntArray, first: IntArray, second: IntArray) -> FloatArray:
        """Return the largest throughput of splits within the targets; 0 where there is none."""
        rows = self._rows(owner, first, second)
        rate = np.zeros(len(owner))
        for own, system in self.pools.systems(rows):
            sizing = size_pools(system, self.pools.engines.targets(rows.server[own]))
            rate[own] = np.where(sizing.feasible, sizing.throughput_rps, 0.0)
        return rate

    def _rows(self, owner: IntArray, first: IntArray, second: IntArray) -> PoolRows:
        return replace(self.rows.take(owner), prefill=first, decode=second)
