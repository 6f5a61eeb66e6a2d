"""Closed loops of fixed output lengths: clients stay in lockstep.

Clients that start together complete together, K iterations later, and come back together. What
the token budget cannot compute in one iteration spreads over several at once, and then stays so:
in steady state a cycle is a wave of iterations that each prefill a group of prompts, and then
iterations that only decode. Where the waves fill the whole cycle the budget is the bound.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from queueing.arrays import FloatArray
from queueing.engine.closed_loop import SHORTEST_MS, Loops, SlotTimes, mean_of
from queueing.engine.closed_nodes import FINE, combine, lognormal_factors

_PLACES = 32
_RARE = 5e-4


def wave_group(loops: Loops) -> FloatArray:
    """Return how many prompts a wave computes in one iteration, below 1 where one does not fit.

    Of fixed prompts g L + B - g ≤ M, all of them where nobody else decodes. Of random ones, as
    many as exceed the budget in less than one of two thousand waves: each excess splits a group,
    and nothing unites them again, so that they get smaller until it hardly happens.
    """
    slots, mean, cv = loops.slots, loops.computed, loops.cases.input_cv
    budget = loops.cases.token_budget
    room = np.maximum(budget - slots, 0.0)
    fit = np.floor(room / np.maximum(mean - 1.0, 1e-9) + 1e-9)
    fixed = np.where(slots * mean <= budget, slots, np.minimum(fit, slots))
    whole = _excess(slots, mean, cv, budget) < _RARE
    low, high = np.zeros_like(slots), slots.copy()
    for _ in range(30):
        middle = 0.5 * (low + high)
        rare = _excess(middle, mean, cv, np.maximum(room + middle, 1.0)) < _RARE
        low, high = np.where(rare, middle, low), np.where(rare, high, middle)
    group: FloatArray = np.where(cv > 0.0, np.where(whole, slots, low), fixed)
    return group


def _excess(count: FloatArray, mean: FloatArray, cv: FloatArray, room: FloatArray) -> FloatArray:
    """Return the probability that lognormal prompts need more room than there is.

    A lognormal sum of the same two moments, or one long prompt beside the mean of the rest.
    """
    count = np.maximum(count, 1e-9)
    together = np.sqrt(np.log1p(np.maximum(cv, 1e-6) ** 2 / count))
    one = np.sqrt(np.log1p(np.maximum(cv, 1e-6) ** 2))
    rest = np.maximum(room - np.maximum(count - 1.0, 0.0) * mean, 1e-9)
    total = ndtr(-np.log(room / (count * mean)) / together - 0.5 * together)
    single = count * ndtr(-np.log(rest / mean) / one - 0.5 * one)
    answer: FloatArray = np.maximum(total, single)
    return answer


def wave_times(loops: Loops, fit: FloatArray) -> SlotTimes:
    """Return the times of slots in lockstep.

    Args:
        loops: the loops.
        fit: prompts that a wave computes in one iteration, from `wave_group`.
    """
    slots, computed, requests = loops.slots, loops.computed, loops.requests
    budget, output, steps = loops.cases.token_budget, requests.output, requests.steps
    count = len(slots)
    alone = fit >= slots
    room = np.maximum(budget - slots + 1.0, 1.0)
    split = (fit < 1.0) & ~alone
    group = np.where(alone, slots, np.clip(fit, 1.0, slots))
    chunks = np.where(split, np.ceil(computed / room - 1e-9), 1.0)
    cycle = output - 1.0 + chunks
    wave = np.where(split, slots * computed / room, slots / group)
    # Where the waves fill the cycle, every iteration computes the whole budget.
    full = wave > cycle
    rate = np.where(full, budget / (computed + steps), slots / cycle)
    decoders = rate * steps
    tokens = np.where(split, np.minimum(computed, room), group * computed)
    tokens = np.where(full, budget - decoders, tokens)
    prompts = tokens / computed
    length = np.minimum(wave, cycle)

    place = (np.arange(_PLACES)[:, None] + 0.5) / _PLACES
    # Contexts while the prompts of a wave come in: those before are fresh, those after at their
    # end; and then all grow.
    ahead = place * (0.5 * place * length)
    behind = (1.0 - place) * (cycle - 0.5 * (1.0 - place) * length)
    wave_context = requests.held + np.where(full | alone, 0.5 * output, ahead + behind)
    beside = np.where(split, slots - 1.0, np.maximum(slots - prompts, 0.0))
    beside = np.where(full, decoders, beside)
    cv = loops.cases.input_cv / np.sqrt(np.maximum(prompts, 1.0))
    size = np.where(full, 1.0, lognormal_factors(cv, FINE))[:, None]
    parts = np.minimum(tokens * size, np.maximum(budget - beside, tokens))
    again = np.where(split | full, 0.5 * computed + loops.cached, 0.0)
    reads = parts * (1.0 + loops.cached / computed) + again
    mixed = loops.iteration_ms(beside, prompts, parts, reads, wave_context).reshape(-1, count)
    mixed_weight = combine(
        np.diff(FINE)[:, None] * np.ones(count), np.full((_PLACES, count), 1.0 / _PLACES)
    )

    decode_only = cycle - length
    grown = np.where(alone, 0.5 + place * steps, 0.5 * length + place * decode_only)
    idle = np.zeros_like(grown)
    decode = loops.iteration_ms(slots + idle, idle, idle, idle, requests.held + grown)
    mixed_mean = mean_of(mixed, mixed_weight)
    decode_mean = decode.mean(axis=0)
    cycle_ms = length * mixed_mean + decode_only * decode_mean
    cycle_ms = np.maximum(np.where(full, slots / rate * mixed_mean, cycle_ms), SHORTEST_MS)

    # Of the other iterations of the cycle each gives a token.
    some = steps > 1e-9
    own = chunks * mixed
    rest = (cycle_ms - chunks * mixed_mean) / np.where(some, steps, 1.0)
    sway = (mixed - mixed_mean) * np.maximum(wave - chunks, 0.0) / np.maximum(wave, 1.0)
    sway = sway / np.where(some, steps, 1.0) / np.sqrt(np.maximum(wave, 1.0))
    itl = np.where(full, mixed_mean, np.maximum(rest - sway, 1e-12))
    prefill = np.where(full, np.maximum(cycle_ms - steps * mixed_mean, 1e-12), own)
    gap_weight = np.concatenate(
        [
            mixed_weight * (length * np.where(full, 1.0, beside)),
            np.ones((_PLACES, count)) / _PLACES * (decode_only * slots),
        ]
    )
    queued = _waits(
        loops,
        cycle_ms,
        np.where(full, 1.0, group),
        np.where(full, cycle_ms / slots, np.where(split, computed / room, 1.0) * mixed_mean),
        np.where(full, 0.0, decode_only * decode_mean),
    )
    return SlotTimes(
        queued_ms=queued,
        queued_weight=np.full_like(queued, 1.0 / len(queued)),
        rate_per_ms=slots / cycle_ms,
        prefill_ms=prefill,
        prefill_weight=mixed_weight,
        ready_ms=np.where(full, np.maximum(prefill - own, 0.0), 0.0),
        gap_ms=np.concatenate([mixed, decode]),
        gap_weight=np.where(some, gap_weight, 0.0),
        itl_ms=itl,
        itl_weight=np.where(some, mixed_weight, 0.0),
        decode_ms=np.where(some, itl * steps, 0.0),
        decode_weight=mixed_weight,
    )


def _waits(
    loops: Loops,
    cycle_ms: FloatArray,
    group: FloatArray,
    group_ms: FloatArray,
    decode_ms: FloatArray,
) -> FloatArray:
    """Return the times that requests of clients beyond the slots wait for theirs.

    The request that follows slot i of a wave takes the slot C - B places later, in this wave or in
    a later one.

    Args:
        loops: the loops.
        cycle_ms: time of a cycle.
        group: prompts in a group.
        group_ms: time from one group of a wave to the next.
        decode_ms: time from the last group of a wave to the first of the next one.
    """
    slots = loops.slots
    queue = np.maximum(loops.clients - slots, 0.0)
    place = (np.arange(4 * _PLACES)[:, None] + 0.5) / (4 * _PLACES) * slots
    later = np.floor((place + queue) / slots)
    there = np.floor((place + queue - later * slots) / group)
    groups = slots / group
    waits = (later * groups + there - np.floor(place / group)) * group_ms + later * decode_ms
    # In all, Little's law.
    exact = queue / slots * cycle_ms
    waits = np.maximum(waits, 0.0)
    mean = waits.mean(axis=0)
    answer: FloatArray = np.where(mean > 0.0, waits * exact / np.maximum(mean, 1e-300), exact)
    return answer
