"""Rows of a model, collected as coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from optimizer.table import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One constraint: ``lower <= values @ x[columns] <= upper``."""

    columns: IntArray
    values: FloatArray
    lower: float
    upper: float


@dataclass(slots=True)
class Rows:
    """Collects rows in blocks; a block's rows are numbered from 0."""

    count: int = 0
    _row: list[IntArray] = field(default_factory=list)
    _column: list[IntArray] = field(default_factory=list)
    _value: list[FloatArray] = field(default_factory=list)
    _lower: list[FloatArray] = field(default_factory=list)
    _upper: list[FloatArray] = field(default_factory=list)

    def block(self, lower: npt.ArrayLike, upper: npt.ArrayLike, size: int) -> int:
        """Begin a block of rows with these bounds; return the number of its first row."""
        first = self.count
        self._lower.append(np.broadcast_to(np.asarray(lower, dtype=np.float64), (size,)))
        self._upper.append(np.broadcast_to(np.asarray(upper, dtype=np.float64), (size,)))
        self.count += size
        return first

    def add(self, row: IntArray, column: IntArray, value: npt.ArrayLike) -> None:
        """Add coefficients; those of one row and column are added up by the solver's builder."""
        self._row.append(np.asarray(row, dtype=np.int64))
        self._column.append(np.asarray(column, dtype=np.int64))
        spread = np.broadcast_to(np.asarray(value, dtype=np.float64), row.shape)
        self._value.append(spread)

    def finished(self) -> tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]:
        """Return row, column and value of each coefficient, lower and upper bounds of rows."""
        none = np.zeros(0, dtype=np.int64)
        row = np.concatenate([none, *self._row])
        column = np.concatenate([none, *self._column])
        value = np.concatenate([np.zeros(0), *self._value])
        # One coefficient a cell: libraries differ on repeated ones.
        order = np.lexsort((column, row))
        row, column, value = row[order], column[order], value[order]
        first = np.ones(row.size, dtype=np.bool_)
        first[1:] = (np.diff(row) != 0) | (np.diff(column) != 0)
        starts = np.flatnonzero(first)
        summed = np.add.reduceat(value, starts) if starts.size else value
        return (
            row[starts],
            column[starts],
            summed,
            np.concatenate([np.zeros(0), *self._lower]),
            np.concatenate([np.zeros(0), *self._upper]),
        )
