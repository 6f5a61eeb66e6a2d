"""The rows of a candidate table to be: servers, accelerators, profiles, batch limits, serving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.fleet_columns import UNKNOWN, FleetArrays
from optimizer.table import EMPTY, BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows by server, accelerator, profile, serving and batch limit; arrays of shape (rows,).

    Attributes:
        row_start: Rows of server s are ``row_start[s]:row_start[s + 1]``, shape (servers + 1,).
        server: Index of the server.
        accelerator: Index of the accelerator, or `EMPTY`.
        profile: Index of the profile, or `UNKNOWN`.
        own_batch: The server's own batch limit, or `UNKNOWN` where it has none.
        disaggregated: Whether prefill and decode are apart.
    """

    row_start: IntArray
    server: IntArray
    accelerator: IntArray
    profile: IntArray
    own_batch: IntArray
    disaggregated: BoolArray


def lay_out(arrays: FleetArrays) -> Layout:
    """Return the rows of a fleet.

    A server that needs nothing has one row, with the accelerator `EMPTY`. Any other has, for each
    accelerator, a row for every profile of its model there, in every way of serving that both
    allow, with every batch limit of its own; where there is none such, one row without a profile.
    A server without load has one batch limit, for it would fill none.
    """
    servers, options = arrays.servers, arrays.profiles.options
    width = len(arrays.accelerators.names)
    needs_nothing = servers.zero_load & (servers.min_replicas == 0)
    first = options.start[servers.model * width]
    count = np.where(needs_nothing, 1, options.start[(servers.model + 1) * width] - first)
    server, position = _repeated(count)
    empty = needs_nothing[server]
    option = np.where(empty, 0, first[server] + position)
    accelerator, profile, apart = (
        np.full(len(server), EMPTY),
        np.full(len(server), UNKNOWN),
        np.zeros(len(server), dtype=np.bool_),
    )
    accelerator[~empty] = options.accelerator[option[~empty]]
    profile[~empty] = options.profile[option[~empty]]
    apart[~empty] = options.disaggregated[option[~empty]]
    allowed = np.where(apart, servers.disaggregated[server], servers.aggregated[server])
    if not np.all(allowed | empty):
        kept, profile = _allowed_rows(
            server * max(width, 1) + accelerator, allowed | empty, profile
        )
        server, accelerator, profile = server[kept], accelerator[kept], profile[kept]
        apart = apart[kept] & allowed[kept]
    limits = np.diff(servers.limit_start)
    several = (profile != UNKNOWN) & ~servers.zero_load[server]
    times = np.where(several, limits[server], 1)
    row, which = _repeated(times)
    server = server[row]
    return Layout(
        row_start=np.searchsorted(server, np.arange(len(servers.names) + 1)).astype(np.int64),
        server=server,
        accelerator=accelerator[row],
        profile=profile[row],
        own_batch=servers.batch_limits[servers.limit_start[server] + which],
        disaggregated=apart[row],
    )


def _repeated(times: IntArray) -> tuple[IntArray, IntArray]:
    """Return each index as often as told, and which of its repetitions each is."""
    index = np.repeat(np.arange(len(times), dtype=np.int64), times)
    first = np.cumsum(times) - times
    return index, np.arange(len(index), dtype=np.int64) - first[index]


def _allowed_rows(
    pair: IntArray, allowed: BoolArray, profile: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the rows to keep, and profiles: pairs that allow nothing keep one row without."""
    lost = ~np.isin(pair, pair[allowed])
    first = np.zeros(len(pair), dtype=np.bool_)
    first[np.unique(pair, return_index=True)[1]] = True
    return np.flatnonzero(allowed | (lost & first)), np.where(allowed, profile, UNKNOWN)
