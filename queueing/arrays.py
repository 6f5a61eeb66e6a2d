"""Array types and what every module here does with arrays."""

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
    lengths = sorted({len(array) for array in arrays} - {1})
    if len(lengths) > 1:
        raise ValueError(
            f"arrays of {' and '.join(map(str, lengths))} values: give one for each case, "
            "or one for all"
        )
    return [np.ascontiguousarray(array) for array in np.broadcast_arrays(*arrays)]


def finite_not_negative(*arrays: FloatArray) -> BoolArray:
    """Tell where all of the arrays hold finite numbers that are not negative."""
    good = np.ones(len(arrays[0]), dtype=np.bool_)
    for array in arrays:
        good &= np.isfinite(array) & (array >= 0.0)
    return good
