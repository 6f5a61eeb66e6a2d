"""What is minimized, as coefficients of columns, and the columns that it needs."""

from __future__ import annotations

import numpy as np

from optimizer.pooled.sheet import Sheet
from optimizer.pooled.shortfalls import Shortfalls
from optimizer.table import FloatArray, IntArray
from stoker.domain.limits import ObjectiveName


def add_starts(sheet: Sheet) -> tuple[IntArray, IntArray]:
    """Add replicas to start of options that may grow, beyond those that run; with their options."""
    options = sheet.question.options
    growing = np.flatnonzero(options.grows & (options.start_cost > 0) & sheet.columns.split)
    if not growing.size:
        return growing, growing
    started = sheet.new_columns(options.most[growing].astype(np.float64), continuous=True)
    entries, option = sheet.parts()
    first = sheet.rows.block(0.0, np.inf, growing.size)
    sheet.rows.add(first + np.arange(growing.size), started, 1.0)
    column = sheet.columns.entry_column[entries]
    sheet.each_of_option(first, growing, option, column, -np.ones(option.size))
    sheet.rows.add(
        first + np.arange(growing.size), sheet.choosing()[growing], options.running[growing]
    )
    return started, growing


def goals_of(
    sheet: Sheet, shortfalls: Shortfalls, starts: tuple[IntArray, IntArray]
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
    value[starts[0]] = options.start_cost[starts[1]]
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
