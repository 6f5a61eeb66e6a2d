"""The cheapest schedule of each server where cards have a price in each hour.

What comes out is a lower bound of the cost of each option: minimum up-times are not heeded here,
nor all of starts that take longer than an hour (`levels`, `moving`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.levels import FirmCost, Levels, build_levels
from optimizer.horizon.moving import Moves, cheapest_moves
from optimizer.horizon.outlay import Schedule, kept_up, started_early
from optimizer.horizon.question import Question
from optimizer.horizon.screening import build_screen
from optimizer.horizon.spot import fewest_beside
from optimizer.table import BoolArray, FloatArray, IntArray

_FIRST_LOOK = 1.003
"""Options whose least cost is not above that of their server's least by more than this are looked
at before others are ruled out by what those cost."""

_LAST_RESORT = 100.0
"""Price of a card beyond the limit over its price on demand, where a way is looked for."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Price of a card in each hour, (types, hours)."""

    firm: FloatArray
    spot: FloatArray


@dataclass(frozen=True, slots=True)
class Room:
    """What the other servers leave, (types, hours).

    Attributes:
        idle: Committed cards that they do not use.
        left: Cards of any kind that they leave; infinite where there is no limit.
    """

    idle: FloatArray
    left: FloatArray


@dataclass(frozen=True, slots=True)
class Path:
    """A cheapest way through the hours: option, firm and spot replicas; arrays (hours,)."""

    option: IntArray
    firm: IntArray
    spot: IntArray


