"""Options hour after hour: how many spot replicas are counted on, and so how many firm ones run.

A start is paid at the price of running, in the hours before it. A replica that would be of no use
for as long as a start takes is therefore as well stopped and started again, and one that is needed
again sooner as well kept: with k hours of start-up the replicas held in an hour are the most that
run in it and the k hours after. None need ever run that the hour has no use for. A level is a
number of spot replicas that are counted on, as few of them as that takes, beside firm ones for the
rest of what is needed; more spot replicas than that are of no use. So the level of each hour says
all of it, and with one hour of start-up what is held follows from two hours that are
next to each other. With more, hours further on count by what they need at least, which makes the
least cost a lower bound.

From one hour to the next the firm replicas held are those of the hour that has more of them, and
the spot replicas those of the higher level. For each level of the later hour the levels of the
earlier one fall into three runs by which of the two that is, two of which begin or end with the
levels: the least of those is a running minimum. The third is as wide as the need changes, and its
least that of two spans of a power of two. A step so takes time in proportion to the levels, not to
pairs of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.question import IMPOSSIBLE, Question
from optimizer.horizon.spot import fewest_beside
from optimizer.table import FloatArray, IntArray

_WIDER = 3.0
"""Most that a batch of options may have more levels than its smallest."""

FirmCost = Callable[[int, FloatArray], FloatArray]
"""Cost of an hour for numbers of firm replicas held, (options, levels)."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Options with about as many levels.

    Attributes:
        options: Their indices.
        spot: Spot replicas of each level, (options, levels).
        need: Replicas needed, 0 where impossible, (hours, options).
        top: Highest level of use in each hour, -1 where the option cannot serve, (hours, options).
        floor: Firm replicas held for hours further on than the next, (hours, options).
    """

    options: IntArray
    spot: FloatArray
    need: IntArray
    top: IntArray
    floor: FloatArray

    @property
    def width(self) -> int:
        """Number of levels."""
        return int(self.spot.shape[1])

    def take(self, rows: IntArray) -> Levels:
        """Return some of the options, with as many levels as they have."""
        if len(rows) == len(self.options):
            return self
        wide = int(self.top[:, rows].max(initial=0)) + 1
        return Levels(
            self.options[rows],
            self.spot[rows, :wide],
            self.need[:, rows],
            self.top[:, rows],
            self.floor[:, rows],
        )

    def firm(self, hour: int) -> FloatArray:
        """Return the firm replicas of each level in an hour, (options, levels)."""
        runs: FloatArray = self.need[hour][:, None] - np.arange(self.width, dtype=np.float64)
        return np.maximum(runs, 0.0)

    def able(self, hour: int, values: FloatArray) -> FloatArray:
        """Return values of levels in an hour, infinite for those of no use."""
        kept: FloatArray = np.where(
            np.arange(self.width) <= self.top[hour][:, None], values, np.inf
        )
        return kept

    def running_cost(self, hour: int, firm_cost: FirmCost, spot_price: FloatArray) -> FloatArray:
        """Return what each level costs in an hour without what is held for the next."""
        paid: FloatArray = firm_cost(hour, self.firm(hour))
        return paid + spot_price[:, hour, None] * self.spot

    def held_cost(self, hour: int, firm_cost: FirmCost, firm: FloatArray) -> FloatArray:
        """Return what firm replicas held in an hour cost, with those for hours further on."""
        return firm_cost(hour, np.maximum(firm, self.floor[hour][:, None]))

    def onward(
        self,
        hour: int,
        value: FloatArray,
        firm_cost: FirmCost,
        spot_price: FloatArray,
        linked: bool,
    ) -> FloatArray:
        """Return the least cost up to each level of the next hour.

        Args:
            hour: The earlier hour.
            value: Least cost up to its levels, without its own, (options, levels).
            firm_cost: Cost of firm replicas held.
            spot_price: Price of a spot replica in each hour, (options, hours).
            linked: Whether replicas are held for the next hour already.
        """
        spot = spot_price[:, hour, None] * self.spot
        own = value + self.held_cost(hour, firm_cost, self.firm(hour))
        both = own + spot
        if not linked:
            least = np.repeat(both.min(axis=1)[:, None], self.width, axis=1)
            return self.able(hour + 1, least)
        later = self.held_cost(hour, firm_cost, self.firm(hour + 1))
        rise = self.need[hour + 1] - self.need[hour]
        count, wide = value.shape
        up, down = np.clip(rise, 0, wide), np.clip(-rise, 0, wide)
        # Each row stands in the middle of one three times as wide, infinite on both sides.
        place = (3 * np.arange(count) + 1)[:, None] * wide + np.arange(wide)
        # Firm replicas of the earlier hour, spot ones of the later: the levels up to one.
        first = _amid(np.minimum.accumulate(own, axis=1))
        least = first.take(place - up[:, None]) + spot
        # Firm replicas of the later hour, spot ones of the earlier: the levels from one.
        last = _amid(np.minimum.accumulate((value + spot)[:, ::-1], axis=1)[:, ::-1])
        np.minimum(least, last.take(place + np.minimum(down + 1, wide)[:, None]) + later, out=least)
        # Both of the later hour where the need rises, both of the earlier where it falls: as many
        # levels up to one, or after it, as the needs differ by.
        rising = (rise > 0)[:, None]
        between = _least_of(
            _amid(np.where(rising, value, both)),
            place + np.where(rise > 0, 1 - up, 1)[:, None],
            up + down,
        )
        np.minimum(least, between + np.where(rising, later + spot, 0.0), out=least)
        return self.able(hour + 1, least)

    def held(
        self, hour: int, row: IntArray, later: IntArray, linked: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Return firm and spot replicas held in an hour, for each level before one of the next.

        Args:
            hour: The earlier hour.
            row: Rows of this batch.
            later: The level of each in the next hour.
            linked: Whether replicas are held for the next hour already.
        """
        firm, spot = self.firm(hour)[row], self.spot[row]
        if linked:
            after = np.maximum(self.need[hour + 1, row] - later, 0)[:, None]
            firm = np.maximum(np.maximum(firm, after), self.floor[hour, row][:, None])
            spot = np.maximum(spot, self.spot[row, later][:, None])
        return firm, spot

    def cheapest(
        self, firm_cost: FirmCost, spot_price: FloatArray, linked: bool
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Return the least cost of each option, and the least cost up to each hour's levels.

        Args:
            firm_cost: Cost of firm replicas held; it does not fall as they rise.
            spot_price: Price of a spot replica in each hour, (options, hours).
            linked: Whether replicas are held for the next hour already.

        Returns:
            Cost (infinite where impossible), (options,), and by hour (options, levels).
        """
        hours = len(self.need)
        value = self.able(0, np.zeros(self.spot.shape))
        values = [value]
        for hour in range(hours - 1):
            value = self.onward(hour, value, firm_cost, spot_price, linked)
            values.append(value)
        total = value + self.running_cost(hours - 1, firm_cost, spot_price)
        return total.min(axis=1), values

    def levels(
        self,
        values: Sequence[FloatArray],
        firm_cost: FirmCost,
        spot_price: FloatArray,
        linked: bool,
    ) -> IntArray:
        """Return the levels of a cheapest way of each option, (hours, options)."""
        hours = len(self.need)
        row = np.arange(len(self.options))
        found = np.zeros((hours, len(row)), dtype=np.int64)
        total = values[-1] + self.running_cost(hours - 1, firm_cost, spot_price)
        found[-1] = total.argmin(axis=1)
        for hour in range(hours - 2, -1, -1):
            firm, spot = self.held(hour, row, found[hour + 1], linked)
            cost = firm_cost(hour, firm) + spot_price[:, hour, None] * spot
            found[hour] = (values[hour] + cost).argmin(axis=1)
        return found

    def path(self, row: int, levels: IntArray) -> tuple[IntArray, IntArray]:
        """Return firm and spot replicas of an option at given levels, each (hours,)."""
        firm = np.maximum(self.need[:, row] - levels, 0)
        return firm, self.spot[row, levels].astype(np.int64)


def build_levels(question: Question) -> list[Levels]:
    """Return all options of a question, in batches."""
    spots = [levels_of(question, at) for at in range(len(question.options))]
    tops = [_tops(question, at, own) for at, own in enumerate(spots)]
    wide = [int(top.max(initial=0)) + 1 for top in tops]
    order = sorted(range(len(spots)), key=lambda at: wide[at])
    groups: list[list[int]] = []
    for at in order:
        if groups and wide[at] <= _WIDER * wide[groups[-1][0]] + 2:
            groups[-1].append(at)
        else:
            groups.append([at])
    return [_batch(question, group, spots, tops) for group in groups]


def levels_of(question: Question, at: int) -> IntArray:
    """Return the fewest spot replicas of which 0, 1, 2, ... can be counted on."""
    option = question.options[at]
    counted = question.counted(option, question.most_spot(option))
    return np.unique(counted, return_index=True)[1].astype(np.int64)


def _tops(question: Question, at: int, spots: IntArray) -> IntArray:
    """Return the highest level of use in each hour, -1 where the option cannot serve."""
    option = question.options[at]
    share = question.offers[option.offer].spot_share
    beside = fewest_beside(spots, share)
    level = np.arange(len(spots))
    need = np.array(option.need, dtype=np.int64)
    # Both rise with the level, so that the levels that fit are the first ones. One whose spot
    # replicas must stand beside more firm ones than are needed runs no fewer of either than the one
    # below it.
    by_share = np.searchsorted(level + beside, need, side="right") - 1
    by_most = np.searchsorted(spots - level, option.most - need, side="right") - 1
    return np.where(need == IMPOSSIBLE, -1, np.minimum(by_share, by_most))


def _batch(
    question: Question,
    options: Sequence[int],
    spots: Sequence[IntArray],
    tops: Sequence[IntArray],
) -> Levels:
    hours = question.hours
    wide = max(int(tops[at].max(initial=0)) for at in options) + 1
    spot = np.zeros((len(options), wide))
    for row, at in enumerate(options):
        own = spots[at][:wide]
        spot[row, : len(own)] = own
        spot[row, len(own) :] = own[-1]
    need = np.maximum(np.array([question.options[at].need for at in options]).T, 0)
    top = np.array([tops[at] for at in options]).T
    least = np.maximum(need - np.maximum(top, 0), 0).astype(np.float64)
    floor = np.zeros_like(least)
    for ahead in range(2, min(question.start_hours, hours) + 1):
        floor[: hours - ahead] = np.maximum(floor[: hours - ahead], least[ahead:])
    return Levels(np.array(options, dtype=np.int64), spot, need, top, floor)


def _amid(values: FloatArray) -> FloatArray:
    """Return rows with as many infinite values before and after them as they have."""
    count, wide = values.shape
    amid = np.full((count, 3 * wide), np.inf)
    amid[:, wide : 2 * wide] = values
    return amid


def _least_of(values: FloatArray, start: IntArray, span: IntArray) -> FloatArray:
    """Return the least of spans of values; infinite for spans of nothing.

    Args:
        values: Rows of values.
        start: Where spans begin in the flat array, (rows, spans).
        span: How many values they have, by row.
    """
    exponent = np.frexp(np.maximum(span, 1))[1] - 1
    tables = np.empty((int(exponent.max()) + 1, *values.shape))
    tables[0] = values
    for power in range(1, len(tables)):
        size = 1 << (power - 1)
        tables[power] = tables[power - 1]
        np.minimum(
            tables[power - 1, :, :-size],
            tables[power - 1, :, size:],
            out=tables[power, :, :-size],
        )
    # Two spans of a power of two, from the start and up to the end.
    begin = start + (exponent * values.size)[:, None]
    end = begin + (span - (1 << exponent))[:, None]
    least: FloatArray = np.minimum(tables.take(begin), tables.take(np.maximum(end, 0)))
    least[span == 0] = np.inf
    return least
