"""Closed loops of random output lengths: clients spread over all phases of their requests.

Counted in iterations, and as long as the token budget holds all prompts, every slot is a renewal
process of its own: one iteration of prefill, K - 1 of decode, the next request. So in steady state
each of the other slots brings a prompt into an iteration with probability 1/E[K], independently of
the rest, whatever the distribution of K; an iteration of a tagged request meets the other B - 1
slots in that state. Times per iteration follow from the service-time model, and by the renewal
theorem B requests are completed in the mean time of a request in its slot.
"""

from __future__ import annotations

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.closed_loop import SHORTEST_MS, Loops, SlotTimes, mean_of
from queueing.engine.closed_nodes import COARSE, FINE, combine, lognormal_factors, stratify
from queueing.engine.closed_prompts import PromptGrid
from queueing.engine.closed_renewals import dispersion, passage_factors

_CELLS = 512


def spread_times(loops: Loops) -> SlotTimes:
    """Return the times of slots where the budget of every iteration holds all its prompts.

    A prompt longer than the budget itself is computed in chunks, alone.
    """
    others = np.maximum(loops.slots - 1.0, 0.0)
    share = loops.share
    grid = prompt_grid(loops, _CELLS)
    masses = grid.sums(others, share)
    counts = grid.counts(others, share)
    prompts = np.divide(counts, masses, out=np.zeros_like(counts), where=masses > 1e-12)
    prompts = np.minimum(prompts, others)
    tokens = np.broadcast_to(grid.tokens, masses.shape)
    tokens, prompts = stratify(masses, [tokens, prompts], FINE)
    weights = np.diff(FINE)[:, None] * np.ones(len(loops.slots))

    prefill, prefill_weight = _prefills(loops, tokens, prompts, weights)
    reads = _reads(loops, tokens, prompts)
    gaps = loops.iteration_ms(loops.slots - prompts, prompts, tokens, reads)
    mean_gap = mean_of(gaps, weights)
    idle = np.zeros_like(others)
    quiet = loops.iteration_ms(loops.slots, idle, idle, idle)
    new_prompts = others * share
    none = (1.0 - share) ** others
    # The time of a prompt may depend less on its tokens than proportionally.
    variance = mean_of((gaps - mean_gap) ** 2, weights) * new_prompts
    alone = (mean_gap - quiet) ** 2 * (1.0 - share + loops.cases.input_cv**2)
    evenness = np.where(alone > 0.0, np.minimum(variance / np.maximum(alone, 1e-300), 1.0), 1.0)
    itl, itl_weight, decode, decode_weight = request_gaps(
        loops, mean_gap, quiet, new_prompts, none, evenness, loops.slots
    )
    gaps, gap_weight = blurred(loops, gaps, weights, loops.slots)
    total = mean_of(prefill, prefill_weight) + loops.requests.steps * mean_gap
    rate = loops.slots / np.maximum(total, SHORTEST_MS)
    queued, queued_weight = queue_times(loops, rate)
    return SlotTimes(
        rate_per_ms=rate,
        queued_ms=queued,
        queued_weight=queued_weight,
        prefill_ms=prefill,
        prefill_weight=prefill_weight,
        ready_ms=np.zeros_like(prefill),
        gap_ms=gaps,
        gap_weight=gap_weight,
        itl_ms=itl,
        itl_weight=itl_weight,
        decode_ms=decode,
        decode_weight=decode_weight,
    )


def overflow_share(loops: Loops) -> FloatArray:
    """Return the share of iterations whose new prompts exceed the token budget."""
    share = loops.share
    grid = prompt_grid(loops, _CELLS)
    masses = grid.sums(loops.slots, share)
    room = loops.cases.token_budget - loops.slots * (1.0 - share)
    answer: FloatArray = np.where(grid.tokens > room, masses, 0.0).sum(axis=0)
    return answer


def prompt_grid(loops: Loops, cells: int) -> PromptGrid:
    """Return a grid that holds the prompts of an iteration, with hardly a tail beyond."""
    share = loops.share
    cv = loops.cases.input_cv
    mean = loops.slots * share * loops.work
    deviation = np.sqrt(loops.slots * share * (1.0 + cv**2)) * loops.work
    longest = lognormal_factors(cv, np.array([0.0, 0.9995, 1.0]))[-1] * loops.work
    return PromptGrid.of(loops.work, cv, mean + 7.0 * deviation + longest, cells)


