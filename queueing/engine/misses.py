"""By how much replicas miss targets at given rates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, columns
from queueing.engine.cases import EngineCases
from queueing.engine.excess import careful_excess
from queueing.engine.saturation import saturation
from queueing.engine.sizing import LARGEST_LOAD
from queueing.engine.states import full
from queueing.engine.targets import EngineTargets


def target_excess(
    cases: EngineCases, targets: EngineTargets, arrival_rate_rps: npt.ArrayLike
) -> FloatArray:
    """Return how far replicas are beyond the worst of their targets; array (cases,).

    Above 0 where a target is missed, minus infinity where there is none. For a mean it is the log
    of mean over target, for a percentile the log of the share of requests beyond the target over
    the share that may be, for blocking the log of the share lost over the bound. Latencies are
    those at the rate times the margin that careful sizing takes (`queueing.engine.excess`).
    """
    rate, _ = columns(arrival_rate_rps, np.zeros(len(cases)))
    with np.errstate(all="ignore"):
        limit = saturation(cases)
        requests = limit.memory.requests
        top = full(cases, requests, limit)
        most = LARGEST_LOAD * limit.throughput_rps
        return careful_excess(cases, requests, top, targets, rate, most)
