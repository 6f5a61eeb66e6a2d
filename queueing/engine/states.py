"""How many requests are in service: a birth–death chain on the times of iterations.

The window of states that matter is covered by at most `NODES` numbers in service: every one of
them where they are few, equally spaced ones of the smooth probabilities otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_variance
from queueing.engine.cases import EngineCases
from queueing.engine.iterations import Iterations, iterations
from queueing.engine.memory import MemoryBound
from queueing.engine.prompts import station
from queueing.engine.requests import Requests
from queueing.engine.saturation import Saturation
from queueing.engine.wait import Line

NODES = 33
SOFT = 2.0
"""Standard deviations beyond the mean number that fits in memory up to which states are told apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Full:
    """A replica with every slot taken; arrays (cases,).

    Attributes:
        memory: what KV memory allows.
        limit: requests present from which on further ones are taken to be in the line.
        slots: requests in service with that many present.
        iteration_ms: mean time of an iteration.
        rate: departures per millisecond.
        steps: iterations that a request spends in service.
        decode_ms: mean time of an iteration as a decoding sequence sees it.
        spread: squared coefficient of variation of the time in service.
        admission_ms: time of the iteration that a request is admitted to.
    """

    memory: MemoryBound
    limit: FloatArray
    slots: FloatArray
    iteration_ms: FloatArray
    rate: FloatArray
    steps: FloatArray
    decode_ms: FloatArray
    admission_ms: FloatArray
    base_ms: FloatArray
    offset_ms: FloatArray
    prompt_ms: FloatArray
    spread: FloatArray


