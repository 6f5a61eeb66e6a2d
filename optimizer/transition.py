"""Value: what a plan costs, seen from what runs now.

A candidate *stays* where accelerator, configuration and way of serving are those of what runs now;
its batch limit may be another, which an engine takes on without moving. The value of a candidate b
seen from the current allocation a is 0 where it stays with the same replicas, cost(b) - cost(a)
where it stays, and that plus penalty * (cost(a) + cost(b)) where it does not. Nothing running
counts as another accelerator at cost 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optimizer.configurations.mixing import parts_of_mixes
from optimizer.table import (
    EMPTY,
    NO_NAME,
    BoolArray,
    CandidateTable,
    FloatArray,
    IntArray,
    Transitions,
)


def candidate_values(
    transitions: Transitions,
    current_replicas: IntArray,
    server: IntArray,
    accelerator: IntArray,
    replicas: IntArray,
    cost_per_hour: FloatArray,
    *,
    configuration: IntArray | None = None,
    prefill_replicas: IntArray | None = None,
) -> FloatArray:
    """Return the value of candidates, in currency units per hour, shape (rows,).

    Args:
        transitions: What runs now, by server.
        current_replicas: Replicas that run now, shape (servers,).
        server: Server of each row.
        accelerator: Accelerator of each row, or `EMPTY`.
        replicas: Replicas of each row, those of both pools together.
        cost_per_hour: Cost of each row.
        configuration: Configuration of each row; None where none has a name.
        prefill_replicas: Replicas of the prefill pool of each row; None where none has one.
    """
    cost_now = transitions.cost_per_hour[server]
    prefill = np.zeros(len(server), dtype=np.int64)
    if prefill_replicas is not None:
        prefill = prefill_replicas
    stays = stays_put(transitions, server, accelerator, configuration, prefill)
    change = cost_per_hour - cost_now
    change += np.where(stays, 0.0, transitions.penalty * (cost_per_hour + cost_now))
    unchanged = stays & (current_replicas[server] == replicas)
    unchanged &= _prefill_now(transitions, server) == prefill
    return np.where(unchanged, 0.0, change)


def stays_put(
    transitions: Transitions,
    server: IntArray,
    accelerator: IntArray,
    configuration: IntArray | None,
    prefill_replicas: IntArray,
) -> BoolArray:
    """Tell which rows keep accelerator, configuration and way of serving of what runs now."""
    stays = (transitions.accelerator[server] == accelerator) & (accelerator != EMPTY)
    if transitions.configuration is not None and configuration is not None:
        stays &= transitions.configuration[server] == configuration
    apart_now = _prefill_now(transitions, server) > 0
    return np.asarray(stays & (apart_now == (prefill_replicas > 0)), dtype=np.bool_)


def rows_that_stay(table: CandidateTable) -> BoolArray:
    """Tell which rows of a table keep what runs now, with any number of replicas."""
    if table.transitions is None:
        return np.zeros(len(table.server), dtype=np.bool_)
    prefill = table.prefill_replicas
    if prefill is None:
        prefill = np.zeros(len(table.server), dtype=np.int64)
    return stays_put(
        table.transitions, table.server, table.accelerator, table.configuration, prefill
    )


def running_by_row(table: CandidateTable, current_replicas: IntArray) -> IntArray:
    """Return what runs now as a number of replicas of each row; 0 where a row does not stay.

    A row that is taken whole, of two pools or a bundle, runs once or not at all: 1 where it is
    what runs now to the last replica.

    Args:
        table: The candidate table.
        current_replicas: Replicas that run now, shape (servers,).
    """
    now = current_replicas[table.server]
    identical = table.all_replicas == now
    if table.transitions is not None and table.prefill_replicas is not None:
        identical &= _prefill_now(table.transitions, table.server) == table.prefill_replicas
    count = np.where(table.whole, identical.astype(np.int64), now)
    return np.where(rows_that_stay(table), count, 0)


def _prefill_now(transitions: Transitions, server: IntArray) -> IntArray:
    if transitions.prefill_replicas is None:
        return np.zeros(len(server), dtype=np.int64)
    return transitions.prefill_replicas[server]


def mix_value(
    transitions: Transitions | None,
    server: int,
    accelerators: Sequence[int],
    costs_per_hour: Sequence[float],
    *,
    configurations: Sequence[int] | None = None,
    prefill_replicas: int = 0,
) -> float:
    """Return the value of a heterogeneous allocation, in currency units per hour.

    The penalty counts each part that does not stay where it is (see `stays_put`), and what is torn
    down if none does. For a single part this is the value of a candidate.

    Args:
        transitions: What runs now; None where that is not known, which counts as nothing.
        server: Index of the server.
        accelerators: Accelerator of each part.
        costs_per_hour: Cost of each part.
        configurations: Configuration of each part; None where none has a name.
        prefill_replicas: Replicas of the prefill pool of the only part, if it has one.
    """
    total = math.fsum(costs_per_hour)
    if transitions is None:
        return total
    cost_now = float(transitions.cost_per_hour[server])
    count = len(accelerators)
    stays = stays_put(
        transitions,
        np.full(count, server),
        np.array(accelerators, dtype=np.int64),
        np.array(configurations or [NO_NAME] * count, dtype=np.int64),
        np.full(count, prefill_replicas),
    )
    moved = math.fsum(
        cost for cost, stay in zip(costs_per_hour, stays.tolist(), strict=True) if not stay
    )
    torn_down = 0.0 if stays.any() else cost_now
    return total - cost_now + transitions.penalty * (moved + torn_down)


def for_mixing(table: CandidateTable, current_replicas: IntArray) -> CandidateTable:
    """Return the table with values that add up over the parts of a mix.

    What runs now is priced as the fleet prices it today, wherever it can be: with a cost stated at
    other prices, "unchanged is worth 0" and "a change is worth its difference of costs" contradict
    each other, and no sum over parts could say both.

    Args:
        table: Candidates, with values seen from the costs stated.
        current_replicas: Replicas that run now, shape (servers,).
    """
    table = parts_of_mixes(table)
    transitions = table.transitions
    if transitions is None:
        return table
    none = np.zeros(len(table.server), dtype=np.int64)
    now = np.flatnonzero(
        stays_put(transitions, table.server, table.accelerator, table.configuration, none)
        & np.isfinite(table.unit_cost_per_hour)
        & (table.unit_cost_per_hour > 0)
    )
    cost_now = transitions.cost_per_hour.copy()
    servers = table.server[now]
    cost_now[servers] = table.unit_cost_per_hour[now] * current_replicas[servers]
    repriced = replace(transitions, cost_per_hour=cost_now)
    value = candidate_values(
        repriced,
        current_replicas,
        table.server,
        table.accelerator,
        table.replicas,
        table.cost_per_hour,
        configuration=table.configuration,
    )
    known = table.accepted
    return replace(table, transitions=repriced, value=np.where(known, value, table.value))
