"""What every method's placement still lacks: empty allocations, best effort, honest counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.best_effort import CardsLeft, share_cards
from optimizer.fitting.places import Places
from optimizer.fitting.sharing import PlacesLeft
from optimizer.gap import bound_and_gap
from optimizer.ordering import candidates_by_value
from optimizer.outcome import anything_for_the_loaded, cards_used, class_services
from optimizer.placement import Outcome, Placement
from optimizer.table import EMPTY, BoolArray, CandidateTable, IntArray
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import SaturationPolicy


def with_best_effort(
    table: CandidateTable,
    outcome: Outcome,
    capacity: IntArray,
    policy: SaturationPolicy,
    places: Places | None = None,
) -> Outcome:
    """Return an outcome with best effort for the servers that it leaves unserved.

    They take their turns in the order of the greedy method (priority, delta, value), over all
    priorities at once, from the cards that the placement leaves. A server that has something
    already, a mix that misses a target, is given no more. One that receives all replicas of a
    candidate is served in full after all, which a plan stopped early may have overlooked. Nothing
    is given where the solver found no plan at all, and nothing that has no place on the nodes.
    """
    placement = outcome.placement
    if policy is SaturationPolicy.NONE or outcome.status is PlanStatus.TIME_LIMIT:
        return outcome
    used = cards_used(table, placement, len(capacity))
    candidates = candidates_by_value(table)
    without = ~placement.served
    without[table.server[placement.row]] = False
    waiting = candidates.in_order(np.flatnonzero(without).tolist())
    available: list[int] = (capacity - used).tolist()
    cards = CardsLeft(candidates, available)
    left = cards if places is None else PlacesLeft(candidates, cards, places, placement)
    shares = share_cards(candidates, waiting, left, policy)
    full = [
        server for server, share in shares.items() if share.replicas == table.replicas[share.row]
    ]
    served = placement.served.copy()
    served[full] = True
    joined = _joined(
        placement,
        [share.row for share in shares.values()],
        [share.replicas for share in shares.values()],
        served,
    )
    if not full:
        return replace(outcome, placement=joined)
    return _promoted(table, outcome, joined, [shares[server].row for server in full])


def _promoted(
    table: CandidateTable, outcome: Outcome, placement: Placement, rows: list[int]
) -> Outcome:
    """Return the outcome with a placement that serves more servers, those of some full rows.

    The bounds still hold, being those of plans that serve at least as many; but a plan that could
    be bettered so was not the best.
    """
    objective = outcome.objective + float(np.sum(table.value[rows]))
    amounts = float(np.sum(np.abs(table.value[placement.row])))
    bound, gap = bound_and_gap(objective, outcome.bound, amounts)
    counts = class_services(table, placement.served, proven=False)
    most = {service.priority: service.bound for service in outcome.services}
    return replace(
        outcome,
        placement=placement,
        status=PlanStatus.FEASIBLE,
        objective=objective,
        bound=bound,
        gap=gap,
        services=tuple(replace(item, bound=most.get(item.priority)) for item in counts),
    )


def completed(table: CandidateTable, outcome: Outcome) -> Outcome:
    """Return an outcome that serves whom it can for nothing, and whose status says what it is.

    Servers that need nothing are placed, empty, even where a solver ran out of time. A plan that
    gives nobody anything is infeasible.
    """
    placement = outcome.placement
    empty = np.flatnonzero(table.accepted & (table.accelerator == EMPTY))
    missing = empty[~placement.served[table.server[empty]]]
    if len(missing):
        served = placement.served.copy()
        served[table.server[missing]] = True
        placement = _joined(placement, missing.tolist(), [0] * len(missing), served)
        outcome = replace(
            outcome,
            placement=placement,
            objective=outcome.objective + float(np.sum(table.value[missing])),
            services=class_services(table, served, proven=False),
        )
    out_of_time = outcome.status is PlanStatus.TIME_LIMIT
    if not out_of_time and not outcome.shared and not anything_for_the_loaded(table, placement):
        return replace(outcome, status=PlanStatus.INFEASIBLE, bound=None, gap=None)
    return outcome


def _joined(
    placement: Placement, rows: list[int], replicas: list[int], served: BoolArray
) -> Placement:
    """Return a placement with more entries, in the order of rows."""
    row = np.concatenate([placement.row, np.array(rows, dtype=np.int64)])
    count = np.concatenate([placement.replicas, np.array(replicas, dtype=np.int64)])
    order = np.argsort(row, kind="stable")
    return Placement(row[order], count[order], served)
