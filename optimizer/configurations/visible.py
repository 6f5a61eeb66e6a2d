"""What the constraints and objectives of a fleet can see of its candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.configurations.pruning import CARDS_AND_PRICE, EVERYTHING_TOLD, Visible
from optimizer.table import IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.limits import ObjectiveName


def visible_in(fleet: Fleet) -> Visible:
    """Return what a plan of a fleet may depend on, beside cards and prices."""
    if fleet.is_plain:
        return CARDS_AND_PRICE
    slack = fleet.objectives.includes(ObjectiveName.SLO_SLACK)
    return replace(EVERYTHING_TOLD, slack=slack, batch_now=batch_limits_now(fleet))


def batch_limits_now(fleet: Fleet) -> IntArray:
    """Return the batch limit that runs for each server; 0 where nothing runs or it is not told."""
    return np.array(
        [
            (server.current.max_batch or 0) if server.current is not None else 0
            for server in fleet.servers
        ],
        dtype=np.int64,
    )