def full(cases: EngineCases, requests: Requests, most: Saturation) -> Full:
    """Return what a replica does with every slot that memory allows taken and others waiting."""
    memory = most.memory
    bound = np.where(memory.bounded(), memory.room + SOFT * memory.room_deviation + 1.0, np.inf)
    limit = np.maximum(np.minimum(np.ceil(bound), cases.max_batch), 1.0)
    slots = np.maximum(memory.in_service(limit), 1.0)
    at = iterations(cases, requests, slots[None, :])
    rate = np.maximum(most.throughput_rps / 1e3, 1e-15)
    time = most.iteration_ms
    steps = slots / (rate * time)
    others = np.maximum(slots - 1.0, 0.0) / steps
    base, offset, prompt = at.base_ms[0], at.offset_ms[0], at.prompt_ms[0]
    seen = base + offset * np.minimum(others, 1.0) + prompt * others
    seen = np.where(requests.steps > 0.0, seen, time)
    admission = base + offset + prompt * (1.0 + others)
    own = prompt**2 * requests.input_spread
    spread = (requests.steps_spread * (requests.steps * seen) ** 2 + own) * (rate / slots) ** 2
    return Full(
        memory, limit, slots, time, rate, steps, seen, admission, base, offset, prompt, spread
    )


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Probabilities of the number in service; nodes (states, cases) and the full state (cases,).

    Attributes:
        number: requests in service at the nodes below the limit.
        at: their iterations.
        in_time: probability of a node over time.
        met: probability that an arrival meets the node.
        full_in_time: probability that every slot is taken.
        full_met: probability that an arrival finds every slot taken.
        load: arrival rate over the departure rate of the full replica.
        mean: mean number in service.
        variance: its variance.
    """

    number: FloatArray
    at: Iterations
    in_time: FloatArray
    met: FloatArray
    full_in_time: FloatArray
    full_met: FloatArray
    load: FloatArray
    mean: FloatArray
    variance: FloatArray


def pooling(spread: FloatArray) -> FloatArray:
    """Return the share of the variability of arrivals that the number in service keeps.

    For an infinite-server station, ∫ F̄² / ∫ F̄ over the service time: 1 for fixed lengths,
    2 Φ(-σ/√2) for lognormal ones.
    """
    deviation = np.sqrt(np.log1p(spread))
    return 2.0 * ndtr(-deviation / np.sqrt(2.0))


def solve_states(
    cases: EngineCases,
    requests: Requests,
    rate: FloatArray,
    top: Full,
    line: Line,
) -> States:
    """Return the probabilities of the number in service at a rate (per ms)."""
    limit, memory = top.limit, top.memory
    soft = bool(np.any(memory.bounded()))

    def serving(present: FloatArray) -> FloatArray:
        return memory.in_service(present) if soft else present

    load = rate / top.rate
    idle = np.zeros(len(cases))
    # Where the window lies: a fixed point of n = λ K T(n), and its slope.
    low, high = np.zeros(len(cases)), limit.copy()
    for _ in range(14):
        middle = 0.5 * (low + high)
        at = iterations(cases, requests, serving(middle)[None, :])
        idle = np.exp(-middle)
        need = rate * station(cases, requests, at, rate, idle, top.slots, 1.0 - idle).service_ms[0]
        more = need > serving(middle)
        low = np.where(more, middle, low)
        high = np.where(more, high, middle)
    centre = 0.5 * (low + high)
    wider = np.minimum(centre + np.maximum(1.0, 0.05 * centre), limit + 1.0)
    at = iterations(cases, requests, serving(wider)[None, :])
    need_wider = rate * station(cases, requests, at, rate, idle, top.slots, 1.0 - idle).service_ms[0]
    at = iterations(cases, requests, serving(centre)[None, :])
    need = rate * station(cases, requests, at, rate, idle, top.slots, 1.0 - idle).service_ms[0]
    elasticity = np.clip((need_wider - need) / (wider - centre), 0.0, 0.97)
    # How much arrivals vary over the time in service.
    offered = np.maximum(np.minimum(need, limit), 1e-9)
    dispersion = count_variance(offered, cases.arrival_cv) / offered
    peakedness = np.maximum(1.0 + (dispersion - 1.0) * pooling(top.spread), 0.05)
    deviation = np.sqrt(centre * peakedness / (1.0 - elasticity)) + 0.5
    last = limit - 1.0
    first = np.clip(np.floor(centre - 7.0 * deviation), 0.0, np.maximum(last - NODES + 1, 0.0))
    end = np.clip(np.ceil(centre + 7.0 * deviation + 6.0), np.minimum(NODES - 1.0, last), last)
    step = np.maximum((end - first) / (NODES - 1), 1.0)
    number = first + step * np.arange(NODES)[:, None]
    inside = number <= end + 1e-9
    fine = step <= 1.0
    number = np.minimum(number, end)
    # Arrivals that come in clumps: their rate depends on how many are there (Delbrouck's
    # Bernoulli-Poisson-Pascal input), so that mean and peakedness are those of the renewal input.
    slope = rate * (1.0 - 1.0 / peakedness) / offered
    room = np.maximum(limit - offered, 1e-9)
    bound = 0.5 * np.maximum(top.rate - rate, 0.0) / room
    slope = np.where(slope > 0.0, np.minimum(slope, bound), slope)
    level = rate - slope * offered

    def arrivals(n: FloatArray) -> FloatArray:
        return np.maximum(level + slope * n, 1e-9 * rate)

    # Growth of the log probability from node to node.
    shifted = np.where(fine, number + 1.0, number + 0.5)
    served = serving(shifted)
    ahead = iterations(cases, requests, served)
    idle = np.exp(-need)
    found = np.clip(served - 1.0, 0.0, 1.0)
    departures = station(cases, requests, ahead, rate, idle, top.slots, found).service_ms
    growth = np.log(arrivals(shifted - np.where(fine, 1.0, 1.0)) * departures / served)
    growth = np.where(fine, growth, growth)
    between = np.where(fine, growth[:-1], 0.5 * step * (growth[:-1] + growth[1:]))
    logs = np.concatenate([np.zeros((1, len(cases))), np.cumsum(between, axis=0)])
    logs = np.where(inside, logs, -np.inf)
    peak = logs.max(axis=0)
    weights = np.exp(logs - peak)
    # The full state, from the last node below it: one exact step.
    last_index = inside.sum(axis=0) - 1
    columns = np.arange(len(cases))
    at_last = weights[last_index, columns]
    reaches = end >= last - 1e-9
    weights_full = np.where(reaches, at_last * arrivals(last) / np.maximum(top.rate, 1e-300), 0.0)
    weights = weights * np.where(fine, 1.0, step)
    # Ends of the trapezoidal rule: the sum over integers counts the end nodes by (step + 1) / 2.
    weights[0] = np.where(fine, weights[0], weights[0] * 0.5 * (step + 1.0) / step)
    weights[last_index, columns] = np.where(
        fine, weights[last_index, columns], weights[last_index, columns] * 0.5 * (step + 1) / step
    )
    weights_full = weights_full * line.weight
    total = weights.sum(axis=0) + weights_full
    at = iterations(cases, requests, serving(number))
    in_time = weights / total
    full_in_time = weights_full / total
    met = in_time * arrivals(number)
    full_met = full_in_time * arrivals(limit)
    arriving = met.sum(axis=0) + full_met
    mean = (in_time * number).sum(axis=0) + full_in_time * limit
    square = (in_time * number**2).sum(axis=0) + full_in_time * limit**2
    return States(
        number,
        at,
        in_time,
        met / arriving,
        full_in_time,
        full_met / arriving,
        load,
        mean,
        square - mean**2,
    )
