"""A plan with its problem, and what follows from both without planning again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.configurations.cut_cards import counted_cards, on_slices
from optimizer.explaining.decision import Decision, cards_of, change_between, decision_of
from optimizer.explaining.large import LargeFleet
from optimizer.explaining.problem import PlanningProblem
from optimizer.table import EMPTY, CandidateTable, IntArray
from stoker.domain.plan_change import Evidence, PlanChange

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Situation:
    """A plan, in rows of the table that it was made from.

    Attributes:
        problem: What was planned.
        base: The plan.
        free: Cards by type that nobody uses; None for cards without end. Slices are counted as if
            no server shared a card with another, so that what fits here always fits.
        large: What plans of a large fleet are made from under an edit; None where all of it is
            planned again.
        unsettled: Servers with a candidate that are not served, or cost more than their candidate
            of least value; None where the sum of what is least for each bounds no plan: for a
            method that proves nothing, where servers mix accelerators or may share replicas or
            cards, and where more than cards by type bounds a plan, or more than value is to be
            least.
    """

    problem: PlanningProblem
    base: Decision
    free: IntArray | None
    unsettled: frozenset[int] | None
    large: LargeFleet | None = None

    @property
    def table(self) -> CandidateTable:
        """The candidates."""
        return self.problem.table

    @property
    def sliced(self) -> bool:
        """Whether some candidate is on slices of cards, which several servers may share."""
        return bool(np.any(on_slices(self.table)))

    def change_under(
        self, edited: PlanningProblem, about: int | None = None
    ) -> tuple[Decision, PlanChange]:
        """Return the plan under an edit and what becomes of this one, by planning again.

        Args:
            edited: The problem under the edit.
            about: The server that the edit is about, which is not among those that move.
        """
        but = () if about is None else (about,)
        if self.large is not None:
            near = self.large.after(edited, about)
            if near is not None:
                change = change_between(self.large.before, near, Evidence.REPAIRED, but=but)
                return near, change
        after = decision_of(edited.table, edited.placed())
        return after, change_between(self.base, after, Evidence.RESOLVED, but=but)

    def has_room(self, server: int, row: int) -> bool:
        """Whether a server may have all replicas of a row while all others stay as they are."""
        if fits(self.table, row, self.free_for(server)):
            return True
        if self.free is None or not self.sliced:
            return False
        entries = [
            entry
            for other, own in enumerate(self.base.entries)
            for entry in (own if other != server else [(row, int(self.table.replicas[row]))])
        ]
        rows = np.array([item for item, _ in entries], dtype=np.int64)
        counted = counted_cards(self.table, rows, np.array([count for _, count in entries]))
        kind = int(self.table.card_type[row])
        used = int(counted[self.table.card_type[rows] == kind].sum())
        return used <= int(self.free[kind] + self.base.cards[kind])

    def has_cards(self, row: int) -> bool:
        """Whether the cards of the fleet are enough for all replicas of a row with nobody else."""
        return self.free is None or fits(self.table, row, self.free + self.base.cards)

    def settled_but(self, server: int | None = None) -> bool:
        """Whether everybody else is known to have the best that there is, whatever the cards."""
        return self.unsettled is not None and self.unsettled <= {server}

    def free_for(self, server: int) -> IntArray | None:
        """Return the cards by type that nobody else uses."""
        if self.free is None:
            return None
        return self.free + cards_of(self.table, self.base.entries[server])


def situation_of(problem: PlanningProblem, base: Decision) -> Situation:
    """Return the situation of a plan."""
    bounded = problem.proves and not problem.mixes and problem.fleet.is_plain
    bounded = bounded and not problem.fleet.sharing
    unsettled = _unsettled(problem.table, base) if bounded else None
    # Where everybody has what is best, hardly anything is planned again.
    settled = unsettled is not None and not unsettled
    return Situation(
        problem=problem,
        base=base,
        free=None if problem.settings.unlimited else _left(problem) - base.cards,
        unsettled=unsettled,
        large=None if settled else LargeFleet.of(problem, base),
    )


def fits(table: CandidateTable, row: int, free: IntArray | None) -> bool:
    """Return whether all replicas of a row fit into free cards."""
    card_type = int(table.card_type[row])
    return free is None or card_type == EMPTY or int(table.cards[row]) <= int(free[card_type])


def _left(problem: PlanningProblem) -> IntArray:
    """Return the cards that may be given, by type."""
    counts: dict[str, int] = {}
    for item in problem.fleet.capacity:
        counts[item.card_type] = counts.get(item.card_type, 0) + item.count
    return np.array(
        [
            max(0, counts.get(name, 0) - problem.taken.get(name, 0))
            for name in problem.table.card_types
        ],
        dtype=np.int64,
    )


def _unsettled(table: CandidateTable, base: Decision) -> frozenset[int]:
    least = np.full(len(table.servers), np.inf)
    accepted = np.flatnonzero(table.accepted)
    np.minimum.at(least, table.server[accepted], table.value[accepted])
    return frozenset(
        server
        for server, (own, low) in enumerate(zip(base.own, least.tolist(), strict=True))
        if low < np.inf and not (own.served and own.value <= low + _ROUNDING * abs(low))
    )
