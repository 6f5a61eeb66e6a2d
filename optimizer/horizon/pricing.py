"""The cheapest schedule of each server where cards have a price in each hour.

States of an option are the firm and the spot replicas that run. Stopping is free and starting pays
for the hours that replicas are held before they serve, so that the cheapest way into every state
takes two passes along either axis; all options of about a size go through the hours together.

The least cost that comes out is a lower bound: minimum up-times are not heeded here, nor what
starting takes when a server moves to another option. Options with too many states are priced hour
by hour, without starts, which is a lower bound as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optimizer.horizon.outlay import Schedule, kept_up
from optimizer.horizon.question import IMPOSSIBLE, Question
from optimizer.horizon.spot import fewest_firm
from optimizer.table import BoolArray, FloatArray, IntArray

Int32Array = npt.NDArray[np.int32]

MOST_STATES = 8_000
"""States of an option beyond which starts are left out of its price."""

MOST_HISTORY = 16_000_000
"""States over all hours that are remembered at a time, to find the way back."""

_NEVER = 1 << 30
"""Need that no state covers."""

_LAST_RESORT = 100.0
"""Price of a card beyond the limit over its price on demand, where a way is looked for."""

_WIDER = 1.5
"""Most that a batch of options may be wider than its narrowest."""


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


@dataclass(frozen=True, slots=True)
class _Batch:
    """Options with grids of states of about a size, (firm, spot, options) in memory.

    Attributes:
        options: Their indices.
        least: Firm replicas of the first state, (options,).
        cover: Replicas that a state can count on, (firm, spot, options); negative for states that
            may not be.
        need: Replicas needed, (hours, options); impossible ones are more than any state has.
    """

    options: IntArray
    least: IntArray
    cover: Int32Array
    need: Int32Array

    def take(self, rows: IntArray) -> _Batch:
        """Return some of the options."""
        if len(rows) == len(self.options):
            return self
        cover = np.ascontiguousarray(self.cover[:, :, rows])
        return _Batch(self.options[rows], self.least[rows], cover, self.need[:, rows])

    @property
    def firm(self) -> FloatArray:
        """Firm replicas beyond the least of each state, (firm, 1)."""
        return np.arange(self.cover.shape[0], dtype=np.float64)[:, None]

    @property
    def spot(self) -> FloatArray:
        """Spot replicas of each state, (spot, 1)."""
        return np.arange(self.cover.shape[1], dtype=np.float64)[:, None]


@dataclass(frozen=True, slots=True)
class _Costs:
    """What states and starts cost.

    Attributes:
        run: Firm replicas, (hours, firm, options).
        run_spot: A spot replica, (hours, options).
        begin: Starting a firm replica that serves from an hour on, (hours, options).
        begin_spot: Starting a spot replica, (hours, options).
    """

    run: FloatArray
    run_spot: FloatArray
    begin: FloatArray
    begin_spot: FloatArray


class Pricer:
    """Prices schedules of all options of a question."""

    def __init__(self, question: Question) -> None:
        self.question = question
        options = question.options
        self.need = question.need
        self.server = np.array([option.server for option in options], dtype=np.int64)
        self._offer = np.array([option.offer for option in options], dtype=np.int64)
        self._cards = np.array([float(option.cards) for option in options])
        self._surcharge = np.array([question.surcharge(option) for option in options])
        spot_price = np.array([question.spot_price(option) for option in options])
        self._spot_price = np.where(np.isfinite(spot_price), spot_price, 0.0)
        self._most_spot = [question.most_spot(option) for option in options]
        self._counted = [
            question.counted(option, most)
            for option, most in zip(options, self._most_spot, strict=True)
        ]
        peak = np.array([option.peak for option in options], dtype=np.int64)
        never = np.iinfo(np.int64).max
        least = np.where(self.need == IMPOSSIBLE, never, self.need).min(axis=1, initial=never)
        sure = np.array([int(counted[-1]) for counted in self._counted], dtype=np.int64)
        self._least = np.clip(least - sure, 0, peak)
        self._width = peak - self._least + 1
        depth = np.array(self._most_spot, dtype=np.int64) + 1
        small = self._width * depth <= MOST_STATES
        self._loose = np.flatnonzero(~small)
        self._batches = [
            self._batch(np.array(members, dtype=np.int64))
            for members in _of_a_size(np.flatnonzero(small), self._width, depth)
        ]

    @property
    def exact(self) -> bool:
        """Whether values are those of the cheapest schedules, not only bounds of them."""
        question = self.question
        loose = len(self._loose) and question.start_hours > 0
        moving = question.switch_cost is not None and question.start_hours > 0
        return question.min_up <= 1 and not loose and not moving

    def price(self, prices: Prices, tried: int = 1) -> FloatArray:
        """Return the least cost of each option on its own, (options,); infinite where impossible.

        An option that is dearer than `tried` others of its server even where starts are free has
        that lower bound in place of its cost: it is none of the cheapest.

        Args:
            prices: Prices of cards.
            tried: How many of the cheapest options of each server are wanted.
        """
        firm, spot = self._running_prices(prices)
        values = np.array(
            [
                self._hourly(option, firm[option], spot[option])[0].sum()
                for option in range(len(self.server))
            ]
        )
        if not self.question.start_hours:
            return values
        exact = np.zeros(len(values), dtype=np.bool_)
        exact[self._loose] = True
        pending = ~exact & self._among_least(values, tried)
        while pending.any():
            for batch in self._batches:
                part = batch.take(np.flatnonzero(pending[batch.options]))
                if len(part.options):
                    costs = self._linear(part, firm, spot)
                    values[part.options] = self._last(part, costs).min(axis=(0, 1))
            exact |= pending
            pending = ~exact & np.isfinite(values) & self._among_least(values, tried)
        return values

    def _among_least(self, values: FloatArray, count: int) -> BoolArray:
        """Return which options are among so many of least value of their server."""
        order = np.lexsort((values, self.server))
        server = self.server[order]
        first = np.searchsorted(server, server)
        among = np.zeros(len(values), dtype=np.bool_)
        among[order] = np.arange(len(values)) - first < count
        return among

    def paths(self, prices: Prices, chosen: Sequence[int]) -> list[Path]:
        """Return a cheapest way of each of some options, in their order."""
        firm, spot = self._running_prices(prices)
        found: dict[int, Path] = {}
        wanted = np.zeros(len(self.server), dtype=np.bool_)
        wanted[list(chosen)] = True
        for batch in self._batches:
            rows = np.flatnonzero(wanted[batch.options])
            each = max(1, batch.cover[:, :, 0].size * self.question.hours)
            step = max(1, MOST_HISTORY // each)
            for first in range(0, len(rows), step):
                part = batch.take(rows[first : first + step])
                found.update(self._trace(part, self._linear(part, firm, spot))[1])
        for option in self._loose[wanted[self._loose]].tolist():
            _, runs, spots = self._hourly(option, firm[option], spot[option])
            found[option] = Path(np.full(len(runs), option), runs, spots)
        return [found[option] for option in chosen]

    def hourly(self, prices: Prices) -> tuple[FloatArray, IntArray, IntArray]:
        """Return the least cost of each option in each hour alone, without starts.

        Returns:
            Cost (infinite where it cannot serve), firm and spot replicas, each (options, hours).
        """
        firm, spot = self._running_prices(prices)
        shape = self.need.shape
        cost = np.full(shape, np.inf)
        runs, spots = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for option in range(shape[0]):
            cost[option], runs[option], spots[option] = self._hourly(
                option, firm[option], spot[option]
            )
        return cost, runs, spots

    def switching(self, prices: Prices) -> tuple[FloatArray, list[Path]]:
        """Return the least cost of each server that may move, and a way that has it.

        Returns:
            Cost by server (0 for one without options), and the way of each server with options.
        """
        cost, runs, spots = self.hourly(prices)
        move = self.question.switch_cost or 0.0
        servers = np.unique(self.server)
        values = np.zeros(len(self.question.servers))
        found = []
        for server in servers.tolist():
            own = np.flatnonzero(self.server == server)
            values[server], path = self._moving(own, cost[own], runs[own], spots[own], move)
            found.append(path)
        return values, found

    def _moving(
        self, own: IntArray, cost: FloatArray, runs: IntArray, spots: IntArray, move: float
    ) -> tuple[float, Path]:
        """Return the least cost of moving between options, each hour at its least, and the way."""
        hours = cost.shape[1]
        value = cost[:, 0].copy()
        before = np.zeros(cost.shape, dtype=np.int64)
        for hour in range(1, hours):
            best = int(np.argmin(value))
            stay = value <= value[best] + move
            before[:, hour] = np.where(stay, np.arange(len(own)), best)
            value = np.where(stay, value, value[best] + move) + cost[:, hour]
        at = int(np.argmin(value))
        least = float(value[at])
        order = np.zeros(hours, dtype=np.int64)
        for hour in range(hours - 1, -1, -1):
            order[hour] = at
            at = int(before[at, hour])
        hour_index = np.arange(hours)
        return least, Path(own[order], runs[order, hour_index], spots[order, hour_index])

    def _running_prices(self, prices: Prices) -> tuple[FloatArray, FloatArray]:
        """Return what a firm and a spot replica cost in each hour, (options, hours)."""
        firm = self._cards[:, None] * prices.firm[self._offer] + self._surcharge[:, None]
        spot = self._cards[:, None] * prices.spot[self._offer] + self._spot_price[:, None]
        return firm, spot

    def _start_prices(self, running: FloatArray) -> FloatArray:
        """Return what starting a replica costs that serves from an hour on, (options, hours)."""
        begun = np.zeros_like(running)
        for ahead in range(1, self.question.start_hours + 1):
            begun[:, ahead:] += running[:, : running.shape[1] - ahead]
        return begun

    def _batch(self, members: IntArray) -> _Batch:
        wide = int(self._width[members].max())
        deep = max(self._most_spot[member] for member in members.tolist()) + 1
        cover = np.full((wide, deep, len(members)), -1, dtype=np.int32)
        for column, member in enumerate(members.tolist()):
            option = self.question.options[member]
            share = self.question.offers[option.offer].spot_share
            firm = np.arange(int(self._least[member]), option.peak + 1)
            for spot, sure in enumerate(self._counted[member].tolist()):
                allowed = (firm >= fewest_firm(spot, share)) if spot else firm >= 0
                allowed &= firm + spot <= option.most
                cover[: len(firm), spot, column] = np.where(allowed, firm + sure, -1)
        need = np.where(self.need == IMPOSSIBLE, _NEVER, self.need)[members].T
        return _Batch(members, self._least[members], cover, need.astype(np.int32))

    def _linear(self, batch: _Batch, firm: FloatArray, spot: FloatArray) -> _Costs:
        """Return what states and starts cost where every replica of an option costs the same."""
        run, run_spot = firm[batch.options], spot[batch.options]
        return _Costs(
            run.T[:, None, :] * (batch.firm + batch.least),
            run_spot.T,
            self._start_prices(run).T,
            self._start_prices(run_spot).T,
        )

    def respond(self, options: Sequence[int], room: Room) -> Path | None:
        """Return the cheapest way of a server by some options beside what the others take.

        Committed cards that nobody uses cost nothing, further ones their price on demand, and those
        beyond the limit so much that they are a last resort. Where a start takes cards before it
        serves, they cost what the first of them would. None where no option has a grid of states.
        """
        best: tuple[float, Path] | None = None
        wanted = np.zeros(len(self.server), dtype=np.bool_)
        wanted[list(options)] = True
        for batch in self._batches:
            part = batch.take(np.flatnonzero(wanted[batch.options]))
            if len(part.options):
                values, paths = self._trace(part, self._response_costs(part, room))
                at = int(values.argmin())
                if np.isfinite(values[at]) and (best is None or values[at] < best[0]):
                    best = (float(values[at]), paths[int(part.options[at])])
        return None if best is None else best[1]

    def _response_costs(self, batch: _Batch, room: Room) -> _Costs:
        price = np.array([offer.price for offer in self.question.offers])
        offer, cards = self._offer[batch.options], self._cards[batch.options]
        idle, left = room.idle[offer], room.left[offer]
        count = (batch.firm + batch.least)[None, :, :]
        over = np.maximum(cards * count - idle.T[:, None, :], 0.0)
        beyond = np.maximum(cards * count - left.T[:, None, :], 0.0)
        surcharge = self._surcharge[batch.options]
        run = price[offer] * (over + _LAST_RESORT * beyond) + surcharge * count
        none = _LAST_RESORT * np.where(left < cards[:, None], (price[offer] * cards)[:, None], 0.0)
        first = np.where(idle < cards[:, None], (price[offer] * cards)[:, None], 0.0) + none
        spot = self._spot_price[batch.options][:, None] + none
        begin = self._start_prices(first + surcharge[:, None])
        return _Costs(run, spot.T, begin.T, self._start_prices(spot).T)

    def _last(
        self, batch: _Batch, costs: _Costs, history: list[FloatArray] | None = None
    ) -> FloatArray:
        """Return the least cost of being in each state in the last hour."""
        value = np.zeros(batch.cover.shape)
        spot = batch.spot
        starts = self.question.start_hours > 0
        for hour in range(self.question.hours):
            if hour and starts:
                _relax(value, costs.begin[hour])
                _relax(value.swapaxes(0, 1), costs.begin_spot[hour])
            elif hour:
                value[:] = value.min(axis=(0, 1))
            value += costs.run[hour][:, None, :]
            if len(spot) > 1:
                value += costs.run_spot[hour] * spot
            np.copyto(value, np.inf, where=batch.cover < batch.need[hour])
            if history is not None:
                history.append(value.copy())
        return value

    def _trace(self, batch: _Batch, costs: _Costs) -> tuple[FloatArray, dict[int, Path]]:
        """Return the least cost of each option of a batch, and a way that has it."""
        history: list[FloatArray] = []
        values = self._last(batch, costs, history).min(axis=(0, 1))
        count, deep = len(batch.options), batch.cover.shape[1]
        runs = np.zeros((count, self.question.hours), dtype=np.int64)
        spots = np.zeros_like(runs)
        now = history[-1].reshape(-1, count).argmin(axis=0)
        for hour in range(self.question.hours - 1, -1, -1):
            place, on_spot = now // deep, now % deep
            runs[:, hour], spots[:, hour] = place + batch.least, on_spot
            if hour:
                climb = costs.begin[hour] * np.maximum(place - batch.firm, 0.0)
                climb_spot = costs.begin_spot[hour] * np.maximum(on_spot - batch.spot, 0.0)
                into = history[hour - 1] + climb[:, None, :]
                into += climb_spot
                now = into.reshape(-1, count).argmin(axis=0)
        paths = {
            option: Path(np.full(self.question.hours, option), runs[row], spots[row])
            for row, option in enumerate(batch.options.tolist())
        }
        return values, paths

    def _hourly(
        self, option: int, firm: FloatArray, spot: FloatArray
    ) -> tuple[FloatArray, IntArray, IntArray]:
        """Return the least cost of an option in each hour alone, and its replicas."""
        told = self.question.options[option]
        share = self.question.offers[told.offer].spot_share
        counted = self._counted[option]
        need = self.need[option]
        spots = np.arange(len(counted))
        beside = np.array([0, *(fewest_firm(count, share) for count in spots[1:].tolist())])
        runs = np.maximum(np.maximum(need, 0)[:, None] - counted[None, :], beside[None, :])
        cost = firm[:, None] * runs + spot[:, None] * spots[None, :]
        cost = np.where(runs + spots[None, :] <= told.most, cost, np.inf)
        cost[need == IMPOSSIBLE] = np.inf
        best = cost.argmin(axis=1)
        hours = np.arange(len(need))
        return cost[hours, best], runs[hours, best], spots[best]


def _relax(value: FloatArray, step: FloatArray) -> None:
    """Lower each state to the cheapest way into it along the first axis: down free, up at a price.

    Args:
        value: Least cost of each state, (states, .., options).
        step: Price of going up by one, (options,).
    """
    reach = 1
    while reach < len(value):
        np.minimum(value[:-reach], value[reach:], out=value[:-reach])
        reach *= 2
    reach = 1
    while reach < len(value):
        np.minimum(value[reach:], value[:-reach] + reach * step, out=value[reach:])
        reach *= 2


def _of_a_size(members: IntArray, width: IntArray, depth: IntArray) -> list[list[int]]:
    """Return groups of options of which none is much wider or deeper than another."""
    groups: list[list[int]] = []
    order = members[np.lexsort((width[members], depth[members]))]
    pending = order.tolist()
    while pending:
        first = pending[0]
        group = [
            at
            for at in pending
            if depth[at] <= _WIDER * depth[first] + 1
            and width[first] / _WIDER - 1 <= width[at] <= _WIDER * width[first] + 1
        ]
        inside = set(group)
        pending = [at for at in pending if at not in inside]
        groups.append(group)
    return groups


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
