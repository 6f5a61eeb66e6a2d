"""Measured curves: iteration times tabulated over the state of the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class IterationTable:
    """Parameters of the `curve` service model: times on two grids, bilinear between their knots.

    Below the first knot of an axis the first value holds; above the last one the last cell is
    extended in a straight line, or level where it falls; batch and tokens computed come before the
    context. An iteration that decodes takes the decode time; one that prefills takes the prefill
    time of all its chunks together; one that does both takes the sum less `shared_ms`.

    A first token reaches its reader later than its iteration ends, by first_token_ms +
    first_token_sequence_ms * sequences decoding + first_token_output_ms * output tokens of the
    request. That time does not occupy the engine.

    Attributes:
        batches: Knots of the decode batch, ascending, at least one.
        contexts: Knots of the mean context of the decoding sequences in tokens, ascending.
        decode_ms: Time of a decode iteration, shape (batches, contexts).
        prefill_tokens: Knots of the prompt tokens computed in an iteration, ascending.
        prefill_contexts: Knots of the KV tokens that its chunks read, ascending.
        prefill_ms: Time of a prefill iteration, shape (prefill_tokens, prefill_contexts).
        shared_ms: What both times include and an iteration pays once.
        first_token_ms: Delay of a first token outside the engine.
        first_token_sequence_ms: The same for each sequence decoding.
        first_token_output_ms: The same for each output token that the request asks for.
    """

    batches: tuple[float, ...]
    contexts: tuple[float, ...]
    decode_ms: tuple[tuple[float, ...], ...]
    prefill_tokens: tuple[float, ...]
    prefill_contexts: tuple[float, ...]
    prefill_ms: tuple[tuple[float, ...], ...]
    shared_ms: float = 0.0
    first_token_ms: float = 0.0
    first_token_sequence_ms: float = 0.0
    first_token_output_ms: float = 0.0

    @property
    def delays_ms(self) -> tuple[float, float, float]:
        """What delays first tokens: fixed, by sequence, by output token."""
        return self.first_token_ms, self.first_token_sequence_ms, self.first_token_output_ms

    def __post_init__(self) -> None:
        """Check shapes and order.

        Raises:
            ValueError: A grid does not fit its knots, knots do not ascend, a time is negative.
        """
        _check_grid("decode_ms", self.decode_ms, self.batches, self.contexts)
        _check_grid("prefill_ms", self.prefill_ms, self.prefill_tokens, self.prefill_contexts)
        if not 0 <= self.shared_ms <= min(min(row) for row in self.prefill_ms):
            raise ValueError(
                f"shared_ms is {self.shared_ms} (allowed: from 0 to the least prefill time)"
            )
        if not all(math.isfinite(delay) and delay >= 0 for delay in self.delays_ms):
            raise ValueError(f"first_token delays are {self.delays_ms} (allowed: at least 0)")


def tabulate(
    decode_ms: Callable[[float, float], float],
    prefill_ms: Callable[[float, float], float],
    *,
    batches: Sequence[float],
    contexts: Sequence[float],
    prefill_tokens: Sequence[float],
    prefill_contexts: Sequence[float] = (0.0,),
    shared_ms: float = 0.0,
) -> IterationTable:
    """Return the table of any two functions of the state of an iteration.

    Args:
        decode_ms: Time of a decode iteration at a batch and a mean context.
        prefill_ms: Time of a prefill iteration at tokens computed and KV tokens read.
        batches: Knots of the batch.
        contexts: Knots of the mean context.
        prefill_tokens: Knots of the tokens computed.
        prefill_contexts: Knots of the KV tokens read.
        shared_ms: What both times include and an iteration pays once.

    Raises:
        ValueError: Knots or times that no table can have.
    """
    return IterationTable(
        tuple(batches),
        tuple(contexts),
        tuple(tuple(decode_ms(n, c) for c in contexts) for n in batches),
        tuple(prefill_tokens),
        tuple(prefill_contexts),
        tuple(tuple(prefill_ms(x, c) for c in prefill_contexts) for x in prefill_tokens),
        shared_ms,
    )


def _check_grid(
    name: str,
    grid: tuple[tuple[float, ...], ...],
    rows: tuple[float, ...],
    columns: tuple[float, ...],
) -> None:
    if not rows or not columns:
        raise ValueError(f"{name}: each axis needs at least one knot")
    if len(grid) != len(rows) or any(len(row) != len(columns) for row in grid):
        raise ValueError(f"{name}: the grid is not of the shape ({len(rows)}, {len(columns)})")
    for knots in (rows, columns):
        if not all(math.isfinite(knot) and knot >= 0 for knot in knots):
            raise ValueError(f"{name}: knots must be finite and at least 0")
        if any(low >= high for low, high in pairwise(knots)):
            raise ValueError(f"{name}: knots must ascend")
    if not all(math.isfinite(time) and time >= 0 for row in grid for time in row):
        raise ValueError(f"{name}: times must be finite and at least 0")
