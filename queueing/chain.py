"""The stationary birth–death chain of many replicas at once.

A replica with batch limit N and queue limit Q is a chain on 0..N+Q: arrivals at rate λ, departures
at μ(min(n, N)), μ(n) = n/τ(n). The weight of state n ≤ N is λⁿ/(μ(1)···μ(n)), kept as a logarithm
so that nothing overflows; above N the weights are geometric with ratio ρ = λ/μ(N), summed in closed
form. The product of the μ does not depend on λ and is computed once for all rates asked of a block.

Layout: a block is (states, cases), and sums run down the states. Each case is therefore added up in
the order of its states whatever stands beside it, and padding adds exact zeros: a case gives the
same bits alone and in a large array.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray, IntArray, RowSelector

BLOCK_ELEMENTS = 1 << 17
"""Weights in one block: 1 MiB, a core's own cache; smaller ones cost more in calls."""

BLOCK_PADDING = 1 << 15
"""Weights of padding that cost less than one more block."""

MAX_BATCH_LIMIT = 1 << 16
"""Largest batch limit that is analysed; engines run up to a few thousand sequences."""

_IMPOSSIBLE = 1e300  # log of a product of rates: such a state has no weight
_LOG_TINY = -700.0
_LOG_NEGLIGIBLE = 60.0
_TINY = 1e-280


@dataclass(frozen=True, slots=True, eq=False)
class ChainMeans:
    """Stationary figures: arrays (cases,); numbers of requests, probabilities, 1/ms."""

    mean_in_service: FloatArray
    mean_in_queue: FloatArray
    throughput_per_ms: FloatArray
    blocking: FloatArray
    empty_probability: FloatArray


class ChainBlock:
    """Chains of a block of cases with similar batch limits, ready to be solved at any rates."""

    __slots__ = (
        "_columns",
        "_cut_down",
        "_log_products",
        "_states",
        "_top",
        "log_first_rate",
        "log_top_rate",
        "max_batch",
        "max_queue",
    )

    def __init__(self, log_products: FloatArray, max_batch: IntArray, max_queue: FloatArray):
        """Take Σ log μ up to each state (states, cases), batch limits and queue limits."""
        self._log_products = log_products
        self._states = np.arange(len(log_products), dtype=np.float64)[:, None]
        self._columns = np.arange(log_products.shape[1])
        self._top = max_batch  # rows of the states N
        self._cut_down = False
        self.max_batch = max_batch
        self.max_queue = max_queue
        self.log_first_rate: FloatArray = log_products[1]
        below = log_products[max_batch - 1, self._columns]
        self.log_top_rate: FloatArray = log_products[max_batch, self._columns] - below

    @classmethod
    def of(cls, service_ms: FloatArray, max_batch: IntArray, max_queue: FloatArray) -> ChainBlock:
        """Build from τ(1..max N), (states, cases) or a row (1, cases) where it is constant."""
        states = np.arange(1.0, float(max_batch.max()) + 1.0)[:, None]
        products = np.zeros((len(states) + 1, len(max_batch)))
        np.log(states / service_ms, out=products[1:])
        np.cumsum(products, axis=0, out=products)
        if max_batch.min() < max_batch.max():
            products[1:][states > max_batch] = _IMPOSSIBLE
        return cls(products, max_batch, max_queue)

    def take(self, rows: RowSelector) -> ChainBlock:
        """Return the block of the selected cases."""
        taken = copy(self)
        taken._log_products = self._log_products[:, rows]
        taken._top = self._top[rows]
        taken.max_batch, taken.max_queue = self.max_batch[rows], self.max_queue[rows]
        taken.log_first_rate = self.log_first_rate[rows]
        taken.log_top_rate = self.log_top_rate[rows]
        taken._columns = np.arange(len(taken.max_batch))
        return taken

    def between(self, log_from: float, log_to: float) -> ChainBlock:
        """Return the chain of a lone case with the states that count at rates between these.

        Between two states n < m the log of their weights differs by (m - n)·log λ and a constant.
        So what lies below the heaviest state at the lower rate, and weighs e^-60 of it, weighs
        less still at higher rates; and what lies above the heaviest at the higher rate likewise at
        lower ones. Such states are left out: together they change a mean by less than rounding.
        The empty and the full state always stay. The result is for `at` alone.
        """
        lower = self.log_weights(np.array([log_from]))[:, 0]
        upper = self.log_weights(np.array([log_to]))[:, 0]
        first = int(np.argmax(lower >= lower.max() - _LOG_NEGLIGIBLE))
        last = len(upper) - 1 - int(np.argmax(upper[::-1] >= upper.max() - _LOG_NEGLIGIBLE))
        end = len(upper) - 1
        inner = np.arange(max(first, 1), min(last, end - 1) + 1)
        kept = np.concatenate([[0], inner, [end]])
        narrowed = copy(self)
        narrowed._log_products = self._log_products[kept]
        narrowed._states = self._states[kept]
        narrowed._top = np.array([len(kept) - 1])
        narrowed._cut_down = True
        return narrowed

    def log_weights(self, log_rate: FloatArray) -> FloatArray:
        """Return log(λⁿ/(μ(1)···μ(n))), (states, cases); above a case's N nothing."""
        weights: FloatArray = self._states * log_rate
        weights -= self._log_products
        return weights

    def at(self, log_rate: FloatArray) -> ChainMeans:
        """Solve at log λ (λ per ms), an array (cases,)."""
        weights = self.log_weights(log_rate)
        top = self._top, self._columns
        log_full = weights[top]
        log_ratio = log_rate - self.log_top_rate
        climb = self.max_queue * log_ratio
        log_last = log_full + climb
        peak = np.maximum(weights.max(axis=0), log_last)
        weights -= peak
        # Weights below e^-700 of the largest change no figure; exp is slow where it underflows.
        np.maximum(weights, _LOG_TINY, out=weights)
        np.exp(weights, out=weights)

        full = weights[top]
        weights[top] = 0.0
        empty = weights[0].copy()
        # What is cut down is alone whatever it was asked with, so the quick sum is as repeatable.
        add_up = _sum_quickly if self._cut_down else _sum_states
        below_full = add_up(weights)
        weights *= self._states
        below_full_in_service = add_up(weights)

        last = np.exp(log_last - peak)
        waiting_room, mean_waiting = _geometric(log_ratio, self.max_queue, full, last)
        accepted = below_full + waiting_room
        total = accepted + last
        batch = self.max_batch.astype(np.float64)
        rate = np.exp(log_rate)
        throughput = rate * (accepted / total)
        return ChainMeans(
            mean_in_service=(below_full_in_service + batch * (waiting_room + last)) / total,
            mean_in_queue=mean_waiting * ((waiting_room + last) / total),
            # In an overload beyond all digits the accepted share underflows; the limit is μ(N).
            throughput_per_ms=np.where(
                accepted > total * _TINY, throughput, np.exp(self.log_top_rate)
            ),
            blocking=last / total,
            empty_probability=empty / total,
        )


