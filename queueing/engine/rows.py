"""Selecting the same rows of every array in a nest of dataclasses."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TypeVar, cast

import numpy as np

from queueing.arrays import RowSelector

T = TypeVar("T")


def take_rows(value: T, rows: RowSelector) -> T:
    """Return a dataclass of arrays (..., cases) with some of the cases, in that order.

    A field that is a dataclass itself is treated alike; one with a method `take` by that.
    """
    if isinstance(value, np.ndarray):
        return cast(T, value[..., rows])
    take = getattr(value, "take", None)
    if take is not None:
        return cast(T, take(rows))
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: take_rows(getattr(value, field.name), rows) for field in fields(value)}
        return cast(T, type(value)(**parts))
    return value


def take_states(value: T, states: slice) -> T:
    """Return a dataclass of arrays (states, cases) with some of the states."""
    parts = {field.name: getattr(value, field.name)[states] for field in fields(value)}  # type: ignore[arg-type]
    return type(value)(**parts)


def put_rows(value: object, rows: RowSelector, part: object) -> None:
    """Write the arrays of a nest of dataclasses into some of the cases of another of its type."""
    for field in fields(value):  # type: ignore[arg-type]
        whole, own = getattr(value, field.name), getattr(part, field.name)
        if isinstance(whole, np.ndarray):
            whole[..., rows] = own
        else:
            put_rows(whole, rows, own)
