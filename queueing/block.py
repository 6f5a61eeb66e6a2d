"""A block of cases with its chain: the figures of an operating point from the rate alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray, IntArray, RowSelector
from queueing.cases import ReplicaCases
from queueing.chain import ChainBlock, ChainMeans
from queueing.service import Latencies

STABLE_SHARE = 0.999
"""Largest rate considered, as a share of μ(N)."""

SMALLEST_SHARE = 0.001
"""Smallest rate considered in sizing, as a share of μ(1)."""

LOG_PER_MS = float(np.log(1000.0))
"""log of requests per second minus this is log of requests per millisecond."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockPoint:
    """Figures at one rate for each case of a block: arrays (cases,)."""

    means: ChainMeans
    wait_ms: FloatArray
    service_ms: FloatArray
    latencies: Latencies


class ReplicaBlock:
    """Usable cases of similar batch limits (see `chain.blocks`), ready for many rates."""

    __slots__ = ("_chain", "cases")

    def __init__(self, cases: ReplicaCases, chain: ChainBlock):
        """Take cases and their chain."""
        self.cases = cases
        self._chain = chain

    @classmethod
    def of(cls, cases: ReplicaCases) -> ReplicaBlock:
        """Compute the chain of the cases."""
        limits: IntArray = cases.batch_limits()
        states = np.arange(1.0, float(limits.max()) + 1.0)[:, None]
        service_ms = cases.service_time_ms(states)
        return cls(cases, ChainBlock.of(service_ms, limits, cases.max_queue))

    def __len__(self) -> int:
        return len(self.cases)

    def take(self, rows: RowSelector) -> ReplicaBlock:
        """Return the block of the selected cases."""
        return ReplicaBlock(self.cases.take(rows), self._chain.take(rows))

    def between(self, log_from: float, log_to: float) -> ReplicaBlock:
        """Return the block of a lone case for use of `at` between two log rates, made cheaper."""
        return ReplicaBlock(self.cases, self._chain.between(log_from, log_to))

    @property
    def log_largest_rate(self) -> FloatArray:
        """Return log of 0.999·μ(N), per ms."""
        return self._chain.log_top_rate + float(np.log(STABLE_SHARE))

    @property
    def log_smallest_rate(self) -> FloatArray:
        """Return log of 0.001·μ(1), per ms."""
        return self._chain.log_first_rate + float(np.log(SMALLEST_SHARE))

    def nearness(self, log_rate: FloatArray) -> FloatArray:
        """Return z = -log(1 - λ/μ(N)) of rates below μ(N): the variable in which to search.

        Waits grow like 1/(1 - λ/μ(N)), so that their logarithm is near a straight line in z; at
        low rates z is λ/μ(N).
        """
        nearness: FloatArray = -np.log(-np.expm1(log_rate - self._chain.log_top_rate))
        return nearness

    def log_rate_at(self, nearness: FloatArray) -> FloatArray:
        """Return log λ at z, the inverse of `nearness`."""
        log_rate: FloatArray = self._chain.log_top_rate + np.log(-np.expm1(-nearness))
        return log_rate

    def at(self, log_rate: FloatArray) -> BlockPoint:
        """Return the figures at log λ (λ per ms).

        Times follow from the mean numbers by Little's law. The wait comes from the queue itself,
        not as a difference of response and service, so that it keeps its digits when short.
        """
        means = self._chain.at(log_rate)
        wait = means.mean_in_queue / means.throughput_per_ms
        service = means.mean_in_service / means.throughput_per_ms
        cases = self.cases
        latencies = cases.service.latencies(
            means.mean_in_service,
            service,
            wait,
            cases.max_batch,
            cases.input_tokens,
            cases.output_tokens,
        )
        return BlockPoint(means=means, wait_ms=wait, service_ms=service, latencies=latencies)
