"""The choice of a schedule for each server among those that were seen, by an integer program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.multipliers import Multipliers, PriceSpace
from optimizer.horizon.outlay import Schedule, Use
from optimizer.horizon.pricing import Prices
from optimizer.horizon.question import UNLIMITED, Question
from optimizer.horizon.rows import Rows
from optimizer.horizon.run import Run
from optimizer.table import BoolArray, IntArray

_MOST_ROUNDS = 12
"""Times that a choice is made with the limits added that the last one broke."""


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
class Choice:
    """A choice among schedules, and what is known of cards.

    Attributes:
        question: The question.
        space: Its prices and limits.
        run: Solver and time.
        gap: Relative gap.
    """

    question: Question
    space: PriceSpace
    run: Run
    gap: float

    def at_prices(self, columns: Sequence[Column], at: Multipliers) -> list[Schedule] | None:
        """Return the cheapest choice with firm cards at prices, and limits kept; None without any.

        Limits are rows of the program only once a choice breaks them, beside those that have a
        price, for few of them matter.

        Args:
            columns: Schedules to choose from, some for every server.
            at: Prices; those of firm cards are paid.
        """
        used = _Used(columns)
        cost = used.fixed + used.firm @ at.firm.ravel()
        kept = [
            (at.limit > 0).ravel() & self.space.limited.ravel(),
            (at.spot > 0).ravel() & self.space.spot_limited.ravel(),
        ]
        for _ in range(_MOST_ROUNDS):
            rows = Rows()
            choice = rows.add_columns((len(columns),), cost=cost, upper=1.0, integer=True)
            used.one_each(rows, choice)
            for (cards, limit, _), mask in zip(self._limits(used), kept, strict=True):
                used.within(rows, choice, cards, limit, mask)
            result = self.run.solve(rows.model(), self.gap)
            if result.x is None:
                return None
            picked = np.flatnonzero(result.x[choice] > 0.5)
            fits = True
            for place, (cards, limit, limited) in enumerate(self._limits(used)):
                broken = limited & (cards[picked].sum(axis=0) > limit)
                fits = fits and not broken.any()
                kept[place] |= broken
            if fits:
                return [columns[index].schedule for index in picked.tolist()]
        return None

    def with_commitments(self, columns: Sequence[Column]) -> list[Schedule] | None:
        """Return the cheapest choice with its own commitments; None where none was found.

        Args:
            columns: Schedules to choose from, some for every server.
        """
        space, used, rows = self.space, _Used(columns), Rows()
        types, hours = space.shape
        choice = rows.add_columns((len(columns),), cost=used.fixed, upper=1.0, integer=True)
        used.one_each(rows, choice)
        reserved = np.isfinite(space.term)
        most = np.where(space.most < UNLIMITED, space.most, np.inf)
        committed = rows.add_columns(
            (types,),
            cost=np.where(reserved, space.term, 0.0),
            upper=np.where(reserved, most, 0.0),
            integer=True,
        )
        beside = np.array([float(offer.most_on_demand) for offer in self.question.offers])
        demand = rows.add_columns(
            (types, hours),
            cost=space.price,
            upper=np.where(beside < UNLIMITED, beside, np.inf)[:, None],
        )
        for place, column in enumerate(demand.ravel().tolist()):
            taken = np.flatnonzero(used.firm[:, place])
            if len(taken):
                names = np.concatenate([choice[taken], [column, committed[place // hours]]])
                values = np.concatenate([used.firm[taken, place].astype(float), [-1.0, -1.0]])
                rows.add_array_row(names, values, high=0.0)
        for cards, limit, limited in self._limits(used):
            used.within(rows, choice, cards, limit, limited & (used.most(cards) > limit))
        result = self.run.solve(rows.model(), self.gap)
        if result.x is None:
            return None
        picked = np.flatnonzero(result.x[choice] > 0.5)
        return [columns[index].schedule for index in picked.tolist()]

    def _limits(self, used: _Used) -> list[tuple[IntArray, IntArray, BoolArray]]:
        """Return the cards that limits are on, the limits, and where they are."""
        most_spot = np.array([offer.most_spot for offer in self.question.offers], dtype=np.int64)
        return [
            (used.firm + used.spot, self.question.limit.ravel(), self.space.limited.ravel()),
            (
                used.spot,
                np.repeat(most_spot, self.question.hours),
                self.space.spot_limited.ravel(),
            ),
        ]


class _Used:
    """What schedules take, (schedules, types and hours)."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.server = np.array([column.schedule.server for column in columns], dtype=np.int64)
        self.fixed = np.array([column.use.fixed_cost for column in columns])
        count = len(columns)
        self.firm = np.array([column.use.firm_cards for column in columns]).reshape(count, -1)
        self.spot = np.array([column.use.spot_cards for column in columns]).reshape(count, -1)

    def one_each(self, rows: Rows, choice: IntArray) -> None:
        """Let every server have one schedule."""
        for server in np.unique(self.server).tolist():
            own = np.flatnonzero(self.server == server)
            rows.add_array_row(choice[own], np.ones(len(own)), 1.0, 1.0)

    def within(
        self, rows: Rows, choice: IntArray, cards: IntArray, limit: IntArray, where: BoolArray
    ) -> None:
        """Keep cards within a limit at some types and hours."""
        for place in np.flatnonzero(where).tolist():
            taken = np.flatnonzero(cards[:, place])
            values = cards[taken, place].astype(float)
            rows.add_array_row(choice[taken], values, high=float(limit[place]))

    def most(self, cards: IntArray) -> IntArray:
        """Return the most cards that any choice takes, by type and hour."""
        total = np.zeros(cards.shape[1], dtype=np.int64)
        for server in np.unique(self.server).tolist():
            total += cards[self.server == server].max(axis=0)
        return total
