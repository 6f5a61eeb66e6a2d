"""The candidate table with a row more for each member of each set of servers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimizer.fleet_columns import FleetArrays
from optimizer.sharing.candidates import SharedCandidate
from optimizer.table import CandidateTable, FloatArray, IntArray


def extended(
    table: CandidateTable, candidates: Sequence[SharedCandidate], arrays: FleetArrays
) -> tuple[CandidateTable, IntArray, IntArray]:
    """Return a table with a row more for each member of each candidate.

    The row of the first member has the cards and the value of all replicas, the others have none.

    Args:
        table: Candidates of each server alone.
        candidates: Sets of servers.
        arrays: The fleet.

    Returns:
        The table; the row of the given table that each of its rows is, -1 for members; and the
        candidate whose member each row is, -1 for the others.
    """
    own = len(table.server)
    member = [(index, place) for index, item in enumerate(candidates) for place in item.way.members]
    server = np.concatenate([table.server, np.array([place for _, place in member], np.int64)])
    of_candidate = np.array([-1] * own + [index for index, _ in member], dtype=np.int64)
    # A row of the same server stands for what all its rows have in common.
    template = np.concatenate([np.arange(own), table.row_start[server[own:]]]).astype(np.int64)
    order = np.argsort(server, kind="stable")
    template, of_candidate = template[order], of_candidate[order]
    found = table.take(template)
    rows = np.flatnonzero(of_candidate >= 0)
    items = [candidates[int(index)] for index in of_candidate[rows]]
    hosts = np.array(
        [
            item.way.members[0] == place
            for item, place in zip(items, found.server[rows].tolist(), strict=True)
        ],
        dtype=np.bool_,
    )

    def put(name: str, values: Sequence[float] | FloatArray | IntArray) -> None:
        column = getattr(found, name)
        if column is not None:
            column[rows] = values

    put("accelerator", [item.way.accelerator for item in items])
    put("card_type", [item.card_type for item in items])
    put("rejection", [0] * len(items))
    put("replicas", [1] * len(items))
    put("min_replicas", [1] * len(items))
    put("max_replicas", [1] * len(items))
    put("max_batch", [item.way.max_batch for item in items])
    put("max_queue", [item.way.max_queue for item in items])
    put("cards_per_replica", np.where(hosts, [item.cards for item in items], 0))
    put("cost_per_hour", [item.cost_per_hour for item in items])
    put("unit_cost_per_hour", [item.cost_per_hour for item in items])
    put("value", np.where(hosts, [item.value for item in items], 0.0))
    put("profile", [item.way.profile for item in items])
    put(
        "configuration",
        [int(arrays.profiles.configuration[item.way.profile]) for item in items],
    )
    put("prefill_replicas", [0] * len(items))
    put("decode_replicas", [0] * len(items))
    return found, np.where(of_candidate < 0, template, -1), of_candidate
