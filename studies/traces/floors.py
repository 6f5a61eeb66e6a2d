"""The least time that iterations can take, as prices of what they compute: linear from below.

An iteration that decodes takes at least `overhead_ms`, and `sequence_ms` for each sequence and
`context_ms` for each token of context that it reads in decode. What prompts add, in any iteration,
is at least `token_ms` for each token computed and `read_ms` for each token read by their chunks,
less `credit_ms` once (never below zero): where weights are read anyway, small prompts ride along.

These prices are below the time of every iteration that the engine can run, so that their sums are
below the engine time of any schedule (`studies.traces.bound`). One kind of parameters may have
several floors, none above the other everywhere; each of them is valid by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from stoker.domain.curve import IterationTable
from stoker.domain.profile import (
    LinearParameters,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)
from studies.traces.requests import FloatArray

_BATCHES = (1.0, 4.0, 16.0, 64.0, 256.0)
"""Batches at which a floor under measured curves is as high as it can be."""
_CREDITS = (0.0, 0.25, 0.5, 1.0)
"""Credits of such floors, as shares of what the iteration takes anyway."""
_SHARES = (0.0, 0.5, 1.0)
"""Shares of the weights that floors under `overlap` count in every iteration."""


@dataclass(frozen=True, slots=True)
class IterationFloor:
    """Prices in ms, none negative.

    Attributes:
        overhead_ms: Of an iteration that decodes, whatever it computes.
        sequence_ms: Of a sequence in decode.
        context_ms: Of a token of context read in decode.
        token_ms: Of a prompt token computed.
        read_ms: Of a token read by the chunk of a prompt.
        prompt_ms: Of a whole prompt, shared by its chunks as their tokens are.
        credit_ms: What the prompts of an iteration may save together.
        every: Whether an iteration of prompts alone takes the overhead as well.
        first_token_ms: What a first token comes later than its iteration ends.
    """

    overhead_ms: float
    sequence_ms: float
    context_ms: float
    token_ms: float
    read_ms: float = 0.0
    prompt_ms: float = 0.0
    credit_ms: float = 0.0
    every: bool = False
    first_token_ms: float = 0.0


def iteration_floors(
    parameters: ServiceParameters, max_batch: int, token_budget: int, longest: int
) -> Iterator[IterationFloor]:
    """Yield floors under the times of all iterations that an engine can run.

    Args:
        parameters: The times of its iterations.
        max_batch: Sequences in service at most.
        token_budget: Tokens that an iteration computes at most.
        longest: Tokens of the longest request, input and output.
    """
    match parameters:
        case TokenWorkParameters(alpha, beta, gamma):
            yield IterationFloor(alpha, beta, gamma, beta, gamma, every=True)
        case LinearParameters(alpha, beta, gamma, delta):
            # A prompt costs delta for each of its tokens and each sequence there, itself at least.
            yield IterationFloor(alpha, beta, 0.0, delta, prompt_ms=gamma)
        case OverlapParameters():
            yield from _under_overlap(parameters)
        case IterationTable():
            yield from _under_table(parameters, max_batch, token_budget, longest)


def _under_overlap(times: OverlapParameters) -> Iterator[IterationFloor]:
    """Yield floors: the larger of two is at least any mean of them, and the smooth one no less.

    Or it is the weights, and the tokens beyond what they hide. What prompts attend to, and what
    they add by being there, is left out.
    """
    for share in _SHARES:
        token = (1.0 - share) * times.token_ms
        yield IterationFloor(
            times.base_ms + share * times.weights_ms,
            times.sequence_ms + token,
            times.kv_token_ms,
            token,
            every=True,
            first_token_ms=times.first_token_ms,
        )
    yield IterationFloor(
        times.base_ms + times.weights_ms,
        times.sequence_ms,
        times.kv_token_ms,
        times.token_ms,
        credit_ms=times.weights_ms,
        every=True,
        first_token_ms=times.first_token_ms,
    )


def _under_table(
    table: IterationTable, max_batch: int, token_budget: int, longest: int
) -> Iterator[IterationFloor]:
    """Yield floors under measured curves: planes below their values at the knots.

    Between knots both are bilinear, so that a plane below every corner of a cell is below the
    cell. Beyond the knots the last cell goes on, which adds corners at the ends of what the engine
    can do.
    """
    batches, contexts, decode = _extended(
        table.batches, table.contexts, table.decode_ms, max_batch, longest
    )
    n = np.repeat(batches, len(contexts))
    read = n * np.tile(contexts, len(batches))
    tokens, reads, prefill = _extended(
        table.prefill_tokens,
        table.prefill_contexts,
        table.prefill_ms,
        token_budget,
        float(max_batch) * longest,
    )
    x = np.repeat(tokens, len(reads))
    by_chunks = np.tile(reads, len(tokens))
    decoding = {
        _highest(
            np.column_stack([np.ones_like(n), n, read]),
            decode.ravel(),
            np.array([1.0, batch, batch * float(np.median(contexts))]),
        )
        for batch in _BATCHES
        if batch <= max(max_batch, 1)
    }
    for overhead, sequence, context in sorted(decoding):
        for credit in _CREDITS:
            saved = credit * table.shared_ms
            token, each_read = _highest(
                np.column_stack([x, by_chunks]),
                np.maximum(prefill.ravel() - table.shared_ms, 0.0) + saved,
                np.array([1.0, 1.0]) * float(token_budget) / 8,
            )
            yield IterationFloor(
                overhead,
                sequence,
                context,
                token,
                each_read,
                credit_ms=saved,
                first_token_ms=table.first_token_ms,
            )


def _extended(
    rows: tuple[float, ...],
    columns: tuple[float, ...],
    values: tuple[tuple[float, ...], ...],
    last_row: float,
    last_column: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a grid with the ends of both axes added, its values never above the real ones."""
    grid = np.asarray(values, dtype=np.float64)
    across, down = np.asarray(columns, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    grid = _further(grid.T, across, last_column).T
    across = np.append(across, max(last_column, across[-1]))
    grid = _further(grid, down, last_row)
    return np.append(down, max(last_row, down[-1])), across, grid


def _further(grid: FloatArray, knots: FloatArray, last: float) -> FloatArray:
    """Return a grid with a row at the end added; where its last cell falls it goes on level."""
    if len(knots) == 1 or last <= knots[-1]:
        return np.vstack([grid, grid[-1]])
    slope = (grid[-1] - grid[-2]) / (knots[-1] - knots[-2])
    # Level everywhere where the slope is negative somewhere: below whichever of the two holds.
    slope = np.zeros_like(slope) if (slope < 0).any() else slope
    return np.vstack([grid, grid[-1] + slope * (last - knots[-1])])


def _highest(terms: FloatArray, limits: FloatArray, weights: FloatArray) -> tuple[float, ...]:
    """Return prices of at least 0 that are worth the most by their weights, below all limits."""
    solved = linprog(-weights, A_ub=terms, b_ub=limits, bounds=(0, None), method="highs")
    prices = np.maximum(solved.x, 0.0)
    # The solver keeps the limits to its tolerance; the floor has to keep them exactly.
    worth = terms @ prices
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = float(np.max(np.where(worth > 0, worth / limits, 0.0), initial=1.0))
    return tuple((prices / beyond if np.isfinite(beyond) else 0.0 * prices).tolist())
