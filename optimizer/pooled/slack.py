"""How much of its tightest latency target a configuration uses."""

from __future__ import annotations

import numpy as np

from optimizer.evaluate import evaluate, evaluate_details
from optimizer.fleet_arrays import fleet_arrays
from optimizer.predictions import target_use
from optimizer.table import EMPTY, CandidateTable, FloatArray, IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency, Statistic
from stoker.domain.limits import ObjectiveName


def target_shares(fleet: Fleet, table: CandidateTable, rows: IntArray) -> FloatArray:
    """Return the share of its tightest target that each row uses; 1 where unknown.

    That is the largest ratio of a latency to its target, a percentile as a mean: what the plan
    prints of the replicas that carry the load, without spare ones. Rows without load use nothing.
    Computed only where an objective asks for it, else 0.

    Args:
        fleet: The fleet.
        table: Its candidates.
        rows: Rows of the table, shape (n,).
    """
    use = np.zeros(rows.size)
    if not fleet.objectives.includes(ObjectiveName.SLO_SLACK):
        return use
    loaded = np.flatnonzero((table.accelerator[rows] != EMPTY) & (table.replicas[rows] > 0))
    rate = table.total_rate_rps[table.server[rows[loaded]]] / table.replicas[rows[loaded]]
    loaded, rate = loaded[rate > 0], rate[rate > 0]
    if loaded.size:
        found = _tightest(fleet, table, rows[loaded], rate)
        use[loaded] = np.where(np.isfinite(found), found, 1.0)
    return use


def _tightest(
    fleet: Fleet, table: CandidateTable, rows: IntArray, rate_rps: FloatArray
) -> FloatArray:
    """Return the largest ratio of a latency to its target; NaN where one is unknown."""
    servers = fleet_arrays(fleet).servers
    figures = evaluate(fleet, table, rows, rate_rps)
    details = evaluate_details(fleet, table, rows, rate_rps)
    means = {Latency.TTFT: figures.ttft_ms, Latency.ITL: figures.itl_ms}

    def values_of(statistic: Statistic) -> FloatArray:
        mean = details.mean_ms[statistic.latency]
        if statistic.percentile is None:
            # An analysis of means alone tells them among its figures.
            return np.where(np.isnan(mean), means.get(statistic.latency, mean), mean)
        if statistic.percentile not in details.percentiles:
            return np.full(rows.size, np.nan)
        at_ms = details.at_ms[statistic.latency]
        value: FloatArray = at_ms[details.percentiles.index(statistic.percentile)]
        if statistic.latency is Latency.ITL:
            # Requests of one token have no time between tokens.
            value = np.where(np.isnan(value) & (figures.itl_ms == 0.0), 0.0, value)
        return value

    values = np.vstack([values_of(statistic) for statistic in servers.statistics])
    use, _ = target_use(values, servers.limits_ms[:, table.server[rows]])
    return use
