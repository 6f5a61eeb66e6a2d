"""Whom the cards suffice for: as many servers as possible, by priority.

The busiest hours decide. A program over a few of them chooses whom to serve and how; hours that its
choice does not fit are looked at on their own, and those that have no way to serve the chosen join
the program, until all hours have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.question import IMPOSSIBLE, UNLIMITED, Option, Question
from optimizer.horizon.rows import Rows
from optimizer.horizon.run import Run
from optimizer.linear_model import SolveStatus
from optimizer.table import BoolArray, FloatArray

_SHARE = 0.2
"""Share of the time that each priority may take."""

_FIRST_HOURS, _MORE_HOURS = 4, 3
"""Hours that the first program looks at, and those that join it at a time."""


@dataclass(frozen=True, slots=True)
class Servable:
    """Whom the cards suffice for.

    Attributes:
        servers: Their indices.
        options: Options that serve them together, where each keeps one; none where unknown.
        unproven: Servers that they do not, though nothing proves that no more can be served.
    """

    servers: frozenset[int]
    options: tuple[Option, ...]
    unproven: frozenset[int] = frozenset()


def servable(question: Question, priority: Sequence[int], run: Run) -> Servable:
    """Return as many servers as the cards of every hour suffice for, by priority.

    No number of servers of a later priority counts more than one of an earlier one. A replica of a
    server that keeps its option holds its cards while it starts; minimum up-times, and starts where
    servers move, are not counted, so that it may be a few too many. Out of time all count.
    """
    servers = sorted({option.server for option in question.options})
    hours = _Hours(question)
    chosen: set[int] = set()
    unproven: set[int] = set()
    options: tuple[Option, ...] = ()
    for rank in sorted({priority[server] for server in servers}):
        group = {server for server in servers if priority[server] == rank}
        found = hours.most_served(group, chosen, run.within(_SHARE))
        options = ()
        if found is None:
            chosen |= group
        else:
            chosen |= found.served
            if not found.proven:
                unproven |= group - found.served
            if hours.fixed:
                options = tuple(question.options[at] for at in found.options[0])
    return Servable(frozenset(chosen), options, frozenset(unproven))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Servers, and the options that serve them in the hours that were looked at.

    Attributes:
        served: The servers.
        options: Their options, by hour; once where they keep them.
        proven: Whether these hours suffice for no more of them.
    """

    served: frozenset[int]
    options: tuple[tuple[int, ...], ...]
    proven: bool