class Pricer:
    """Prices schedules of all options of a question."""

    def __init__(self, question: Question) -> None:
        self.question = question
        options = question.options
        self.server = np.array([option.server for option in options], dtype=np.int64)
        self._offer = np.array([option.offer for option in options], dtype=np.int64)
        self._cards = np.array([float(option.cards) for option in options])
        self._surcharge = np.array([question.surcharge(option) for option in options])
        spot_price = np.array([question.spot_price(option) for option in options])
        self._spot_price = np.where(np.isfinite(spot_price), spot_price, 0.0)
        self._price = np.array([offer.price for offer in question.offers])
        self._levels = build_levels(question)
        self._screen = build_screen(question, self._levels)

    def price(self, prices: Prices) -> tuple[FloatArray, dict[int, Path]]:
        """Return the least cost of each option on its own, and cheapest ways.

        An option that is dearer than another one of its server even where starts are free has that
        lower bound in place of its cost, and no way: it is not the cheapest.

        Returns:
            Cost, (options,), infinite where impossible; ways by option, among them the cheapest of
            each server.
        """
        firm, spot = self._running_prices(prices)
        values = self._screen.staying(firm, spot)
        ways: dict[int, Path] = {}
        done = np.zeros(len(values), dtype=np.bool_)
        near = self._least(values) * _FIRST_LOOK
        while True:
            pending = ~done & np.isfinite(values) & (values <= near[self.server])
            if not pending.any():
                return values, ways
            for at, (value, path) in self._priced(prices, pending).items():
                values[at] = value
                ways[at] = path
            done |= pending
            near = self._least(values)

    def outlined(self, prices: Prices) -> tuple[float, FloatArray, FloatArray]:
        """Return a lower bound of what all servers cost at prices, from a few numbers of each.

        Returns:
            The bound, and firm and spot cards held at it, (types, hours) each.
        """
        firm, spot = self._running_prices(prices)
        apart = self.question.switch_cost is not None
        least, runs, spots = self._screen.outlined(firm, spot, apart=apart)
        return least, self._cards_of(runs), self._cards_of(spots)

    def _cards_of(self, replicas: FloatArray) -> FloatArray:
        cards = np.zeros((len(self.question.offers), self.question.hours))
        np.add.at(cards, self._offer, self._cards[:, None] * replicas)
        return cards

    def least(self, prices: Prices) -> FloatArray:
        """Return the least that each option may cost; where servers move, that ways by it may."""
        firm, spot = self._running_prices(prices)
        if self.question.switch_cost is None:
            return self._screen.staying(firm, spot)
        return self._screen.moving(firm, spot, self.question.switch_cost)

    def paths(self, prices: Prices, chosen: Sequence[int]) -> list[Path]:
        """Return a cheapest way of each of some options, in their order."""
        wanted = np.zeros(len(self.server), dtype=np.bool_)
        wanted[list(chosen)] = True
        found = self._priced(prices, wanted)
        return [found[at][1] for at in chosen]

    def hourly(self, prices: Prices) -> tuple[FloatArray, IntArray, IntArray]:
        """Return the least cost of each option in each hour alone, without starts.

        Returns:
            Cost (infinite where it cannot serve), firm and spot replicas, each (options, hours).
        """
        firm, spot = self._running_prices(prices)
        shape = (len(self.server), self.question.hours)
        cost = np.full(shape, np.inf)
        runs, spots = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for part in self._levels:
            own = part.options
            for hour in range(self.question.hours):
                each = firm[own, hour, None] * part.firm(hour) + spot[own, hour, None] * part.spot
                each = part.able(hour, each)
                level = each.argmin(axis=1)
                rows = np.arange(len(own))
                cost[own, hour] = each[rows, level]
                runs[own, hour] = np.maximum(part.need[hour] - level, 0)
                spots[own, hour] = part.spot[rows, level]
        return cost, runs, spots

    def switching(
        self, prices: Prices, known: FloatArray | None = None
    ) -> tuple[FloatArray, list[Path]]:
        """Return the least cost of each server that may move, and a way that has it.

        Args:
            prices: Prices of cards.
            known: What some way of each server costs at these prices, by server.

        Returns:
            Cost by server (0 for one without options), and the way of each server with options.
        """
        through = self.least(prices)
        most = np.full(len(self.question.servers), np.inf) if known is None else known
        if not np.isfinite(most[self.server]).all():
            few = self._moves(through <= _FIRST_LOOK * self._least(through)[self.server], prices)
            most = np.fmin(most, few[0])
        values, moves = self._moves(through <= most[self.server] * (1.0 + 1e-9) + 1e-9, prices)
        ways = zip(moves.option, moves.firm, moves.spot, strict=True)
        return values, [Path(*way) for way in ways]

    def _moves(self, wanted: BoolArray, prices: Prices) -> tuple[FloatArray, Moves]:
        """Return the least cost by server of moving among some options, and the ways."""
        firm, spot = self._running_prices(prices)
        move = self.question.switch_cost or 0.0

        def paid(own: IntArray) -> FirmCost:
            return _by_price(firm[own])

        parts = self._parts(wanted)
        moves = cheapest_moves(parts, self.server, paid, spot, move, self._linked)
        values = np.zeros(len(self.question.servers))
        values[moves.servers] = moves.value
        return values, moves

    def respond(self, options: Sequence[int], room: Room) -> Path | None:
        """Return the cheapest way of a server by some options beside what the others take.

        Committed cards that nobody uses cost nothing, further ones their price on demand, and those
        beyond the limit so much that they are a last resort. None where no option can.
        """
        wanted = np.zeros(len(self.server), dtype=np.bool_)
        wanted[list(options)] = True
        parts = self._parts(wanted)
        short = room.left[self._offer] < self._cards[:, None]
        dear = _LAST_RESORT * (self._price[self._offer] * self._cards)[:, None]
        spot = self._spot_price[:, None] + dear * short
        if self.question.switch_cost is not None:
            if not self._serves(options):
                return None
            moves = cheapest_moves(
                parts,
                self.server,
                lambda own: self._response(own, room),
                spot,
                self.question.switch_cost,
                self._linked,
            )
            return Path(moves.option[0], moves.firm[0], moves.spot[0])
        best: tuple[float, Path] | None = None
        for part in parts:
            own = part.options
            response = self._response(own, room)
            values, each = part.cheapest(response, spot[own], self._linked)
            row = int(values.argmin())
            if np.isfinite(values[row]) and (best is None or values[row] < best[0]):
                levels = part.levels(each, response, spot[own], self._linked)
                best = (float(values[row]), self._path(part, row, levels))
        return None if best is None else best[1]

    def _serves(self, options: Sequence[int]) -> bool:
        """Return whether some of the options can serve in every hour."""
        return bool(self._screen.able[list(options)].any(axis=0).all())

    @property
    def _linked(self) -> bool:
        return self.question.start_hours > 0

    def _response(self, own: IntArray, room: Room) -> FirmCost:
        price, cards = self._price[self._offer[own]], self._cards[own]
        idle, left = room.idle[self._offer[own]], room.left[self._offer[own]]
        surcharge = self._surcharge[own]

        def cost(hour: int, held: FloatArray) -> FloatArray:
            wide = (slice(None), None)
            count = cards[wide] * held
            over = np.maximum(count - idle[:, hour][wide], 0.0)
            beyond = np.maximum(count - left[:, hour][wide], 0.0)
            paid: FloatArray = price[wide] * (over + _LAST_RESORT * beyond)
            return paid + surcharge[wide] * held

        return cost

    def _priced(self, prices: Prices, wanted: BoolArray) -> dict[int, tuple[float, Path]]:
        """Return the least cost of some options, and a way that has it."""
        firm, spot = self._running_prices(prices)
        found: dict[int, tuple[float, Path]] = {}
        for part in self._parts(wanted):
            own = part.options
            cost = _by_price(firm[own])
            values, each = part.cheapest(cost, spot[own], self._linked)
            levels = part.levels(each, cost, spot[own], self._linked)
            for row, at in enumerate(own.tolist()):
                found[at] = (float(values[row]), self._path(part, row, levels))
        return found

    def _parts(self, wanted: BoolArray) -> list[Levels]:
        """Return the wanted options, in batches."""
        parts = []
        for part in self._levels:
            rows = np.flatnonzero(wanted[part.options])
            if len(rows):
                parts.append(part.take(rows))
        return parts

    def _path(self, part: Levels, row: int, levels: IntArray) -> Path:
        firm, spot = part.path(row, levels[:, row])
        return Path(np.full(len(firm), part.options[row]), firm, spot)

    def _least(self, values: FloatArray) -> FloatArray:
        """Return the least of each server's options, by server; infinite without any."""
        least = np.full(len(self.question.servers), np.inf)
        np.minimum.at(least, self.server, values)
        return least

    def _running_prices(self, prices: Prices) -> tuple[FloatArray, FloatArray]:
        """Return what a firm and a spot replica cost in each hour, (options, hours)."""
        firm = self._cards[:, None] * prices.firm[self._offer] + self._surcharge[:, None]
        spot = self._cards[:, None] * prices.spot[self._offer] + self._spot_price[:, None]
        return firm, spot


