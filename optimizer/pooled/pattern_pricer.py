"""Where the replicas of an option stand best at given prices, for all options at once.

At given prices of a replica in each pool, the cheapest pattern fills pools in the order of their
prices, as far as their rooms and the rules of zones and spot cards let it. Rules that cross (spot
cards in several zones), and totals that may grow, make that a heuristic; the bound beside it looks
at one rule at a time and holds for every plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.pooled.fewest import whole_share
from optimizer.pooled.patterns import Patterns
from optimizer.pooled.question import Question
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.limits import Survival

_MOST_ZONES = 6
"""Zones (or pools) over which larger totals are tried."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Priced:
    """Options at given prices; arrays of shape (options,).

    Attributes:
        cost: What the best pattern that was found costs; infinite where there is none.
        total: Its replicas.
        bound: What any pattern costs at least.
    """

    cost: FloatArray
    total: IntArray
    bound: FloatArray


@dataclass(frozen=True, slots=True)
class _Places:
    """Pools of some options, cheapest first; arrays of shape (options, places)."""

    price: FloatArray
    pair: IntArray
    room: FloatArray
    zone: IntArray
    spot: BoolArray
    on_node: FloatArray

    def take(self, rows: BoolArray) -> _Places:
        return _Places(
            self.price[rows],
            self.pair[rows],
            self.room[rows],
            self.zone[rows],
            self.spot[rows],
            self.on_node[rows],
        )