def queue_times(loops: Loops, rate_per_ms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the times that requests of clients beyond the slots wait for theirs, with weights.

    The line has always C - B requests, so that the mean is (C - B) / rate; the time varies like
    the count of the completions of B slots in it. A gamma distribution of these two moments.
    """
    queue = np.maximum(loops.clients - loops.slots, 0.0)
    factors = passage_factors(np.maximum(queue, 1e-3), loops.slots, _cycle_cv(loops))
    return factors * queue / rate_per_ms, np.diff(FINE)[:, None] * np.ones(len(queue))


def _cycle_cv(loops: Loops) -> FloatArray:
    """Return the spread of the iterations that a request keeps its slot."""
    requests = loops.requests
    variance = np.maximum(requests.output_square - requests.output**2, 0.0)
    answer: FloatArray = np.sqrt(variance) / requests.output
    return answer


def request_gaps(
    loops: Loops,
    mean_gap: FloatArray,
    quiet: FloatArray,
    new_prompts: FloatArray,
    none: FloatArray,
    evenness: FloatArray,
    decoding: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the mean gaps of requests and their decode times, with weights.

    A request of K tokens sees K - 1 iterations. The prompts of others in them are a count of
    renewals, each adding the same on average: none at all, or a lognormal sum.

    Args:
        loops: the loops.
        mean_gap: mean gap over all tokens.
        quiet: gap in an iteration without prompts.
        new_prompts: prompts of others that come into an iteration on average.
        none: probability that an iteration has no prompt of others.
        evenness: variance of the gaps, over that of prompts that come independently.
        decoding: sequences that decode in an iteration, on average.
    """
    requests, cases = loops.requests, loops.cases
    length = np.maximum(lognormal_factors(cases.output_cv, FINE) * cases.output_tokens, 1.0)
    weight = np.diff(FINE)[:, None] * np.minimum(length - 1.0, 1.0)
    steps = np.maximum(length - 1.0, 1.0)
    # All requests together make their tokens in the mean gap; a long one reads more of its own.
    slope = loops.context_ms(decoding) / requests.context / np.maximum(decoding, 1.0)
    own = requests.held + 0.5 * (steps + 1.0) - requests.context
    level = mean_gap + slope * own
    extra = np.maximum(mean_gap - quiet, 0.0)
    expected = new_prompts * steps
    others = np.maximum(loops.slots - 1.0, 1e-9)
    turns = np.maximum(expected / others, 1e-9)
    even = dispersion(turns, _cycle_cv(loops))
    size = cases.input_cv**2
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = evenness * (even + size) / np.maximum(expected, 1e-12)
        variance = np.where(expected > 0.0, variance, 0.0)
        none = np.maximum(none, 0.0) ** steps
    # Moments, over the mean, of the sum where there is a prompt at all.
    none = np.where(new_prompts > 0.0, np.clip(none, 0.0, 1.0 - 1e-9), 0.0)
    some = 1.0 / (1.0 - none)
    spread = np.maximum((1.0 + variance) / some - 1.0, 0.0)
    factors = some * lognormal_factors(np.sqrt(spread), COARSE)
    factors = np.concatenate([np.zeros_like(factors[:1]), factors])
    chances = np.diff(COARSE)[:, None, None] * (1.0 - none)
    chances = np.concatenate([none[None], chances])

    blur = _context_blur(loops, steps, np.maximum(decoding, 1.0))
    values = level + extra * (factors - 1.0)
    values = values[:, None] + blur[None]
    chances = chances[:, None] * np.diff(COARSE)[None, :, None, None]
    count = values.shape[-1]
    gaps = np.maximum(values, 1e-12)
    decode = np.where(length > 1.0, gaps * (length - 1.0), 0.0)
    base = np.diff(FINE)[:, None] * np.ones(count)
    return (
        gaps.reshape(-1, count),
        (chances * weight).reshape(-1, count),
        decode.reshape(-1, count),
        (chances * base).reshape(-1, count),
    )


def _context_blur(loops: Loops, steps: FloatArray, decoding: FloatArray) -> FloatArray:
    """Return what the contexts of the batch add to the mean gap of requests, around the mean.

    Contexts are alike for about half the length of a request (weighted by length), so that long
    requests see them averaged.
    """
    memory = 0.4 * loops.requests.output_square / loops.requests.output
    kept = 1.0 / (1.0 + steps / (2.0 * np.maximum(memory, 1e-9)))
    cv = loops.context_cv * np.sqrt(kept / decoding)
    blur: FloatArray = loops.context_ms(decoding) * (lognormal_factors(cv, COARSE) - 1.0)
    return blur


def blurred(
    loops: Loops, times: FloatArray, weights: FloatArray, decoding: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Add to times of iterations what the contexts of the decoding sequences vary by."""
    cv = loops.context_cv / np.sqrt(np.maximum(decoding, 1.0))
    blur = loops.context_ms(np.maximum(decoding, 1e-9)) * (lognormal_factors(cv, COARSE) - 1.0)
    blur = np.where(decoding > 0.0, blur, 0.0)
    count = times.shape[-1]
    values = (times[:, None] + blur[None]).reshape(-1, count)
    chances = np.diff(COARSE)[:, None] * np.ones(count)
    return np.maximum(values, 1e-12), combine(weights, chances)


def _reads(loops: Loops, tokens: FloatArray, prompts: FloatArray) -> FloatArray:
    return tokens + prompts * loops.cached


def _prefills(
    loops: Loops, tokens: FloatArray, prompts: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the times of the iterations that compute the prompt of a tagged request."""
    factors = lognormal_factors(loops.cases.input_cv, FINE)[:, None]
    own = np.maximum(loops.computed * factors, 1.0)
    cached = loops.cached * factors
    others = np.maximum(loops.slots - 1.0 - prompts, 0.0)
    room = np.maximum(loops.cases.token_budget - others, 1.0)
    # Its own prompt in chunks where it is longer than an iteration.
    full = np.maximum(np.ceil(own / room) - 1.0, 0.0)
    last = own - full * room
    # The prompts of others find room beside the last chunk, up to the budget.
    beside = np.minimum(tokens, np.maximum(room - last, 0.0))
    beside_reads = beside + loops.cached * prompts
    end = loops.iteration_ms(
        others, prompts + last / own, last + beside, own + cached + beside_reads
    )
    begin = loops.iteration_ms(
        others + prompts, room / own, room, cached + 0.5 * room * (full + 1.0)
    )
    times = end + full * begin
    count = times.shape[-1]
    times = times.reshape(-1, count)
    chances = combine(np.diff(FINE)[:, None] * np.ones(count), weights)
    return blurred(loops, times, chances, np.maximum(loops.slots - 1.0, 0.0))
