"""Batch limits chosen with each accelerator: those with which a replica carries the most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import FleetArrays, profile_of_rows
from optimizer.pairs import Pairs, queue_limits
from optimizer.predictions import Predictor, Replicas, binding_names
from optimizer.predictors import predictor_of
from optimizer.table import ACCEPTED, EMPTY, CandidateTable, FloatArray, IntArray
from queueing.engine.batch_choice import TOLERANCE, best_limits
from stoker.domain.allocation import BatchChoice
from stoker.domain.fleet import Fleet
from stoker.domain.settings import PlanningRules


def with_chosen_batches(
    arrays: FleetArrays,
    rules: PlanningRules,
    predictor: Predictor,
    pairs: Pairs,
    total_rate: FloatArray,
) -> Pairs:
    """Return the pairs with batch limits chosen where the server asks for it.

    The largest limit considered is the one that the pair has otherwise. Replicas that decode for a
    prefill pool keep that one. Behind a router the limit
    is the best for as many replicas as that one would take.
    """
    chosen = arrays.servers.choose_batch[pairs.server] & (pairs.accelerator != EMPTY)
    chosen &= ~pairs.disaggregated
    rows = np.flatnonzero(chosen & ~pairs.idle & (pairs.rejection == ACCEPTED))
    if not len(rows):
        return pairs
    server, profile = pairs.server[rows], pairs.profile[rows]
    largest = pairs.max_batch[rows]
    first = Replicas(server, profile, largest, pairs.max_queue[rows], np.ones(len(rows)))
    count = np.ones(len(rows))
    pooled = np.flatnonzero(predictor.pooled(server))
    if len(pooled):
        least, most = pairs.min_replicas[rows[pooled]], pairs.max_replicas[rows[pooled]]
        rate = total_rate[server[pooled]]
        found = predictor.fewest(first.take(pooled), rate, least, most)
        count[pooled] = np.where(np.isnan(found), most, found)

    def carried(asked: IntArray, limits: FloatArray) -> FloatArray:
        batch = limits.astype(np.int64)
        queue = queue_limits(arrays, rules, server[asked], profile[asked], batch)
        sizes = predictor.size(Replicas(server[asked], profile[asked], batch, queue, count[asked]))
        return np.nan_to_num(sizes.max_rate_rps, nan=0.0)

    limits, _ = best_limits(carried, largest.astype(np.float64))
    max_batch, largest_batch = pairs.max_batch.copy(), pairs.largest_batch.copy()
    max_batch[rows], largest_batch[rows] = limits.astype(np.int64), largest
    max_queue = pairs.max_queue.copy()
    max_queue[rows] = queue_limits(arrays, rules, server, profile, max_batch[rows])
    return replace(pairs, max_batch=max_batch, max_queue=max_queue, largest_batch=largest_batch)


def batch_choices(
    fleet: Fleet, table: CandidateTable, row: IntArray, replicas: IntArray
) -> tuple[BatchChoice | None, ...]:
    """Return what the chosen batch limit of each row was preferred to; None where none was chosen.

    Args:
        fleet: The fleet that the table was made for.
        table: The candidate table.
        row: Rows of the table, shape (n,).
        replicas: Replicas behind the router of each, shape (n,).
    """
    choices: list[BatchChoice | None] = [None] * len(row)
    if table.largest_batch is None:
        return tuple(choices)
    if table.bundled is not None:
        replicas = replicas * np.maximum(table.bundled[row], 1)
    asked = np.flatnonzero(table.largest_batch[row] > 0)
    if not len(asked):
        return tuple(choices)
    rows = row[asked]
    arrays = fleet_arrays(fleet)
    server, largest = table.server[rows], table.largest_batch[rows]
    profile = profile_of_rows(arrays, table, rows)
    queue = queue_limits(arrays, fleet.rules, server, profile, largest)
    with_largest = Replicas(server, profile, largest, queue, replicas[asked].astype(np.float64))
    predictor = predictor_of(table.analysis, arrays, fleet.rules)
    sizes = predictor.size(with_largest)
    rate = sizes.max_rate_rps
    names = binding_names(predictor.statistics)
    share = table.total_rate_rps[server] / replicas[asked]
    binding = predictor.details(with_largest, share).binding
    out_of_reach = np.vstack([sizes.unreachable, sizes.blocking_unreachable])
    for index, entry in enumerate(asked.tolist()):
        name = None
        if np.isnan(rate[index]):
            name = names[int(np.argmax(out_of_reach[:, index]))]
        elif rate[index] < (1.0 - TOLERANCE) * table.max_rate_rps[rows[index]]:
            name = names[int(binding[index])]
        known = None if np.isnan(rate[index]) else float(rate[index])
        choices[entry] = BatchChoice(int(largest[index]), known, name)
    return tuple(choices)
