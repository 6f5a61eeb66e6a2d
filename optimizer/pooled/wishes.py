"""What servers ask of pools, as arrays over servers and pools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.pooled.pools import PoolArrays
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.pools import NO_WISHES


@dataclass(frozen=True, slots=True)
class WishArrays:
    """What servers ask of pools.

    Attributes:
        allowed: Whether a server may use a pool, (servers, pools).
        rank: How far down a pool stands among those that a server prefers, the rest last;
            0 throughout where it prefers none, (servers, pools).
        zones: Zones that a server's replicas stand in at least, (servers,).
        zone_share: Largest share of them in one zone, (servers,).
        spot_share: Largest share of them on spot cards, (servers,).
    """

    allowed: BoolArray
    rank: IntArray
    zones: IntArray
    zone_share: FloatArray
    spot_share: FloatArray


def wish_arrays(fleet: Fleet, pools: PoolArrays) -> WishArrays:
    """Return what the servers of a fleet ask of its pools."""
    servers = len(fleet.servers)
    index = pools.index()
    default = fleet.limits.max_server_spot_share
    found = WishArrays(
        allowed=np.ones((servers, pools.count), dtype=np.bool_),
        rank=np.zeros((servers, pools.count), dtype=np.int64),
        zones=np.ones(servers, dtype=np.int64),
        zone_share=np.ones(servers),
        spot_share=np.full(servers, 1.0 if default is None else default),
    )
    for position, server in enumerate(fleet.servers):
        wishes = fleet.wishes.get(server.name, NO_WISHES)
        if wishes is NO_WISHES:
            continue
        if wishes.pools:
            found.allowed[position] = False
            found.allowed[position, [index[name] for name in wishes.pools if name in index]] = True
        if wishes.prefer_pools:
            found.rank[position] = len(wishes.prefer_pools)
            for rank, name in enumerate(wishes.prefer_pools):
                if name in index:
                    found.rank[position, index[name]] = rank
        found.zones[position] = wishes.spread_zones
        if wishes.max_zone_share is not None:
            found.zone_share[position] = wishes.max_zone_share
        if wishes.max_spot_share is not None:
            found.spot_share[position] = wishes.max_spot_share
    return found
