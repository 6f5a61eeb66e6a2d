"""The mixed-integer model of a question, as arrays.

Columns are those of `optimizer.pooled.columns`: y takes an option, x counts its replicas in a pool.
Some rules need more: c counts cards of a pool that are cut in one way, u says that replicas of an
option stand in a zone, w that a pool may be lost whole, s counts replicas to start, t is the
largest shortfall of a class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.linear_model import LinearModel
from optimizer.pooled.columns import Columns
from optimizer.pooled.cut import add_cut_cards
from optimizer.pooled.goal_columns import Starts, add_starts, goals_of, spill_of
from optimizer.pooled.place_rows import add_places
from optimizer.pooled.question import Question
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.shared_rows import add_choices, add_groups, add_limits, add_pools, add_totals
from optimizer.pooled.sheet import Sheet
from optimizer.pooled.shortfalls import Shortfalls, add_shortfalls
from optimizer.pooled.spread_rows import add_spot_shares, add_survival, add_zones
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.limits import ObjectiveName


@dataclass(frozen=True, slots=True)
class PooledModel:
    """A model without objective, and what there is to minimize.

    Attributes:
        question: What it is the model of.
        columns: Its first columns.
        count: Number of all columns.
        upper: Upper bounds; lower ones are 0, (count,).
        integer: Which columns are integer, (count,).
        entry_row: Row of each coefficient.
        entry_column: Column of each coefficient.
        entry_value: Value of each coefficient.
        row_lower: Lower bounds of rows.
        row_upper: Upper bounds of rows.
        serve_row: Row of each server with options, that it takes at most one.
        marks: Server that a column serves in full when 1; -1 for none, (count,).
        goals: Each objective as coefficients, (count,), and a constant.
        starts: Replicas to start, of options that may grow.
        shortfalls: What service classes go without, where fairness is an objective.
        spill: Cards in pools that are not preferred, by how far down they stand, (count,).
        cards: Cards of a unit of each column, (count,).
    """

    question: Question
    columns: Columns
    count: int
    upper: FloatArray
    integer: BoolArray
    entry_row: IntArray
    entry_column: IntArray
    entry_value: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    serve_row: IntArray
    marks: IntArray
    goals: dict[ObjectiveName, tuple[FloatArray, float]]
    starts: Starts
    shortfalls: Shortfalls
    spill: FloatArray
    cards: FloatArray

    def linear(self, cost: FloatArray, rows: tuple[ModelRow, ...] = ()) -> LinearModel:
        """Return the model that minimizes a cost, with further rows."""
        base = self.row_lower.size
        return LinearModel(
            cost=cost,
            lower=np.zeros(self.count),
            upper=self.upper,
            integer=self.integer,
            entry_row=np.concatenate(
                [self.entry_row, *(np.full(r.columns.size, base + k) for k, r in enumerate(rows))]
            ).astype(np.int64),
            entry_column=np.concatenate([self.entry_column, *(r.columns for r in rows)]),
            entry_value=np.concatenate([self.entry_value, *(r.values for r in rows)]),
            row_lower=np.concatenate([self.row_lower, [r.lower for r in rows]]),
            row_upper=np.concatenate([self.row_upper, [r.upper for r in rows]]),
        )

    def settled(self, x: FloatArray) -> FloatArray:
        """Return a solution with all that follows from its plan at what the plan makes it."""
        return self.shortfalls.settled(self.starts.settled(x))

    @property
    def whole(self) -> BoolArray:
        """Columns that take an option with all its replicas, which are the server's own."""
        found = np.zeros(self.count, dtype=np.bool_)
        option = self.columns.option
        alone = ~self.columns.split[option] & ~self.question.options.shared[option]
        found[: self.columns.count] = self.columns.takes & alone
        return found

    def served_columns(self, servers: BoolArray) -> IntArray:
        """Return the columns that serve any of the masked servers in full."""
        marked = self.marks >= 0
        return np.flatnonzero(marked & servers[np.where(marked, self.marks, 0)])


def build_model(question: Question, columns: Columns) -> PooledModel:
    """Return the model of a question over the columns given."""
    sheet = Sheet(question, columns)
    serve_row = add_choices(sheet)
    add_groups(sheet)
    add_totals(sheet)
    add_cut_cards(sheet)
    add_pools(sheet)
    add_limits(sheet)
    add_spot_shares(sheet)
    add_zones(sheet)
    add_survival(sheet)
    add_places(sheet)
    starts = add_starts(sheet)
    shortfalls = add_shortfalls(sheet)
    options = question.options
    count = sheet.count
    integer = np.ones(count, dtype=np.bool_)
    integer[sheet.continuous] = False
    row, column, value, lower, upper = sheet.rows.finished()
    marks = np.full(count, -1, dtype=np.int64)
    serving = columns.takes & options.serves[columns.option]
    marks[: columns.count][serving] = options.server[columns.option[serving]]
    return PooledModel(
        question=question,
        columns=columns,
        count=count,
        upper=np.concatenate([columns.upper, *sheet.extra_upper]),
        integer=integer,
        entry_row=row,
        entry_column=column,
        entry_value=value,
        row_lower=lower,
        row_upper=upper,
        serve_row=serve_row,
        marks=marks,
        goals=goals_of(sheet, shortfalls, starts),
        starts=starts,
        shortfalls=shortfalls,
        spill=spill_of(sheet),
        cards=sheet.cards(),
    )


def changes_row(model: PooledModel, most: int) -> ModelRow:
    """Return the row that lets something else run than now for so many servers at most."""
    cost, constant = model.goals[ObjectiveName.CHANGES]
    used = np.flatnonzero(cost)
    return ModelRow(used, cost[used], -np.inf, most - constant)