def _by_price(price: FloatArray) -> FirmCost:
    """Return the cost of replicas at prices, (options, hours)."""

    def cost(hour: int, held: FloatArray) -> FloatArray:
        paid: FloatArray = price[:, hour, None] * held
        return paid

    return cost


def schedule_of(
    question: Question, server: int, path: Path, *, early: bool = False
) -> Schedule | None:
    """Return the schedule of a way, with minimum up-times; None where there is no room for them.

    Args:
        question: The question.
        server: Index of the server.
        path: Its way.
        early: Whether replicas that would run too shortly start earlier, in place of running on.
    """
    lasting = started_early if early else kept_up
    used = np.unique(path.option)
    active = np.searchsorted(used, path.option)
    shape = (len(used), question.hours)
    firm, spot = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    hours = np.arange(question.hours)
    firm[active, hours], spot[active, hours] = path.firm, path.spot
    spot = lasting(spot, question.min_up)
    for place, index in enumerate(used.tolist()):
        option = question.options[index]
        if spot[place].any():
            share = question.offers[option.offer].spot_share
            firm[place] = np.maximum(firm[place], fewest_beside(spot[place], share))
    firm = lasting(firm, question.min_up)
    most = np.array([question.options[index].most for index in used.tolist()], dtype=np.int64)
    if (firm + spot > most[:, None]).any():
        return None
    return Schedule(server, tuple(used.tolist()), active, firm, spot)


def schedules_of(question: Question, server: int, path: Path) -> list[Schedule]:
    """Return the schedules of a way: replicas run on for their minimum up-times, or start early."""
    ways = (False, True) if question.min_up > 1 else (False,)
    found = [schedule_of(question, server, path, early=early) for early in ways]
    return [schedule for schedule in found if schedule is not None]