class _Hours:
    """The cards that each option takes in each hour, at least."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.fixed = question.switch_cost is None
        need = question.need
        self.able: BoolArray = need != IMPOSSIBLE
        held = np.maximum(need, 0)
        if self.fixed:
            for ahead in range(1, question.start_hours + 1):
                held[:, :-ahead] = np.maximum(held[:, :-ahead], np.maximum(need, 0)[:, ahead:])
        cards = np.array([option.cards for option in question.options], dtype=np.int64)
        self.cards: FloatArray = (cards[:, None] * held).astype(np.float64)
        self.offer = np.array([option.offer for option in question.options], dtype=np.int64)
        self.server = np.array([option.server for option in question.options], dtype=np.int64)
        self.looked = self._busiest()

    def most_served(self, group: set[int], must: set[int], run: Run) -> _Chosen | None:
        """Return as many of a group as fit beside those that must be; None where time ran out."""
        asked = group | must
        while True:
            chosen = self._program(self.looked, asked, must, run)
            further = None if chosen is None else self._unfit(chosen, run)
            if chosen is None or further is None:
                return None
            if not further:
                return chosen
            self.looked = [*self.looked, *further]

    def _busiest(self) -> list[int]:
        """Return the hours in which the least that servers may take is most, over what there is."""
        price = np.array([offer.price for offer in self.question.offers])
        worth = np.where(self.able, price[self.offer][:, None] * self.cards, np.inf)
        least = np.full((len(self.question.servers), self.question.hours), np.inf)
        np.minimum.at(least, self.server, worth)
        total = np.where(np.isfinite(least), least, 0.0).sum(axis=0)
        limit = np.minimum(self.question.limit, 1 << 30)
        total /= np.maximum((price[:, None] * limit).sum(axis=0), 1e-9)
        return [int(hour) for hour in np.argsort(-total, kind="stable")[:_FIRST_HOURS]]

    def _program(
        self, hours: Sequence[int], asked: set[int], must: set[int], run: Run
    ) -> _Chosen | None:
        """Return the most servers of those asked for that some hours suffice for."""
        rows = Rows()
        own = np.flatnonzero(np.isin(self.server, sorted(asked)))
        shape = (len(own), 1 if self.fixed else len(hours))
        possible = self.able[np.ix_(own, np.array(hours, dtype=np.int64))]
        if self.fixed:
            possible = np.asarray(self.able[own].all(axis=1))[:, None]
        use = rows.add_columns(shape, upper=possible.astype(np.float64), integer=True)
        names = sorted(asked)
        needed = np.array([float(name in must) for name in names])
        served = rows.add_columns((len(names),), cost=-1.0, lower=needed, upper=1.0, integer=True)
        for place, name in enumerate(names):
            mine = np.flatnonzero(self.server[own] == name)
            for at in range(shape[1]):
                columns = np.append(use[mine, at], served[place])
                rows.add_array_row(columns, np.append(np.ones(len(mine)), -1.0), 0.0, 0.0)
        for at, hour in enumerate(hours):
            for index in range(len(self.question.offers)):
                taken = np.flatnonzero((self.offer[own] == index) & (self.cards[own, hour] > 0))
                limit = int(self.question.limit[index, hour])
                values = self.cards[own[taken], hour]
                if limit < UNLIMITED and values.sum() > limit:
                    columns = use[taken, 0 if self.fixed else at]
                    rows.add_array_row(columns, values, high=float(limit))
        result = run.solve(rows.model(), 0.0)
        if result.x is None:
            return None
        picked = np.asarray(result.x)[use].reshape(shape) > 0.5
        return _Chosen(
            frozenset(
                name for name, column in zip(names, served, strict=True) if result.x[column] > 0.5
            ),
            tuple(tuple(own[picked[:, at]].tolist()) for at in range(shape[1])),
            result.status is SolveStatus.OPTIMAL,
        )

    def _unfit(self, chosen: _Chosen, run: Run) -> list[int] | None:
        """Return the worst hours that cannot serve the chosen; None where time ran out."""
        over = np.min([self._over(list(options)) for options in chosen.options], axis=0)
        found: list[int] = []
        for hour in np.argsort(-over, kind="stable").tolist():
            if over[hour] <= 0 or len(found) >= _MORE_HOURS:
                break
            if hour in self.looked:
                continue
            if not self.fixed:
                alone = self._program([hour], set(chosen.served), set(), run)
                if alone is None:
                    return None
                if alone.served == chosen.served:
                    continue
            found.append(hour)
        return found

    def _over(self, options: list[int]) -> FloatArray:
        """Return the most cards of a type beyond those that there are, by hour, (hours,)."""
        taken = np.zeros(self.question.limit.shape)
        np.add.at(taken, self.offer[options], self.cards[options])
        over = (taken - self.question.limit).max(axis=0)
        over[~self.able[options].all(axis=0)] = np.inf
        most: FloatArray = over
        return most


def least_urgent(question: Question, priority: Sequence[int], servers: set[int]) -> int:
    """Return which of some servers to leave out: of the last priority the one with most cards."""
    size = {
        server: min(
            question.options[at].peak * question.options[at].cards
            for at in question.of_server(server)
        )
        for server in servers
    }
    return max(servers, key=lambda server: (priority[server], size[server], server))
