"""Grids of numbers over two axes of knots, several at once, bilinear between the knots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Ascending knots of several grids along one axis.

    Attributes:
        knots: knots of grid g in row g, the last one repeated where another grid has more,
            (grids, most knots).
        last: index of the last knot, (grids,).
    """

    knots: FloatArray
    last: IntArray

    @classmethod
    def of(cls, knots: Sequence[Sequence[float]]) -> Self:
        """Build from the knots of each grid, at least one of each."""
        most = max(len(row) for row in knots)
        padded = [[*row, *[row[-1]] * (most - len(row))] for row in knots]
        return cls(np.array(padded, dtype=np.float64), np.array([len(row) - 1 for row in knots]))

    def place(self, grid: IntArray, value: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the cell that each value falls in, and its place in it.

        Args:
            grid: grid of each case, (cases,).
            value: values, (..., cases).

        Returns:
            Index of the lower knot of the cell, and 0 at that knot to 1 at the upper one; 0 below
            the first knot and where there is one knot alone, above 1 beyond the last one.
        """
        flat, width = self.knots.ravel(), self.knots.shape[1]
        start, last = grid * width, self.last[grid]
        low = np.zeros(np.broadcast_shapes(np.shape(value), np.shape(grid)), dtype=np.int64)
        high = np.broadcast_to(last, low.shape)
        # Bisection, of every value at the same pace: the cells are found after log2(knots) steps.
        for _ in range(int(np.ceil(np.log2(max(width - 1, 1))))):
            middle = (low + high) // 2
            within = high - low > 1
            above = within & (flat[start + middle] <= value)
            low = np.where(above, middle, low)
            high = np.where(within & ~above, middle, high)
        lower, upper = flat[start + low], flat[start + np.minimum(low + 1, last)]
        width_of_cell = np.where(upper > lower, upper - lower, 1.0)
        return low, np.where((upper > lower) & (value > lower), value - lower, 0.0) / width_of_cell

    def outside(self, grid: IntArray, value: FloatArray) -> BoolArray:
        """Tell which values are below the first knot or above the last one."""
        outside: BoolArray = (value < self.knots[grid, 0]) | (
            value > self.knots[grid, self.last[grid]]
        )
        return outside


@dataclass(frozen=True, slots=True, eq=False)
class Grids:
    """Several grids of values, each with its own knots.

    Below the first knot of an axis the first value holds. Above the last one the last cell is
    extended in a straight line, or level where it falls; rows come before columns.

    Attributes:
        rows: knots of the first axis.
        columns: knots of the second axis.
        values: values at the knots, filled up with zeros, (grids, most rows, most columns).
    """

    rows: Axis
    columns: Axis
    values: FloatArray

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[float]],
        columns: Sequence[Sequence[float]],
        values: Sequence[Sequence[Sequence[float]]],
    ) -> Self:
        """Build from the knots and the values of each grid, of shape (rows, columns)."""
        one, two = Axis.of(rows), Axis.of(columns)
        padded = np.zeros((len(values), one.knots.shape[1], two.knots.shape[1]))
        for index, grid in enumerate(values):
            padded[index, : len(grid), : len(grid[0])] = grid
        return cls(one, two, padded)

    def at(self, grid: IntArray, row: FloatArray, column: FloatArray) -> FloatArray:
        """Return the values at places, (..., cases).

        Args:
            grid: grid of each case, (cases,).
            row: place along the first axis, (..., cases).
            column: place along the second axis, (..., cases).
        """
        _, height, width = self.values.shape
        upper, down = self.rows.place(grid, row)
        left, across = self.columns.place(grid, column)
        flat = self.values.ravel()
        start = grid * (height * width)
        top = start + upper * width
        bottom = start + np.minimum(upper + 1, self.rows.last[grid]) * width
        right = np.minimum(left + 1, self.columns.last[grid])
        low = _along(flat[top + left], flat[bottom + left], down)
        high = _along(flat[top + right], flat[bottom + right], down)
        return _along(low, high, across)


def _along(low: FloatArray, high: FloatArray, share: FloatArray) -> FloatArray:
    """Return values between two knots; beyond the upper one they never fall."""
    step = high - low
    beyond = high + (share - 1.0) * np.maximum(step, 0.0)
    result: FloatArray = np.where(share > 1.0, beyond, low + share * step)
    return result
