"""What the parts of the closed-loop analysis share: the loops, and the times of their slots."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from queueing.arrays import FloatArray, RowSelector
from queueing.engine.cases import EngineCases
from queueing.engine.requests import Requests

SHORTEST_MS = 1e-9
"""Least time of a cycle: parameters may give an iteration without decode no time at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Loops:
    """Closed loops; arrays (cases,).

    Attributes:
        cases: the replicas.
        clients: clients C, each with one request at a time.
        slots: requests that are served together, B = min(C, N, …) ≥ 1; memory makes fractions.
        requests: moments of the requests.
        computed: mean tokens of a prompt that are computed, at least 1.
        cached: mean tokens of a prompt that are in KV already.
        visits: prompts that a request has computed, those after a preemption included.
        work: mean tokens of such a prompt.
        context_cv: coefficient of variation of the context of a decoding sequence.
    """

    cases: EngineCases
    requests: Requests
    clients: FloatArray
    slots: FloatArray
    computed: FloatArray
    cached: FloatArray
    visits: FloatArray
    work: FloatArray
    context_cv: FloatArray

    @classmethod
    def of(
        cls,
        cases: EngineCases,
        clients: FloatArray,
        slots: FloatArray,
        preemptions: FloatArray,
        again: FloatArray,
    ) -> Loops:
        """Build the loops of cases.

        Args:
            cases: the replicas.
            clients: clients.
            slots: requests that are served together.
            preemptions: preemptions of a request.
            again: tokens that each of them makes the engine compute again.
        """
        requests = Requests.of(cases)
        computed = np.clip(requests.held * (1.0 - cases.prefix_hit_rate), 1.0, None)
        return cls(
            cases=cases,
            clients=clients,
            slots=slots,
            requests=requests,
            computed=computed,
            cached=requests.held - computed,
            visits=1.0 + preemptions,
            work=(computed + preemptions * again) / (1.0 + preemptions),
            context_cv=_context_cv(requests),
        )

    @property
    def share(self) -> FloatArray:
        """Probability that a slot has a prompt to compute in an iteration."""
        return np.minimum(self.visits / self.requests.output, 1.0)

    def take(self, rows: RowSelector) -> Loops:
        """Return the selected loops."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        return Loops(
            self.cases.take(rows),
            Requests.of(self.cases.take(rows)),
            **{name: array[rows] for name, array in arrays.items()},
        )

    def iteration_ms(
        self,
        decoding: FloatArray,
        prompts: FloatArray,
        tokens: FloatArray,
        reads: FloatArray,
        context: FloatArray | None = None,
    ) -> FloatArray:
        """Return the time of iterations, at the mean context unless another is given."""
        read = self.requests.context if context is None else context
        # A model may ignore some of the state: its answer has the shape of all of it.
        arrays = np.broadcast_arrays(decoding, read, prompts, tokens, reads)
        return np.broadcast_to(self.cases.times.iteration_ms(*arrays), arrays[0].shape)

    def context_ms(self, decoding: FloatArray) -> FloatArray:
        """Return the part of the time of a decode iteration that grows with the context."""
        zero = np.zeros_like(decoding)
        at = self.requests.context
        step = 1e-3
        low, high = (
            self.iteration_ms(decoding, zero, zero, zero, context=at * (1.0 + sign * step))
            for sign in (-1.0, 1.0)
        )
        return np.asarray((high - low) / (2.0 * step))


@dataclass(frozen=True, slots=True, eq=False)
class SlotTimes:
    """What a request meets once a slot is free; arrays (values, cases) or (cases,).

    Attributes:
        rate_per_ms: requests completed per millisecond.
        queued_ms: times that requests wait for a slot; their mean is (C - B) / rate.
        queued_weight: their probabilities.
        prefill_ms: times from a free slot to the first token.
        prefill_weight: their probabilities.
        ready_ms: the part of each before the prompt is begun.
        gap_ms: times between two tokens.
        gap_weight: their probabilities.
        itl_ms: mean times between the tokens of a request.
        itl_weight: their probabilities.
        decode_ms: times from first to last token.
        decode_weight: their probabilities.
    """

    rate_per_ms: FloatArray
    queued_ms: FloatArray
    queued_weight: FloatArray
    prefill_ms: FloatArray
    prefill_weight: FloatArray
    ready_ms: FloatArray
    gap_ms: FloatArray
    gap_weight: FloatArray
    itl_ms: FloatArray
    itl_weight: FloatArray
    decode_ms: FloatArray
    decode_weight: FloatArray


def mean_of(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return weighted means over the first axis; NaN where nothing weighs."""
    total = weights.sum(axis=0)
    some = total > 0.0
    safe = np.where(weights > 0.0, values, 0.0)
    mean: FloatArray = np.where(
        some, (safe * weights).sum(axis=0) / np.where(some, total, 1.0), np.nan
    )
    return mean


def _context_cv(requests: Requests) -> FloatArray:
    """Return the spread of L + j over all decode iterations j = 1 … K - 1 of all requests."""
    output = requests.output
    spread = np.maximum(requests.output_square / output**2, 1.0)
    # Of a lognormal length E[K³] = K³ (1 + c²)³.
    cube = output**3 * spread**3
    steps = np.maximum(requests.steps, 1e-9)
    first = np.maximum(requests.output_square - output, 0.0) / (2.0 * steps)
    second = np.maximum(2.0 * cube - 3.0 * requests.output_square + output, 0.0) / (6.0 * steps)
    square = requests.held_square + 2.0 * requests.held * first + second
    mean = requests.held + first
    variance = np.maximum(square - mean**2, 0.0)
    answer: FloatArray = np.where(requests.steps > 1e-9, np.sqrt(variance) / mean, 0.0)
    return answer
