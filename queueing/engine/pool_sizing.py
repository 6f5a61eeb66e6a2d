"""Sizing of prefill and decode pools: the largest arrival rate at which they keep targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, IntArray, columns
from queueing.engine.beyond import worst_excess
from queueing.engine.largest import largest_rates
from queueing.engine.routing import fleet_saturation_rps
from queueing.engine.rows import take_rows
from queueing.engine.sizing import EngineSizing
from queueing.engine.stations import System, handover_at
from queueing.engine.targets import EngineTargets


def size_pools(system: System, targets: EngineTargets) -> EngineSizing:
    """Return the largest rates at which systems of two pools keep all their targets.

    Args:
        system: the pools, one system a case.
        targets: targets of TTFT, ITL and E2E, of tokens per second, and of blocking at the
            prefill pool.
    """
    with np.errstate(all="ignore"):
        usable = system.prefill.usable() & system.decode.usable()
        most = pools_saturation_rps(system)
        return largest_rates(_Search(system, targets), targets, most, usable)


def pools_saturation_rps(system: System) -> FloatArray:
    """Return the largest rates that both pools could carry, requests per second."""
    with np.errstate(all="ignore"):
        first, second = system.stages()
        carried = fleet_saturation_rps(second, system.decode_replicas)
        most: FloatArray = np.minimum(
            fleet_saturation_rps(first, system.prefill_replicas),
            carried / np.maximum(system.answers().answering, 1e-12),
        )
        return most


def pools_excess(
    system: System, targets: EngineTargets, arrival_rate_rps: npt.ArrayLike
) -> FloatArray:
    """Return how far systems are beyond the worst of their targets (see `worst_excess`)."""
    rate, _ = columns(arrival_rate_rps, np.zeros(len(targets)))
    with np.errstate(all="ignore"):
        return _Search(system, targets).at(rate)[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Systems and their targets, one of each a case."""

    system: System
    targets: EngineTargets

    def take(self, rows: IntArray) -> _Search:
        """Return some of the systems."""
        return _Search(take_rows(self.system, rows), self.targets.take(rows))

    def at(self, rate_rps: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far systems are beyond their targets at a rate, and the share turned away."""
        handover = handover_at(self.system, rate_rps / 1e3)
        worst = worst_excess(
            self.targets,
            blocking=handover.first.blocking,
            ttft=handover.first_token,
            itl=handover.itl,
            e2e=handover.e2e,
            answering=handover.steps > 1e-9,
        )
        return worst, handover.first.blocking
