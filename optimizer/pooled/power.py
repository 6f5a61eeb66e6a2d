"""Electrical power of replicas, from the power curves of their accelerators."""

from __future__ import annotations

import numpy as np

from optimizer.table import FloatArray, IntArray
from stoker.domain.fleet import Fleet


def replica_power(
    fleet: Fleet, accelerator: IntArray, cards_per_replica: IntArray, utilization: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the power of one replica each, loaded and idle, in W; NaN where unknown.

    Power is piecewise linear in utilization through the three points of the accelerator's curve.
    An unknown utilization counts as full.

    Args:
        fleet: The fleet.
        accelerator: Index of the accelerator, shape (n,).
        cards_per_replica: Cards of one replica, shape (n,).
        utilization: Mean requests in service over the batch limit, shape (n,).
    """
    unknown = np.full(4, np.nan)
    points = np.array(
        [
            unknown
            if item.power is None
            else [
                item.power.idle_w,
                item.power.mid_w,
                item.power.full_w,
                item.power.mid_utilization,
            ]
            for item in fleet.accelerators
        ]
    ).reshape(-1, 4)
    cards = np.array([item.cards for item in fleet.accelerators], dtype=np.int64)
    idle, mid, full, knee = points[accelerator].T
    units = cards_per_replica / cards[accelerator]
    load = np.clip(np.where(np.isfinite(utilization), utilization, 1.0), 0.0, 1.0)
    with np.errstate(invalid="ignore"):
        low = idle + (mid - idle) * load / knee
        high = mid + (full - mid) * (load - knee) / (1.0 - knee)
        loaded = np.where(load <= knee, low, high)
    return units * loaded, units * idle
