"""How many replicas classes need that share them, and what those carry at most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.saturation import saturation
from queueing.engine.sharing import Blend, SharedCases
from queueing.engine.sharing_point import shared_excess
from queueing.engine.sizing import LARGEST_LOAD, TPS_MARGIN
from queueing.engine.targets import EngineTargets
from stoker.domain.routing import Router

_FIRST_STEP = 0.125
"""Share of the replicas by which more are tried at first; every further step is twice as wide."""
_HALVINGS = 9


def most_load_rps(shared: SharedCases, targets: Sequence[EngineTargets]) -> FloatArray:
    """Return the largest rate of all classes together that one replica is given, array (cases,).

    With a target of tokens per second of any class it is lower by a margin.
    """
    with np.errstate(all="ignore"):
        most = saturation(Blend.of(shared).cases).throughput_rps
    some = np.any([~np.isnan(item.tps) for item in targets], axis=0)
    largest: FloatArray = LARGEST_LOAD * np.where(some, TPS_MARGIN, 1.0) * most
    return largest


def fewest_shared(
    shared: SharedCases,
    targets: Sequence[EngineTargets],
    arrival_rate_rps: FloatArray,
    least: FloatArray,
    most: FloatArray,
    router: Router,
    engines: FloatArray,
) -> FloatArray:
    """Return the smallest numbers of replicas that keep all targets; NaN for none.

    More replicas of the same load are taken to keep whatever fewer keep. The number returned has
    been seen to keep the targets, and one less to miss one, or to be below the least.

    Args:
        shared: the replicas; their `arrival_cv` is that of the arrivals to all of them.
        targets: of each class; the bound on blocking is that of the first one.
        arrival_rate_rps: of all classes together, to all replicas together.
        least: smallest numbers allowed.
        most: largest numbers allowed.
        router: how a request finds its replica.
        engines: engines that one replica has, each with its share of the load.
    """
    carried = most_load_rps(shared, targets)
    with np.errstate(all="ignore"):
        lowest = np.maximum(np.ceil(arrival_rate_rps / (carried * engines) - 1e-9), least)
    lowest = np.maximum(lowest, 1.0)
    possible = shared.usable() & (lowest <= most)
    low = np.where(possible, lowest - 1.0, 0.0)
    high = np.full(len(shared), np.nan)
    trial = np.where(possible, lowest, 1.0)
    step = np.maximum(np.ceil(_FIRST_STEP * trial), 1.0)
    rows = np.flatnonzero(possible)
    while len(rows):
        at = trial[rows]
        missed = shared_excess(
            shared.take(rows),
            [item.take(rows) for item in targets],
            arrival_rate_rps[rows],
            at * engines[rows],
            router,
        )
        kept = missed <= 0.0
        high[rows[kept]] = at[kept]
        low[rows[~kept]] = at[~kept]
        rows = rows[(low[rows] < most[rows]) & ~(high[rows] - low[rows] <= 1.0)]
        unknown = np.isnan(high[rows])
        middle = np.floor(0.5 * (low[rows] + high[rows]))
        further = np.minimum(low[rows] + step[rows], most[rows])
        trial[rows] = np.where(unknown, further, middle)
        step[rows[unknown]] *= 2.0
    return high


def largest_shared_rps(
    shared: SharedCases,
    targets: Sequence[EngineTargets],
    arrival_rate_rps: FloatArray,
    count: FloatArray,
    router: Router,
) -> FloatArray:
    """Return the largest rates at the same shares at which a number of engines keeps all targets.

    By bisection from rates that keep them; the rates returned do.

    Args:
        shared: the replicas.
        targets: of each class.
        arrival_rate_rps: rates of all classes together, to all engines, that keep the targets.
        count: engines of each case.
        router: how a request finds its engine.
    """
    low = arrival_rate_rps.copy()
    high = np.maximum(most_load_rps(shared, targets) * count, low)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        kept = shared_excess(shared, targets, middle, count, router) <= 0.0
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    return low