class PatternPricer:
    """Finds the best patterns of a question's options at given prices."""

    def __init__(self, question: Question) -> None:
        self._question = question
        options, pairs = question.options, question.pairs
        start = np.searchsorted(pairs.option, np.arange(options.count + 1))
        counts = np.diff(start)
        width = int(counts.max(initial=0))
        place = start[:-1, None] + np.arange(max(width, 1))[None, :]
        self._pair = np.where(np.arange(max(width, 1))[None, :] < counts[:, None], place, -1)
        wishes, server = question.wishes, options.wisher
        survive = question.limits.headroom.survive
        limited = options.ruled | options.changed
        self._spot_share = np.where(limited, wishes.spot_share[server], 1.0)
        self._zone_share = np.where(options.ruled, wishes.zone_share[server], 1.0)
        self._zones = np.where(options.ruled, wishes.zones[server], 1)
        self._by_zone = (options.remain > 0) & (survive is Survival.ZONE)
        self._by_node = (options.remain > 0) & (survive is Survival.NODE)
        self._ruled = (
            (self._spot_share < 1)
            | (self._zone_share < 1)
            | (self._zones > 1)
            | self._by_zone
            | self._by_node
            | options.grows
        )

    def priced(self, pair_price: FloatArray, start_weight: float) -> Priced:
        """Return the best patterns, and bounds on all.

        Args:
            pair_price: Price of a replica of each pair.
            start_weight: What the start of a replica counts for, in its value.
        """
        options = self._question.options
        cost = np.full(options.count, np.inf)
        bound = np.full(options.count, np.inf)
        total = options.least.copy()
        plain = ~self._ruled
        rows = np.flatnonzero(plain)
        places = self._places(rows, pair_price)
        found, fine = _filled(places, total[rows].astype(np.float64))
        own = np.where(fine, _worth(found, places), np.inf)
        own += start_weight * options.starts(options.least)[rows]
        cost[rows] = own
        bound[rows] = own
        rows = np.flatnonzero(self._ruled)
        if rows.size:
            places = self._places(rows, pair_price)
            cost[rows], total[rows] = self._ruled_best(rows, places, start_weight)
            bound[rows] = self._ruled_bound(rows, places)
            bound[rows] += start_weight * options.starts(options.least)[rows]
        return Priced(cost, total, bound)

    def patterns(self, rows: IntArray, total: IntArray, pair_price: FloatArray) -> Patterns:
        """Return the patterns of some options with so many replicas, each at its best."""
        places = self._places(rows, pair_price)
        counts, fine = self._within_rules(rows, places, total)
        if not np.all(fine):
            rows, counts, places = rows[fine], counts[fine], places.take(fine)
        pattern, place = np.nonzero(counts > 0)
        return Patterns(
            rows,
            pattern,
            places.pair[pattern, place],
            np.rint(counts[pattern, place]).astype(np.int64),
        )

    def _places(self, rows: IntArray, pair_price: FloatArray) -> _Places:
        pairs, pools = self._question.pairs, self._question.pools
        pair = self._pair[rows]
        if not pairs.option.size:
            empty = np.zeros(pair.shape)
            never = empty.astype(np.int64)
            return _Places(empty, never, empty, never, empty.astype(np.bool_), empty)
        known = pair >= 0
        price = np.where(known, pair_price[pair], np.inf)
        order = np.argsort(price, axis=1, kind="stable")
        pair = np.take_along_axis(pair, order, axis=1)
        known = pair >= 0
        pool = pairs.pool[pair]
        options = self._question.options.take(rows)
        return _Places(
            price=np.where(known, np.take_along_axis(price, order, axis=1), 0.0),
            pair=pair,
            room=np.where(known, pairs.room[pair], 0).astype(np.float64),
            zone=pools.zone[pool],
            spot=pools.spot[pool] & known,
            on_node=np.maximum(1, options.held_by(pools.node_cards[pool].T).T).astype(np.float64),
        )

    def _within_rules(
        self, rows: IntArray, places: _Places, total: IntArray
    ) -> tuple[FloatArray, BoolArray]:
        """Return so many replicas of options by place, all rules kept, and where that is so."""
        remain = self._question.options.remain[rows]
        left = total - remain
        zone_cap = whole_share(self._zone_share[rows], total)
        zone_cap = np.where(self._by_zone[rows], np.minimum(zone_cap, left), zone_cap)
        capped = self._by_node[rows][:, None] & (places.on_node > left[:, None])
        room = np.where(capped, np.minimum(places.room, left[:, None]), places.room)
        return _filled(
            places,
            total.astype(np.float64),
            room=room,
            zone_cap=zone_cap.astype(np.float64),
            spot_cap=whole_share(self._spot_share[rows], total).astype(np.float64),
            zones=self._zones[rows],
        )

    def _totals(self, rows: IntArray) -> list[IntArray]:
        """Return totals of replicas that are worth trying, within what options may have."""
        options = self._question.options
        least, most, remain = options.least[rows], options.most[rows], options.remain[rows]
        if not np.any(least < most):
            return [least]
        lossy = self._by_zone[rows] | self._by_node[rows]
        tried = [least]
        if np.any(lossy):
            tried += [
                np.where(lossy, np.maximum(least, remain + lost), least)
                for others in range(1, self._spread())
                for lost in (remain // others, -(-remain // others))
            ]
        if np.any(~lossy):
            tried += [np.where(lossy, least, least + more) for more in (1, 2, 3)]
        return list({bytes(t): t for t in (np.minimum(each, most) for each in tried)}.values())

    def _spread(self) -> int:
        zones = min(self._question.pools.zones, _MOST_ZONES)
        return min(self._pair.shape[1], _MOST_ZONES) if np.any(self._by_node) else zones

    def _ruled_best(
        self, rows: IntArray, places: _Places, start_weight: float
    ) -> tuple[FloatArray, IntArray]:
        options = self._question.options
        best = np.full(rows.size, np.inf)
        taken = options.least[rows]
        start_cost, running = options.start_cost[rows], options.running[rows]
        for total in self._totals(rows):
            counts, fine = self._within_rules(rows, places, total)
            own = np.where(fine, _worth(counts, places), np.inf)
            own += start_weight * start_cost * np.maximum(0, total - running)
            better = own < best
            best = np.where(better, own, best)
            taken = np.where(better, total, taken)
        return best, taken

    def _ruled_bound(self, rows: IntArray, places: _Places) -> FloatArray:
        """Return the most that one rule at a time makes the replicas cost at least."""
        options = self._question.options
        least, most = options.least[rows], options.most[rows]
        # Where a pool has a negative price, more replicas than the fewest may pay.
        refund = np.minimum(0.0, places.price.min(axis=1, initial=0.0))
        fixed = least == most
        total = least.astype(np.float64)

        def least_cost(amount: FloatArray, counts: FloatArray) -> FloatArray:
            cost: FloatArray = _worth(counts, places) + refund * (most - amount)
            return cost

        counts, fine = _filled(places, total)
        bound = np.where(fine, least_cost(total, counts), np.inf)
        endless = np.where(places.room > 0, np.inf, 0.0)
        for share, by_spot in ((self._zone_share[rows], False), (self._spot_share[rows], True)):
            if np.all(share >= 1):
                continue
            cap = np.where(fixed, whole_share(share, least), share * total)
            room = np.where(fixed[:, None], places.room, endless)
            counts, fine = _filled(
                places,
                total,
                room=room,
                zone_cap=None if by_spot else cap,
                spot_cap=cap if by_spot else None,
            )
            own = np.where(fine, least_cost(total, counts), np.inf)
            bound = np.where(share < 1, np.maximum(bound, own), bound)
        if np.any(self._zones[rows] > 1):
            counts, fine = _filled(places, total, room=endless, zones=self._zones[rows])
            bound = np.maximum(bound, np.where(fine, least_cost(total, counts), np.inf))
        lossy = self._by_zone[rows]
        if np.any(lossy):
            remain = options.remain[rows]
            lowest = np.full(rows.size, np.inf)
            losses = [np.maximum(least - remain, 1)]
            for others in range(1, max(self._question.pools.zones, 2)):
                for lost in (remain // others, -(-remain // others)):
                    losses.append(np.maximum(lost, losses[0]))
            for lost in losses:
                amount = (remain + lost).astype(np.float64)
                counts, fine = _filled(
                    places, amount, room=endless, zone_cap=lost.astype(np.float64)
                )
                own = np.where(fine, least_cost(amount, counts), np.inf)
                lowest = np.minimum(lowest, own)
            bound = np.where(lossy, np.maximum(bound, lowest), bound)
        return bound


def _worth(counts: FloatArray, places: _Places) -> FloatArray:
    worth: FloatArray = (counts * places.price).sum(axis=1)
    return worth


def _filled(
    places: _Places,
    total: FloatArray,
    *,
    room: FloatArray | None = None,
    zone_cap: FloatArray | None = None,
    spot_cap: FloatArray | None = None,
    zones: IntArray | None = None,
) -> tuple[FloatArray, BoolArray]:
    """Return replicas by place, the cheapest filled first, and where all have found one.

    Args:
        places: Pools of each option, cheapest first.
        total: Replicas of each option.
        room: Replicas that fit each place, where not those of the places.
        zone_cap: Replicas that one zone takes at most.
        spot_cap: Replicas that spot cards take at most.
        zones: Zones that are to be used at least.
    """
    size, width = places.price.shape
    room = places.room if room is None else room
    counts = np.zeros((size, width))
    left = total.copy()
    rows = np.arange(size)
    by_zone = np.zeros((size, int(places.zone.max(initial=0)) + 1))
    spot_left = None if spot_cap is None else spot_cap.copy()
    opened = np.zeros(size, dtype=np.int64)
    for place in range(width):
        zone = places.zone[:, place]
        take = np.minimum(room[:, place], left)
        if zone_cap is not None or zones is not None:
            inside = by_zone[rows, zone]
            if zone_cap is not None:
                take = np.minimum(take, zone_cap - inside)
            if zones is not None:
                fresh = (inside == 0) & (room[:, place] > 0)
                take = np.minimum(take, left - np.maximum(0, zones - opened - fresh))
        if spot_left is not None:
            take = np.where(places.spot[:, place], np.minimum(take, spot_left), take)
        take = np.maximum(take, 0.0)
        counts[:, place] = take
        left -= take
        if zone_cap is not None or zones is not None:
            opened += (by_zone[rows, zone] == 0) & (take > 0)
            by_zone[rows, zone] += take
        if spot_left is not None:
            spot_left -= np.where(places.spot[:, place], take, 0.0)
    fine = left <= _ROUNDING * np.maximum(total, 1.0)
    if zones is not None:
        fine &= opened >= zones
    return counts, np.asarray(fine, dtype=np.bool_)
