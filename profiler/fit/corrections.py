"""Where a table may depart from its base, how smoothly, and how far rows are trusted in it."""

from __future__ import annotations

import numpy as np

from queueing.arrays import FloatArray

BATCHES = (1.0, 4.0, 16.0, 64.0, 256.0)
"""Decode batches with a correction of their own."""
CONTEXTS = (128.0, 1024.0, 8192.0)
"""Mean contexts with a correction of their own."""
PROMPT_TOKENS = (32.0, 128.0, 512.0, 2048.0, 8192.0)
"""Prompt tokens computed in an iteration with a correction of their own."""
_LEVEL = 3.0
"""How much farther a whole table may be from its base than it may bend."""


def names() -> tuple[str, ...]:
    """Return the names of the corrections: of decodes, batch by batch, then of prefills."""
    decode = [f"decode_{batch:g}_{context:g}" for batch in BATCHES for context in CONTEXTS]
    return (*decode, *(f"prefill_{tokens:g}" for tokens in PROMPT_TOKENS))


def penalty(bend: float) -> FloatArray:
    """Return how unlikely corrections are: rows that map their logarithms to spreads.

    Second differences along each axis have the standard deviation `bend`, and the corrections
    themselves three times as much: a table is as smooth and as close to its base as rows allow.

    Args:
        bend: how far neighbours may be off a straight line, as a share of the time; above 0.
    """
    rows, columns = len(BATCHES), len(CONTEXTS)
    along = np.kron(_second_differences(rows), np.eye(columns))
    across = np.kron(np.eye(rows), _second_differences(columns))
    decode = np.concatenate([along, across, np.eye(rows * columns) / _LEVEL])
    prefill = np.concatenate(
        [_second_differences(len(PROMPT_TOKENS)), np.eye(len(PROMPT_TOKENS)) / _LEVEL]
    )
    both = np.zeros((len(decode) + len(prefill), decode.shape[1] + prefill.shape[1]))
    both[: len(decode), : decode.shape[1]] = decode
    both[len(decode) :, decode.shape[1] :] = prefill
    result: FloatArray = both / bend
    return result


def interpolated(values: FloatArray, knots: tuple[float, ...], at: FloatArray) -> FloatArray:
    """Return values between knots, straight over the logarithm, level beyond the outer ones.

    Args:
        values: (cases, knots).
        knots: ascending.
        at: (..., cases).
    """
    cases = np.arange(values.shape[0])
    place = np.interp(np.log(np.maximum(at, 1.0)), np.log(knots), np.arange(len(knots)))
    low = np.minimum(place.astype(np.int64), len(knots) - 2)
    share = place - low
    between: FloatArray = (1.0 - share) * values[cases, low] + share * values[cases, low + 1]
    return between


def interpolated_twice(values: FloatArray, batch: FloatArray, context: FloatArray) -> FloatArray:
    """Return corrections of decodes between those of `BATCHES` and `CONTEXTS`.

    Args:
        values: (cases, batches, contexts).
        batch: (..., cases).
        context: (..., cases).
    """
    cases = np.arange(values.shape[0])
    steps = np.arange(len(BATCHES)), np.arange(len(CONTEXTS))
    row = np.interp(np.log(np.maximum(batch, 1.0)), np.log(BATCHES), steps[0])
    column = np.interp(np.log(np.maximum(context, 1.0)), np.log(CONTEXTS), steps[1])
    top = np.minimum(row.astype(np.int64), len(BATCHES) - 2)
    left = np.minimum(column.astype(np.int64), len(CONTEXTS) - 2)
    down, across = row - top, column - left
    upper = (1.0 - across) * values[cases, top, left] + across * values[cases, top, left + 1]
    lower = (1.0 - across) * values[cases, top + 1, left] + across * values[
        cases, top + 1, left + 1
    ]
    between: FloatArray = (1.0 - down) * upper + down * lower
    return between


def _second_differences(count: int) -> FloatArray:
    return np.diff(np.eye(count), n=2, axis=0)
