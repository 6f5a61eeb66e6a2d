"""A model without what is fixed: the columns of some servers are left open, others are as told."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import LinearModel
from optimizer.table import BoolArray, FloatArray, IntArray

WHOLE = 1e-6
"""How far a value may be from a whole number and count as one."""


@dataclass(frozen=True, slots=True)
class OpenPart:
    """A model without what is fixed.

    Attributes:
        model: The model of the open columns.
        kept: Which columns those are.
        x: Values of all columns, 0 for those that are open, (columns of the whole).
    """

    model: LinearModel
    kept: IntArray
    x: FloatArray

    def joined(self, found: FloatArray) -> FloatArray:
        """Return a solution of the whole from one of the part."""
        x = self.x.copy()
        x[self.kept] = found
        return x


def open_part(
    model: LinearModel, x: FloatArray, server: IntArray, free: BoolArray, useful: BoolArray
) -> OpenPart:
    """Return a model of the free servers alone, what the others take off its rows.

    Args:
        model: The whole model.
        x: Values of its columns, whole for the servers that are not free.
        server: Server of each column, -1 for nobody's, which stay open.
        free: Servers that are left open.
        useful: Columns of theirs that are worth keeping.
    """
    open_column = (server < 0) | free[np.where(server < 0, 0, server)]
    fixed = np.where(open_column, 0.0, np.rint(x))
    open_column = open_column & (useful | (x > WHOLE))
    kept = np.flatnonzero(open_column)
    taken = np.bincount(
        model.entry_row,
        weights=model.entry_value * fixed[model.entry_column],
        minlength=model.row_lower.size,
    )
    entries = np.flatnonzero(open_column[model.entry_column])
    used = np.unique(model.entry_row[entries])
    row = np.full(model.row_lower.size, -1, dtype=np.int64)
    row[used] = np.arange(used.size)
    column = np.full(model.cost.size, -1, dtype=np.int64)
    column[kept] = np.arange(kept.size)
    smaller = replace(
        model,
        cost=model.cost[kept],
        lower=model.lower[kept],
        upper=model.upper[kept],
        integer=model.integer[kept],
        entry_row=row[model.entry_row[entries]],
        entry_column=column[model.entry_column[entries]],
        entry_value=model.entry_value[entries],
        row_lower=model.row_lower[used] - taken[used],
        row_upper=model.row_upper[used] - taken[used],
    )
    return OpenPart(smaller, kept, fixed)
