"""The smallest number of replicas behind a router that keeps all targets at a rate to all."""

from __future__ import annotations

import numpy as np

from queueing.arrays import FloatArray, columns
from queueing.engine.cases import EngineCases
from queueing.engine.one_of_many import OneOfMany
from queueing.engine.saturation import saturation
from queueing.engine.sizing import LARGEST_LOAD, TPS_MARGIN
from queueing.engine.targets import EngineTargets
from stoker.domain.routing import Router

_FIRST_STEP = 0.125
"""Share of the replicas by which more are tried at first; every further step is twice as wide."""


def fewest_replicas(
    cases: EngineCases,
    router: Router,
    targets: EngineTargets,
    arrival_rate_rps: FloatArray,
    least: FloatArray,
    most: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Return the smallest numbers of replicas that keep all targets; array (cases,), NaN for none.

    More replicas of the same load are taken to keep whatever fewer keep, which holds but for odd
    cases (a batch limit of 1, jumps of the number of chunks). The number returned keeps the targets
    in any case, and one replica less either misses one, has more load than it can complete, or is
    below the least.

    Args:
        cases: the replicas; `arrival_cv` is that of the arrivals to all of them.
        router: how a request finds its replica.
        targets: the targets; one of tokens per second takes its margin off the saturation.
        arrival_rate_rps: requests per second to all replicas.
        least: smallest numbers allowed, at least 1.
        most: largest numbers allowed.
        start: numbers to begin with, for instance those of a random split; NaN for no idea.
    """
    rate, least, most, start, _ = columns(
        arrival_rate_rps, least, most, start, np.zeros(len(cases))
    )
    with np.errstate(all="ignore"):
        margin = np.where(np.isnan(targets.tps), 1.0, TPS_MARGIN)
        carried = LARGEST_LOAD * margin * saturation(cases).throughput_rps
        lowest = np.maximum(np.ceil(rate / carried), least)
    possible = cases.usable() & (lowest <= most)
    low = np.where(possible, lowest - 1.0, 0.0)
    high = np.full(len(cases), np.nan)
    trial = np.where(np.isnan(start), lowest, np.clip(start, lowest, most))
    step = np.maximum(np.ceil(_FIRST_STEP * np.where(possible, trial, 1.0)), 1.0)
    rows = np.flatnonzero(possible)
    while len(rows):
        at = trial[rows]
        many = OneOfMany.of(cases.take(rows), at, router)
        missed = many.excess(targets.take(rows), rate[rows] / at)
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
