"""A horizon decomposed by server: schedules, joined by the prices of cards.

The least total at any prices of cards is a proven lower bound (`multipliers`). Good prices are
sought step by step (`ascent`), first with servers outlined by a few numbers for each option and
hour (`screening`), then with their cheapest schedules (`pricing`). An integer program chooses among
the schedules that were seen (`restricted`), and servers then answer one by one to what the others
take (`improve`), until the best choice is near enough to the bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.ascent import Ascent
from optimizer.horizon.improve import Incumbent, answered
from optimizer.horizon.multipliers import Evaluation, Multipliers, PriceSpace
from optimizer.horizon.outlay import Schedule, use_of
from optimizer.horizon.pricing import Path, Pricer, Prices, schedules_of
from optimizer.horizon.question import IMPOSSIBLE, Question
from optimizer.horizon.restricted import Choice, Column
from optimizer.horizon.run import Run
from optimizer.table import FloatArray

_OUTLINE_SHARE, _OUTLINE_STEPS = 0.15, 900
"""Share of the time, and steps, for prices at which servers are outlined."""

_FIRST_STEP, _LAST_STEP, _PATIENCE = 0.05, 4e-4, 8
"""Share of the bound that a step aims at, outlined: at first, at last, and steps between."""

_FINE_STEP, _FINE_LAST, _FINE_PATIENCE = 0.003, 5e-5, 4
"""The same with cheapest schedules."""

_MOVING_STEP = 0.01
"""The first where servers may move: outlined they move for nothing, which is further off."""

_ATTEMPTS = (10, 20, 35, 55, 80, 120)
"""Steps after which schedules are chosen."""

_NEAR_OPTIONS = 4
"""Options of a server of which schedules are seen for a choice."""

_MORE_OPTIONS = 10
"""The same where no choice among those fits the cards."""

_MOST_COLUMNS = 1500
"""Schedules that one choice is made among."""

_FAR = 0.05
"""Gap of a plan beyond which a choice that fits is looked for with more schedules."""

_ANSWERS = 2
"""Options that a server may answer with beside those that it uses."""


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


class Decomposition:
    """The search for prices and schedules of one question."""

    def __init__(self, question: Question, run: Run) -> None:
        self.question = question
        self.run = run
        self.pricer = Pricer(question)
        self.space = PriceSpace(question)
        self.servers = sorted({option.server for option in question.options})
        self.columns: dict[tuple[object, ...], Column] = {}

    def solve(
        self, gap: float, warm: Iterable[Sequence[Schedule]] = (), until: Run | None = None
    ) -> Decomposed:
        """Return schedules and a bound.

        Args:
            gap: Relative gap asked for.
            warm: Sets of schedules to start from.
            until: When to give up without any schedules that fit; None for all of the time.
        """
        first = self.run if until is None else until
        incumbent = Incumbent(self.question)
        for known in warm:
            incumbent.offer(list(known))
            for schedule in known:
                self._add(schedule)
        moving = self.question.switch_cost is not None
        fine = Ascent(
            self.space,
            self._priced,
            self._outlined(),
            share=_MOVING_STEP if moving else _FINE_STEP,
            patience=_FINE_PATIENCE,
        )
        rounds = 0
        while incumbent.gap(fine.bound) > gap and self.run.left_s > 0:
            rounds += 1
            fine.step()
            settled = fine.share < _FINE_LAST
            if rounds in _ATTEMPTS or settled:
                self._attempt(incumbent, fine, gap)
            if settled or (incumbent.schedules is None and first.left_s <= 0):
                break
        bound = fine.bound if np.isfinite(fine.bound) else None
        return Decomposed(incumbent.schedules, bound, rounds, self._kept(incumbent, fine))

    def _outlined(self) -> Multipliers:
        """Return good prices of servers that are outlined."""

        def evaluate(at: Multipliers) -> Evaluation:
            least, firm, spot = self.pricer.outlined(at.prices)
            return Evaluation(self.space.bound(at, least), firm, spot)

        run = self.run.within(_OUTLINE_SHARE)
        start = self.space.start()
        ascent = Ascent(self.space, evaluate, start, share=_FIRST_STEP, patience=_PATIENCE)
        for _ in range(_OUTLINE_STEPS):
            if ascent.share < _LAST_STEP or run.left_s <= 0:
                break
            ascent.step()
        return ascent.best

    def _priced(self, at: Multipliers) -> Evaluation:
        """Return what the cheapest schedules take at prices, and keep them."""
        least, paths = self._cheapest(at.prices)
        firm, spot = np.zeros(self.space.shape), np.zeros(self.space.shape)
        for path in paths:
            column = self._add_path(path)
            if column is not None:
                firm += column.use.firm_cards
                spot += column.use.spot_cards
        return Evaluation(self.space.bound(at, least), firm, spot)

    def _cheapest(self, prices: Prices) -> tuple[float, list[Path]]:
        """Return the least cost of all servers, and a cheapest way of each."""
        if self.question.switch_cost is not None:
            values, paths = self.pricer.switching(prices, self._known(prices))
            return float(values.sum()), paths
        each, ways = self.pricer.price(prices)
        first = np.lexsort((each, self.pricer.server))
        _, start = np.unique(self.pricer.server, return_index=True)
        best = first[start]
        return float(each[best].sum()), [ways[at] for at in best.tolist() if at in ways]

    def _known(self, prices: Prices) -> FloatArray:
        """Return what the cheapest schedule seen of each server costs at prices, by server."""
        known = np.full(len(self.question.servers), np.inf)
        for column in self.columns.values():
            at = column.schedule.server
            known[at] = min(known[at], column.cost(prices))
        return known

    def _attempt(self, incumbent: Incumbent, fine: Ascent, gap: float) -> None:
        """Choose among schedules, and let servers answer to each other."""
        prices = fine.best.prices
        least = self.pricer.least(prices)
        near = self._near(least, _NEAR_OPTIONS)
        self._look(prices, near)
        if self.question.switch_cost is not None:
            self._answer(incumbent, self._cheapest_seen(prices), least)
            if incumbent.gap(fine.bound) <= gap:
                return
        for more in (False, True):
            if more:
                near = self._near(least, _MORE_OPTIONS)
                self._look(prices, near)
                self._add_fewest(near)
            columns = self._worth(prices, incumbent, fine.bound)
            choice = Choice(self.question, self.space, self.run.within(0.3), 0.1 * gap)
            found = choice.at_prices(columns, fine.best)
            if found is not None or incumbent.gap(fine.bound) < _FAR:
                break
        if found is None:
            return
        incumbent.offer(found)
        alike = {(item.server, item.options) for item in found}
        own = [
            column
            for column in columns
            if (column.schedule.server, column.schedule.options) in alike
        ]
        better = Choice(
            self.question, self.space, self.run.within(0.2), 0.1 * gap
        ).with_commitments(own)
        if better is not None:
            found = better
            incumbent.offer(found)
        if incumbent.gap(fine.bound) <= gap:
            return
        self._answer(incumbent, found, least)

    def _answer(self, incumbent: Incumbent, schedules: list[Schedule], least: FloatArray) -> None:
        """Let servers answer to each other, with their own options and those that cost least."""
        few = self._near(least, _ANSWERS)
        options = [sorted({*few[item.server], *item.options}) for item in schedules]
        better = answered(self.question, self.pricer, schedules, options, self.run.within(0.5))
        incumbent.offer(better)
        for schedule in better:
            self._add(schedule)

    def _cheapest_seen(self, prices: Prices) -> list[Schedule]:
        """Return the cheapest schedule seen of each server at prices."""
        best: dict[int, tuple[float, Schedule]] = {}
        for column in self.columns.values():
            cost, server = column.cost(prices), column.schedule.server
            if server not in best or cost < best[server][0]:
                best[server] = (cost, column.schedule)
        return [best[server][1] for server in self.servers if server in best]

    def _near(self, least: FloatArray, most: int) -> dict[int, list[int]]:
        """Return the options of each server that may cost least."""
        found = {}
        for server in self.servers:
            own = np.flatnonzero(self.pricer.server == server)
            order = own[np.argsort(least[own], kind="stable")][:most]
            found[server] = [int(at) for at in order if np.isfinite(least[at])]
        return found

    def _look(self, prices: Prices, near: dict[int, list[int]]) -> None:
        """Keep cheapest schedules of options."""
        steady = [
            at
            for own in near.values()
            for at in own
            if IMPOSSIBLE not in self.question.options[at].need
        ]
        for path in self.pricer.paths(prices, steady):
            self._add_path(path)

    def _add_fewest(self, near: dict[int, list[int]]) -> None:
        """Keep the schedules of options that take the fewest cards: none of them spot."""
        nothing = np.zeros(self.question.hours, dtype=np.int64)
        for at in (at for own in near.values() for at in own):
            need = self.question.options[at].need
            if IMPOSSIBLE not in need:
                self._add_path(Path(nothing + at, np.array(need, dtype=np.int64), nothing))

    def _worth(self, prices: Prices, incumbent: Incumbent, bound: float) -> list[Column]:
        """Return the schedules that may be part of a better choice, the nearest of them.

        Schedules that cost more at these prices than the best choice is above the bound are part of
        no better one.
        """
        columns = list(self.columns.values())
        server = np.array([column.schedule.server for column in columns])
        cost = np.array([column.cost(prices) for column in columns])
        least = np.full(len(self.question.servers), np.inf)
        np.minimum.at(least, server, cost)
        over = cost - least[server]
        order = np.argsort(over, kind="stable")[:_MOST_COLUMNS]
        room = incumbent.cost - bound + 1e-9 * abs(bound)
        return [columns[at] for at in order.tolist() if over[at] <= room]

    def _kept(self, incumbent: Incumbent, fine: Ascent) -> tuple[int, ...]:
        """Return the options whose least cost at these prices leaves room below the best plan."""
        everything = tuple(range(len(self.pricer.server)))
        if self.question.switch_cost is not None or not np.isfinite(incumbent.cost - fine.bound):
            return everything
        each, _ = self.pricer.price(fine.best.prices)
        least = np.full(len(self.question.servers), np.inf)
        np.minimum.at(least, self.pricer.server, each)
        room = incumbent.cost - fine.bound + 1e-6 * abs(incumbent.cost)
        return tuple(np.flatnonzero(each - least[self.pricer.server] <= room).tolist())

    def _add_path(self, path: Path) -> Column | None:
        """Keep the schedules of a way; return one of them."""
        server = int(self.pricer.server[path.option[0]])
        columns = [self._add(schedule) for schedule in schedules_of(self.question, server, path)]
        return columns[0] if columns else None

    def _add(self, schedule: Schedule) -> Column:
        """Keep a schedule, if it is new; return it with what it takes."""
        arrays = (schedule.active, schedule.firm, schedule.spot)
        key = (schedule.server, schedule.options, *(array.tobytes() for array in arrays))
        if key not in self.columns:
            self.columns[key] = Column(schedule, use_of(self.question, schedule))
        return self.columns[key]
