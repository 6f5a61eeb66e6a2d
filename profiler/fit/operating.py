"""The operating point where the engine carries the load that is offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from profiler.fit.candidate import Candidate
from profiler.fit.first_token import first_token_ms
from profiler.fit.mixture import Mixture, computed, context, decode_steps, mixture
from profiler.fit.points import Points
from queueing.arrays import BoolArray, FloatArray, IntArray, RowSelector
from queueing.roots import last_not_positive

_LARGEST = 1e6
_SMALLEST = 1e-9
_CLOSE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Operating:
    """Steady operating points; arrays (points,).

    Attributes:
        decoding: mean sequences in decode.
        iterations: the iterations at that batch.
        ttft_ms: of a request that finds a place; what waits for a place is apart.
        saturated: whether the load is more than the engine carries.
        excess: in open loops offered over carried load, less one; in closed ones the clients that
            wait for a place in the batch; 0 where not saturated.
    """

    decoding: FloatArray
    iterations: Mixture
    ttft_ms: FloatArray
    saturated: BoolArray
    excess: FloatArray

    def take(self, rows: RowSelector) -> Self:
        """Return the selected operating points."""
        return type(self)(
            self.decoding[rows],
            self.iterations.take(rows),
            self.ttft_ms[rows],
            self.saturated[rows],
            self.excess[rows],
        )


def operate(points: Points, candidate: Candidate) -> Operating:
    """Find the decode batch that carries the load.

    The rate that a batch of n completes grows with n, and so do the clients that it occupies, so
    the batch is the root of one growing function; at the most sequences that the batch limit, KV
    memory and the token budget allow, the engine is saturated.
    """
    largest = largest_batch(points, candidate)
    lowest = np.minimum(_SMALLEST, 0.5 * largest)
    at_largest = _surplus(points, candidate, largest)
    saturated = at_largest <= 0.0
    decoding = largest.copy()
    search = np.flatnonzero(~saturated)
    if len(search):
        some_points, some = points.take(search), candidate.take(search)

        def evaluate(rows: IntArray, at: FloatArray) -> FloatArray:
            return _surplus(some_points.take(rows), some.take(rows), at)

        with np.errstate(divide="ignore", invalid="ignore"):  # equal values: it bisects instead
            decoding[search] = last_not_positive(
                evaluate,
                lowest[search],
                largest[search],
                np.full(len(search), -1.0),
                at_largest[search],
                close_enough=_CLOSE,
            )
    decoding = np.where(points.static, points.load, decoding)
    iterations = mixture(points, candidate, decoding)
    ttft = first_token_ms(points, candidate, decoding, iterations)
    saturated = saturated & ~points.static
    return Operating(
        decoding,
        iterations,
        ttft,
        saturated,
        _excess(points, decoding, iterations, ttft, saturated),
    )


def largest_batch(points: Points, candidate: Candidate) -> FloatArray:
    """Return the most sequences in decode: batch limit, memory, and the budget of an iteration.

    With n / (K - 1) prompts an iteration, n (1 + L / (K - 1)) tokens are computed in it.
    """
    memory = candidate.kv_tokens / context(points)
    budget = points.token_budget / (1.0 + computed(points, candidate) / decode_steps(points))
    most = np.minimum(np.minimum(points.max_batch, memory), np.minimum(budget, _LARGEST))
    return np.maximum(most, 1e-3)


def _surplus(points: Points, candidate: Candidate, decoding: FloatArray) -> FloatArray:
    """Return the share by which a batch carries more than is offered; negative where less."""
    iterations = mixture(points, candidate, decoding)
    ttft = first_token_ms(points, candidate, decoding, iterations)
    clients = decoding + iterations.rate_per_ms * ttft
    carried = np.where(points.closed, clients, 1000.0 * iterations.rate_per_ms)
    surplus: FloatArray = np.log(carried / points.load)
    return np.clip(surplus, -1.0, 1.0)


def _excess(
    points: Points,
    decoding: FloatArray,
    iterations: Mixture,
    ttft: FloatArray,
    saturated: BoolArray,
) -> FloatArray:
    waiting = points.load - decoding - iterations.rate_per_ms * ttft
    beyond = points.load / (1000.0 * iterations.rate_per_ms) - 1.0
    excess = np.maximum(np.where(points.closed, waiting, beyond), 0.0)
    return np.where(saturated, excess, 0.0)
