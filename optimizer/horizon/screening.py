"""What options cost at least at given prices, from a few numbers for each option and hour.

What is held in an hour is the most of two hours, and so no less than any mean of the two: with
weights that follow the need of an option, the hours of a way come apart. In each the spot replicas
that are counted on cost no less than their number times the fewest that any one takes, so that the
least is at none of them or at as many as are of use. So most options are shown to be no part of a
server's cheapest way without looking at their levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.levels import Levels
from optimizer.horizon.question import Question
from optimizer.table import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Screen:
    """Options by a few numbers; arrays (options, hours).

    Attributes:
        need: Replicas needed.
        top: Most spot replicas that may be counted on.
        each: Fewest spot replicas for each that is counted on.
        able: Whether the option can serve.
        own: Weight of an hour in what is held for it and the next.
        first: Place of each server's first option.
        place: Place of the server of each option.
    """

    need: FloatArray
    top: FloatArray
    each: FloatArray
    able: BoolArray
    own: FloatArray
    first: IntArray
    place: IntArray

    def staying(self, firm: FloatArray, spot: FloatArray) -> FloatArray:
        """Return the least that each option costs over all hours, (options,).

        Args:
            firm: Price of a firm replica, (options, hours).
            spot: Price of a spot replica, (options, hours).
        """
        cost = self._least(self._kept(firm) + self._held(firm), self._kept(spot) + self._held(spot))
        total: FloatArray = cost.sum(axis=1)
        return total

    def outlined(
        self, firm: FloatArray, spot: FloatArray, *, apart: bool
    ) -> tuple[float, FloatArray, FloatArray]:
        """Return a lower bound of what all servers cost together, and what they hold at it.

        Args:
            firm: Price of a firm replica, (options, hours).
            spot: Price of a spot replica, (options, hours).
            apart: Whether a server may take another option in every hour, for nothing.

        Returns:
            The bound, and firm and spot replicas held, (options, hours) each.
        """
        own, beside = self._kept(firm) + self._held(firm), self._kept(spot) + self._held(spot)
        counted = beside * self.each < own
        cost = self._least(own, beside)
        if not apart:
            cost = cost.sum(axis=1)[:, None]
        used = _first_least(cost, self.first, self.place)
        least = float(np.where(used, cost, 0.0).sum())
        sure = np.where(counted & used, self.top, 0.0)
        runs = np.where(used, self.need - sure, 0.0)
        return least, self._both(runs), self._both(sure * self.each)

    def _both(self, running: FloatArray) -> FloatArray:
        """Return what is held where so much runs, by the weights of the hours."""
        later = np.zeros_like(running)
        later[:, :-1] = running[:, 1:]
        held: FloatArray = self.own * running + (1.0 - self.own) * later
        return held

    def moving(self, firm: FloatArray, spot: FloatArray, move: float) -> FloatArray:
        """Return the least that a way of its server costs that uses an option, (options,).

        Args:
            firm: Price of a firm replica, (options, hours).
            spot: Price of a spot replica, (options, hours).
            move: Cost of a move.
        """
        linked = (self.own < 1.0).any()
        stay = self._kept(firm), self._kept(spot)
        held = self._held(firm), self._held(spot)
        started = (
            _before(firm) if linked else np.zeros_like(firm),
            (_before(spot) if linked else np.zeros_like(spot)),
        )
        # Arriving by staying or by a move, and leaving likewise.
        cost = [
            [self._least(into[0] + out[0], into[1] + out[1]) for out in (stay, (firm, spot))]
            for into in (held, started)
        ]
        hours = firm.shape[1]
        come = [np.zeros(len(firm)), np.zeros(len(firm))]
        reached = []
        for hour in range(hours):
            reached.append(come)
            leave = np.minimum(come[0] + cost[0][1][:, hour], come[1] + cost[1][1][:, hour])
            least = np.minimum.reduceat(leave, self.first) + move
            keep = np.minimum(come[0] + cost[0][0][:, hour], come[1] + cost[1][0][:, hour])
            come = [keep, least[self.place]]
        through = np.full(len(firm), np.inf)
        left: FloatArray | None = None
        begun: FloatArray | None = None
        for hour in range(hours - 1, -1, -1):
            ways = []
            for into in (0, 1):
                out = cost[into][1][:, hour]
                if left is not None and begun is not None:
                    out = np.minimum(out + begun[self.place], cost[into][0][:, hour] + left)
                ways.append(out)
            through = np.minimum(
                through, np.minimum(reached[hour][0] + ways[0], reached[hour][1] + ways[1])
            )
            left = ways[0]
            begun = np.minimum.reduceat(ways[1], self.first) + move
        return through

    def _kept(self, price: FloatArray) -> FloatArray:
        """Return the price of what is held in an hour as far as it is this hour's own."""
        return self.own * price

    def _held(self, price: FloatArray) -> FloatArray:
        """Return the price of what is held in the hour before as far as it is for this one."""
        return _before((1.0 - self.own) * price)

    def _least(self, firm: FloatArray, spot: FloatArray) -> FloatArray:
        saved = np.minimum(spot * self.each - firm, 0.0) * self.top
        cost: FloatArray = np.where(self.able, firm * self.need + saved, np.inf)
        return cost


def build_screen(question: Question, parts: Sequence[Levels]) -> Screen:
    """Return the options of a question; its options are sorted by server."""
    shape = (len(question.options), question.hours)
    need, top, each = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    able = np.zeros(shape, dtype=np.bool_)
    for part in parts:
        ratio = np.full(part.spot.shape, np.inf)
        ratio[:, 1:] = part.spot[:, 1:] / np.arange(1, part.width)
        ratio = np.minimum.accumulate(ratio, axis=1)
        high = np.maximum(part.top, 0)
        own = part.options
        need[own], top[own], able[own] = part.need.T, high.T, (part.top >= 0).T
        least = np.take_along_axis(ratio, high.T, axis=1)
        each[own] = np.where(np.isfinite(least), least, 0.0)
    weight = np.ones(shape)
    if question.start_hours > 0:
        weight[:, :-1] = 0.5 + 0.5 * np.sign(need[:, :-1] - need[:, 1:])
    server = np.array([option.server for option in question.options], dtype=np.int64)
    _, first, place = np.unique(server, return_index=True, return_inverse=True)
    return Screen(need, top, each, able, weight, first.astype(np.int64), place.astype(np.int64))


def _before(price: FloatArray) -> FloatArray:
    moved = np.zeros_like(price)
    moved[:, 1:] = price[:, :-1]
    return moved


def _first_least(cost: FloatArray, first: IntArray, place: IntArray) -> BoolArray:
    """Return the first of the least of each server's options, by column."""
    least = cost <= np.minimum.reduceat(cost, first, axis=0)[place]
    count = np.cumsum(least, axis=0)
    earlier: IntArray = count[first] - least[first]
    found: BoolArray = least & (count - earlier[place] == 1)
    return found