def _sum_states(weights: FloatArray) -> FloatArray:
    """Sum down the states, in their order."""
    if weights.shape[1] == 1:
        # numpy sums a lone column pairwise, which rounds differently than a column of a block.
        return np.cumsum(weights[:, 0])[-1:]
    total: FloatArray = weights.sum(axis=0)
    return total


def _sum_quickly(weights: FloatArray) -> FloatArray:
    total: FloatArray = weights.sum(axis=0)
    return total


def _geometric(
    log_ratio: FloatArray, max_queue: FloatArray, full: FloatArray, last: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Sum the states with all slots busy: N, N+1, ..., N+Q with weights full·ρᵏ, last at k = Q.

    Returns the weight of all of them but the last (those that still accept a request), and the
    mean number waiting over all of them.
    """
    if not max_queue.any():
        nothing = np.zeros(len(full))
        return nothing, nothing
    rising = log_ratio > 0.0
    decay = np.abs(log_ratio)
    # Counted from the heavier end the ratio q = e^(-decay) is at most one: Σ_{j<Q} qʲ.
    safe = np.maximum(decay, 1e-300)
    ratio = np.exp(-safe)
    first = -np.expm1(-safe)
    whole = -np.expm1(-max_queue * safe)
    accepting = np.where(rising, last * ratio, full) * (whole / first)

    count = max_queue + 1.0
    span = count * decay
    # Mean of j under qʲ, j ≤ Q: q/(1 - q) - (Q + 1)·q^(Q+1)/(1 - q^(Q+1)).
    power = np.exp(-max_queue * safe)
    closed = ratio * (1.0 / first - count * power / (whole + power * first))
    # Near ρ = 1 both terms grow without bound and cancel: a series in span takes over.
    b = np.minimum(span, 1.0) ** 2
    a = np.minimum(decay, 1.0) ** 2
    near_one = (count - 1.0) / 2.0 - (span / 12.0) * (count - 1.0 / count) * (
        1.0 - (b + a) / 60.0 + (b * b + b * a + a * a) / 2520.0
    )
    mean = np.where(span > 0.05, closed, near_one)
    return accepting, np.where(rising, max_queue - mean, mean)


def blocks(max_batch: IntArray) -> Iterator[IntArray]:
    """Cut cases into blocks of similar batch limits: yields row numbers, each row once.

    A block holds about `BLOCK_ELEMENTS` weights. Up to a fifth of them, or `BLOCK_PADDING` where
    that is more, are padding: few cases share a block though their limits differ.
    """
    order = np.argsort(max_batch, kind="stable").astype(np.int64)
    states = max_batch[order] + 1
    start = 0
    while start < len(order):
        ahead = states[start : start + max(1, BLOCK_ELEMENTS // int(states[start]))]
        elements = ahead * np.arange(1, len(ahead) + 1)
        padding = elements - np.cumsum(ahead)
        fits = (elements <= BLOCK_ELEMENTS) & (padding <= np.maximum(elements // 5, BLOCK_PADDING))
        fits[0] = True
        # Both limits hold up to a point and fail beyond it, but for rounding: end at the first.
        end = start + (len(ahead) if fits.all() else int(np.argmin(fits)))
        yield order[start:end]
        start = end
