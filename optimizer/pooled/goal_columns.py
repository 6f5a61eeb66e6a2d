"""What is minimized, as coefficients of columns, and the columns that it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.pooled.sheet import Sheet
from optimizer.pooled.shortfalls import Shortfalls
from optimizer.table import FloatArray, IntArray
from stoker.domain.limits import ObjectiveName


@dataclass(frozen=True, slots=True)
class Starts:
    """Columns of replicas to start, for options that may grow; arrays of shape (columns,).

    Attributes:
        column: The column.
        option: Its option.
        taking: Column that takes the option.
        running: Replicas that need no start.
        held_by: For each column of replicas of such an option, the position here, (parts,).
        held: That column, (parts,).
    """

    column: IntArray
    option: IntArray
    taking: IntArray
    running: IntArray
    held_by: IntArray
    held: IntArray

    def settled(self, x: FloatArray) -> FloatArray:
        """Return a solution with its columns of starts at what the others make them.

        A search that does not price starts leaves them anywhere above.
        """
        if not self.column.size:
            return x
        x = x.copy()
        total = np.bincount(self.held_by, weights=x[self.held], minlength=self.column.size)
        x[self.column] = np.maximum(0.0, total - self.running * x[self.taking])
        return x


def add_starts(sheet: Sheet) -> Starts:
    """Add replicas to start of options that may grow, beyond those that run."""
    options = sheet.question.options
    growing = np.flatnonzero(options.grows & (options.start_cost > 0) & sheet.columns.split)
    if not growing.size:
        return Starts(*[growing] * 6)
    started = sheet.new_columns(options.most[growing].astype(np.float64), continuous=True)
    entries, option = sheet.parts()
    ours = np.isin(option, growing)
    option, column = option[ours], sheet.columns.entry_column[entries[ours]]
    first = sheet.rows.block(0.0, np.inf, growing.size)
    sheet.rows.add(first + np.arange(growing.size), started, 1.0)
    sheet.each_of_option(first, growing, option, column, -np.ones(option.size))
    taking, running = sheet.choosing()[growing], options.running[growing]
    sheet.rows.add(first + np.arange(growing.size), taking, running)
    return Starts(started, growing, taking, running, np.searchsorted(growing, option), column)


def goals_of(
    sheet: Sheet, shortfalls: Shortfalls, starts: Starts
) -> dict[ObjectiveName, tuple[FloatArray, float]]:
    """Return each objective as coefficients of columns and a constant.

    Args:
        sheet: The model, all its columns in place.
        shortfalls: What `add_shortfalls` returned.
        starts: What `add_starts` returned.
    """
    count = sheet.count
    question, options, columns = sheet.question, sheet.question.options, sheet.columns
    takes, option = columns.takes, columns.option
    value = sheet.by_entry(columns.entry_value)
    value[: columns.count] += np.where(takes, options.constant[option] + _known_starts(sheet), 0)
    value[starts.column] = options.start_cost[starts.option]
    watts = np.nan_to_num(options.power_w[sheet.entry_option]) * columns.entry_replicas
    slack = np.zeros(count)
    slack[: columns.count] = np.where(
        takes & options.serves[option], options.target_use[option], 0.0
    )
    # A server with something running that takes no option stops, which is a change.
    running = question.running[options.server[option]]
    changes = np.zeros(count)
    changes[: columns.count] = np.where(takes, options.changed[option] - running, 0.0)
    largest = np.zeros(count)
    largest[shortfalls.largest] = 1.0
    return {
        ObjectiveName.COST: (value, 0.0),
        ObjectiveName.ENERGY: (sheet.by_entry(watts), 0.0),
        ObjectiveName.SLO_SLACK: (slack, 0.0),
        ObjectiveName.CHANGES: (changes, float(question.running.sum())),
        ObjectiveName.FAIRNESS: (largest, 0.0),
    }


def _known_starts(sheet: Sheet) -> FloatArray:
    """Return the value of starts of each column that holds a known number of replicas."""
    options, columns = sheet.question.options.take(sheet.columns.option), sheet.columns
    held = np.bincount(
        columns.entry_column, weights=columns.entry_replicas, minlength=columns.count
    )
    whole = ~columns.split[columns.option]
    total = np.where(whole, np.rint(held).astype(np.int64), options.least)
    return np.where(whole | ~options.grows, options.starts(total), 0.0)


def spill_of(sheet: Sheet) -> FloatArray:
    """Return cards in pools that are not preferred, by how far down they stand, (columns,)."""
    wisher = sheet.question.options.wisher[sheet.entry_option]
    rank = sheet.question.wishes.rank[wisher, sheet.columns.entry_pool]
    return sheet.by_entry(rank * sheet.entry_card_shares)
