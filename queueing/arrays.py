"""Array types and the two conversions that every module here needs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
RowSelector = IntArray | BoolArray | slice


def columns(*values: npt.ArrayLike) -> list[FloatArray]:
    """Return the values as float64 arrays of one common length (scalars are repeated).

    Raises:
        ValueError: a value has more than one dimension, or lengths differ.
    """
    arrays = [np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in values]
    if any(array.ndim > 1 for array in arrays):
        raise ValueError("expected scalars or one-dimensional arrays, one value for each case")
    return [np.ascontiguousarray(array) for array in np.broadcast_arrays(*arrays)]


def scatter(values: FloatArray, rows: RowSelector, count: int) -> FloatArray:
    """Return an array of ``count`` with ``values`` at ``rows`` and NaN (unknown) elsewhere."""
    full = np.full(count, np.nan)
    full[rows] = values
    return full
