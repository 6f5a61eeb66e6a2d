"""Predicted figures of candidates at rates other than those of their full allocation."""

from __future__ import annotations

import numpy as np

from optimizer.configurations.pools import PoolFleet, PoolRows
from optimizer.configurations.split_figures import split_details, split_figures
from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import FleetArrays, profile_of_rows
from optimizer.pairs import prefill_limits
from optimizer.predictions import NO_STATISTIC, ReplicaDetails, ReplicaFigures, Replicas
from optimizer.predictors import predictor_of
from optimizer.table import EMPTY, CandidateTable, FloatArray, IntArray
from stoker.domain.fleet import Fleet


def evaluate(
    fleet: Fleet, table: CandidateTable, row: IntArray, arrival_rate_rps: FloatArray
) -> ReplicaFigures:
    """Return the figures of one replica of each row at its arrival rate.

    A row of two pools, or a bundle, is one: the rate is that of all its replicas, and figures are
    those of both pools, or of each of the bundle.

    Rates beyond what a replica carries are answered too: the queue is finite, so latencies stay
    finite and blocking says what is lost. Rows of somebody else's predictions (queue limit
    unknown) are unknown at any other rate than their own. A replica without requests has the
    figures of its row.

    Args:
        fleet: The fleet that the table was made for.
        table: The candidate table.
        row: Rows of the table with a profile, shape (n,).
        arrival_rate_rps: Requests offered to one replica per second, shape (n,).

    Returns:
        Figures of shape (n,), NaN where unknown.
    """
    figures = ReplicaFigures.unknown(len(row))
    idle = np.flatnonzero(arrival_rate_rps == 0)
    figures.put(idle, table_figures(table, row[idle]))
    asked = np.flatnonzero((table.max_queue[row] >= 0) & (arrival_rate_rps > 0))
    if not len(asked):
        return figures
    arrays = fleet_arrays(fleet)
    predictor = predictor_of(table.analysis, arrays, fleet.rules)
    split = table.disaggregated[row[asked]]
    alike, apart = asked[~split], asked[split]
    rate = arrival_rate_rps[alike] / _bundle(table, row[alike])
    replicas = replicas_of(arrays, table, row[alike], rate)
    figures.put(alike, predictor.figures(replicas, rate))
    if len(apart):
        pools = PoolFleet(arrays, fleet.rules.max_blocking)
        rows = pools_of(arrays, table, row[apart])
        found = split_figures(pools, predictor.statistics, rows, arrival_rate_rps[apart])
        figures.put(apart, found)
    return figures


def evaluate_details(
    fleet: Fleet, table: CandidateTable, row: IntArray, arrival_rate_rps: FloatArray
) -> ReplicaDetails:
    """Return all that is known of one replica of each row at its arrival rate.

    Unknown where `evaluate` knows no figures either, and of replicas without requests.

    Args:
        fleet: The fleet that the table was made for.
        table: The candidate table.
        row: Rows of the table, shape (n,).
        arrival_rate_rps: Requests offered to one replica per second, shape (n,).
    """
    told = (table.max_queue[row] >= 0) & (table.accelerator[row] != EMPTY)
    asked = np.flatnonzero(told & (arrival_rate_rps > 0))
    if not len(asked):
        return ReplicaDetails.unknown(len(row))
    arrays = fleet_arrays(fleet)
    predictor = predictor_of(table.analysis, arrays, fleet.rules)
    split = table.disaggregated[row[asked]]
    alike, apart = asked[~split], asked[split]
    rate = arrival_rate_rps[alike] / _bundle(table, row[alike])
    replicas = replicas_of(arrays, table, row[alike], rate)
    found = predictor.details(replicas, rate)
    details = ReplicaDetails.unknown(len(row), found.percentiles)
    details.put(alike, found)
    if len(apart):
        pools = PoolFleet(arrays, fleet.rules.max_blocking)
        rows = pools_of(arrays, table, row[apart])
        details.put(
            apart, split_details(pools, predictor.statistics, rows, arrival_rate_rps[apart])
        )
    return details


def _bundle(table: CandidateTable, rows: IntArray) -> FloatArray:
    """Return the replicas that a row counts as one: those of a bundle."""
    if table.bundled is None:
        return np.ones(len(rows))
    return np.maximum(table.bundled[rows], 1).astype(np.float64)


def pools_of(arrays: FleetArrays, table: CandidateTable, rows: IntArray) -> PoolRows:
    """Return the prefill and decode pools of rows that have them."""
    assert table.prefill_replicas is not None
    assert table.decode_replicas is not None
    server, profile = table.server[rows], profile_of_rows(arrays, table, rows)
    prefill_batch, _ = prefill_limits(arrays, server, arrays.profiles.prefill[profile])
    return PoolRows(
        server,
        profile,
        table.max_batch[rows],
        prefill_batch,
        table.max_queue[rows],
        table.prefill_replicas[rows],
        table.decode_replicas[rows],
    )


def replicas_of(
    arrays: FleetArrays, table: CandidateTable, rows: IntArray, arrival_rate_rps: FloatArray
) -> Replicas:
    """Return one replica of each row of a table, of as many as share its server's load so.

    Args:
        arrays: The fleet.
        table: The candidate table.
        rows: Rows of the table.
        arrival_rate_rps: Requests offered to one replica per second, of a bundle to one of it.
    """
    with np.errstate(all="ignore"):
        count = table.total_rate_rps[table.server[rows]] / arrival_rate_rps
    return Replicas(
        server=table.server[rows],
        profile=profile_of_rows(arrays, table, rows),
        max_batch=table.max_batch[rows],
        max_queue=table.max_queue[rows],
        count=np.where(count >= 1.0, count, 1.0),
    )


def table_figures(table: CandidateTable, row: IntArray) -> ReplicaFigures:
    """Return the figures of rows at their full allocation; the use of targets is not kept."""
    return ReplicaFigures(
        table.ttft_ms[row],
        table.itl_ms[row],
        table.utilization[row],
        table.blocking[row],
        target_use=np.full(len(row), np.nan),
        tightest=np.full(len(row), NO_STATISTIC, dtype=np.int64),
    )
