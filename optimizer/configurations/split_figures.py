"""What prefill and decode pools do at a rate, and which targets they can keep at none."""

from __future__ import annotations

import numpy as np

from optimizer.configurations.pools import PoolFleet, PoolRows
from optimizer.engine_replicas import mean_itl_ms
from optimizer.predictions import NO_STATISTIC, ReplicaDetails, ReplicaFigures, ReplicaSizes
from optimizer.table import FloatArray
from queueing.engine.disaggregated import analyze_system
from queueing.engine.pool_sizing import pools_excess, pools_saturation_rps, size_pools
from queueing.engine.rows import take_rows
from queueing.engine.sizing import SMALLEST_LOAD
from queueing.engine.stations import System
from stoker.domain.latency import DEFAULT_PERCENTILES, Latency, Statistic

_NEVER = 1e-12


def split_figures(
    pools: PoolFleet, statistics: tuple[Statistic, ...], rows: PoolRows, rate_rps: FloatArray
) -> ReplicaFigures:
    """Return the figures of pools at rates to all; NaN where they cannot be had."""
    figures = ReplicaFigures.unknown(len(rows.server))
    for own, system in pools.systems(rows):
        point = analyze_system(system, rate_rps[own], ()).whole()
        excesses = _excesses(pools, statistics, system, rows.take(own), rate_rps[own])
        worst = excesses.max(axis=0)
        known = system.prefill.usable() & system.decode.usable() & point.stable
        with np.errstate(over="ignore"):
            use = np.exp(worst)
        tightest = np.where(np.isneginf(worst), NO_STATISTIC, np.argmax(excesses, axis=0))
        figures.put(
            own[known],
            ReplicaFigures(
                point.ttft.mean_ms[known],
                mean_itl_ms(point)[known],
                point.utilization[known],
                point.blocking[known],
                use[known],
                tightest[known],
            ),
        )
    return figures


def split_details(
    pools: PoolFleet, statistics: tuple[Statistic, ...], rows: PoolRows, rate_rps: FloatArray
) -> ReplicaDetails:
    """Return all that is known of pools at rates to all; the use of KV memory is not."""
    asked = {item.percentile for item in statistics if item.percentile is not None}
    percentiles = tuple(sorted(asked | set(DEFAULT_PERCENTILES)))
    details = ReplicaDetails.unknown(len(rows.server), percentiles)
    for own, system in pools.systems(rows):
        point = analyze_system(system, rate_rps[own], percentiles).whole()
        known = system.prefill.usable() & system.decode.usable() & point.stable
        for latency, figures in zip(Latency, (point.ttft, point.itl, point.e2e), strict=True):
            details.mean_ms[latency][own[known]] = figures.mean_ms[known]
            details.at_ms[latency][:, own[known]] = figures.at_ms[:, known]
        details.preemptions[own[known]] = point.preemption_rate[known]
        server = rows.server[own]
        sizing = size_pools(system, pools.engines.targets(server))
        rate = np.maximum(sizing.rate_rps, _NEVER)
        blocking = pools_excess(system, pools.engines.blocking_bound(server), rate)
        excesses = _excesses(pools, statistics, system, rows.take(own), rate)
        nearest = np.argmax(np.vstack([excesses, blocking]), axis=0)
        binding = np.where(sizing.limited, nearest, len(statistics) + 1)
        details.binding[own] = np.where(sizing.feasible, binding, NO_STATISTIC)
    return details


def lightly_loaded(
    pools: PoolFleet, statistics: tuple[Statistic, ...], rows: PoolRows
) -> ReplicaSizes:
    """Return what pools keep with next to nothing to do: a rate where all targets, NaN where not.

    What they cannot keep then they keep at no rate.
    """
    sizes = ReplicaSizes.unknown(len(statistics), len(rows.server))
    percentiles = tuple({item.percentile or 50.0: None for item in statistics})
    for own, system in pools.systems(rows):
        server = rows.server[own]
        most = pools_saturation_rps(system)
        usable = system.prefill.usable() & system.decode.usable() & (most > 0.0)
        lowest = np.where(usable, SMALLEST_LOAD * most, _NEVER)
        excesses = _excesses(pools, statistics, system, rows.take(own), lowest)
        blocking = pools_excess(system, pools.engines.blocking_bound(server), lowest)
        kept = (excesses <= 0.0).all(axis=0) & (blocking <= 0.0)
        sizes.valid[own] = usable
        sizes.max_rate_rps[own] = np.where(usable & kept, lowest, np.nan)
        sizes.unreachable[:, own] = excesses > 0.0
        sizes.blocking_unreachable[own] = blocking > 0.0
        point = analyze_system(system, lowest, percentiles)
        by_latency = dict(zip(Latency, (point.ttft, point.itl, point.e2e), strict=True))
        for index, statistic in enumerate(statistics):
            latency = by_latency[statistic.latency]
            best = (
                latency.mean_ms
                if statistic.percentile is None
                else latency.at_ms[percentiles.index(statistic.percentile)]
            )
            sizes.best_ms[index, own] = np.where(kept, np.nan, best)
    return sizes


def _excesses(
    pools: PoolFleet,
    statistics: tuple[Statistic, ...],
    system: System,
    rows: PoolRows,
    rate_rps: FloatArray,
) -> FloatArray:
    """Return how far pools are beyond each target, (statistics, rows): above 0, missed."""
    found = np.full((len(statistics), len(rows.server)), -np.inf)
    for index, own, target in pools.engines.single_targets(rows.server):
        found[index, own] = pools_excess(take_rows(system, own), target, rate_rps[own])
    return found
