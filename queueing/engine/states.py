"""How many requests are in service: a birth–death chain on the times of iterations.

The numbers that matter are covered by few nodes (`queueing.engine.window`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_after, count_variance
from queueing.engine.cases import EngineCases
from queueing.engine.iterations import MOST_PREFILL, Iterations, iterations
from queueing.engine.lengths import StepStrata, step_strata
from queueing.engine.memory import MemoryBound
from queueing.engine.presence import Arrivals, presence
from queueing.engine.prompts import Station, met_by_nobody, station
from queueing.engine.requests import Requests
from queueing.engine.rows import put_rows, take_rows
from queueing.engine.saturation import Saturation
from queueing.engine.wait import Line
from queueing.engine.window import Window

IDLE_WITHIN = 0.01
"""Error of the share of idle time beyond which prompts are looked at again."""
SOFT = 2.0
"""Standard deviations beyond the mean number that fits in memory, up to where states are told."""


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
        ends: iterations with nobody in service, and with every slot taken.
        answers: decode iterations of requests, by strata of their length.
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
    prompt_spread: FloatArray
    spread: FloatArray
    ends: Iterations
    answers: StepStrata


def full(cases: EngineCases, requests: Requests, most: Saturation) -> Full:
    """Return what a replica does with every slot that memory allows taken and others waiting."""
    memory = most.memory
    bound = np.where(memory.bounded(), memory.room + SOFT * memory.room_deviation + 1.0, np.inf)
    limit = np.maximum(np.minimum(np.ceil(bound), cases.max_batch), 1.0)
    slots = np.maximum(memory.in_service(limit), 1.0)
    ends = iterations(cases, requests, np.array([np.zeros(len(cases)), slots]))
    rate = np.maximum(most.throughput_rps / 1e3, 1e-15)
    time = most.iteration_ms
    steps = slots / (rate * time)
    others = np.maximum(slots - 1.0, 0.0) / steps
    base, offset, prompt = ends.base_ms[1], ends.offset_ms[1], ends.prompt_ms[1]
    seen = ends.seen_ms[1] + offset * np.minimum(others, 1.0) + prompt * others
    seen = np.where(requests.steps > 0.0, seen, time)
    admission = base + offset + prompt * (1.0 + others)
    own = prompt**2 * ends.prompt_spread[1]
    spread = (requests.steps_spread * (requests.steps * seen) ** 2 + own) * (rate / slots) ** 2
    return Full(
        memory,
        limit,
        slots,
        time,
        rate,
        steps,
        seen,
        admission,
        ends.seen_ms[1],
        offset,
        prompt,
        ends.prompt_spread[1],
        spread,
        ends,
        step_strata(cases, requests),
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
        fine: numbers at which the probabilities were computed, array (fine, cases).
        density: probability of each of those numbers, not of what lies between; 0 outside.
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
    fine: FloatArray
    density: FloatArray


def pooling(spread: FloatArray) -> FloatArray:
    """Return the share of the variability of arrivals that the number in service keeps.

    For an infinite-server station, ∫ F̄² / ∫ F̄ over the service time: 1 for fixed lengths,
    2 Φ(-σ/√2) for lognormal ones.
    """
    deviation = np.sqrt(np.log1p(spread))
    share: FloatArray = 2.0 * ndtr(-deviation / np.sqrt(2.0))
    return share


def solve_states(
    cases: EngineCases, requests: Requests, rate: FloatArray, top: Full, line: Line
) -> tuple[States, Station]:
    """Return the probabilities of the number present at a rate (per ms), and its prompts."""
    limit, memory = top.limit, top.memory
    load = rate / top.rate
    soft = bool(np.any(memory.bounded()))

    def serving(present: FloatArray) -> FloatArray:
        return memory.in_service(present) if soft else present

    centre, offered, stretch = _centre(cases, requests, rate, top, serving)
    dispersion = count_variance(offered, cases.arrival_cv) / offered
    peakedness = np.maximum(1.0 + (dispersion - 1.0) * pooling(top.spread), 0.05)
    deviation = np.sqrt(centre * peakedness * stretch) + 0.5
    window = Window.around(centre, deviation, limit - 1.0)
    arrivals = Arrivals.of(rate, offered, peakedness, limit, top.rate, top.spread)
    # The nodes: nobody there, then the window.
    number = np.concatenate([np.zeros((1, len(cases))), window.coarse])
    served = serving(number)
    at = iterations(cases, requests, served)
    empty = np.exp(-offered)
    busy = np.minimum(number, 1.0)
    prompts = station(cases, requests, at, rate, empty, top.slots, busy, load)
    service = prompts.service_ms[1:]
    single = number[1] < 1.5
    if np.any(single):
        # The only one in service found nobody.
        alone = met_by_nobody(cases, requests, at, rate, top.slots, prompts, 1)
        service = np.concatenate([np.where(single, alone, service[0])[None], service[1:]])
    log_service = np.log(window.spread(service) / serving(window.fine))
    there = presence(window, limit, log_service, arrivals, rate, line.weight, top.rate)
    mean = (there.fine * window.fine).sum(axis=0) + there.full * limit
    square = (there.fine * window.fine**2).sum(axis=0) + there.full * limit**2
    variance = np.maximum(square - mean**2, 0.0)
    # An arrival finds those that came within a time in service before it.
    found_mean = _found(offered, cases.arrival_cv, top.spread)
    tilt = (found_mean - offered) / np.maximum(variance, 1e-12)

    def meets(number: FloatArray) -> FloatArray:
        share: FloatArray = np.maximum(1.0 + tilt * (number - mean), 0.0)
        return share

    met = np.concatenate(
        [
            (there.empty * meets(np.zeros(len(cases))))[None],
            window.gather(there.fine * meets(window.fine)),
        ]
    )
    full_met = there.full * meets(limit)
    arriving = met.sum(axis=0) + full_met
    in_time = np.concatenate([there.empty[None], window.gather(there.fine)])
    states = States(
        number,
        at,
        in_time,
        met / arriving,
        there.full,
        full_met / arriving,
        load,
        mean,
        variance,
        window.fine,
        there.density,
    )
    # What was taken as idle before the probabilities were known matters at low loads.
    off = np.flatnonzero(np.abs(in_time[0] - empty) > IDLE_WITHIN)
    if len(off):
        part = station(
            cases.take(off),
            take_rows(requests, off),
            take_rows(at, off),
            rate[off],
            in_time[0, off],
            top.slots[off],
            busy[:, off],
            load[off],
        )
        put_rows(prompts, off, part)
    return states, prompts


def _found(offered: FloatArray, arrival_cv: FloatArray, spread: FloatArray) -> FloatArray:
    """Return the mean number that an arrival finds at an infinite-server station.

    The expected number of arrivals within a time in service before it; three nodes of a lognormal
    time stand for all.
    """
    if np.all(arrival_cv == 1.0):
        return offered
    deviation = np.sqrt(np.log1p(spread))
    found = np.zeros_like(offered)
    for place, weight in ((-np.sqrt(3.0), 1.0 / 6.0), (0.0, 2.0 / 3.0), (np.sqrt(3.0), 1.0 / 6.0)):
        time = np.exp(place * deviation - 0.5 * deviation**2)
        found = found + weight * count_after(offered * time, arrival_cv)
    # Poisson arrivals see time averages, whatever the nodes make of the mean.
    return np.where(arrival_cv == 1.0, offered, found)


def _centre(
    cases: EngineCases,
    requests: Requests,
    rate: FloatArray,
    top: Full,
    serving: Callable[[FloatArray], FloatArray],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return about where the number present settles, the offered number, and how it spreads.

    A fixed point of n = λ·τ(n) by false position; the spread is 1/(1 - λ τ'(n)).
    """

    def needed(at: Iterations) -> FloatArray:
        share = np.minimum(rate * at.prompt_ms, MOST_PREFILL)
        time = (at.seen_ms + at.offset_ms * share) / (1.0 - share)
        own = at.chunks * at.base_ms + at.offset_ms
        own = own + at.prompt_ms * (1.0 + rate * time)
        need: FloatArray = rate * (own / (1.0 - share) + requests.steps * time)
        return need

    low, high = np.zeros(len(cases)), top.limit
    need_low, need_high = needed(top.ends)
    gap_low, gap_high = need_low, need_high - top.slots
    spread = (need_high - need_low) / high
    for _ in range(4):
        inside = (gap_low > 0.0) & (gap_high < 0.0)
        place = np.where(inside, gap_low / np.maximum(gap_low - gap_high, 1e-300), 0.5)
        middle = low + (high - low) * np.clip(place, 0.02, 0.98)
        served = serving(middle)
        need = needed(iterations(cases, requests, served[None, :]))[0]
        gap = need - served
        more = gap > 0.0
        spread = np.where(more, (need_high - need), (need - need_low)) / np.maximum(
            np.where(more, high - middle, middle - low), 1e-9
        )
        low, gap_low = np.where(more, middle, low), np.where(more, gap, gap_low)
        need_low = np.where(more, need, need_low)
        high, gap_high = np.where(more, high, middle), np.where(more, gap_high, gap)
        need_high = np.where(more, need_high, need)
    inside = (gap_low > 0.0) & (gap_high < 0.0)
    place = np.where(inside, gap_low / np.maximum(gap_low - gap_high, 1e-300), 0.5)
    place = np.where(gap_high >= 0.0, 1.0, place)
    centre = low + (high - low) * place
    need = need_low + (need_high - need_low) * place
    stretch = 1.0 / (1.0 - np.clip(spread, 0.0, 0.95))
    return centre, np.maximum(np.minimum(need, top.limit), 1e-9), stretch
