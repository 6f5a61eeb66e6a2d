"""The largest rates at which systems of any kind keep their targets."""

from __future__ import annotations

from functools import partial
from typing import Protocol, Self

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.engine.sizing import FIRST_LOAD, LARGEST_LOAD, SMALLEST_LOAD, TPS_MARGIN, EngineSizing
from queueing.engine.targets import EngineTargets
from queueing.roots import last_not_positive

_NARROWEST = 1e-4


class Search(Protocol):
    """Systems and their targets, one of each a case."""

    def take(self, rows: IntArray) -> Self:
        """Return some of them."""
        ...

    def at(self, rate_rps: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far they are beyond their targets at a rate, and the share turned away.

        The first is above 0 where a target is missed.
        """
        ...


def largest_rates(
    search: Search, targets: EngineTargets, saturation_rps: FloatArray, usable: BoolArray
) -> EngineSizing:
    """Return the largest rates within targets, as `queueing.engine.sizing` searches them.

    Args:
        search: the systems.
        targets: their targets, for the margin that one of tokens per second takes.
        saturation_rps: largest rates that they could carry.
        usable: which of them make sense; the others carry nothing.
    """
    margin = np.where(np.isnan(targets.tps), 1.0, TPS_MARGIN)
    most = LARGEST_LOAD * margin * saturation_rps
    usable = usable & np.isfinite(most) & (most > 0.0)
    most = np.where(usable, most, 1.0)
    missed, _ = search.at(most)
    free = usable & (missed <= 0.0)
    rate = np.where(free, most, 0.0)
    rows = np.flatnonzero(usable & ~free)
    high, high_value = most.copy(), missed
    for load in (FIRST_LOAD, SMALLEST_LOAD):
        if not len(rows):
            break
        trial = load * most[rows]
        part = search.take(rows)
        value, _ = part.at(trial)
        good: BoolArray = value <= 0.0
        done = rows[good]
        if len(done):
            bracket = part.take(np.flatnonzero(good))
            rate[done] = last_not_positive(
                partial(_excess, bracket),
                trial[good],
                high[done],
                value[good],
                high_value[done],
                close_enough=0.0,
                narrowest=_NARROWEST,
            )
        high[rows[~good]], high_value[rows[~good]] = trial[~good], value[~good]
        rows = rows[~good]
    feasible = rate > 0.0
    _, lost = search.at(np.where(feasible, rate, most))
    return EngineSizing(
        rate_rps=rate,
        throughput_rps=np.where(feasible, rate * (1.0 - lost), 0.0),
        max_rate_rps=np.where(usable, most, 0.0),
        feasible=feasible,
        limited=usable & ~free,
    )


def _excess(search: Search, rows: IntArray, rate_rps: FloatArray) -> FloatArray:
    """Return how far some of the systems are beyond their targets."""
    return search.take(rows).at(rate_rps)[0]
