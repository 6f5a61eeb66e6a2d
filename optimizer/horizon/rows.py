"""Columns and rows of a linear model under construction."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from optimizer.linear_model import LinearModel
from optimizer.table import FloatArray, IntArray


class Rows:
    """A linear model that grows column by column and row by row, or by arrays of them."""

    def __init__(self) -> None:
        self._cost: list[FloatArray] = []
        self._lower: list[FloatArray] = []
        self._upper: list[FloatArray] = []
        self._integer: list[FloatArray] = []
        self._entries: list[tuple[IntArray, IntArray, FloatArray]] = []
        self._low: list[FloatArray] = []
        self._high: list[FloatArray] = []
        self.columns = 0
        self.rows = 0

    def add_columns(
        self,
        shape: tuple[int, ...],
        *,
        cost: FloatArray | float = 0.0,
        lower: FloatArray | float = 0.0,
        upper: FloatArray | float = np.inf,
        integer: bool = False,
    ) -> IntArray:
        """Add columns, and return their indices in that shape."""
        count = int(np.prod(shape))
        for held, value in ((self._cost, cost), (self._lower, lower), (self._upper, upper)):
            held.append(np.broadcast_to(np.asarray(value, dtype=np.float64), shape).ravel())
        self._integer.append(np.full(count, float(integer)))
        first = self.columns
        self.columns += count
        return np.arange(first, self.columns, dtype=np.int64).reshape(shape)

    def add_row(
        self, terms: Iterable[tuple[int, float]], low: float = -np.inf, high: float = np.inf
    ) -> None:
        """Add a row of single terms."""
        pairs = list(terms)
        self.add_array_row(
            np.array([column for column, _ in pairs], dtype=np.int64),
            np.array([value for _, value in pairs], dtype=np.float64),
            low,
            high,
        )

    def add_array_row(
        self, columns: IntArray, values: FloatArray, low: float = -np.inf, high: float = np.inf
    ) -> None:
        """Add a row of arrays of columns and values."""
        rows = np.full(len(columns), self.rows, dtype=np.int64)
        self._entries.append((rows, columns, values))
        self._low.append(np.array([low]))
        self._high.append(np.array([high]))
        self.rows += 1

    def model(self) -> LinearModel:
        """Return the model."""
        row, column, value = (
            (np.concatenate(parts) for parts in zip(*self._entries, strict=True))
            if self._entries
            else (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
        )
        return LinearModel(
            cost=_joined(self._cost),
            lower=_joined(self._lower),
            upper=_joined(self._upper),
            integer=_joined(self._integer).astype(np.bool_),
            entry_row=row,
            entry_column=column,
            entry_value=value,
            row_lower=_joined(self._low),
            row_upper=_joined(self._high),
        )


def _joined(parts: list[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.zeros(0)
