"""Servers that may move: the cheapest way through hours, options and their states.

Moving, a server pays what its old replicas cost in the hour before, the start of the new ones in
that hour, and the price of the move. Old replicas hold nothing for hours in which they do not run.
The way forward keeps the least cost up to every level; the way back finds what led to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.horizon.levels import FirmCost, Levels
from optimizer.table import BoolArray, FloatArray, IntArray

CostOf = Callable[[IntArray], FirmCost]
"""Cost of firm replicas of some options, by their indices."""


@dataclass(frozen=True, slots=True)
class Moves:
    """The cheapest way of each server.

    Attributes:
        value: Least cost by server, in the order of `servers`.
        servers: Indices of the servers.
        option: Option that serves, (servers, hours).
        firm: Firm replicas running, (servers, hours).
        spot: Spot replicas running, (servers, hours).
    """

    value: FloatArray
    servers: IntArray
    option: IntArray
    firm: IntArray
    spot: IntArray


def cheapest_moves(
    parts: Sequence[Levels],
    server: IntArray,
    firm_cost: CostOf,
    spot_price: FloatArray,
    move: float,
    linked: bool,
) -> Moves:
    """Return the cheapest way of each server at prices of replicas.

    Args:
        parts: Options, some or all; those of a server can together serve every hour.
        server: Server of each option of the question.
        firm_cost: Cost of firm replicas held.
        spot_price: Price of a spot replica in each hour, (options, hours).
        move: Cost of a move.
        linked: Whether replicas are held for the next hour already.
    """
    free = [replace(part, floor=np.zeros_like(part.floor)) for part in parts]
    ways = _Ways(free, server, firm_cost, spot_price, move, linked)
    ways.forward()
    return ways.found()


class _Ways:
    """Least costs up to each hour's levels, and what led there."""

    def __init__(
        self,
        parts: Sequence[Levels],
        server: IntArray,
        firm_cost: CostOf,
        spot_price: FloatArray,
        move: float,
        linked: bool,
    ) -> None:
        self.parts, self.move, self.linked = parts, move, linked
        self.hours = spot_price.shape[1]
        self.cost_of = firm_cost
        self.options = np.concatenate([part.options for part in parts])
        self.servers, self.of = np.unique(server[self.options], return_inverse=True)
        ends = np.cumsum([len(part.options) for part in parts])
        self.slices = [
            slice(end - len(part.options), end) for end, part in zip(ends, parts, strict=True)
        ]
        self.firm_cost = [firm_cost(part.options) for part in parts]
        self.spot_price = [spot_price[part.options] for part in parts]
        self.values: list[list[FloatArray]] = []
        self.entered: list[list[BoolArray]] = []
        self.left: list[IntArray] = []
        self.left_level: list[IntArray] = []
        self.least = np.zeros(len(self.servers))
        self._order = np.argsort(self.of, kind="stable")
        self._first = np.searchsorted(self.of[self._order], np.arange(len(self.servers)))

    def forward(self) -> None:
        """Go through the hours."""
        values = [part.able(0, np.zeros(part.spot.shape)) for part in self.parts]
        self.values.append(values)
        for hour in range(self.hours - 1):
            least = self._leave(hour, values)
            begun = least[self.of] + self.move
            values, entered = [], []
            for at, part in enumerate(self.parts):
                cost, spot = self.firm_cost[at], self.spot_price[at]
                stay = part.onward(hour, self.values[hour][at], cost, spot, self.linked)
                enter = np.repeat(begun[self.slices[at]][:, None], part.width, axis=1)
                if self.linked:
                    enter += cost(hour, part.firm(hour + 1))
                    enter += spot[:, hour, None] * part.spot
                enter = part.able(hour + 1, enter)
                entered.append(enter < stay)
                values.append(np.minimum(stay, enter))
            self.values.append(values)
            self.entered.append(entered)
        self.least = self._leave(self.hours - 1, values)

    def _leave(self, hour: int, values: Sequence[FloatArray]) -> FloatArray:
        """Return the least cost of each server up to the end of an hour, and keep what has it."""
        cost = np.zeros(len(self.options))
        level = np.zeros(len(self.options), dtype=np.int64)
        for at, part in enumerate(self.parts):
            total = values[at] + part.running_cost(hour, self.firm_cost[at], self.spot_price[at])
            level[self.slices[at]] = total.argmin(axis=1)
            cost[self.slices[at]] = total.min(axis=1)
        # Rows in order of servers and costs: the first of each server is its least.
        order = np.lexsort((cost, self.of))
        chosen = order[self._first]
        self.left.append(chosen)
        self.left_level.append(level[chosen])
        least: FloatArray = cost[chosen]
        return least

    def found(self) -> Moves:
        """Go back through the hours."""
        shape = (len(self.servers), self.hours)
        option, firm, spot = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        at, level = self.left[-1].copy(), self.left_level[-1].copy()
        for hour in range(self.hours - 1, -1, -1):
            option[:, hour] = self.options[at]
            moved = np.zeros(len(at), dtype=np.bool_)
            before = level.copy()
            for index, part in enumerate(self.parts):
                start = self.slices[index].start
                here = np.flatnonzero((at >= start) & (at < self.slices[index].stop))
                if not len(here):
                    continue
                row, own = at[here] - start, level[here]
                firm[here, hour] = np.maximum(part.need[hour, row] - own, 0)
                spot[here, hour] = part.spot[row, own]
                if not hour:
                    continue
                moved[here] = self.entered[hour - 1][index][row, own]
                held, beside = part.held(hour - 1, row, own, self.linked)
                cost = self.values[hour - 1][index][row]
                cost = cost + self.cost_of(part.options[row])(hour - 1, held)
                cost += self.spot_price[index][row, hour - 1, None] * beside
                before[here] = cost.argmin(axis=1)
            if hour:
                at = np.where(moved, self.left[hour - 1], at)
                level = np.where(moved, self.left_level[hour - 1], before)
        return Moves(self.least, self.servers, option, firm, spot)
