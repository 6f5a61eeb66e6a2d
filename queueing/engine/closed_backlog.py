"""Closed loops whose prompts often exceed the token budget: a backlog of prompt tokens.

At each iteration the slots that are not waiting for their prompt bring new prompts, the budget
that decode leaves is used on them first come, first served, and the rest is carried over: a Markov
chain of the tokens carried over, on a grid. The more wait, the fewer bring new ones. Little's law
gives the mean time to the first token, the chain its distribution. Where a grid cell holds more
than an iteration computes, the chain takes several iterations at a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.closed_loop import SHORTEST_MS, Loops, SlotTimes, mean_of
from queueing.engine.closed_nodes import COARSE, FINE, combine, lognormal_factors, stratify
from queueing.engine.closed_prompts import PromptGrid
from queueing.engine.closed_spread import blurred, queue_times, request_gaps

_CELLS = 128
_ROUNDS = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """The stationary backlog; arrays (cells, cases) or (cases,).

    Attributes:
        grid: tokens of the cells.
        room: prompt tokens that an iteration computes at most.
        step: iterations of a step of the chain.
        carried: probabilities of the tokens carried over.
        waiting: prompts that these are.
        present: probabilities of the tokens at the start of a step, shape (2 · cells, cases).
        decoding: sequences in decode by these tokens, times the probability.
        begun: probability that a prompt is begun already, times the probability.
        prompts: prompts that the tokens are of, times the probability.
        computed: mean tokens computed in an iteration.
    """

    grid: PromptGrid
    room: FloatArray
    step: FloatArray
    carried: FloatArray
    waiting: FloatArray
    present: FloatArray
    decoding: FloatArray
    begun: FloatArray
    prompts: FloatArray
    computed: FloatArray


def backlog_times(loops: Loops) -> SlotTimes:
    """Return the times of slots where prompts wait for the token budget."""
    requests = loops.requests
    budget = loops.cases.token_budget
    steps = requests.steps
    # Prompts by iteration: new ones and those computed again, of which a request has `visits`.
    rate = np.minimum(loops.slots * loops.share, budget / (loops.work + steps / loops.visits))
    for _ in range(_ROUNDS):
        chain = _solve(loops, np.maximum(budget - rate * steps / loops.visits, 1.0))
        rate = chain.computed / loops.work
    tokens, decoding, begun, prompts, weights = _iterations(loops, chain)
    again = 0.5 * loops.computed * (1.0 + loops.cases.input_cv**2)
    reads = tokens + (prompts + begun) * loops.cached + begun * np.minimum(again, loops.computed)
    # As many tokens may be of few long prompts or of many short ones.
    few = lognormal_factors(loops.cases.input_cv / np.sqrt(np.maximum(prompts, 1.0)), COARSE)
    few = np.where(begun > 0.5, few, 1.0)
    times = loops.iteration_ms(
        *(part + np.zeros_like(few) for part in (decoding, prompts * few, tokens, reads))
    )
    times, count = times.reshape(-1, times.shape[-1]), len(few)
    tokens, decoding = (np.tile(part, (count, 1)) for part in (tokens, decoding))
    weights = combine(np.diff(COARSE)[:, None] * np.ones(weights.shape[-1]), weights)
    mean = mean_of(times, weights)
    rate_per_ms = rate / loops.visits / np.maximum(mean, SHORTEST_MS)
    gap_weight = weights * decoding
    mean_gap = mean_of(times, gap_weight)
    idle = np.zeros_like(rate)
    decoders = rate * steps / loops.visits
    quiet = np.minimum(loops.iteration_ms(decoders, idle, idle, idle), mean_gap)
    variance = mean_of((times - mean_gap) ** 2, gap_weight)
    alone = (mean_gap - quiet) ** 2 * (1.0 + loops.cases.input_cv**2) / rate
    evenness = np.where(alone > 0.0, np.minimum(variance / np.maximum(alone, 1e-300), 1.0), 1.0)
    none = mean_of(
        np.where(tokens < 0.25 * np.minimum(chain.grid.step, chain.room), 1.0, 0.0), gap_weight
    )
    itl, itl_weight, decode, decode_weight = request_gaps(
        loops, mean_gap, quiet, rate, none, evenness, decoders
    )

    prefill, ready, prefill_weight = _prefills(loops, chain, rate)
    exact = loops.slots / rate_per_ms - requests.steps * mean_gap
    found = mean_of(prefill, prefill_weight)
    scale = np.where(found > 0.0, np.maximum(exact, 1e-12) / np.maximum(found, 1e-300), 1.0)
    queued, queued_weight = queue_times(loops, rate_per_ms)
    gaps, gap_weight = blurred(loops, times, gap_weight, decoders)
    return SlotTimes(
        rate_per_ms=rate_per_ms,
        queued_ms=queued,
        queued_weight=queued_weight,
        prefill_ms=prefill * scale,
        prefill_weight=prefill_weight,
        ready_ms=ready * scale,
        gap_ms=gaps,
        gap_weight=gap_weight,
        itl_ms=itl,
        itl_weight=itl_weight,
        decode_ms=decode,
        decode_weight=decode_weight,
    )


def _solve(loops: Loops, room: FloatArray) -> _Chain:
    computed, cv, slots = loops.work, loops.cases.input_cv, loops.slots
    hazard = loops.share
    mean = slots * hazard * computed
    deviation = np.sqrt(slots * hazard * (1.0 + cv**2)) * computed
    longest = lognormal_factors(cv, np.array([0.0, 0.998, 1.0]))[-1] * computed
    # The backlog: where it settles, and how far it strays, with and without the feedback.
    settled = np.maximum(slots - room / hazard / computed, 0.0) * computed
    free = deviation**2 / (2.0 * np.maximum(room - mean, 1e-9))
    held = np.sqrt(0.5 * slots * (1.0 + cv**2)) * computed
    most = slots * computed + 4.0 * np.sqrt(slots) * cv * computed
    reach = np.minimum(settled + np.minimum(10.0 * free, 6.0 * held), most)
    reach = reach + mean + 4.0 * deviation + longest
    grid = PromptGrid.of(computed, cv, reach, _CELLS)
    step = np.maximum(np.ceil(2.0 * grid.step / room), 1.0)
    share = 1.0 - (1.0 - hazard) ** step
    at = grid.tokens[:_CELLS]
    partial = np.maximum(at / computed + 0.5 * (1.0 - cv**2), at / computed / (1.0 + cv**2))
    waiting = np.where(at > 0.0, np.minimum(partial, slots), 0.0)
    active = slots - waiting
    cells = grid.step
    done = room * step / cells
    whole = np.floor(done).astype(np.int64)
    part = done - whole

    count = len(slots)
    sums = np.stack([grid.sums(active[row], share) for row in range(_CELLS)])
    # V = R + A, then R' = max(V - what is computed, 0): (from, to, cases).
    left = np.zeros((_CELLS, _CELLS, count))
    column = np.arange(2 * _CELLS)[:, None]
    cases = np.broadcast_to(np.arange(count), (2 * _CELLS, count))
    for row in range(_CELLS):
        for less, chance in ((whole, 1.0 - part), (whole + 1, part)):
            target = np.clip(column + row - less, 0, _CELLS - 1)
            np.add.at(left[row], (target, cases), sums[row] * chance)
    carried = _stationary(left)
    present = np.zeros((3 * _CELLS, count))
    decoding, begun, prompts = (np.zeros_like(present) for _ in range(3))
    new = _prompts_of(grid, slots, share, computed)
    for row in range(_CELLS):
        mass = carried[row] * sums[row]
        there = slice(row, row + 2 * _CELLS)
        present[there] += mass
        decoding[there] += mass * np.maximum(active[row] - new, 0.0)
        begun[there] += mass * (row > 0)
        prompts[there] += mass * (new + at[row] / computed)
    total = np.maximum(present.sum(axis=0), 1e-300)
    tokens = np.arange(3 * _CELLS)[:, None] * cells
    used = (present * np.minimum(tokens, room * step)).sum(axis=0) / total / step
    return _Chain(grid, room, step, carried, waiting, present, decoding, begun, prompts, used)


def _prompts_of(
    grid: PromptGrid, slots: FloatArray, share: FloatArray, work: FloatArray
) -> FloatArray:
    """Return the expected number of new prompts by their tokens, shape (2 · cells, cases)."""
    sums, counts = grid.sums(slots, share), grid.counts(slots, share)
    # What never comes of so many slots may come of fewer: there by the mean length.
    prompts = grid.tokens / work
    np.divide(counts, sums, out=prompts, where=sums > 1e-12)
    return np.minimum(prompts, slots)


def _stationary(left: FloatArray) -> FloatArray:
    """Return the stationary probabilities of chains (from, to, cases), shape (cells, cases)."""
    matrix = np.moveaxis(left, 2, 0).transpose(0, 2, 1).copy()
    matrix /= np.maximum(matrix.sum(axis=1, keepdims=True), 1e-300)
    cells = matrix.shape[1]
    matrix -= np.eye(cells)
    matrix[:, -1, :] = 1.0
    right = np.zeros((len(matrix), cells, 1))
    right[:, -1] = 1.0
    solved = np.linalg.solve(matrix, right)[:, :, 0].T
    positive = np.maximum(solved, 0.0)
    stationary: FloatArray = positive / positive.sum(axis=0)
    return stationary


def _iterations(loops: Loops, chain: _Chain) -> tuple[FloatArray, ...]:
    """Return tokens computed, sequences decoding, prompts begun and computed, and weights."""
    tokens = np.arange(len(chain.present))[:, None] * chain.grid.step
    share = np.divide(
        chain.decoding, chain.present, out=np.zeros_like(tokens), where=chain.present > 1e-15
    )
    begun = np.divide(
        chain.begun, chain.present, out=np.zeros_like(tokens), where=chain.present > 1e-15
    )
    parts = np.divide(
        chain.prompts, chain.present, out=np.zeros_like(tokens), where=chain.present > 1e-15
    )
    # Of the prompts that are there, as much as of their tokens.
    parts = parts * np.minimum(chain.room * chain.step / np.maximum(tokens, 1e-9), 1.0)
    used, decoding, again, prompts = stratify(
        chain.present, [np.minimum(tokens, chain.room * chain.step), share, begun, parts], FINE
    )
    several = chain.step > 1.0
    # Then, too, idle iterations have all slots in decode, and the full ones what is left of them.
    busy = np.clip(chain.computed / chain.room, 1e-9, 1.0)
    beside = loops.cases.token_budget - chain.room
    crowded = np.clip((beside - (1.0 - busy) * loops.slots) / busy, 1e-9, loops.slots)
    decoding = np.where(several, crowded, decoding)
    quiet = np.where(several, loops.slots, decoding)
    # Within a step of several iterations all are full but the idle ones at its end.
    full = used / (chain.room * chain.step)
    weights = np.diff(FINE)[:, None] * np.ones(len(chain.room))
    one = np.where(several, chain.room, used)
    first = weights * np.where(several, full, 1.0)
    second = weights * np.where(several, 1.0 - full, 0.0)
    return (
        np.concatenate([one, np.zeros_like(one)]),
        np.concatenate([decoding, quiet]),
        np.concatenate([np.where(several, 1.0, again), np.zeros_like(again)]),
        np.concatenate([np.where(several, chain.room / loops.work, prompts), 0.0 * prompts]),
        np.concatenate([first, second]),
    )


def _prefills(
    loops: Loops, chain: _Chain, rate: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return times from a free slot to the first token, their waiting part, and weights."""
    cells = len(chain.carried)
    at = chain.grid.tokens[:cells]
    active = np.maximum(loops.slots - chain.waiting, 0.0)
    # Requests come in proportion to the slots that may bring them.
    carried, free = stratify(chain.carried * active, [at, active], FINE)
    hazard = loops.share
    others = np.maximum(loops.slots - 1.0, 0.0)
    sums = chain.grid.sums(others, hazard)
    new = _prompts_of(chain.grid, others, hazard, loops.work)
    fewer = np.maximum(free.mean(axis=0), 0.0) / np.maximum(loops.slots, 1.0)
    beside, company = (part * fewer for part in stratify(sums, [chain.grid.tokens, new], COARSE))
    own = np.maximum(loops.computed * lognormal_factors(loops.cases.input_cv, COARSE), 1.0)
    # Half of those that come in the same iteration stand before it, on average.
    place = np.array([0.25, 0.75])
    count = len(loops.slots)
    shape = (len(carried), len(beside), len(own), len(place), count)
    ahead = carried[:, None, None, None] + beside[:, None, None] * place[:, None]
    behind = beside[None, :, None, None] * (1.0 - place[:, None])
    mine = own[:, None]
    upto = ahead + mine
    room = chain.room
    full = np.maximum(np.ceil(upto / room - 1e-9) - 1.0, 0.0)
    rest = upto - full * room
    later = full * rate * loops.work
    last = np.minimum(rest + behind + later, room)
    decoders = np.minimum(rate * loops.requests.steps / loops.visits, loops.slots - 1.0)
    density = (carried[:, None, None, None] / loops.work + company[:, None, None] + 1.0) / (
        upto + behind
    )
    per_token = 1.0 + loops.cached / loops.computed
    again = 0.5 * loops.computed * (1.0 + loops.cases.input_cv**2) + loops.cached
    decoders = np.broadcast_to(decoders, shape)
    end = loops.iteration_ms(
        decoders, last * density, last, last * per_token + np.where(full > 0.0, again, 0.0)
    )
    whole = np.broadcast_to(room, shape)
    whole_ms = loops.iteration_ms(decoders, whole * density, whole, whole * per_token + again)
    ready = np.floor(ahead / room + 1e-9) * whole_ms
    times = full * whole_ms + end
    ones = np.ones(count)
    weight = combine(
        np.diff(FINE)[:, None] * ones,
        np.diff(COARSE)[:, None] * ones,
        np.diff(COARSE)[:, None] * ones,
        0.5 * np.ones((2, count)),
    )
    return times.reshape(-1, count), np.minimum(ready, times).reshape(-1, count), weight
