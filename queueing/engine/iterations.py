"""Iterations by the number of requests in service: base time, and what prompts add to it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import ndtr

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


def first_nodes(at: Iterations, count: int) -> Iterations:
    """Return the iterations of the first nodes alone."""
    return Iterations(*(getattr(at, field.name)[:count] for field in fields(at)))


def expected_chunks(requests: Requests, room: FloatArray) -> FloatArray:
    """Return the mean number of iterations that a prompt takes alone, at least 1.

    ceil(x), x prompts measured in what an iteration can compute; E[max(1, x + 1/2)] for lognormal
    ones, by partial expectations.
    """
    ratio = requests.computed / room
    if not np.any(requests.input_spread > 1e-9):
        return np.maximum(np.ceil(ratio - 1e-9), 1.0)
    sigma = np.sqrt(np.log1p(np.maximum(requests.input_spread, 1e-12)))
    place = np.log(np.maximum(2.0 * ratio, 1e-300)) / sigma
    # Seven deviations away no prompt is long.
    if np.all(place < -7.0):
        return np.ones(np.shape(ratio))
    chunks = 0.5 + ratio * ndtr(place + 0.5 * sigma) + 0.5 * ndtr(0.5 * sigma - place)
    fixed = np.maximum(np.ceil(ratio - 1e-9), 1.0)
    result: FloatArray = np.where(requests.input_spread > 1e-9, np.maximum(chunks, 1.0), fixed)
    return result
