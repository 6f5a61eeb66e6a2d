"""Predicted figures of candidates at rates other than those of their full allocation."""

from __future__ import annotations

import numpy as np

from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import profile_of
from optimizer.replicas import ReplicaFigures, Replicas, analyze_replicas
from optimizer.table import CandidateTable, FloatArray, IntArray
from stoker.domain.fleet import Fleet


def evaluate(
    fleet: Fleet, table: CandidateTable, row: IntArray, arrival_rate_rps: FloatArray
) -> ReplicaFigures:
    """Return the figures of one replica of each row at its arrival rate.

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
    rows = row[asked]
    replicas = Replicas(
        server=table.server[rows],
        profile=profile_of(arrays, table.server[rows], table.accelerator[rows]),
        max_batch=table.max_batch[rows],
        max_queue=table.max_queue[rows],
    )
    figures.put(asked, analyze_replicas(arrays, replicas, arrival_rate_rps[asked]))
    return figures


def table_figures(table: CandidateTable, row: IntArray) -> ReplicaFigures:
    """Return the figures of rows at their full allocation."""
    return ReplicaFigures(
        table.ttft_ms[row], table.itl_ms[row], table.utilization[row], table.blocking[row]
    )
