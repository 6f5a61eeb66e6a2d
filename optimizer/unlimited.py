"""Planning as if there were cards without end: each server takes its candidate of least value."""

from __future__ import annotations

from optimizer.ordering import candidates_by_value
from optimizer.outcome import make_outcome, make_placement
from optimizer.placement import Outcome
from optimizer.table import CandidateTable


def place_unlimited(table: CandidateTable) -> Outcome:
    """Place every server that has a candidate on the one of least value, ties by name.

    Servers do not touch one another here, so the result is optimal.
    """
    candidates = candidates_by_value(table)
    chosen = {
        server: candidates.row[positions.start]
        for server in range(len(table.servers))
        if (positions := candidates.of(server))
    }
    placement = make_placement(table, chosen, {})
    return make_outcome(table, placement, method="unlimited", optimal=True)
