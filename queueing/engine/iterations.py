"""Iterations by the number of requests in service: base time, and what prompts add to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.requests import Requests

MOST_PREFILL = 0.98
"""Largest share of the time of iterations that prompts are taken to need in a transient state."""


@dataclass(frozen=True, slots=True, eq=False)
class Iterations:
    """Iterations with some number in service; arrays (states, cases).

    Attributes:
        in_service: requests in service.
        decoding: mean number of sequences in decode.
        base_ms: time without prompts.
        seen_ms: the same where at least one sequence decodes.
        offset_ms: what the presence of prompts adds, whatever their number.
        prompt_ms: what each prompt adds.
        chunks: iterations over which a prompt is computed when it is alone, at least 1.
        room: prompt tokens that one iteration can compute.
    """

    in_service: FloatArray
    decoding: FloatArray
    base_ms: FloatArray
    seen_ms: FloatArray
    offset_ms: FloatArray
    prompt_ms: FloatArray
    chunks: FloatArray
    room: FloatArray


def iterations(cases: EngineCases, requests: Requests, in_service: FloatArray) -> Iterations:
    """Return the iterations of the cases at each number in service.

    A prompt that does not fit in the token budget beside the decodes takes several chunks; with
    lengths that vary, the expected number of iterations that it touches is taken.
    """
    times, budget = cases.times, cases.token_budget
    steps = requests.steps
    room = np.maximum(budget - in_service, 1.0)
    chunks = np.maximum(requests.computed / room, 1.0)
    partly = chunks > 1.0
    if np.any(partly) or np.any(requests.input_spread > 0.0):
        chunks = expected_chunks(requests, room)
    share = steps / (steps + chunks)
    decoding = in_service * share
    context = requests.context
    none = np.zeros(len(cases))
    reads = requests.held * 0.5 * (chunks + 1.0)
    computed = np.maximum(requests.computed, 1e-9)
    base = times.iteration_ms(decoding, context, none, none, none)
    one = times.iteration_ms(decoding, context, none + 1.0, computed, reads)
    two = times.iteration_ms(decoding, context, none + 2.0, 2.0 * computed, 2.0 * reads)
    # A second prompt that costs less than the first shows what their presence costs; one that
    # costs more is rare enough to be taken like the first.
    prompt = np.maximum(np.minimum(two - one, one - base), 0.0)
    offset = np.maximum(one - base - prompt, 0.0)
    beside = np.maximum(in_service - 1.0, 0.0) * share
    seen = times.iteration_ms(1.0 + beside, context, none, none, none)
    return Iterations(in_service, decoding, base, seen, offset, prompt, chunks, room)


def expected_chunks(requests: Requests, room: FloatArray) -> FloatArray:
    """Return E[ceil(computed tokens / room)], of lognormal prompts; at least 1."""
    ratio = requests.computed / room
    spread = np.log1p(requests.input_spread)
    deviation = np.sqrt(np.maximum(spread, 1e-12))
    location = np.log(np.maximum(ratio, 1e-12)) - 0.5 * spread
    from scipy.special import ndtr

    chunks = np.ones(np.shape(ratio))
    for k in range(1, 9):
        chunks = chunks + ndtr((location - np.log(k)) / deviation)
    # Beyond eight chunks the rest is about the mean excess, and half a chunk is rounded up.
    beyond = ratio * ndtr((location + spread - np.log(9.0)) / deviation) - 9.0 * ndtr(
        (location - np.log(9.0)) / deviation
    )
    result: FloatArray = chunks + np.maximum(beyond, 0.0)
    return result
