"""Fairness: the shortfalls of service classes, the largest as small as can be, then the next.

Shortfalls are compared sorted, largest first. Which class is the worst differs from plan to plan,
so that fixing "the worst one" and freeing the rest would be wrong for whole numbers. Instead the
sum of the k largest is minimized for k = 1, 2, ..., each among the plans that are best before it,
which comes to the same order and is linear: that sum is the least of ``k t + sum of d`` over all
t and d with ``d >= z - t`` for each shortfall z. Source: Ogryczak and Śliwiński, On direct methods
for lexicographic min-max optimization, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.pooled.sheet import Sheet
from optimizer.table import FloatArray, IntArray
from stoker.domain.limits import Combination, ObjectiveName


@dataclass(frozen=True, slots=True)
class Shortfalls:
    """Columns of shortfalls; there are none where fairness is no objective.

    Attributes:
        column: Shortfall of each class that has a load, (classes,).
        entry_class: Class of each entry, as a position in `column`.
        entry_column: Column that carries some of the load of the class.
        entry_share: Share of the class's load that one unit of it carries.
        ranked: Whether more than the largest is to be minimized.
        threshold: For each k from 2 to the classes less 1, column t of the sum of the k largest.
        excess: For each of the same, the columns d, one a class, (k's, classes).
        largest: Column of the largest; empty where fairness is no objective.
    """

    column: IntArray
    entry_class: IntArray
    entry_column: IntArray
    entry_share: FloatArray
    ranked: bool
    threshold: IntArray
    excess: IntArray
    largest: IntArray

    def sums(self, columns: int) -> tuple[FloatArray, ...]:
        """Return the coefficients of the sum of the k largest, k = 1, 2, ..., each (columns,).

        Args:
            columns: Number of columns of the model.
        """
        found = []
        if self.largest.size:
            found.append(_ones_at(self.largest, columns))
        for index, threshold in enumerate(self.threshold.tolist()):
            values = _ones_at(self.excess[index], columns)
            values[threshold] = index + 2.0
            found.append(values)
        if self.ranked and self.column.size > 1:
            found.append(_ones_at(self.column, columns))
        return tuple(found)

    def settled(self, x: FloatArray) -> FloatArray:
        """Return a solution with its columns of shortfalls at what the others make them."""
        if not self.largest.size:
            return x
        x = x.copy()
        carried = np.bincount(
            self.entry_class,
            weights=self.entry_share * x[self.entry_column],
            minlength=self.column.size,
        )
        shortfall = np.clip(1.0 - carried, 0.0, 1.0)
        x[self.column] = shortfall
        x[self.largest] = shortfall.max(initial=0.0)
        ordered = np.sort(shortfall)[::-1]
        for index, threshold in enumerate(self.threshold.tolist()):
            x[threshold] = ordered[index + 1]
            x[self.excess[index]] = np.maximum(0.0, shortfall - ordered[index + 1])
        return x


def add_shortfalls(sheet: Sheet) -> Shortfalls:
    """Add the shortfalls of all classes, and what their sums take, where fairness is asked for."""
    question = sheet.question
    none = np.zeros(0, dtype=np.int64)
    if not question.objectives.includes(ObjectiveName.FAIRNESS):
        return Shortfalls(none, none, none, np.zeros(0), False, none, none.reshape(0, 0), none)
    total = np.bincount(question.class_index, weights=question.rates, minlength=question.classes)
    loaded = np.flatnonzero(total > 0)
    place = np.full(question.classes, -1, dtype=np.int64)
    place[loaded] = np.arange(loaded.size)
    share = np.where(total > 0, 1.0 / np.where(total > 0, total, 1.0), 0.0)
    owner, column, carried = _carried(sheet, question.rates * share[question.class_index])
    within = place[question.class_index[owner]]
    owner, column, carried = within[within >= 0], column[within >= 0], carried[within >= 0]
    shortfall = sheet.new_columns(np.ones(loaded.size), continuous=True)
    first = sheet.rows.block(1.0, np.inf, loaded.size)
    sheet.rows.add(first + np.arange(loaded.size), shortfall, 1.0)
    sheet.rows.add(first + owner, column, carried)
    largest = sheet.new_columns(np.ones(1), continuous=True)
    _above(sheet, shortfall, largest, none)
    threshold, excess = [], []
    ranked = question.objectives.combine is Combination.LEXICOGRAPHIC
    for _ in range(2, loaded.size) if ranked else ():
        level = sheet.new_columns(np.ones(1), continuous=True)
        over = sheet.new_columns(np.ones(loaded.size), continuous=True)
        _above(sheet, shortfall, level, over)
        threshold.append(level)
        excess.append(over)
    return Shortfalls(
        column=shortfall,
        entry_class=owner,
        entry_column=column,
        entry_share=carried,
        ranked=ranked,
        threshold=np.concatenate([none, *threshold]),
        excess=np.array(excess, dtype=np.int64).reshape(len(excess), loaded.size),
        largest=largest,
    )


def _carried(sheet: Sheet, worth: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Return server, column and share of the class of all that carries some of a server's load.

    Args:
        sheet: The model.
        worth: Share of its class's load that each server has, (servers,).
    """
    options, columns = sheet.question.options, sheet.columns
    serving = np.flatnonzero(columns.takes & options.serves[columns.option])
    server = options.server[columns.option[serving]]
    option = sheet.entry_option
    partly = np.flatnonzero(~options.serves[option] & (options.share_per_replica[option] > 0))
    part_server = options.server[option[partly]]
    part = options.share_per_replica[option[partly]] * columns.entry_replicas[partly]
    return (
        np.concatenate([server, part_server]),
        np.concatenate([serving, columns.entry_column[partly]]),
        np.concatenate([worth[server], worth[part_server] * part]),
    )


def _above(sheet: Sheet, shortfall: IntArray, level: IntArray, over: IntArray) -> None:
    """Let a level, with what goes over it by class, be no less than each shortfall."""
    rows = np.arange(shortfall.size)
    first = sheet.rows.block(0.0, np.inf, shortfall.size)
    sheet.rows.add(first + rows, np.repeat(level, shortfall.size), 1.0)
    sheet.rows.add(first + rows, shortfall, -1.0)
    if over.size:
        sheet.rows.add(first + rows, over, 1.0)


def _ones_at(chosen: IntArray, columns: int) -> FloatArray:
    values = np.zeros(columns)
    values[chosen] = 1.0
    return values
