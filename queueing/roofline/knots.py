"""Knots of a grid, put where straight lines between them would stray from a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray

_Function = Callable[[FloatArray, FloatArray], FloatArray]
_Region = Callable[[FloatArray, FloatArray], BoolArray]


@dataclass(frozen=True, slots=True, eq=False)
class KnottedGrid:
    """A function on knots, and what bilinear interpolation between them makes of it.

    Attributes:
        rows: knots of the first argument, ascending.
        columns: knots of the second argument.
        values: the function there, (rows, columns).
        deviations: relative deviations from the function, over places between the knots.
    """

    rows: FloatArray
    columns: FloatArray
    values: FloatArray
    deviations: FloatArray


def knotted(
    function: _Function,
    rows: FloatArray,
    columns: FloatArray,
    *,
    close: float,
    most: int,
    region: _Region | None = None,
) -> KnottedGrid:
    """Return a function on few of the places given, nearly as good as on all of them.

    Knots are added one by one, on the axis and at the place where it deviates most.

    Args:
        function: positive, of two arrays that broadcast.
        rows: places of the first argument, ascending, at least one; the outer ones become knots.
        columns: places of the second argument, likewise.
        close: relative deviation at which knots are enough.
        most: most knots of an axis, at least 2.
        region: where the function matters; everywhere unless given.
    """
    axes = (rows, columns)
    true = function(rows[:, None], columns[None, :])
    counts = np.ones(true.shape, dtype=np.bool_)
    if region is not None:
        counts = np.broadcast_to(region(rows[:, None], columns[None, :]), true.shape)
    chosen = [sorted({0, len(axis) - 1}) for axis in axes]
    while True:
        spans = [_interpolation(axis, kept) for axis, kept in zip(axes, chosen, strict=True)]
        along = (
            spans[0] @ true[chosen[0]],
            true[:, chosen[1]] @ spans[1].T,
        )
        strays = [np.where(counts, np.abs(each / true - 1.0), 0.0) for each in along]
        worst = [float(each.max()) if len(kept) < most else 0.0
                 for each, kept in zip(strays, chosen, strict=True)]  # fmt: skip
        if max(worst) <= close:
            break
        axis = int(np.argmax(worst))
        place = int(np.argmax(strays[axis].max(axis=1 - axis)))
        chosen[axis] = sorted({*chosen[axis], place})
    values = true[np.ix_(*chosen)]
    told = spans[0] @ values @ spans[1].T
    return KnottedGrid(
        rows[chosen[0]], columns[chosen[1]], values, np.abs(told / true - 1.0)[counts]
    )


def _interpolation(places: FloatArray, kept: list[int]) -> FloatArray:
    """Return the weights of the knots kept at every place, (places, knots)."""
    units: npt.NDArray[np.float64] = np.eye(len(kept))
    return np.column_stack([np.interp(places, places[kept], unit) for unit in units])
