"""Iterations by the number of requests in service: base time, and what prompts add to it."""

from __future__ import annotations

from dataclasses import dataclass

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
        prompt_spread: squared coefficient of variation of what prompts add.
    """

    in_service: FloatArray
    decoding: FloatArray
    base_ms: FloatArray
    seen_ms: FloatArray
    offset_ms: FloatArray
    prompt_ms: FloatArray
    chunks: FloatArray
    room: FloatArray
    prompt_spread: FloatArray


def iterations(cases: EngineCases, requests: Requests, in_service: FloatArray) -> Iterations:
    """Return the iterations of the cases at each number in service.

    A prompt that does not fit in the token budget beside the decodes takes several chunks; with
    lengths that vary, the expected number of iterations that it touches is taken.
    """
    times = cases.times
    steps, context = requests.steps, requests.context
    room = np.maximum(cases.token_budget - in_service, 1.0)
    chunks = expected_chunks(requests, room)
    share = steps / (steps + chunks)
    decoding = in_service * share
    reads = requests.held * 0.5 * (chunks + 1.0)
    computed = np.maximum(requests.computed, 1e-9)
    none = np.zeros(len(cases))
    base = times.iteration_ms(decoding, context, none, none, none)
    if times.proportional:
        offset, spread = np.zeros_like(base), np.broadcast_to(requests.input_spread, base.shape)
        prompt = times.iteration_ms(decoding, context, none + 1.0, computed, reads) - base
    else:
        # Iterations without any decode count apart: each of those in service decodes or not.
        some = np.maximum(1.0 - (1.0 - share) ** in_service, 1e-12)
        there = np.maximum(decoding / some, np.minimum(in_service, 1.0))
        base = some * times.iteration_ms(there, context, none, none, none)
        base = base + (1.0 - some) * times.iteration_ms(none, context, none, none, none)
        offset, prompt, spread = _bent(cases, requests, decoding, base, room, reads)
    beside = np.maximum(in_service - 1.0, 0.0) * share
    seen = times.iteration_ms(1.0 + beside, context, none, none, none)
    return Iterations(in_service, decoding, base, seen, offset, prompt, chunks, room, spread)


def _bent(
    cases: EngineCases,
    requests: Requests,
    decoding: FloatArray,
    base: FloatArray,
    room: FloatArray,
    reads: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what prompts add where their times are not proportional to them.

    That is what the presence of any adds, what each one adds, and the squared coefficient of
    variation of that. Times are taken as affine in the number of prompts, from one to two of them.

    Args:
        cases: the replicas.
        requests: moments of their requests.
        decoding: mean number of sequences in decode.
        base: time without prompts.
        room: prompt tokens that one iteration can compute.
        reads: KV tokens that a prompt of mean length reads.
    """
    times, context = cases.times, requests.context
    computed = np.maximum(requests.computed, 1e-9)
    none = np.zeros(len(cases))
    alone = times.iteration_ms(decoding, context, none, none, none)

    def with_prompts(number: float, length: float = 1.0) -> FloatArray:
        """Return the time of an iteration and of what prompts add, in pieces that fit."""
        tokens = number * length * computed
        pieces = np.maximum(tokens / room, 1.0)
        piece = times.iteration_ms(
            decoding, context, number / pieces, tokens / pieces, number * length * reads / pieces
        )
        added: FloatArray = base + pieces * (piece - alone)
        return added

    one = with_prompts(1.0)
    first = one - base
    slope = np.maximum(np.minimum(with_prompts(2.0) - one, first), 0.0)
    # Rounding is no offset: whether there is one decides between formulas.
    offset = np.where(first - slope > 1e-9 * first, first - slope, 0.0)
    spread = requests.input_spread
    if not np.any(spread > 0.0):
        return offset, slope, np.zeros_like(base)
    extra = with_prompts(1.0, 2.0) - one
    fixed = with_prompts(1.0, 1e-6) - base
    # The part that grows with the length, and what its curvature adds to the mean.
    growing = np.clip(0.5 * (first + extra - fixed), 0.0, None)
    bend = 0.5 * spread * (extra - (first - fixed))
    factor = 1.0 + np.clip(bend / np.maximum(first, 1e-12), -0.5, 4.0)
    ratio = growing / np.maximum(first * factor, 1e-12)
    return offset, np.where(spread > 0.0, slope * factor, slope), spread * ratio**2


def expected_chunks(requests: Requests, room: FloatArray) -> FloatArray:
    """Return the mean number of iterations that a prompt takes alone, array (states, cases).

    ceil(x), x prompts measured in what an iteration can compute; E[max(1, x + 1/2)] for lognormal
    ones, by partial expectations.
    """
    ratio = requests.computed / room
    if not np.any(requests.input_spread > 1e-9):
        return np.maximum(np.ceil(ratio - 1e-9), 1.0)
    fixed = np.maximum(np.ceil(ratio - 1e-9), 1.0)
    sigma = np.sqrt(np.log1p(np.maximum(requests.input_spread, 1e-12)))
    place = np.log(np.maximum(2.0 * ratio, 1e-300)) / sigma
    # Most cases have no prompts of half an iteration within four deviations.
    some = np.flatnonzero((place.max(axis=0) > -4.0) & (requests.input_spread > 1e-9))
    if not len(some):
        return fixed
    place, sigma, short = place[:, some], sigma[some], ratio[:, some]
    chunks = 0.5 + short * ndtr(place + 0.5 * sigma) + 0.5 * ndtr(0.5 * sigma - place)
    result = np.where(requests.input_spread > 1e-9, 1.0, fixed)
    result[:, some] = np.maximum(chunks, 1.0)
    return result
