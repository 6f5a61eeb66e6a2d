"""From what was chosen for each server to an `Outcome`: objective, counts by priority, status."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from optimizer.best_effort import Share
from optimizer.configurations.cut_cards import counted_cards
from optimizer.placement import Outcome, Placement
from optimizer.table import EMPTY, BoolArray, CandidateTable, IntArray
from stoker.domain.plan import ClassService, PlanStatus


def make_placement(
    table: CandidateTable, full: Mapping[int, int], shares: Mapping[int, Share]
) -> Placement:
    """Return the placement of rows taken in full and of best-effort shares.

    Args:
        table: The candidate table.
        full: Row that each server served in full takes, by server.
        shares: What the others received, by server.
    """
    entries = sorted(
        [(row, int(table.replicas[row])) for row in full.values()]
        + [(share.row, share.replicas) for share in shares.values()]
    )
    served = np.zeros(len(table.servers), dtype=np.bool_)
    served[list(full)] = True
    return Placement(
        row=np.array([row for row, _ in entries], dtype=np.int64),
        replicas=np.array([replicas for _, replicas in entries], dtype=np.int64),
        served=served,
    )


def cards_used(table: CandidateTable, placement: Placement, types: int) -> IntArray:
    """Return the cards that a placement uses, by type."""
    used = np.zeros(types, dtype=np.int64)
    typed = table.card_type[placement.row] != EMPTY
    cards = counted_cards(table, placement.row, placement.replicas)
    np.add.at(used, table.card_type[placement.row][typed], cards[typed])
    return used


def total_value(table: CandidateTable, placement: Placement) -> float:
    """Return the total value of the servers served in full, each by one row, rounded once."""
    return math.fsum(table.value[placement.row[placement.served[table.server[placement.row]]]])


def class_services(
    table: CandidateTable, served: BoolArray, *, proven: bool
) -> tuple[ClassService, ...]:
    """Count servers and served servers by priority, highest first.

    Args:
        table: The candidate table.
        served: Which servers are served in full, shape (servers,).
        proven: Whether the counts are known to be the largest possible.
    """
    services = []
    for priority in np.unique(table.priority):
        members = table.priority == priority
        count = int(np.count_nonzero(served & members))
        services.append(
            ClassService(
                priority=int(priority),
                servers=int(np.count_nonzero(members)),
                served=count,
                bound=count if proven else None,
            )
        )
    return tuple(services)


def anything_for_the_loaded(table: CandidateTable, placement: Placement) -> bool:
    """Return whether some server got a replica, or every server needs none."""
    if bool(np.any(placement.replicas > 0)):
        return True
    empty = np.zeros(len(table.servers), dtype=np.bool_)
    empty[table.server[table.accelerator == EMPTY]] = True
    return bool(np.all(empty))


def make_outcome(
    table: CandidateTable, placement: Placement, *, method: str, optimal: bool
) -> Outcome:
    """Return the outcome of a method that either proves its placement optimal or proves nothing."""
    objective = total_value(table, placement)
    if not anything_for_the_loaded(table, placement):
        status = PlanStatus.INFEASIBLE
    else:
        status = PlanStatus.OPTIMAL if optimal else PlanStatus.FEASIBLE
    return Outcome(
        placement=placement,
        status=status,
        objective=objective,
        bound=objective if optimal else None,
        gap=0.0 if optimal else None,
        services=class_services(table, placement.served, proven=optimal),
        method=method,
    )
