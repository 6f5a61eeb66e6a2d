"""Closed loops of fixed output lengths: clients stay in lockstep.

Clients that start together complete together, K iterations later, and come back together. What
the token budget cannot compute in one iteration spreads over several at once, and then stays so:
in steady state a cycle is a wave of iterations that each prefill a group of prompts, and then
iterations that only decode. Where the waves fill the whole cycle the budget is the bound.
"""

from __future__ import annotations

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.closed_loop import Loops, SlotTimes
from queueing.engine.closed_nodes import FINE, lognormal_factors

_PLACES = 32


def wave_times(loops: Loops) -> SlotTimes:
    """Return the times of slots in lockstep."""
    slots, computed, requests = loops.slots, loops.computed, loops.requests
    budget = loops.cases.token_budget
    output = requests.output
    alone = slots * computed <= budget
    room = np.maximum(budget - slots, 0.0)
    # g prompts beside B - g decoding sequences: g L + B - g ≤ M.
    fit = np.floor(room / np.maximum(computed - 1.0, 1e-9) + 1e-9)
    fit = np.where(loops.cases.input_cv > 0.0, room / computed, fit)
    group = np.where(alone, slots, np.clip(fit, 1.0, slots))
    chunks = np.where(
        (fit < 1.0) & ~alone, np.ceil(computed / np.maximum(room + 1.0, 1.0) - 1e-9), 1.0
    )
    cycle = output - 1.0 + chunks
    wave = np.where(chunks > 1.0, slots * computed / np.maximum(room + 1.0, 1.0), slots / group)
    # Where the waves fill the cycle, every iteration computes the whole budget.
    full = wave > cycle
    rate = np.where(full, budget / (computed + output - 1.0), slots / cycle)
    decoders = rate * (output - 1.0)
    tokens = np.where(full, budget - decoders, np.minimum(group * computed, room + group))
    tokens = np.where(alone, slots * computed, tokens)
    prompts = tokens / computed

    place = (np.arange(_PLACES)[:, None] + 0.5) / _PLACES
    length = np.minimum(wave, cycle)
    # Contexts while the prompts of a wave come in: those before are fresh, those after at their
    # end; and then all grow.
    first = place * (place * length * 0.5)
    second = (1.0 - place) * (cycle - (1.0 - place) * length * 0.5)
    wave_context = requests.held + np.where(full | alone, 0.5 * output, first + second)
    beside = np.where(full, decoders, np.maximum(slots - prompts, 0.0))
    beside = np.where(chunks > 1.0, slots - 1.0, beside)
    size = lognormal_factors(
        loops.cases.input_cv / np.sqrt(np.maximum(prompts, 1.0)), FINE
    )[:, None]
    most = np.where(alone, np.maximum(budget, tokens), room + group)
    parts = np.minimum(tokens * size, np.maximum(most, tokens))
    again = np.where((chunks > 1.0) | full, 0.5 * computed + loops.cached, 0.0)
    reads = parts * (1.0 + loops.cached / computed) + again
    mixed = loops.iteration_ms(beside, prompts * parts / tokens, parts, reads, wave_context)
    size_weight = np.diff(FINE)[:, None, None] * np.ones((1, _PLACES, len(slots))) / _PLACES

    decode_only = cycle - length
    grown = np.where(
        alone, 0.5 + place * np.maximum(output - 1.0, 0.0), 0.5 * length + place * decode_only
    )
    nothing = np.zeros_like(grown)
    decode = loops.iteration_ms(
        np.broadcast_to(slots, grown.shape), nothing, nothing, nothing, requests.held + grown
    )
    mixed_mean = (mixed * size_weight).sum(axis=(0, 1))
    decode_mean = decode.mean(axis=0)
    cycle_ms = np.where(
        full, slots / rate * mixed_mean, length * mixed_mean + decode_only * decode_mean
    )
    count = len(slots)
    flat = mixed.reshape(-1, count)
    flat_weight = size_weight.reshape(-1, count)
    own = chunks * flat
    # The other iterations of the cycle.
    steps = np.maximum(requests.steps, 1e-9)
    rest = np.maximum(cycle_ms - own, 0.0) / steps
    itl = np.where(full, mixed_mean, rest)
    wait = np.where(full, np.maximum(cycle_ms - requests.steps * mixed_mean - mixed_mean, 0.0), 0.0)
    gap_weight = np.concatenate(
        [
            flat_weight * (length * np.where(full, 1.0, beside)),
            np.ones((_PLACES, count)) / _PLACES * (decode_only * slots),
        ]
    )
    gaps = np.concatenate([flat, decode])
    some = requests.steps > 1e-9
    queued = _waits(
        loops,
        cycle_ms,
        np.where(full, 1.0, group),
        np.where(full, cycle_ms / slots, mixed_mean * chunks),
        np.where(full, 0.0, decode_only * decode_mean),
    )
    return SlotTimes(
        queued_ms=queued,
        queued_weight=np.full_like(queued, 1.0 / len(queued)),
        rate_per_ms=slots / cycle_ms,
        prefill_ms=own + wait,
        prefill_weight=flat_weight,
        ready_ms=np.broadcast_to(wait, own.shape),
        gap_ms=gaps,
        gap_weight=np.where(some, gap_weight, 0.0),
        itl_ms=itl * np.ones_like(flat),
        itl_weight=np.where(some, flat_weight, 0.0),
        decode_ms=np.where(some, itl * steps, 0.0) * np.ones_like(flat),
        decode_weight=flat_weight,
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
    mean = waits.mean(axis=0)
    # In all, Little's law.
    exact = queue / slots * cycle_ms
    answer: FloatArray = np.where(mean > 0.0, waits * exact / np.maximum(mean, 1e-300), exact)
    return np.maximum(answer, 0.0)
