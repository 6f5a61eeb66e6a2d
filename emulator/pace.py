"""The time of one iteration, from the parameters of every service-time model.

The same definitions as in `simulator.iteration`, written for one state at a time: the simulator's
own are compiled into its event loop and cannot be called from here. Tests hold both together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from simulator import IterationModel, IterationTable
from stoker.domain.profile import LinearParameters, OverlapParameters, TokenWorkParameters


class Work(NamedTuple):
    """What one iteration does.

    Attributes:
        decoding: Sequences in decode.
        context: Tokens that they read.
        batch: Sequences in service.
        tokens: Prompt tokens computed.
        read: Tokens that their chunks read.
        shares: Sum over the chunks of their share of what their prompt needs.
    """

    decoding: int
    context: int
    batch: int
    tokens: int
    read: int
    shares: float


Pace = Callable[[Work], float]
"""Time of an iteration in ms, of what it does."""

_SHARPNESS = 8.0
"""Exponent of the smooth maximum of the `overlap` model."""


def pace_of(model: IterationModel) -> Pace:
    """Return the time of an iteration as a function of its state."""
    match model:
        case TokenWorkParameters():
            return _token_work(model)
        case LinearParameters():
            return _linear(model)
        case OverlapParameters():
            return _overlap(model)
        case IterationTable():
            return _table(model)


def first_token_delays(model: IterationModel) -> tuple[float, float, float]:
    """Return the delay of a first token outside the engine, in ms.

    Returns:
        The fixed part, the part by sequence in decode, and the part by output token asked for.
    """
    if isinstance(model, OverlapParameters | IterationTable):
        return model.delays_ms
    return 0.0, 0.0, 0.0


def _token_work(model: TokenWorkParameters) -> Pace:
    alpha, beta, gamma = model.alpha_ms, model.beta_ms, model.gamma_ms

    def pace(work: Work) -> float:
        return alpha + beta * (work.decoding + work.tokens) + gamma * (work.context + work.read)

    return pace


def _linear(model: LinearParameters) -> Pace:
    alpha, beta, gamma, delta = model.alpha_ms, model.beta_ms, model.gamma_ms, model.delta_ms

    def pace(work: Work) -> float:
        time = gamma * work.shares + delta * work.tokens * work.batch
        return time + alpha + beta * work.decoding if work.decoding else time

    return pace


def _overlap(model: OverlapParameters) -> Pace:
    base, weights, token, sequence, kv_token, attention, prompts = model.engine_times_ms

    def pace(work: Work) -> float:
        tokens, shares = work.tokens, work.shares
        time = base + _smooth_maximum(weights, token * (work.decoding + tokens))
        time += sequence * work.decoding + kv_token * work.context
        pairs = max(tokens * (work.read - 0.5 * tokens) / max(shares, 1.0), 0.0)
        return time + attention * pairs + prompts * min(shares, 1.0)

    return pace


def _table(model: IterationTable) -> Pace:
    decode = _Grid(model.batches, model.contexts, model.decode_ms)
    prefill = _Grid(model.prefill_tokens, model.prefill_contexts, model.prefill_ms)
    shared = model.shared_ms

    def pace(work: Work) -> float:
        time = prefill.at(work.tokens, work.read) if work.tokens else 0.0
        if work.decoding:
            time += decode.at(work.decoding, work.context / work.decoding)
            if work.tokens:
                time -= shared
        return time

    return pace


def _smooth_maximum(a: float, b: float) -> float:
    larger = max(a, b)
    if larger <= 0.0:
        return 0.0
    ratio = min(a, b) / larger
    return float(larger * (1.0 + ratio**_SHARPNESS) ** (1.0 / _SHARPNESS))


class _Grid:
    """Times over two axes of knots: bilinear, level below them, never falling beyond them."""

    def __init__(
        self,
        rows: Sequence[float],
        columns: Sequence[float],
        times_ms: Sequence[Sequence[float]],
    ) -> None:
        self._rows = list(rows)
        self._columns = list(columns)
        self._times = times_ms

    def at(self, row: float, column: float) -> float:
        """Return the time at a place: first along the rows, then between two columns."""
        index, share = _place(self._rows, row)
        first, across = _place(self._columns, column)
        low = self._between(index, share, first)
        if across == 0.0:
            return low
        return _along(low, self._between(index, share, first + 1), across)

    def _between(self, row: int, share: float, column: int) -> float:
        low = self._times[row][column]
        return low if share == 0.0 else _along(low, self._times[row + 1][column], share)


def _place(knots: list[float], value: float) -> tuple[int, float]:
    """Return the cell of a value, and its place there: 0 at the lower knot, 1 at the upper one."""
    if len(knots) == 1 or value <= knots[0]:
        return 0, 0.0
    cell = min(max(bisect_right(knots, value) - 1, 0), len(knots) - 2)
    return cell, (value - knots[cell]) / (knots[cell + 1] - knots[cell])


def _along(low: float, high: float, share: float) -> float:
    if share > 1.0:
        return high + (share - 1.0) * max(high - low, 0.0)
    return low + share * (high - low)
