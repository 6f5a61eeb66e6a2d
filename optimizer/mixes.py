"""Mixes that miss a target at their shares of the load, put right.

The mixed model counts what replicas carry at their largest rates. At the lower rate of its share a
replica nearly always does better; but ITL is not monotone everywhere (batch limit 1, and where the
number of prefill chunks jumps), so each mix is predicted once more before it is promised.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.candidates import TARGET_TOLERANCE
from optimizer.entries import Entries, predict_entries
from optimizer.ordering import candidates_by_value
from optimizer.outcome import cards_used, class_services
from optimizer.placement import Outcome, Placement
from optimizer.table import CandidateTable, IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.plan import PlanStatus


def with_kept_targets(
    fleet: Fleet, table: CandidateTable, outcome: Outcome, capacity: IntArray
) -> Outcome:
    """Return an outcome in which every server served in full keeps its targets.

    A server whose mix misses one takes its candidate of least value that fits the cards left; if
    none does, it keeps the mix as best effort. Nothing is proven about the plan any more then.
    """
    entries = predict_entries(fleet, table, outcome.placement)
    broken = _broken_servers(table, entries, outcome.placement)
    if not broken:
        return outcome
    placement = outcome.placement
    left = capacity - cards_used(table, placement, len(capacity))
    candidates = candidates_by_value(table)
    chosen = dict(zip(placement.row.tolist(), placement.replicas.tolist(), strict=True))
    served = placement.served.copy()
    moved = 0
    for server in candidates.in_order(broken):
        rows = [int(entries.row[k]) for k in _span(entries, server)]
        own = np.zeros_like(left)
        for row in rows:
            own[table.card_type[row]] += chosen[row] * table.cards_per_replica[row]
        fitting = [
            candidates.row[position]
            for position in candidates.of(server)
            if candidates.replicas[position] * candidates.cards_per_replica[position]
            <= (left + own)[candidates.card_type[position]]
        ]
        if not fitting:
            served[server] = False
            continue
        moved += 1
        for row in rows:
            del chosen[row]
        taken = fitting[0]
        chosen[taken] = int(table.replicas[taken])
        left = left + own
        left[table.card_type[taken]] -= chosen[taken] * table.cards_per_replica[taken]
    rows = sorted(chosen)
    note = (
        f"{len(broken):,} mixes would have missed a target at their shares of the load: {moved:,} "
        "were replaced by a single accelerator, the others count as best effort"
    )
    return replace(
        outcome,
        placement=Placement(
            row=np.array(rows, dtype=np.int64),
            replicas=np.array([chosen[row] for row in rows], dtype=np.int64),
            served=served,
        ),
        status=PlanStatus.FEASIBLE,
        bound=None,
        gap=None,
        services=class_services(table, served, proven=False),
        notes=(*outcome.notes, note),
    )


def _broken_servers(table: CandidateTable, entries: Entries, placement: Placement) -> list[int]:
    """Return the servers served in full of which a replica is predicted to miss a target."""
    broken = []
    for server in np.flatnonzero(placement.served).tolist():
        span = _span(entries, server)
        whole = len(span) == 1 and entries.replicas[span[0]] == table.replicas[entries.row[span[0]]]
        idle = table.total_rate_rps[server] == 0
        if whole or idle or not span:
            continue
        if any(entries.figures.target_use[entry] > 1.0 + TARGET_TOLERANCE for entry in span):
            broken.append(server)
    return broken


def _span(entries: Entries, server: int) -> range:
    return range(int(entries.start[server]), int(entries.start[server + 1]))
