"""A trace of requests as arrays, and what a planner wants to know of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stoker.domain.workload import Load

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LARGEST_CV = 10.0
"""Largest coefficient of variation that the analysis of the engine takes."""

BUSY_WINDOW_MS = 60_000.0
"""Length of the windows among which the busiest one is looked for, at the trace's own pace."""


@dataclass(frozen=True, slots=True, eq=False)
class RequestTrace:
    """Requests in the order of their arrival; arrays (requests,), at least one request.

    Attributes:
        arrival_ms: Times from the first arrival, ascending.
        input_tokens: Input tokens, at least 1.
        output_tokens: Output tokens, at least 1.
    """

    arrival_ms: FloatArray
    input_tokens: IntArray
    output_tokens: IntArray

    @classmethod
    def of(cls, arrival_ms: ArrayLike, input_tokens: ArrayLike, output_tokens: ArrayLike) -> Self:
        """Build from any lists; a prompt has at least one token, as engines prepend one.

        Raises:
            ValueError: There is no request, the lists differ in length, or times do not ascend.
        """
        times = np.asarray(arrival_ms, dtype=np.float64)
        tokens_in = np.maximum(np.asarray(input_tokens, dtype=np.int64), 1)
        tokens_out = np.maximum(np.asarray(output_tokens, dtype=np.int64), 1)
        if not len(times) or not len(times) == len(tokens_in) == len(tokens_out):
            raise ValueError("arrivals and lengths must be of one length, at least 1")
        if (np.diff(times) < 0).any():
            raise ValueError("the arrival times do not ascend")
        return cls(times - times[0], tokens_in, tokens_out)

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.arrival_ms)

    @property
    def span_ms(self) -> float:
        """Time from the first arrival to the last one."""
        return float(self.arrival_ms[-1])

    @property
    def rate_rps(self) -> float | None:
        """Requests per second from the first to the last; None where all arrive at one moment."""
        return 1000.0 * len(self) / self.span_ms if self.span_ms > 0 else None

    def sped_up(self, factor: float) -> RequestTrace:
        """Return the same requests, arriving that many times as fast."""
        return replace(self, arrival_ms=self.arrival_ms / factor)

    def first(self, count: int) -> RequestTrace:
        """Return the first requests, at least one."""
        return self.take(slice(0, max(count, 1)))

    def take(self, part: slice | BoolArray) -> RequestTrace:
        """Return some of the requests; their times stay."""
        return RequestTrace(
            self.arrival_ms[part], self.input_tokens[part], self.output_tokens[part]
        )

    def load(self, span_ms: float | None = None) -> Load:
        """Return the requests as a load: their rate, and means and variation of what they are.

        Args:
            span_ms: Time over which they arrived; None for the time between first and last.
        """
        span = max(self.span_ms - float(self.arrival_ms[0]) if span_ms is None else span_ms, 1.0)
        gaps = np.diff(self.arrival_ms)
        return Load(
            arrival_rate_rps=1000.0 * len(self) / span,
            input_tokens=float(self.input_tokens.mean()),
            output_tokens=float(self.output_tokens.mean()),
            arrival_cv=_cv(gaps) if len(gaps) > 1 else 1.0,
            input_tokens_cv=_cv(self.input_tokens),
            output_tokens_cv=_cv(self.output_tokens),
        )

    def busy_rate_rps(self, window_ms: float, share: float) -> float:
        """Return the rate of arrivals that a share of the windows of that length keep below.

        Windows without an arrival count, and are not kept: a trace may be of seconds in years.
        """
        windows = int(self.span_ms // window_ms) + 1
        _, counts = np.unique(self.arrival_ms // window_ms, return_counts=True)
        counts.sort()
        at = share * (windows - 1)
        lower, upper = (
            float(counts[each - windows]) if windows - each <= len(counts) else 0.0
            for each in (math.floor(at), math.ceil(at))
        )
        return 1000.0 * (lower + (at - math.floor(at)) * (upper - lower)) / window_ms


def _cv(values: FloatArray | IntArray) -> float:
    mean = float(values.mean())
    return min(float(values.std()) / mean, LARGEST_CV) if mean > 0 else 1.0
