"""The entries of a placement with what each replica is predicted to do there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.evaluate import evaluate, evaluate_details, table_figures
from optimizer.placement import Placement
from optimizer.predictions import ReplicaDetails, ReplicaFigures
from optimizer.table import EMPTY, CandidateTable, FloatArray, IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of a placement, in its order; arrays of shape (entries,).

    Attributes:
        row: Row of the candidate table.
        replicas: Replicas.
        start: Entries of server s are ``start[s]:start[s + 1]``, shape (servers + 1,).
        rate_rps: Requests offered to one replica per second.
        figures: What one replica does at that rate.
        details: What is reported of it beside.
    """

    row: IntArray
    replicas: IntArray
    start: IntArray
    rate_rps: FloatArray
    figures: ReplicaFigures
    details: ReplicaDetails


def predict_entries(
    fleet: Fleet, table: CandidateTable, placement: Placement, *, detailed: bool = False
) -> Entries:
    """Return the entries of a placement with the figures at the replicas that they really have.

    A server's load is split over its replicas in proportion to their largest rates; equally where
    one of those is unknown.
    """
    row, replicas = placement.row, placement.replicas
    server = table.server[row]
    start = np.searchsorted(server, np.arange(len(table.servers) + 1)).astype(np.int64)
    rate = _replica_rates(table, row, replicas, server)
    alone = np.diff(start)[server] == 1
    whole = alone & (replicas == table.replicas[row])
    figures = ReplicaFigures.unknown(len(row))
    figures.put(whole, table_figures(table, row[whole]))
    partial = np.flatnonzero(~whole & (table.accelerator[row] != EMPTY))
    figures.put(partial, evaluate(fleet, table, row[partial], rate[partial]))
    details = ReplicaDetails.unknown(0)
    if detailed:
        details = evaluate_details(fleet, table, row, rate)
        # The same figures in both places: they may differ by what was computed beside them.
        for means, latency in ((figures.ttft_ms, Latency.TTFT), (figures.itl_ms, Latency.ITL)):
            known = np.isfinite(details.mean_ms[latency])
            means[known] = details.mean_ms[latency][known]
    return Entries(row, replicas, start, rate, figures, details)


def _replica_rates(
    table: CandidateTable, row: IntArray, replicas: IntArray, server: IntArray
) -> FloatArray:
    servers = len(table.servers)
    weight = table.max_rate_rps[row]
    unknown = ~(np.isfinite(weight) & (weight > 0))
    equal = np.bincount(server[unknown], minlength=servers) > 0
    alone = np.bincount(server, minlength=servers) == 1
    weight = np.where((equal | alone)[server], 1.0, weight)
    total_weight = np.bincount(server, weights=weight * replicas, minlength=servers)[server]
    some = total_weight > 0
    share = np.where(some, weight / np.where(some, total_weight, 1.0), 0.0)
    return table.total_rate_rps[server] * share
