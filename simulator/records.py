"""What a simulation leaves behind: a record of every request, and the state over time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class RequestStatus(IntEnum):
    """What became of a request."""

    DONE = 1
    """All its tokens left."""
    TURNED_AWAY = 2
    """It found its replica full."""
    TOO_LARGE = 3
    """No replica's KV memory could ever hold it; it was refused on arrival."""


@dataclass(frozen=True, slots=True)
class Records:
    """A row for each request, in the order of issue; times in milliseconds from the start.

    Attributes:
        arrival_ms: Arrival, shape (requests,), as all others.
        admitted_ms: Start of the iteration that first served it; NaN where none did.
        first_token_ms: When its reader had the first token: the end of the iteration that
            completed its prefill, and the delay of the model `overlap`; NaN likewise.
        completion_ms: When its reader had the last token: the end of its last iteration, and the
            same delay; NaN likewise.
        input_tokens: Length of the prompt.
        output_tokens: Tokens asked for.
        status: `RequestStatus`.
        preemptions: How often it lost its KV.
        replica: Where it was prefilled first; -1 where it was refused before routing.
    """

    arrival_ms: FloatArray
    admitted_ms: FloatArray
    first_token_ms: FloatArray
    completion_ms: FloatArray
    input_tokens: IntArray
    output_tokens: IntArray
    status: IntArray
    preemptions: IntArray
    replica: IntArray

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.arrival_ms)

    @property
    def wait_ms(self) -> FloatArray:
        """Time from arrival to first service."""
        return self.admitted_ms - self.arrival_ms

    @property
    def ttft_ms(self) -> FloatArray:
        """Time to first token."""
        return self.first_token_ms - self.arrival_ms

    @property
    def e2e_ms(self) -> FloatArray:
        """Time from arrival to last token."""
        return self.completion_ms - self.arrival_ms

    @property
    def itl_ms(self) -> FloatArray:
        """Mean time between the tokens of a request; NaN for a single token."""
        gaps = np.where(self.output_tokens > 1, self.output_tokens - 1, np.nan)
        return (self.completion_ms - self.first_token_ms) / gaps


@dataclass(frozen=True, slots=True)
class Series:
    """The state of all replicas together at some arrivals, and integrals up to them.

    Attributes:
        at_ms: Times, shape (points,), as all others.
        batch: Requests in service.
        waiting: Requests waiting.
        kv_blocks: KV blocks in use.
        completed: Requests completed so far.
        blocked: Requests turned away so far.
        preempted: Preemptions so far.
        output_tokens: Output tokens so far; within a stretch of iterations, those before it.
        iterations: Iterations so far, likewise.
        batch_ms: Integral of `batch`.
        waiting_ms: Integral of `waiting`.
        kv_block_ms: Integral of `kv_blocks`, which between two events is taken as linear.
        busy_ms: Time in which an iteration ran, summed over replicas.
    """

    at_ms: FloatArray
    batch: FloatArray
    waiting: FloatArray
    kv_blocks: FloatArray
    completed: FloatArray
    blocked: FloatArray
    preempted: FloatArray
    output_tokens: FloatArray
    iterations: FloatArray
    batch_ms: FloatArray
    waiting_ms: FloatArray
    kv_block_ms: FloatArray
    busy_ms: FloatArray


@dataclass(frozen=True, slots=True)
class TokenGaps:
    """Times between consecutive tokens of a request, over all tokens of the measured period.

    Attributes:
        edges_ms: Edges of the bins, a geometric series.
        tokens: Tokens in each bin, shape (len(edges_ms) - 1,).
        mean_ms: Exact mean; NaN without tokens.
    """

    edges_ms: FloatArray
    tokens: IntArray
    mean_ms: float

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile, interpolated within its bin (0.2% wide); NaN without tokens."""
        total = int(self.tokens.sum())
        if total == 0:
            return float("nan")
        upto = np.cumsum(self.tokens)
        rank = percent / 100 * total
        index = min(int(np.searchsorted(upto, rank)), len(self.tokens) - 1)
        inside = int(self.tokens[index])
        share = (rank - (int(upto[index]) - inside)) / inside if inside else 0.5
        low, high = float(self.edges_ms[index]), float(self.edges_ms[index + 1])
        return float(low * (high / low) ** share)
