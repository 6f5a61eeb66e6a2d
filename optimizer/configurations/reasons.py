"""One reason for an accelerator that has several rows, and names for rows."""

from __future__ import annotations

from collections.abc import Iterable

from optimizer.table import EMPTY, NO_NAME, CandidateTable
from stoker.domain.reasons import Rejection
from stoker.domain.serving import configured_name

_FURTHEST_FIRST = (
    Rejection.NO_CARDS,
    Rejection.REPLICA_BOUND,
    Rejection.TARGETS_CONFLICT,
    Rejection.E2E_UNREACHABLE,
    Rejection.ITL_UNREACHABLE,
    Rejection.TTFT_UNREACHABLE,
    Rejection.BLOCKING_UNREACHABLE,
    Rejection.NUMERIC,
    Rejection.MEMORY,
    Rejection.ZERO_PARAMETERS,
    Rejection.KIND_TOO_WEAK,
)
"""Reasons by how far a row came before it was rejected; all others say nothing of a row."""

_RANK = {reason: rank for rank, reason in enumerate(_FURTHEST_FIRST)}


def furthest(reasons: Iterable[Rejection | None]) -> Rejection | None:
    """Return the reason of the row that came furthest, the first of several; None for a candidate.

    Args:
        reasons: The reason of each row, None for an accepted one; at least one of them.
    """
    found = list(reasons)
    if any(reason is None for reason in found):
        return None
    known = [reason for reason in found if reason is not None]
    return min(known, key=lambda reason: _RANK.get(reason, len(_RANK)))


def named_row(table: CandidateTable, row: int) -> str:
    """Return what a row runs on: its accelerator, and its configuration where it has a name."""
    accelerator = int(table.accelerator[row])
    if accelerator == EMPTY:
        return ""
    name = table.accelerators[accelerator]
    configuration = int(table.configured[row]) if table.configuration is not None else NO_NAME
    if configuration == NO_NAME:
        return name
    return configured_name(name, table.configurations[configuration])
