"""Rows that may be parts of a mix."""

from __future__ import annotations

import numpy as np

from optimizer.table import ACCEPTED, CandidateTable


def parts_of_mixes(table: CandidateTable) -> CandidateTable:
    """Return the rows of a table that a mix may be made of.

    Of one accelerator in one configuration, replicas take the same cards at the same price with any
    batch limit, so that those that carry most stand for all of them in any mix; of equal ones the
    first does. Two pools are no part of a mix: what they carry is not a sum over replicas. Rows
    that are rejected stay, with their reasons.
    """
    accepted = table.rejection == ACCEPTED
    rate = np.where(accepted, np.nan_to_num(table.max_rate_rps, nan=-1.0), -1.0)
    order = np.lexsort(
        (
            np.arange(len(rate)),
            -rate,
            ~accepted,
            table.disaggregated,
            table.configured,
            table.accelerator,
            table.server,
        )
    )
    keys = np.vstack([table.server, table.accelerator, table.configured])[:, order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
    keep = ~accepted
    keep[order[first]] = True
    keep &= ~(accepted & table.disaggregated)
    if np.all(keep):
        return table
    return table.take(np.flatnonzero(keep))
