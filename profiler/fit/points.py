"""The conditions of operating points, as arrays: what a prediction may know of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from queueing.arrays import BoolArray, FloatArray, RowSelector
from queueing.engine.cases import DEFAULT_TOKEN_BUDGET
from stoker.domain.measurement import Arrival, LoadKind, Measurement


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Offered loads and how they were run; arrays (points,). No latency is in here.

    Attributes:
        closed: whether the load is a number of clients.
        static: whether all clients send at once and wait for the last one (static batches).
        load: requests per second, or clients.
        input_tokens: mean prompt tokens, at least 1.
        output_tokens: mean output tokens, at least 1.
        input_cv: coefficient of variation of the prompt tokens; 0 where unknown.
        output_cv: the same of the output tokens.
        arrival_cv: of the times between arrivals; 1 in closed loops.
        max_batch: most sequences in service; infinity where unknown.
        token_budget: most tokens computed in an iteration; 8192 where unknown.
        duration_s: length of the run; infinity where unknown.
        max_clients: most requests in flight; infinity where unknown.
        cached: whether prompts could be served from cached prefixes.
    """

    closed: BoolArray
    static: BoolArray
    load: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    input_cv: FloatArray
    output_cv: FloatArray
    arrival_cv: FloatArray
    max_batch: FloatArray
    token_budget: FloatArray
    duration_s: FloatArray
    max_clients: FloatArray
    cached: BoolArray

    @classmethod
    def of(cls, rows: Sequence[Measurement]) -> Self:
        """Take the conditions of measured or merely planned operating points.

        Raises:
            ValueError: a load or a length is not positive and finite.
        """
        for row in rows:
            check(row)
        closed = np.array([row.load_kind is LoadKind.CONCURRENCY for row in rows], dtype=np.bool_)
        static = np.array([row.arrival is Arrival.STATIC_BATCH for row in rows], dtype=np.bool_)
        inputs = np.maximum(_column([row.in_tokens for row in rows]), 1.0)
        outputs = np.maximum(_column([row.out_tokens for row in rows]), 1.0)
        return cls(
            closed,
            static,
            _column([row.load for row in rows]),
            inputs,
            outputs,
            _column([row.in_tokens_std for row in rows], 0.0) / inputs,
            _column([row.out_tokens_std for row in rows], 0.0) / outputs,
            np.where(closed, 1.0, _column([row.interarrival_cv for row in rows])),
            _column([row.max_batch for row in rows], np.inf),
            _column([row.max_num_batched_tokens for row in rows], DEFAULT_TOKEN_BUDGET),
            _column([row.duration_s for row in rows], np.inf),
            _column([row.max_clients for row in rows], np.inf),
            np.array([bool(row.prefix_cache) for row in rows], dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.load)

    def take(self, rows: RowSelector) -> Self:
        """Return the selected points, in that order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    def tiled(self, copies: int) -> Self:
        """Return all points `copies` times, one run of them after the other."""
        return type(self)(*(np.tile(getattr(self, field.name), copies) for field in fields(self)))

    @property
    def others(self) -> FloatArray:
        """The share of the load that a request does not send itself: (c - 1) / c of c clients."""
        return np.where(self.closed, np.maximum(self.load - 1.0, 0.0) / self.load, 1.0)

    @property
    def alone(self) -> BoolArray:
        """Closed loops of one client: a request meets nobody."""
        return self.closed & (self.load <= 1.0)


def check(row: Measurement) -> None:
    """Check that a row can be predicted.

    Raises:
        ValueError: a load or a length is not positive and finite.
    """
    lengths = {"load": row.load, "in_tokens": row.in_tokens, "out_tokens": row.out_tokens}
    for name, value in lengths.items():
        if not (np.isfinite(value) and value > 0):
            where = f" of row {row.name}" if row.name else ""
            raise ValueError(f"{name}{where} is {value} (allowed: finite and above 0)")


def _column(values: Sequence[float | None], unknown: float = np.nan) -> FloatArray:
    return np.array([unknown if value is None else float(value) for value in values])
