"""What is asked for: targets of single requests, and the share of requests that keeps them all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulator import Records, RequestStatus
from stoker.domain.latency import Latency
from studies.traces.requests import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class TraceGoal:
    """Targets that a request keeps together, and how many requests have to.

    Attributes:
        share: Share of the requests for which all targets hold, above 0 and at most 1.
        ttft_ms: Largest time to first token of a request; None for no target.
        itl_ms: Largest mean time between its tokens; one of a single token keeps any.
        e2e_ms: Largest time to its last token.
    """

    share: float
    ttft_ms: float | None = None
    itl_ms: float | None = None
    e2e_ms: float | None = None

    def __post_init__(self) -> None:
        """Check the goal.

        Raises:
            ValueError: No target, one that is not above 0, or a share out of bounds.
        """
        limits = [limit for _, limit in self.limits()]
        if not limits or not all(limit > 0 and math.isfinite(limit) for limit in limits):
            raise ValueError("a goal needs at least one target, each above 0")
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share} (allowed: above 0, at most 1)")

    def limits(self) -> Iterator[tuple[Latency, float]]:
        """Yield each latency that has a target, with the target in ms."""
        for latency, limit in zip(Latency, (self.ttft_ms, self.itl_ms, self.e2e_ms), strict=True):
            if limit is not None:
                yield latency, limit

    def may_miss(self, requests: int) -> int:
        """Return how many of that many requests may miss a target."""
        # A share of 95% of 20 requests is 19 of them, whatever floating point makes of it.
        return requests - math.ceil(self.share * requests - 1e-9)

    def allowed_ms(self, output_tokens: IntArray) -> FloatArray:
        """Return the time that the targets leave a request to its last token; infinity for any."""
        allowed = np.full(len(output_tokens), np.inf)
        if self.ttft_ms is not None and self.itl_ms is not None:
            allowed = self.ttft_ms + self.itl_ms * (output_tokens - 1.0)
        return allowed if self.e2e_ms is None else np.minimum(allowed, self.e2e_ms)

    def kept(self, records: Records) -> dict[Latency, BoolArray]:
        """Return for each latency that has a target which requests keep it, (requests,).

        A request that was not completed keeps none.
        """
        done = records.status == RequestStatus.DONE
        values = dict(
            zip(
                Latency,
                (records.ttft_ms, np.nan_to_num(records.itl_ms), records.e2e_ms),
                strict=True,
            )
        )
        return {latency: done & (values[latency] <= limit) for latency, limit in self.limits()}
