"""Value: what a plan costs, seen from what runs now.

The value of a candidate b seen from the current allocation a is 0 for the same accelerator and
replicas, cost(b) - cost(a) for the same accelerator, and that plus
penalty * (cost(a) + cost(b)) for another one. Nothing running counts as another accelerator at
cost 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optimizer.table import EMPTY, CandidateTable, FloatArray, IntArray, Transitions


def candidate_values(
    transitions: Transitions,
    current_replicas: IntArray,
    server: IntArray,
    accelerator: IntArray,
    replicas: IntArray,
    cost_per_hour: FloatArray,
) -> FloatArray:
    """Return the value of candidates, in currency units per hour, shape (rows,).

    Args:
        transitions: What runs now, by server.
        current_replicas: Replicas that run now, shape (servers,).
        server: Server of each row.
        accelerator: Accelerator of each row, or `EMPTY`.
        replicas: Replicas of each row.
        cost_per_hour: Cost of each row.
    """
    cost_now = transitions.cost_per_hour[server]
    stays = (transitions.accelerator[server] == accelerator) & (accelerator != EMPTY)
    change = cost_per_hour - cost_now
    change += np.where(stays, 0.0, transitions.penalty * (cost_per_hour + cost_now))
    unchanged = stays & (current_replicas[server] == replicas)
    return np.where(unchanged, 0.0, change)


def mix_value(
    transitions: Transitions | None,
    server: int,
    accelerators: Sequence[int],
    costs_per_hour: Sequence[float],
) -> float:
    """Return the value of a heterogeneous allocation, in currency units per hour.

    The penalty counts each part on an accelerator other than the current one, and what is torn
    down if no part stays on it. For a single part this is the value of a candidate.

    Args:
        transitions: What runs now; None where that is not known, which counts as nothing.
        server: Index of the server.
        accelerators: Accelerator of each part.
        costs_per_hour: Cost of each part.
    """
    total = math.fsum(costs_per_hour)
    if transitions is None:
        return total
    now = int(transitions.accelerator[server])
    cost_now = float(transitions.cost_per_hour[server])
    moved = math.fsum(
        cost for part, cost in zip(accelerators, costs_per_hour, strict=True) if part != now
    )
    torn_down = 0.0 if now != EMPTY and now in accelerators else cost_now
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
    transitions = table.transitions
    if transitions is None:
        return table
    now = np.flatnonzero(
        (table.accelerator != EMPTY)
        & (table.accelerator == transitions.accelerator[table.server])
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
    )
    known = table.accepted
    return replace(table, transitions=repriced, value=np.where(known, value, table.value))
