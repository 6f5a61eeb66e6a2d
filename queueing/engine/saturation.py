"""The largest throughput of a replica: its engine with a queue that is never empty.

Counted in iterations first, then in time. A slot that is never idle holds a request for its
prompt and for K - 1 decode iterations, so that N slots complete N / (E[K - 1] + I) requests an
iteration, I the iterations from a slot's being free to its prompt's being done: 1 where the token
budget M is ample. Where it is not, prompts queue for what decoding leaves of it:

- at most M / (w + E[K - 1]) requests an iteration are possible, w the tokens of a prompt;
- short of that, the backlog of prompt tokens is a queue served by the iteration, whose input falls
  as slots wait in it. Its diffusion is an Ornstein–Uhlenbeck process reflected at zero, whose
  stationary law is a normal cut off at zero (Browne and Whitt, Piecewise-linear diffusion
  processes, 1995). For the walk in steps of an iteration the mean is lower by
  Var(unused budget) / 2·(mean unused budget), from the second moment of Lindley's recursion; that
  variance is bounded by that of a variable between 0 and M, and by the normal walk (Siegmund,
  Sequential Analysis, 1985, the constant 0.583);
- prompts longer than an iteration see few others at a time: mean value analysis of a closed queue
  with residual service (Schweitzer 1979, Reiser and Lavenberg 1980), a quadratic equation here.

The mean time of an iteration is taken over three kinds of them: without prompts, with both, and of
prompts alone, with the sequences in each as slots at random ages have them. For times that are
linear in the work this is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.memory import MemoryBound, memory_bound

_NO_BUDGET = 1e12
"""A token budget that binds nobody."""

_PASSES = 2
"""Rounds between preemptions and the token budget that recomputing them takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Saturation:
    """A replica whose queue is never empty; arrays (cases,).

    Attributes:
        throughput_rps: requests completed per second, those that memory can hold at all.
        requests_per_iteration: the same per iteration.
        iteration_ms: mean time of an iteration.
        mean_in_service: mean number in service over iterations.
        decoding: mean number of sequences that decode in an iteration.
        prompts: mean number of prompts in an iteration (parts as fractions), recomputed ones too.
        prompt_tokens: mean prompt tokens computed in an iteration.
        prefill_share: share of the time of iterations that prompts take.
        split: share of the iterations that leave a prompt unfinished.
        preemptions_per_request: preemptions over completed requests.
        memory: what KV memory allows.
    """

    throughput_rps: FloatArray
    requests_per_iteration: FloatArray
    iteration_ms: FloatArray
    mean_in_service: FloatArray
    decoding: FloatArray
    prompts: FloatArray
    prompt_tokens: FloatArray
    prefill_share: FloatArray
    split: FloatArray
    preemptions_per_request: FloatArray
    memory: MemoryBound


@dataclass(frozen=True, slots=True, eq=False)
class _Flow:
    """Requests completed per iteration, and the share of iterations that split a prompt."""

    requests: FloatArray
    split: FloatArray


