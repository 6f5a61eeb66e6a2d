"""Targets of cases, and which of them are out of reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimizer.engine_systems import EngineSystems
from optimizer.table import FloatArray
from queueing.engine import EngineTargets, LatencyTarget
from stoker.domain.latency import percentile_name
from stoker.domain.replica import ReplicaCase


def targets_of(cases: Sequence[ReplicaCase]) -> EngineTargets:
    """Return the targets of cases."""
    percentile = _or_nan([case.target_percentile for case in cases])
    ttft = LatencyTarget(_or_nan([case.ttft_ms for case in cases]), percentile)
    itl = LatencyTarget(_or_nan([case.itl_ms for case in cases]), percentile)
    return EngineTargets.of(
        len(cases),
        ttft=(ttft,) if ttft.any() else (),
        itl=(itl,) if itl.any() else (),
        tps=_or_nan([case.tps for case in cases]),
    )


def out_of_reach(
    cases: Sequence[ReplicaCase],
    systems: EngineSystems,
    targets: EngineTargets,
    lowest_rps: FloatArray,
) -> list[str]:
    """Say, of systems that keep their targets at no rate, which, and what is the best.

    Args:
        cases: The cases.
        systems: Their systems.
        targets: Their targets.
        lowest_rps: Rates low enough for the best latencies.
    """
    asked = sorted({case.target_percentile or 50.0 for case in cases})
    point = systems.at(lowest_rps, tuple(asked)).whole
    missed = {
        "TTFT": systems.excess(targets.only("ttft"), lowest_rps) > 0.0,
        "ITL": systems.excess(targets.only("itl"), lowest_rps) > 0.0,
    }
    reasons = []
    for row, case in enumerate(cases):
        percentile = case.target_percentile
        told = []
        for name, target_ms, latency in (
            ("TTFT", case.ttft_ms, point.ttft),
            ("ITL", case.itl_ms, point.itl),
        ):
            if not missed[name][row] or target_ms is None:
                continue
            label = name if percentile is None else f"{percentile_name(percentile)} {name}"
            best_ms = (
                latency.mean_ms[row]
                if percentile is None
                else latency.at_ms[asked.index(percentile), row]
            )
            told.append(
                f"the {label} target of {target_ms:g} ms is below the {best_ms:.6g} ms that "
                f"{label} takes at best"
            )
        reasons.append(" and ".join(told) or "no rate keeps both targets at once")
    return reasons


def _or_nan(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
