"""How far latencies are beyond their targets, whatever system they come from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from queueing.arrays import BoolArray, FloatArray
from queueing.engine.mixtures import Mixture
from queueing.engine.targets import EngineTargets


def worst_excess(
    targets: EngineTargets,
    *,
    blocking: FloatArray,
    ttft: Mixture,
    itl: Callable[[], Mixture],
    e2e: Callable[[], Mixture],
    answering: BoolArray,
) -> FloatArray:
    """Return how far systems are beyond the worst of their targets; array (cases,).

    Above 0 where a target is missed, minus infinity where there is none. For a latency it is what
    `LatencyTarget.excess` tells, for blocking the log of the share lost over the bound.

    Args:
        targets: the targets.
        blocking: share of the requests that are turned away, array (cases,).
        ttft: distribution of the time to first token.
        itl: gives that of the mean time between the tokens of a request, where it is asked for.
        e2e: gives that of the time to the last token.
        answering: whether any request has a second token: else no ITL can be missed.
    """
    limit = targets.max_blocking
    over = np.log(np.maximum(blocking, 1e-300) / np.maximum(limit, 1e-300))
    worst = np.where(np.isnan(limit), -np.inf, over)
    for target in targets.ttft:
        worst = np.maximum(worst, target.excess(ttft))
    if targets.itl:
        gaps = itl()
        for target in targets.itl:
            worst = np.maximum(worst, np.where(answering, target.excess(gaps), -np.inf))
    if targets.e2e:
        whole = e2e()
        for target in targets.e2e:
            worst = np.maximum(worst, target.excess(whole))
    return worst