def saturation(cases: EngineCases, memory: MemoryBound | None = None) -> Saturation:
    """Return what replicas do when their queue is never empty.

    Args:
        cases: the replicas.
        memory: their memory bound, where it is known already.
    """
    memory = memory_bound(cases) if memory is None else memory
    requests = memory.requests
    steps = requests.steps
    budget = np.minimum(np.floor(cases.token_budget), _NO_BUDGET)
    batch = np.minimum(cases.max_batch, budget)
    own = np.maximum(requests.computed, 1.0)
    again = memory.recomputed_tokens(cases.prefix_hit_rate)
    slots, extra = memory.in_service(batch), np.zeros(len(cases))
    flow = _flow(slots, steps, own, requests.input_spread, budget)
    if np.any(memory.bounded()):
        for _ in range(_PASSES):
            serving = _in_service(flow, steps)
            # Where prompts wait for the token budget, few of those present ask for memory.
            asking = serving + (batch - slots) * np.minimum(serving / slots, 1.0) ** 8
            extra = memory.preemptions_per_request(np.clip(asking, 1.0, batch))
            # A preempted request makes its next token in the iteration that recomputes it.
            flow = _flow(slots, steps, own + extra * again, requests.input_spread, budget)
    rate = flow.requests
    work = own + extra * again
    reads = requests.held * (1.0 + extra) + extra * (memory.edge - requests.held)
    cached = requests.held - own
    cut = cached + 0.5 * own * (1.0 + requests.input_spread)
    decoding = np.maximum(rate * (steps - extra), 0.0)
    prompts = rate * (1.0 + extra)
    in_service = _in_service(flow, steps)
    time, base = _iteration_ms(
        cases, memory, slots, decoding, prompts, rate * work, rate * reads + flow.split * cut,
        flow.split,
    )  # fmt: skip
    served = memory.too_large < 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        throughput = np.where(served, 1000.0 * rate / time, 0.0)
        share = np.where(time > 0.0, np.clip(1.0 - base / time, 0.0, 1.0), 0.0)
    return Saturation(
        throughput_rps=throughput,
        requests_per_iteration=rate,
        iteration_ms=time,
        mean_in_service=in_service,
        decoding=decoding,
        prompts=prompts,
        prompt_tokens=rate * work,
        prefill_share=share,
        split=flow.split,
        preemptions_per_request=extra,
        memory=memory,
    )


def _in_service(flow: _Flow, steps: FloatArray) -> FloatArray:
    """Return the mean number in service: a prompt that is split stays for another iteration."""
    return flow.requests * (steps + 1.0) + flow.split


