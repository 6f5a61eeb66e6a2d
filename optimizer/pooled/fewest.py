"""The fewest replicas with which the rules of zones and survival can be kept at all."""

from __future__ import annotations

import numpy as np

from optimizer.pooled.options import Options, Pairs
from optimizer.pooled.pools import PoolArrays
from optimizer.pooled.wishes import WishArrays
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.limits import Survival

_MOST_TRIED = 200
"""Numbers of replicas tried before the question is left to the model."""
_ROUNDING = 1e-9


def whole_share(share: FloatArray, total: IntArray) -> IntArray:
    """Return how many of a number are within a share, free of rounding noise."""
    whole: IntArray = np.floor(share * total + _ROUNDING).astype(np.int64)
    return whole


def fewest_replicas(
    options: Options,
    pairs: Pairs,
    pools: PoolArrays,
    wishes: WishArrays,
    survive: Survival | None,
) -> tuple[IntArray, BoolArray]:
    """Return the fewest replicas of each option that could be spread as asked, were it alone.

    What is tried are conditions that any spread meets, so that no option that has one is lost, and
    the number is a bound from below.

    Returns:
        The number, at least `options.least`, and whether there is one within `options.most`.
    """
    count = options.least.copy()
    room = np.bincount(pairs.option, weights=pairs.room, minlength=options.count)
    most = np.minimum(options.most, room.astype(np.int64))
    possible = count <= most
    pending = np.flatnonzero(possible & options.ruled & (options.cards_per_replica > 0))
    if not pending.size or not _any_rule(options, wishes, survive, pending):
        return count, possible
    rooms = _Rooms(options, pairs, pools)
    for _ in range(_MOST_TRIED):
        fine = rooms.enough(pending, count[pending], wishes, survive)
        pending = pending[~fine]
        over = count[pending] >= most[pending]
        possible[pending[over]] = False
        pending = pending[~over]
        if not pending.size:
            break
        count[pending] += 1
    # What is still open is the model's to decide, from where it began.
    count[pending] = options.least[pending]
    return count, possible


def _any_rule(
    options: Options, wishes: WishArrays, survive: Survival | None, rows: IntArray
) -> bool:
    server = options.wisher[rows]
    return bool(
        survive is not None
        or np.any(wishes.zones[server] > 1)
        or np.any(wishes.zone_share[server] < 1)
        or np.any(wishes.spot_share[server] < 1)
    )


class _Rooms:
    """Room of each option in each pool, dense: (options, pools)."""

    def __init__(self, options: Options, pairs: Pairs, pools: PoolArrays) -> None:
        self._options = options
        self._pools = pools
        self._room = np.zeros((options.count, pools.count), dtype=np.int64)
        self._room[pairs.option, pairs.pool] = pairs.room
        self._in_zone = np.zeros((pools.count, pools.zones), dtype=np.int64)
        self._in_zone[np.arange(pools.count), pools.zone] = 1

    def enough(
        self, rows: IntArray, count: IntArray, wishes: WishArrays, survive: Survival | None
    ) -> BoolArray:
        """Return whether that many replicas may be spread as asked, for all that is known."""
        options, pools = self._options, self._pools
        server = options.wisher[rows]
        spare = (count - options.remain[rows])[:, None]
        room = np.minimum(self._room[rows], count[:, None])
        if survive is Survival.NODE:
            held = options.take(rows).held_by(pools.node_cards[:, None])
            on_node = np.maximum(1, held.T)
            room = np.where(on_node <= spare, room, np.minimum(room, np.maximum(spare, 0)))
        of_zone = whole_share(wishes.zone_share[server], count)
        if survive is Survival.ZONE:
            of_zone = np.minimum(of_zone, np.maximum(spare[:, 0], 0))
        by_zone = np.minimum(room @ self._in_zone, of_zone[:, None])
        lasting = np.where(pools.spot[None, :], 0, room)
        lasting_by_zone = np.minimum(lasting @ self._in_zone, of_zone[:, None])
        spot = whole_share(wishes.spot_share[server], count)
        fine = by_zone.sum(axis=1) >= count
        fine &= (by_zone > 0).sum(axis=1) >= wishes.zones[server]
        fine &= lasting_by_zone.sum(axis=1) >= count - spot
        return np.asarray(fine & (spare[:, 0] >= 0), dtype=np.bool_)
