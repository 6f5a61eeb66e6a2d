"""Large plans made again under a small edit: most servers stay, a bound on all plans is known.

A plan of thousands of servers takes seconds, and what one server or one card changes in it is less
than its gap. Prices on cards, found once, bound every plan under an edit in no time (Lagrangian
relaxation holds for whatever prices). The edited plan itself comes from the plan at hand: the
servers that the edit is about, and those that prices tell to be as well off elsewhere, are left
open to a small model that is solved exactly; everybody else stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.formulation import Formulation, single_model
from optimizer.linear_model import SolveLimits, SolveResult, SolveStatus
from optimizer.milp import WEIGHTED_GAP
from optimizer.milp_fixing import regrets, relaxed_with_prices
from optimizer.milp_session import WEIGHTED_METHOD, Session, finish, priority_groups
from optimizer.milp_weighted import unserved_prices
from optimizer.open_part import open_part
from optimizer.placement import Outcome
from optimizer.scaled_solve import solve_in_scale
from optimizer.solver import HIGHS, default_backend
from optimizer.table import BoolArray, CandidateTable, FloatArray, IntArray
from stoker.domain.settings import OptimizerSettings

OPEN = (24, 96)
"""Servers that are left open beside those that an edit is about; more where few are not enough."""
_GOOD = 1.5
"""Times what the plan at hand lies above its bound with which few are enough."""
NODES = 200
"""Branch-and-bound nodes of a small model at most, so that equal questions get equal answers."""
_POLISHING = 3
"""Times that a plan is bettered at most."""
_INNER_GAP = 1e-5
_PRICES_S = 60.0
"""Seconds for the prices of cards."""
_SMALL_S = 5.0
"""Seconds for one small model."""


@dataclass(frozen=True, slots=True)
class LargePlan:
    """A plan by weights, with what is needed to make it again under edits.

    Attributes:
        settings: How it was made.
        backend: PuLP's name of the solver.
        place: Row of each server that is served, among its own; -1 for others, (servers,).
        unserved: What a server that is not served adds to the objective, (servers,).
        card_price: Price of a card of each type, (types,).
        slack: How far the plan is above its bound, what is not served counted.
        clock: Seconds.
    """

    settings: OptimizerSettings
    backend: str
    place: IntArray
    unserved: FloatArray
    card_price: FloatArray
    slack: float
    clock: Callable[[], float]

    @classmethod
    def of(
        cls,
        table: CandidateTable,
        capacity: IntArray,
        settings: OptimizerSettings,
        chosen: IntArray,
        clock: Callable[[], float],
    ) -> LargePlan | None:
        """Return a plan with prices; None where they are not found, or HiGHS is not what is used.

        Args:
            table: Candidates, one accelerator a server, on whole cards.
            capacity: Cards by type, (types,).
            settings: How it was made.
            chosen: Row of each server that is served, -1 for others, (servers,).
            clock: Seconds.
        """
        backend, _ = default_backend(settings.backend)
        if backend != HIGHS:
            return None
        session = _session(table, capacity, settings, backend, clock)
        unserved, _ = unserved_prices(session, settings.class_weight_ratio)
        form = session.form
        cost = form.value - unserved[form.serves]
        priced = relaxed_with_prices(form.model(cost), form.server, form.serve_row, _PRICES_S)
        if priced is None:
            return None
        card_price = priced.price[form.serve_row.size :]
        value = float(cost @ (form.table_row == chosen[form.server]))
        slack = max(0.0, value - priced.bound)
        place = np.where(chosen >= 0, chosen - table.row_start[:-1], -1)
        return cls(settings, backend, place, unserved, card_price, slack, clock)

    def chosen(self, table: CandidateTable) -> IntArray:
        """Return the row of each server that is served, -1 for others, (servers,)."""
        return np.where(self.place >= 0, self.place + table.row_start[:-1], -1)

    def again(
        self,
        table: CandidateTable,
        capacity: IntArray,
        about: IntArray,
        opening: Sequence[int] = OPEN,
    ) -> Outcome | None:
        """Return a plan under an edit, with its bound; None where none is found.

        Best effort and empty allocations are the caller's to add.

        Args:
            table: The candidates under the edit; those who are served have their rows in order.
            capacity: Cards by type, (types,).
            about: Servers that the edit is about.
            opening: How many servers to leave open beside those, in turn.
        """
        session = _session(table, capacity, self.settings, self.backend, self.clock)
        form = session.form
        cost = form.value - self.unserved[form.serves]
        paid = np.zeros(form.upper.size)
        counted = np.flatnonzero(table.card_type[form.table_row] >= 0)
        kinds = table.card_type[form.table_row[counted]]
        paid[counted] = self.card_price[kinds] * form.cards[counted]
        reduced = cost + paid
        regret, least = regrets(form.server, reduced)
        bound = float(np.minimum(least, 0.0).sum() - self.card_price @ capacity)
        chosen = self.chosen(table)
        x = np.where(form.table_row == chosen[form.server], 1.0, 0.0)
        own = np.zeros(least.size)
        np.add.at(own, form.server, x * reduced)
        about = about[about < least.size]
        gone = np.flatnonzero((chosen[: least.size] >= 0) & (own == 0.0))
        good = bound + max(_GOOD * self.slack, session.gap * abs(float(form.value @ x)))
        found = None
        for opened in opening:
            free = _free(regret, own - least, np.union1d(about, gone), opened)
            better = self._small(form, cost, x, free)
            if better is not None and (found is None or cost @ better < cost @ found):
                found = better
            if np.all(free) or (found is not None and cost @ found <= good):
                break
        if found is None:
            return None
        value = float(form.value @ found)
        objective = float(cost @ found)
        result = SolveResult(SolveStatus.FEASIBLE, found, value, value - (objective - bound), 0.0)
        counts = tuple(session.served(group, found) for group in session.groups)
        return finish(session, result, None, counts, counts, WEIGHTED_METHOD)

    def polished(self, table: CandidateTable, capacity: IntArray) -> LargePlan:
        """Return the plan, bettered where moving few servers does that."""
        best = self
        for _ in range(_POLISHING):
            found = best.again(table, capacity, np.zeros(0, dtype=np.int64))
            if found is None:
                break
            moved = chosen_rows(table, found)
            slack = best._slack_of(table, moved)
            if slack >= best.slack - 1e-9 * abs(best.slack):
                break
            best = replace(best, place=np.where(moved >= 0, moved - table.row_start[:-1], -1))
            best = replace(best, slack=slack)
        return best

    def _slack_of(self, table: CandidateTable, chosen: IntArray) -> float:
        """Return how far other rows are above the bound, what is not served counted."""

        def objective(rows: IntArray) -> float:
            value = float(table.value[rows[rows >= 0]].sum())
            return value - float(self.unserved[rows >= 0].sum())

        return max(0.0, self.slack + objective(chosen) - objective(self.chosen(table)))

    def _small(
        self, form: Formulation, cost: FloatArray, x: FloatArray, free: BoolArray
    ) -> FloatArray | None:
        """Return the best plan in which only free servers move; None where none is found."""
        everything = np.ones(x.size, dtype=np.bool_)
        part = open_part(form.model(cost), x, form.server, free, everything)
        if np.any(part.model.row_upper < 0):
            return None  # those who stay take more than there is
        limits = SolveLimits(_INNER_GAP, _SMALL_S, NODES)
        found = solve_in_scale(part.model, self.backend, limits, relaxed=False, clock=self.clock)
        return None if found.x is None else part.joined(found.x)


def chosen_rows(table: CandidateTable, outcome: Outcome) -> IntArray:
    """Return the row of each server that is served on cards, -1 for others, (servers,)."""
    placement = outcome.placement
    chosen = np.full(len(table.servers), -1, dtype=np.int64)
    rows = placement.row[placement.replicas > 0]
    rows = rows[placement.served[table.server[rows]]]
    chosen[table.server[rows]] = rows
    return chosen


def _free(regret: FloatArray, lost: FloatArray, about: IntArray, count: int) -> BoolArray:
    """Return the servers to leave open: the nearest to another choice, those of the edit first."""
    near = np.where(lost > 0, 0.0, regret)
    near[about] = -np.inf
    free = np.zeros(regret.size, dtype=np.bool_)
    free[np.argsort(near, kind="stable")[: count + about.size]] = True
    return free


def _session(
    table: CandidateTable,
    capacity: IntArray,
    settings: OptimizerSettings,
    backend: str,
    clock: Callable[[], float],
) -> Session:
    form = single_model(table, capacity)
    gap = WEIGHTED_GAP if settings.relative_gap is None else settings.relative_gap
    groups = priority_groups(table, form)
    return Session(table, form, groups, backend, gap, float("inf"), clock)
