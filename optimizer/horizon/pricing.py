"""The cheapest schedule of each server where cards have a price in each hour.

What comes out is a lower bound of the cost of each option: minimum up-times are not heeded here,
nor all of starts that take longer than an hour (`chains`, `moving`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.chains import MOST_AT_ONCE, Chains, FirmCost, build_chains
from optimizer.horizon.moving import cheapest_moves
from optimizer.horizon.outlay import Schedule, kept_up
from optimizer.horizon.question import Question
from optimizer.horizon.spot import fewest_firm
from optimizer.table import BoolArray, FloatArray, IntArray

MOST_MOVING = 400_000
"""Pairs of states of neighbouring hours, over all options, from which starts are left out of the
price where servers may move."""

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
        self._chains = build_chains(question)

    def price(self, prices: Prices) -> tuple[FloatArray, dict[int, Path]]:
        """Return the least cost of each option on its own, and cheapest ways.

        An option that is dearer than another one of its server even where starts are free has that
        lower bound in place of its cost, and no way: it is not the cheapest.

        Returns:
            Cost, (options,), infinite where impossible; ways by option, among them the cheapest of
            each server.
        """
        values = self.hourly(prices)[0].sum(axis=1)
        ways: dict[int, Path] = {}
        done = np.zeros(len(values), dtype=np.bool_)
        while True:
            pending = ~done & np.isfinite(values) & self._least_of_server(values)
            if not pending.any():
                return values, ways
            for at, (value, path) in self._priced(prices, pending).items():
                values[at] = value
                ways[at] = path
            done |= pending

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
        for chains in self._chains:
            own = chains.options
            each = firm[own].T[:, :, None] * chains.firm + spot[own].T[:, :, None] * chains.spot
            each = np.where(chains.able, each, np.inf)
            state = each.argmin(axis=2)[:, :, None]
            cost[own] = np.take_along_axis(each, state, axis=2)[:, :, 0].T
            runs[own] = np.take_along_axis(chains.firm, state, axis=2)[:, :, 0].T
            spots[own] = np.take_along_axis(chains.spot[None], state, axis=2)[:, :, 0].T
        return cost, runs, spots

    def switching(self, prices: Prices) -> tuple[FloatArray, list[Path]]:
        """Return the least cost of each server that may move, and a way that has it.

        With too many states starts are left out, which makes it a lower bound.

        Returns:
            Cost by server (0 for one without options), and the way of each server with options.
        """
        everything = np.ones(len(self.server), dtype=np.bool_)
        pairs = sum(chains.able.shape[1] * chains.able.shape[2] ** 2 for chains in self._chains)
        parts = self._parts(everything)
        running = self._running_prices(prices)
        linked = self._linked and pairs <= MOST_MOVING
        move = self.question.switch_cost or 0.0
        moves = cheapest_moves(parts, self.server, running, move, linked)
        values = np.zeros(len(self.question.servers))
        values[moves.servers] = moves.value
        ways = zip(moves.option, moves.firm, moves.spot, strict=True)
        return values, [Path(*way) for way in ways]

    def respond(self, options: Sequence[int], room: Room) -> Path | None:
        """Return the cheapest way of a server by some options beside what the others take.

        Committed cards that nobody uses cost nothing, further ones their price on demand, and those
        beyond the limit so much that they are a last resort. None where no option can.
        """
        best: tuple[float, Path] | None = None
        wanted = np.zeros(len(self.server), dtype=np.bool_)
        wanted[list(options)] = True
        for part in self._parts(wanted):
            own = part.options
            cards = self._cards[own]
            short = room.left[self._offer[own]] < cards[:, None]
            dear = _LAST_RESORT * (self._price[self._offer[own]] * cards)[:, None]
            spot = self._spot_price[own][:, None] + dear * short
            values, states = part.cheapest(self._response(own, room), spot, self._linked)
            row = int(values.argmin())
            if np.isfinite(values[row]) and (best is None or values[row] < best[0]):
                best = (float(values[row]), self._path(part, row, states))
        return None if best is None else best[1]

    @property
    def _linked(self) -> bool:
        return self.question.start_hours > 0

    def _response(self, own: IntArray, room: Room) -> FirmCost:
        price, cards = self._price[self._offer[own]], self._cards[own]
        idle, left = room.idle[self._offer[own]], room.left[self._offer[own]]
        surcharge = self._surcharge[own]

        def cost(hour: int, held: FloatArray) -> FloatArray:
            wide = (slice(None), None, None)
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
            run = firm[own]

            def cost(hour: int, held: FloatArray, run: FloatArray = run) -> FloatArray:
                paid: FloatArray = run[:, hour, None, None] * held
                return paid

            values, states = part.cheapest(cost, spot[own], self._linked)
            for row, at in enumerate(own.tolist()):
                found[at] = (float(values[row]), self._path(part, row, states))
        return found

    def _parts(self, wanted: BoolArray) -> list[Chains]:
        """Return the wanted options, in batches that memory holds."""
        parts = []
        for chains in self._chains:
            rows = np.flatnonzero(wanted[chains.options])
            step = max(1, MOST_AT_ONCE // chains.spot.shape[1] ** 2)
            parts += [chains.take(rows[at : at + step]) for at in range(0, len(rows), step)]
        return parts

    def _path(self, part: Chains, row: int, states: IntArray) -> Path:
        firm, spot = part.path(row, states)
        return Path(np.full(len(firm), part.options[row]), firm, spot)

    def _least_of_server(self, values: FloatArray) -> BoolArray:
        """Return which options are the cheapest of their server."""
        order = np.lexsort((values, self.server))
        server = self.server[order]
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = server[1:] != server[:-1]
        among = np.zeros(len(values), dtype=np.bool_)
        among[order[first]] = True
        return among

    def _running_prices(self, prices: Prices) -> tuple[FloatArray, FloatArray]:
        """Return what a firm and a spot replica cost in each hour, (options, hours)."""
        firm = self._cards[:, None] * prices.firm[self._offer] + self._surcharge[:, None]
        spot = self._cards[:, None] * prices.spot[self._offer] + self._spot_price[:, None]
        return firm, spot


def schedule_of(question: Question, server: int, path: Path) -> Schedule | None:
    """Return the schedule of a way, with minimum up-times; None where there is no room for them."""
    used = np.unique(path.option)
    active = np.searchsorted(used, path.option)
    shape = (len(used), question.hours)
    firm, spot = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    hours = np.arange(question.hours)
    firm[active, hours], spot[active, hours] = path.firm, path.spot
    spot = kept_up(spot, question.min_up)
    for place, index in enumerate(used.tolist()):
        option = question.options[index]
        if spot[place].any():
            share = question.offers[option.offer].spot_share
            beside = {count: fewest_firm(count, share) for count in set(spot[place].tolist())}
            least = np.array([beside[count] if count else 0 for count in spot[place].tolist()])
            firm[place] = np.maximum(firm[place], least)
    firm = kept_up(firm, question.min_up)
    most = np.array([question.options[index].most for index in used.tolist()], dtype=np.int64)
    if (firm + spot > most[:, None]).any():
        return None
    return Schedule(server, tuple(used.tolist()), active, firm, spot)
