"""What runs now, as plans over pools see it."""

from __future__ import annotations

import numpy as np

from optimizer.configurations.visible import batch_limits_now
from optimizer.pooled.pools import PoolArrays
from optimizer.table import EMPTY, BoolArray, CandidateTable, IntArray
from stoker.domain.fleet import Fleet


def runs(fleet: Fleet, index: int) -> int:
    """Return 1 where something runs for a server whose load is known, else 0."""
    server = fleet.servers[index]
    now = server.current
    return int(
        server.load is not None
        and now is not None
        and now.accelerator is not None
        and now.replicas > 0
    )


def standing_now(fleet: Fleet, pools: PoolArrays) -> IntArray:
    """Return the replicas that run now by pool, -1 throughout where that is not told."""
    index = pools.index()
    found = np.full((len(fleet.servers), pools.count), -1, dtype=np.int64)
    for position, server in enumerate(fleet.servers):
        if not runs(fleet, position) or server.current is None or not server.current.in_pools:
            continue
        found[position] = 0
        for name, replicas in server.current.in_pools:
            if name in index:
                found[position, index[name]] = replicas
    return found


def told(standing: IntArray) -> BoolArray:
    """Return the servers of which it is known where their replicas stand."""
    return np.asarray((standing >= 0).all(axis=1), dtype=np.bool_)


def same_batch(fleet: Fleet, table: CandidateTable) -> BoolArray:
    """Return the rows with the batch limit that runs now, or any where that is not told."""
    now = batch_limits_now(fleet)[table.server]
    return np.asarray((now == 0) | (table.max_batch == now), dtype=np.bool_)


def current(fleet: Fleet, table: CandidateTable) -> tuple[IntArray, IntArray]:
    """Return accelerator and replicas of what runs now, by server."""
    names = {name: index for index, name in enumerate(table.accelerators)}
    now = np.full(len(fleet.servers), EMPTY, dtype=np.int64)
    replicas = np.zeros(len(fleet.servers), dtype=np.int64)
    for index, server in enumerate(fleet.servers):
        if runs(fleet, index) and server.current is not None:
            now[index] = names.get(server.current.accelerator or "", EMPTY - 1)
            replicas[index] = server.current.replicas
    return now, replicas
