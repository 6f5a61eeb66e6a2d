"""Times of iterations of a profile, state by state."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from queueing.engine.build import iteration_times
from stoker.domain.curve import IterationTable
from stoker.domain.profile import ModelProfile, ServiceParameters

_BATCHES = (1, 8, 32, 128, 512)
_CONTEXTS = (128, 1024, 4096)
_PROMPTS = (128, 1024, 4096)


def decode_states(profile: ModelProfile) -> list[tuple[int, int]]:
    """Return usual states of decoding that a replica of a profile reaches: batch, context."""
    batches = sorted({n for n in _BATCHES if n < profile.max_batch} | {profile.max_batch})
    room = profile.kv_tokens or np.inf
    return [(n, c) for n in batches for c in _CONTEXTS if n * c <= room]


def prompt_sizes(profile: ModelProfile) -> list[int]:
    """Return usual prompts that fit an iteration of a profile."""
    return [size for size in _PROMPTS if size <= profile.token_budget]


def decode_ms(parameters: ServiceParameters, states: Sequence[tuple[int, int]]) -> list[float]:
    """Return the times of iterations that decode alone."""
    batch = [float(n) for n, _ in states]
    context = [float(c) for _, c in states]
    return _iterations(parameters, batch, context, [0.0] * len(states))


def prefill_ms(parameters: ServiceParameters, sizes: Sequence[int]) -> list[float]:
    """Return the times of iterations that compute one prompt alone."""
    none = [0.0] * len(sizes)
    return _iterations(parameters, none, none, [float(size) for size in sizes])


def _iterations(
    parameters: ServiceParameters,
    batch: Sequence[float],
    context: Sequence[float],
    tokens: Sequence[float],
) -> list[float]:
    if not len(batch):
        return []
    times = iteration_times([parameters])
    column = [np.array(values, dtype=np.float64)[:, None] for values in (batch, context, tokens)]
    prompts = (column[2] > 0).astype(np.float64)
    # One chunk from an empty cache: it reads its own tokens alone.
    found = times.iteration_ms(column[0], column[1], prompts, column[2], column[2])
    return [float(value) for value in np.broadcast_to(found, column[0].shape).ravel()]


def falls(table: IterationTable) -> list[str]:
    """Return where the times of a table fall as the work grows, in words."""
    found = []
    for name, grid, rows, columns in (
        ("decode_ms", table.decode_ms, table.batches, table.contexts),
        ("prefill_ms", table.prefill_ms, table.prefill_tokens, table.prefill_contexts),
    ):
        for index, row in enumerate(grid):
            for at, (low, high) in zip(pairwise(columns), pairwise(row), strict=True):
                if high < low:
                    found.append(
                        f"{name} falls from {low:g} to {high:g} ms between {at[0]:g} and "
                        f"{at[1]:g} tokens read, at {rows[index]:g}"
                    )
        for (one, other), (first, second) in zip(pairwise(rows), pairwise(grid), strict=True):
            for column, low, high in zip(columns, first, second, strict=True):
                if high < low:
                    found.append(
                        f"{name} falls from {low:g} to {high:g} ms between {one:g} and {other:g}, "
                        f"at {column:g} tokens read"
                    )
    return found
