"""The candidate table of some servers of a fleet, as if there were no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optimizer.table import EMPTY, NO_NAME, CandidateTable, IntArray, Transitions


def part_of_table(
    table: CandidateTable, servers: IntArray, rows: IntArray, absent: Sequence[int] = ()
) -> CandidateTable:
    """Return the table of some servers, with some of their rows.

    Args:
        table: The whole table.
        servers: Those servers, ascending.
        rows: Rows of theirs, ascending.
        absent: Priorities that none of them has but shall be known: each is that of a further
            server, without a name and without rows.
    """
    taken = table.take(rows)
    place = np.full(len(table.servers), -1, dtype=np.int64)
    place[servers] = np.arange(servers.size)
    server = place[taken.server]
    count = servers.size + len(absent)
    return replace(
        taken,
        servers=(*(table.servers[k] for k in servers.tolist()), *[""] * len(absent)),
        priority=np.concatenate([table.priority[servers], np.array(absent, dtype=np.int64)]),
        total_rate_rps=np.concatenate([table.total_rate_rps[servers], np.zeros(len(absent))]),
        row_start=np.searchsorted(server, np.arange(count + 1)).astype(np.int64),
        server=server,
        transitions=_transitions(table.transitions, servers, len(absent)),
    )


def _transitions(whole: Transitions | None, servers: IntArray, absent: int) -> Transitions | None:
    if whole is None:
        return None

    def of(values: IntArray, blank: int) -> IntArray:
        return np.concatenate([values[servers], np.full(absent, blank, dtype=np.int64)])

    configuration, prefill = whole.configuration, whole.prefill_replicas
    return Transitions(
        accelerator=of(whole.accelerator, EMPTY),
        cost_per_hour=np.concatenate([whole.cost_per_hour[servers], np.zeros(absent)]),
        penalty=whole.penalty,
        configuration=None if configuration is None else of(configuration, NO_NAME),
        prefill_replicas=None if prefill is None else of(prefill, 0),
    )
