"""A horizon decomposed by server: schedules as columns, joined by the prices of cards.

Cards couple servers: by commitments, which all of a type share, and by limits. Lagrange's way puts
a price on the cards of each type and hour, at which each server's cheapest schedule stands alone.
For a committed card the prices of its hours add up to no more than it costs, and none exceeds the
price on demand. The least total at any such prices is a proven lower bound; good prices come from
a linear program over the schedules seen so far (Kelley's cutting planes), in a box around the best
prices yet. Schedules are rounded at good prices and improved server by server (`improve`); where
that is not close enough to the bound, an integer program chooses among all that were seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.improve import Incumbent, answered
from optimizer.horizon.outlay import Schedule, Use, use_of
from optimizer.horizon.pricing import Path, Pricer, Prices, schedule_of
from optimizer.horizon.question import UNLIMITED, Question
from optimizer.horizon.rows import Rows
from optimizer.horizon.run import Run
from optimizer.table import BoolArray, FloatArray, IntArray

_DEAREST = 20.0
"""Largest price put on a limited card, over what it costs on demand."""

_TRIED = 3
"""Options of a server whose schedules are seen at the first prices."""

_SEARCH_SHARE = 0.6
"""Share of the time that the search for prices may take."""

_FIRST_BOX, _LAST_BOX, _SHRINK = 0.3, 0.003, 0.7
"""Half width of the box around the best prices that new ones are looked for in, over the price on
demand: at first, at last, and what it shrinks by where they were not better."""

_PROGRESS, _MOST_STALE = 1e-4, 6
"""Relative progress that counts, and the rounds without any after which prices are good enough."""

_ANSWERS, _NEAR = 3, 1.1
"""Options that a server may answer with: the cheapest ones, and none much dearer than the first."""

_IMPROVE_EVERY = 4
"""Rounds between attempts at better schedules."""


@dataclass(frozen=True, slots=True)
class Column:
    """A schedule, and what it takes."""

    schedule: Schedule
    use: Use

    def cost(self, prices: Prices) -> float:
        """Return its cost at prices of cards."""
        firm = float((self.use.firm_cards * prices.firm).sum())
        return firm + float((self.use.spot_cards * prices.spot).sum()) + self.use.fixed_cost


@dataclass(frozen=True, slots=True)
class Decomposed:
    """What the decomposition found.

    Attributes:
        schedules: A schedule for each server with options; None where no choice was found.
        bound: Proven lower bound of the cost.
        rounds: Rounds of pricing.
        kept: Options that a better plan may use; all others are proven to cost too much.
    """

    schedules: list[Schedule] | None
    bound: float | None
    rounds: int
    kept: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Multipliers:
    """Prices on the way: of firm cards where they can be committed, and of limits."""

    firm: FloatArray
    limit: FloatArray
    spot: FloatArray
    most: FloatArray

    @property
    def prices(self) -> Prices:
        """Prices of cards."""
        return Prices(self.firm + self.limit, self.limit + self.spot)


class Decomposition:
    """The search for prices and schedules of one question."""

    def __init__(self, question: Question, run: Run) -> None:
        self.question = question
        self.run = run
        self.pricer = Pricer(question)
        self.columns: list[Column] = []
        self._seen: set[tuple[object, ...]] = set()
        self.price = np.array([offer.price for offer in question.offers])
        self.term = np.array(
            [np.inf if offer.committed is None else offer.committed for offer in question.offers]
        )
        self.most = np.array([float(offer.most_committed) for offer in question.offers])
        self.servers = sorted({option.server for option in question.options})
        self._limited = may_bind(question)
        self._spot_limited = _spot_may_bind(question)

    def solve(self, gap: float, warm: Iterable[Sequence[Schedule]] = ()) -> Decomposed:
        """Return schedules and a bound.

        Args:
            gap: Relative gap asked for.
            warm: Sets of schedules to start from.
        """
        incumbent = Incumbent(self.question)
        for known in warm:
            incumbent.offer(list(known))
            for schedule in known:
                self._add(schedule)
        best, bound = self._begin()
        self._improve(incumbent, best)
        searching = self.run.within(_SEARCH_SHARE)
        rounds, box, stale = 0, _FIRST_BOX, 0
        while incumbent.gap(bound) > gap and box > _LAST_BOX and searching.left_s > 0:
            rounds += 1
            target = self._master(searching, best, box)
            if target is None:
                break
            value, _ = self._round(target)
            if value > bound:
                stale = 0 if value - bound > _PROGRESS * abs(value) else stale + 1
                best, bound = target, value
            else:
                stale += 1
                box *= _SHRINK
            if rounds % _IMPROVE_EVERY == 0:
                self._improve(incumbent, best)
            if stale >= _MOST_STALE:
                break
        if incumbent.gap(bound) > gap and self.run.left_s > 0:
            self._choose(incumbent, best, bound, gap)
        return Decomposed(
            incumbent.schedules,
            bound if np.isfinite(bound) else None,
            rounds,
            self._kept(incumbent, best, bound),
        )

    def _kept(self, incumbent: Incumbent, best: _Multipliers, bound: float) -> tuple[int, ...]:
        """Return the options whose least cost at these prices leaves room below the best plan."""
        everything = tuple(range(len(self.pricer.server)))
        if self.question.switch_cost is not None or not np.isfinite(incumbent.cost - bound):
            return everything
        each, _ = self.pricer.price(best.prices)
        least = {at: float(each[self.pricer.server == at].min()) for at in self.servers}
        over = each - np.array([least[at] for at in self.pricer.server.tolist()])
        room = incumbent.cost - bound + 1e-6 * abs(incumbent.cost)
        return tuple(np.flatnonzero(over <= room).tolist())

    def _improve(self, incumbent: Incumbent, best: _Multipliers) -> None:
        """Round at prices, then let one server after the other answer to the others."""
        costs = np.array([column.cost(best.prices) for column in self.columns])
        server = np.array([column.schedule.server for column in self.columns], dtype=np.int64)
        first = []
        for at in self.servers:
            own = np.flatnonzero(server == at)
            if not len(own):
                return
            first.append(self.columns[int(own[costs[own].argmin()])].schedule)
        incumbent.offer(first)
        self._answer(incumbent, best, first)

    def _begin(self) -> tuple[_Multipliers, float]:
        """See schedules at a few plain prices; return the best of those, and its bound."""
        shape = self.question.limit.shape
        nothing = np.zeros(shape)
        even = np.minimum(self.term / max(1, shape[1]), self.price)
        busiest = self._busiest_prices()
        best, bound = None, -np.inf
        for firm in (np.repeat(even[:, None], shape[1], axis=1), busiest):
            trial = _Multipliers(firm, nothing, nothing, np.zeros(shape[0]))
            value, _ = self._round(trial, _TRIED)
            if best is None or value > bound:
                best, bound = trial, value
        for firm in (
            np.repeat(self.price[:, None], shape[1], axis=1),
            1e-3 * even[:, None] + nothing,
        ):
            self._see(Prices(firm, nothing), _TRIED)
        assert best is not None  # two prices were tried
        return best, bound

    def _busiest_prices(self) -> FloatArray:
        """Return prices that put what a committed card costs on the busiest hours."""
        need = np.maximum(self.question.need, 0)
        cards = np.array([option.cards for option in self.question.options])[:, None] * need
        firm = np.zeros(self.question.limit.shape)
        hours = self.question.hours
        for index, offer in enumerate(self.question.offers):
            own = [at for at, option in enumerate(self.question.options) if option.offer == index]
            firm[index] = offer.price
            if offer.committed is None or offer.price <= 0 or not own:
                continue
            share = min(1.0, offer.committed / (offer.price * hours))
            order = np.argsort(-cards[own].sum(axis=0), kind="stable")
            rank = np.empty(hours)
            rank[order] = np.arange(hours)
            # A slope around the hour where a commitment begins to pay: the price falls over a third
            # of the hours, and adds up to what a committed card costs.
            level = np.clip(0.5 + (share * hours - rank - 0.5) / (hours / 3.0), 0.0, 1.0)
            total = float(level.sum()) * offer.price
            firm[index] = offer.price * level * min(1.0, offer.committed / max(total, 1e-300))
        return firm

    def bound_at(self, multipliers: _Multipliers, values: FloatArray) -> float:
        """Return the lower bound of the cost from each server's least cost at these prices."""
        limit = np.where(self._limited, self.question.limit, 0)
        most_spot = np.array([float(offer.most_spot) for offer in self.question.offers])
        spot = np.where(self._spot_limited, most_spot[:, None], 0.0)
        paid = float((limit * multipliers.limit).sum() + (spot * multipliers.spot).sum())
        paid += float((np.where(self.most < UNLIMITED, self.most, 0.0) * multipliers.most).sum())
        total = float(values.sum()) - paid
        return total - 1e-9 * abs(total)

    def _round(self, multipliers: _Multipliers, tried: int = 1) -> tuple[float, bool]:
        """Price all servers; return the bound, and whether any schedule was new."""
        values, found = self._see(multipliers.prices, tried)
        return self.bound_at(multipliers, values), found

    def _see(self, prices: Prices, tried: int) -> tuple[FloatArray, bool]:
        """Return the least cost of each server, and whether its cheapest schedules were new."""
        if self.question.switch_cost is not None:
            values, paths = self.pricer.switching(prices)
            new = [self._add_path(path) for path in paths]
            return values[self.servers], any(new)
        each, ways = self.pricer.price(prices)
        values = np.zeros(len(self.servers))
        further: list[int] = []
        new = []
        for row, server in enumerate(self.servers):
            order = self._near(server, each, tried)
            values[row] = each[order[0]]
            if order[0] in ways:
                new.append(self._add_path(ways[order[0]]))
            further += order[1:]
        new += [self._add_path(path) for path in self.pricer.paths(prices, further)]
        return values, any(new)

    def _near(self, server: int, each: FloatArray, most: int) -> list[int]:
        """Return a server's cheapest options, none of them much dearer than the first."""
        own = np.flatnonzero(self.pricer.server == server)
        order = own[np.argsort(each[own], kind="stable")][:most]
        near = each[order] <= _NEAR * each[order[0]]
        near[0] = True
        return [int(at) for at in order[near].tolist()]

    def _add_path(self, path: Path) -> bool:
        server = int(self.pricer.server[path.option[0]])
        schedule = schedule_of(self.question, server, path)
        return schedule is not None and self._add(schedule)

    def _add(self, schedule: Schedule) -> bool:
        """Keep a schedule, if it is new."""
        arrays = (schedule.active, schedule.firm, schedule.spot)
        key = (schedule.server, schedule.options, *(array.tobytes() for array in arrays))
        if key in self._seen:
            return False
        self._seen.add(key)
        self.columns.append(Column(schedule, use_of(self.question, schedule)))
        return True

    def _answer(self, incumbent: Incumbent, best: _Multipliers, schedules: list[Schedule]) -> None:
        """Let servers that keep an option answer with the cheapest ones at these prices."""
        if self.question.switch_cost is not None:
            return
        each, _ = self.pricer.price(best.prices)
        options = [
            sorted({*self._near(schedule.server, each, _ANSWERS), *schedule.options})
            for schedule in schedules
        ]
        better = answered(self.question, self.pricer, schedules, options, self.run)
        incumbent.offer(better)
        for schedule in better:
            self._add(schedule)

    def _master(self, run: Run, near: _Multipliers, box: float) -> _Multipliers | None:
        """Return the best prices in a box that the schedules seen leave open.

        Args:
            run: What it may use.
            near: Middle of the box.
            box: Its half width, over the price on demand.
        """
        rows = Rows()
        hours, types = self.question.hours, len(self.question.offers)
        reserved = np.isfinite(self.term)
        low = np.where(reserved, 0.0, self.price)[:, None]
        high = self.price[:, None]
        middle = np.clip(near.firm, low, high)
        least = np.maximum(low, middle - box * high)
        firm = rows.add_columns(
            (types, hours), lower=least, upper=np.minimum(high, middle + box * high)
        )
        dear = _DEAREST * np.maximum(self.price, 1e-9)[:, None]
        limit_cost = np.where(self._limited, self.question.limit, 0).astype(np.float64)
        limit = rows.add_columns(
            (types, hours), cost=limit_cost, upper=np.where(self._limited, dear, 0.0)
        )
        most_spot = np.array([float(offer.most_spot) for offer in self.question.offers])
        spot = rows.add_columns(
            (types, hours),
            cost=np.where(self._spot_limited, most_spot[:, None], 0.0),
            upper=np.where(self._spot_limited, dear, 0.0),
        )
        capped = self.most < UNLIMITED
        most = rows.add_columns(
            (types,),
            cost=np.where(capped, self.most, 0.0),
            upper=np.where(capped, self.price * hours, 0.0),
        )
        theta = rows.add_columns((len(self.servers),), cost=-1.0)
        place = {server: row for row, server in enumerate(self.servers)}
        for index in np.flatnonzero(reserved).tolist():
            columns = np.append(firm[index], most[index])
            rows.add_array_row(
                columns, np.append(np.ones(hours), -1.0), high=float(self.term[index])
            )
        flat_firm, flat_limit, flat_spot = firm.ravel(), limit.ravel(), spot.ravel()
        limited, spot_limited = self._limited.ravel(), self._spot_limited.ravel()
        for column in self.columns:
            used, on_spot = column.use.firm_cards.ravel(), column.use.spot_cards.ravel()
            both = used + on_spot
            parts = [
                (flat_firm, used, used > 0),
                (flat_limit, both, (both > 0) & limited),
                (flat_spot, on_spot, (on_spot > 0) & spot_limited),
            ]
            own = int(theta[place[column.schedule.server]])
            indices = [np.array([own]), *(names[mask] for names, _, mask in parts)]
            values = [np.array([1.0]), *(-count[mask].astype(float) for _, count, mask in parts)]
            rows.add_array_row(
                np.concatenate(indices), np.concatenate(values), high=column.use.fixed_cost
            )
        result = run.solve(rows.model(), 0.0, relaxed=True)
        if result.x is None:
            return None
        x = result.x
        clipped = np.clip(x[firm], low, self.price[:, None])
        return _Multipliers(
            self._within_term(clipped, x[most]),
            np.maximum(x[limit], 0.0),
            np.maximum(x[spot], 0.0),
            np.maximum(x[most], 0.0),
        )

    def _within_term(self, firm: FloatArray, most: FloatArray) -> FloatArray:
        """Return prices that add up to no more than commitments cost, tolerances taken off."""
        total = firm.sum(axis=1)
        allowed = self.term + np.maximum(most, 0.0)
        factor = np.where(total > allowed, allowed / np.maximum(total, 1e-300), 1.0)
        scaled: FloatArray = firm * factor[:, None]
        return scaled

    def _choose(self, incumbent: Incumbent, best: _Multipliers, bound: float, gap: float) -> None:
        """Choose among the schedules seen by an integer program, one for each server.

        Schedules that cost more at these prices than the best choice is above the bound are part of
        no better one.
        """
        costs = np.array([column.cost(best.prices) for column in self.columns])
        server = np.array([column.schedule.server for column in self.columns], dtype=np.int64)
        least = {at: float(costs[server == at].min(initial=np.inf)) for at in self.servers}
        if not all(np.isfinite(value) for value in least.values()):
            return
        over = costs - np.array([least[at] for at in server.tolist()])
        keep = np.flatnonzero(over <= incumbent.cost - bound + 1e-9)
        chosen = self._restricted(keep, gap)
        if chosen is not None:
            incumbent.offer(chosen)
            self._answer(incumbent, best, chosen)

    def _restricted(self, kept: IntArray, gap: float) -> list[Schedule] | None:
        """Solve the integer program over some of the schedules."""
        rows = Rows()
        hours, types = self.question.hours, len(self.question.offers)
        own = [self.columns[at] for at in kept.tolist()]
        cost = np.array([column.use.fixed_cost for column in own])
        choice = rows.add_columns((len(own),), cost=cost, upper=1.0, integer=True)
        on_demand = rows.add_columns((types, hours), cost=self.price[:, None])
        reserved = np.isfinite(self.term)
        committed = rows.add_columns(
            (types,),
            cost=np.where(reserved, self.term, 0.0),
            upper=np.where(reserved, np.where(self.most < UNLIMITED, self.most, np.inf), 0.0),
            integer=True,
        )
        for server in self.servers:
            members = [at for at, column in enumerate(own) if column.schedule.server == server]
            rows.add_row([(int(choice[at]), 1.0) for at in members], 1.0, 1.0)
        firm = np.array([column.use.firm_cards for column in own])
        spot = np.array([column.use.spot_cards for column in own])
        for index, offer in enumerate(self.question.offers):
            for hour in range(hours):
                used, on_spot = firm[:, index, hour], spot[:, index, hour]
                taken = np.flatnonzero(used)
                both = np.flatnonzero(used + on_spot)
                if len(taken):
                    columns = np.concatenate(
                        [choice[taken], [on_demand[index, hour], committed[index]]]
                    )
                    values = np.concatenate([used[taken].astype(float), [-1.0, -1.0]])
                    rows.add_array_row(columns, values, high=0.0)
                if self._limited[index, hour] and len(both):
                    values = (used + on_spot)[both].astype(float)
                    high = float(self.question.limit[index, hour])
                    rows.add_array_row(choice[both], values, high=high)
                spots = np.flatnonzero(on_spot)
                if self._spot_limited[index, hour] and len(spots):
                    values = on_spot[spots].astype(float)
                    rows.add_array_row(choice[spots], values, high=float(offer.most_spot))
        result = self.run.solve(rows.model(), 0.2 * gap)
        if result.x is None:
            return None
        picked = np.flatnonzero(result.x[choice] > 0.5)
        return [own[at].schedule for at in picked.tolist()]


def may_bind(question: Question) -> BoolArray:
    """Return where a limit of cards may matter, (types, hours)."""
    most = _most_cards(question, beyond=2.0)
    return question.limited & (most > question.limit)


def _spot_may_bind(question: Question) -> BoolArray:
    """Return where a limit of spot cards may matter, (types, hours)."""
    most_spot = np.array([offer.most_spot for offer in question.offers], dtype=np.int64)
    limited = (most_spot < UNLIMITED)[:, None] & np.ones(question.limit.shape, dtype=np.bool_)
    return limited & (_most_cards(question, beyond=2.0) > most_spot[:, None])


def _most_cards(question: Question, beyond: float) -> FloatArray:
    """Return cards that no schedule of sense takes more than, (types, 1)."""
    most = np.zeros((len(question.offers), 1))
    largest: dict[tuple[int, int], float] = {}
    for option in question.options:
        key = (option.offer, option.server)
        running = option.peak + question.most_spot(option)
        largest[key] = max(largest.get(key, 0.0), beyond * running * option.cards)
    for (offer, _), cards in largest.items():
        most[offer, 0] += cards
    return most