def _iteration_ms(
    cases: EngineCases,
    memory: MemoryBound,
    slots: FloatArray,
    decoding: FloatArray,
    prompts: FloatArray,
    tokens: FloatArray,
    reads: FloatArray,
    split: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the mean time of an iteration, and what of it the decodes alone would take."""
    context = memory.requests.context
    none = np.zeros(len(cases))
    share = np.clip(decoding / slots, 0.0, 1.0)
    # Slots at ages that do not depend on each other.
    without = np.where(split < 1.0, (1.0 - split) * share**slots, 0.0)
    alone = (1.0 - share) ** slots
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.minimum(without, np.where(slots > 0.0, decoding / slots, 0.0))
        both = np.maximum(1.0 - without - alone, 0.0)
        rest = np.where(both > 1e-9, (decoding - without * slots) / both, 0.0)
        some = np.maximum(1.0 - without, 1e-12)
    rest = np.clip(rest, 0.0, slots)
    per, per_tokens, per_reads = prompts / some, tokens / some, reads / some
    times = cases.times
    plain = times.iteration_ms(slots, context, none, none, none)
    mixed = times.iteration_ms(rest, context, per, per_tokens, per_reads)
    only = times.iteration_ms(none, context, per, per_tokens, per_reads)
    mixed = np.where(both > 1e-9, mixed, 0.0)
    time: FloatArray = without * plain + both * mixed + alone * only
    decode = np.where(both > 1e-9, times.iteration_ms(rest, context, none, none, none), 0.0)
    base: FloatArray = without * plain + both * decode
    return time, base


def _flow(
    slots: FloatArray, steps: FloatArray, work: FloatArray, spread: FloatArray, budget: FloatArray
) -> _Flow:
    """Return the requests completed per iteration where prompts share a token budget.

    Args:
        slots: requests that hold or wait for a place in an iteration.
        steps: decode iterations of a request.
        work: prompt tokens to compute for each.
        spread: squared coefficient of variation of them.
        budget: tokens that an iteration computes at most, M.
    """
    cycle = steps + 1.0
    most = budget / (work + steps)
    # Decodes come first, yet no more of them than prompts are done for.
    fair = most * work
    room = np.maximum(budget - slots * steps / cycle, fair)
    beside = np.maximum(slots - 1.0, 0.0) * steps / cycle
    free = np.maximum(budget - beside, fair)
    chunks = _chunks(work / free, spread)
    left, split = _backlog(slots, steps, work, spread, budget, room)
    few, few_split = _closed(slots, cycle, work, spread, room, chunks)
    # Prompts of half an iteration or more: the closed queue knows better that slots are few.
    long = np.clip(4.0 * work / room - 1.0, 0.0, 1.0)
    left = left - long * np.maximum(left - few, 0.0)
    split = np.minimum(split, split + long * (few_split - split))
    # A prompt delays each other slot once at most, however long it is.
    least = slots / (steps + chunks + np.maximum(slots - 1.0, 0.0) * work / free)
    single = slots <= 1.0
    requests = np.where(single, least, np.maximum((slots - left) / cycle, least))
    split = np.where(single, least * (chunks - 1.0), np.clip(split, 0.0, 1.0))
    requests = np.minimum(requests, most)
    return _Flow(requests, np.minimum(split, np.maximum(slots - requests * cycle, 0.0)))


def _backlog(
    slots: FloatArray,
    steps: FloatArray,
    work: FloatArray,
    spread: FloatArray,
    budget: FloatArray,
    room: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return prompts left over by an iteration, and how often one of them is under way."""
    cycle = steps + 1.0
    per_slot = (work + steps) / cycle
    spare = budget - slots * per_slot
    variance = np.maximum(slots / cycle * work**2 * (1.0 + spread), 1e-12)
    deviation = np.sqrt(0.5 * variance * cycle * work / (work + steps))
    centre = work * (slots - budget / per_slot)
    tokens = _cut_normal(centre, deviation)
    idle = np.maximum(spare, 0.0)
    walk = -np.expm1(-1.165 * idle / np.sqrt(variance))
    within = idle * np.maximum(room - idle, 0.0) / variance
    tokens_left = tokens * (1.0 - np.minimum(walk, within))
    rest = 0.5 * work * (1.0 + spread)
    split = np.clip(tokens_left / np.maximum(rest, tokens), 0.0, 1.0)
    partly = 0.5 * (1.0 + spread) * split * ndtr(-centre / deviation)
    return np.clip(tokens_left / work + partly, 0.0, slots), split


def _closed(
    slots: FloatArray,
    cycle: FloatArray,
    work: FloatArray,
    spread: FloatArray,
    room: FloatArray,
    chunks: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the same two by mean value analysis of prompts longer than an iteration.

    A slot spends `cycle` iterations and y more for its prompt, y = own + others/room, where it
    finds the others' prompts as (slots - 1)/slots of the mean left over slots·y/(cycle + y).
    """
    own = chunks - 1.0
    others = np.maximum(slots - 1.0, 0.0) / room
    rest = 0.5 * work * (1.0 + spread)
    b = cycle - own - others * work
    c = -own * (cycle + others * (rest - work))
    root = np.sqrt(np.maximum(b * b - 4.0 * c, 0.0))
    more = np.maximum(0.5 * (root - b), 0.0)
    completed = slots / (cycle + more)
    return completed * more, np.clip(completed * own, 0.0, 1.0)


def _chunks(ratio: FloatArray, spread: FloatArray) -> FloatArray:
    """Return the mean iterations that a prompt takes alone, its mean length in budgets given.

    A whole number for fixed lengths; for lognormal ones E[max(1, X + 1/2)].
    """
    sigma = np.sqrt(np.log1p(spread))
    safe = np.maximum(sigma, 1e-9)
    place = (np.log(np.maximum(ratio, 1e-300)) + np.log(2.0)) / safe
    # max(1, X + 1/2) = 1/2 + max(1/2, X)
    random = 0.5 + ratio * ndtr(place + 0.5 * safe) + 0.5 * ndtr(0.5 * safe - place)
    chunks: FloatArray = np.where(spread > 1e-9, random, np.maximum(np.ceil(ratio - 1e-9), 1.0))
    return chunks


def _cut_normal(mean: FloatArray, deviation: FloatArray) -> FloatArray:
    """Return the mean of a normal variable given that it is positive."""
    z = np.clip(mean / deviation, -1e8, 1e8)
    hazard = np.exp(-0.5 * z * z - log_ndtr(z)) / np.sqrt(2.0 * np.pi)
    far = z < -20.0
    near = mean + deviation * np.where(far, 0.0, hazard)
    below: FloatArray = np.where(far, deviation / np.maximum(-z, 1.0), near)
    return np.maximum(below, 0.0)
