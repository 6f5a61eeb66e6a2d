"""The distributions of latencies, from the states that requests meet."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_variance
from queueing.engine.cases import EngineCases
from queueing.engine.lengths import WEIGHTS, step_strata
from queueing.engine.mixtures import Mixture, Parts, Shape
from queueing.engine.cycle import limited, no_prompt
from queueing.engine.prompts import Station
from queueing.engine.requests import Requests
from queueing.engine.states import Full, States
from queueing.engine.wait import Line


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All that the latencies of replicas at a rate follow from."""

    cases: EngineCases
    requests: Requests
    rate: FloatArray
    states: States
    station: Station
    top: Full
    line: Line
    accepted_full: FloatArray
    accepted: FloatArray


def memory_wait(scene: Scene) -> tuple[FloatArray, FloatArray] | None:
    """Return at each state the probability of a wait for KV memory, and its mean.

    Those present beyond the number that fits wait for departures, one for each.
    """
    states, memory = scene.states, scene.top.memory
    if not np.any(memory.bounded()):
        return None
    # A newcomer needs room for its prompt, less than those hold that have decoded for a while.
    needs = np.minimum(scene.requests.held / memory.kv_mean, 1.0)
    waits = memory.waiting_for_memory(states.number + needs)
    waits = np.where(states.number >= 0.5, waits, 0.0)
    beyond = np.maximum(states.number - memory.in_service(states.number), 0.0)
    place = np.clip(beyond / np.maximum(waits, 1e-12), 0.0, states.number) + needs
    pace = states.at.in_service / scene.station.service_ms
    return waits, np.where(waits > 1e-9, place / np.maximum(pace, 1e-300), 0.0)


def full_wait(scene: Scene) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of the wait of those who find the replica full."""
    line, top = scene.line, scene.top
    before = np.maximum(top.limit - top.slots, 0.0) / top.rate
    return line.mean_ms + before, line.variance + before / top.rate


def wait_mixture(scene: Scene) -> Mixture:
    """Return the time from arrival to the iteration that begins the prompt."""
    states, station = scene.states, scene.station
    busy = states.number >= 0.5
    mean = np.where(busy, station.backlog.wait_ms, 0.0)
    none = np.zeros_like(mean)
    full_mean, full_variance = full_wait(scene)
    above = _row(scene.accepted_full, 0.0 * full_mean, full_mean, full_variance)
    memory = memory_wait(scene)
    if memory is None:
        return Mixture((Parts(scene.accepted, none, mean, mean**2 / 3.0), above))
    waits, long = memory
    below = Parts(scene.accepted * (1.0 - waits), none, mean, mean**2 / 3.0)
    return Mixture((below, Parts(scene.accepted * waits, none, long, long**2), above))


def ttft_mixture(scene: Scene) -> Mixture:
    """Return the time from arrival to the first output token."""
    states, station, top = scene.states, scene.station, scene.top
    at = states.at
    busy = states.number >= 0.5
    shift = at.chunks * at.base_ms + at.offset_ms
    mean = at.prompt_ms + np.where(busy, station.backlog.ahead_ms + station.backlog.fill_ms, 0.0)
    variance = np.where(busy, station.backlog.variance, 0.0) + station.own_variance
    share = np.where(busy, station.backlog.quiet, 0.0)
    quiet_mean = np.where(share > 0.0, at.prompt_ms + station.backlog.quiet_ms, 0.0)
    share = np.where(quiet_mean < mean, share, 0.0)
    rest = np.maximum(1.0 - share, 1e-9)
    loud_mean = (mean - share * quiet_mean) / rest
    square = variance + mean**2 - share * (station.backlog.quiet_variance + quiet_mean**2)
    loud_variance = np.maximum(
        square / rest - loud_mean**2, station.own_variance + 0.02 * loud_mean**2
    )
    quiet = Parts(
        scene.accepted * share, shift, quiet_mean, station.backlog.quiet_variance, Shape.LOGNORMAL
    )
    loud = Parts(scene.accepted * rest, shift, loud_mean, loud_variance, Shape.LOGNORMAL)
    own = top.prompt_ms
    spread = own**2 * top.prompt_spread
    full_mean, full_variance = full_wait(scene)
    above = _row(
        scene.accepted_full, top.admission_ms - own, full_mean + own, full_variance + spread
    )
    memory = memory_wait(scene)
    if memory is None:
        return Mixture((quiet, loud, above))
    waits, long = memory
    held = Parts(
        scene.accepted * waits,
        shift,
        at.prompt_ms + long,
        station.own_variance + long**2,
    )
    parts = [replace(part, weight=part.weight * (1.0 - waits)) for part in (quiet, loud)]
    return Mixture((*parts, held, above))


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """How decoding goes, by strata of the output length; arrays (strata, cases) or (cases,)."""

    steps: FloatArray
    steps_variance: FloatArray
    weight: FloatArray
    clear: FloatArray
    clear_ms: FloatArray
    mean_ms: FloatArray
    state_variance: FloatArray
    burst_variance: FloatArray
    largest_ms: FloatArray


def decoding(scene: Scene) -> Decoding:
    """Return means and variances of the time between the tokens of a request."""
    cases, requests, rate = scene.cases, scene.requests, scene.rate
    states, station, top = scene.states, scene.station, scene.top
    at = states.at
    some = np.maximum(requests.answering, 1e-12)
    steps, variance = step_strata(cases, requests)
    steps = np.maximum(steps / some, 1.0)
    weight = np.broadcast_to(WEIGHTS[:, None], steps.shape)
    # Harmonic mean over time, weighted by those that decode: tokens come where iterations are.
    count = top.slots * requests.steps / top.steps
    tokens = (states.in_time * at.decoding).sum(axis=0) + states.full_in_time * count
    pace = (states.in_time * at.decoding / station.seen_ms).sum(axis=0)
    pace = pace + states.full_in_time * count / top.decode_ms
    base = tokens / np.maximum(pace, 1e-300)
    clear = (states.in_time * at.decoding * at.seen_ms).sum(axis=0)
    clear = (clear + states.full_in_time * count * top.base_ms) / np.maximum(tokens, 1e-300)
    met = scene.accepted
    share = (met * station.fading).sum(axis=0) / np.maximum(met.sum(axis=0), 1e-9)
    share = np.minimum(share, 0.98)
    typical = np.maximum(requests.steps / some, 1.0)
    echo = (met * station.echo_ms).sum(axis=0)
    unit = echo * (1.0 - share) / np.maximum(1.0 - share**typical, 1e-12)
    mean = base + unit * (1.0 - share**steps) / (1.0 - share) / steps
    # Between states: the pace changes with the number in service, less so over a long request.
    slope, prompt, prompt_variance, largest = _near_mean(scene)
    whole = mean * steps
    relax = np.maximum(base * typical, 1e-9)
    x = np.maximum(whole / relax, 1e-6)
    smooth = 2.0 * (x - 1.0 + np.exp(-x)) / x**2
    between = slope**2 * states.variance * smooth
    # Prompts that fall into the request's iterations, and what they add.
    work = np.maximum(mean - clear, 0.0) * steps
    number = np.maximum(work / np.maximum(prompt, 1e-12), 1e-9)
    dispersion = count_variance(number, cases.arrival_cv) / number
    grown = 1.0 / (1.0 - share) ** 2
    alone = np.where(top.slots > 1.5, 1.0, 0.0)
    burst = (
        alone * (prompt_variance + prompt**2 * dispersion) * number * (1 - share) * grown / steps**2
    )
    # No iteration computes more than the token budget.
    excess = np.maximum(mean - clear, 0.0)
    excess = limited(excess, largest)
    mean = clear + excess
    burst = np.minimum(burst, excess * np.maximum(largest - excess, 0.05 * largest))
    behind = (met * station.behind).sum(axis=0) / np.maximum(met.sum(axis=0), 1e-9)
    mixed = (met * station.behind_spread).sum(axis=0) / np.maximum(met.sum(axis=0), 1e-9)
    mixed = np.clip(mixed, 1e-3, 3.0)
    window = rate * np.maximum(steps - 1.0, 0.0) * clear
    swing = np.maximum(count_variance(window, cases.arrival_cv) / np.maximum(window, 1e-12), 1.0001)
    none = np.exp(-window * np.log(swing) / (swing - 1.0) - np.log1p(mixed * behind) / mixed)
    return Decoding(steps, variance, weight, none, clear, mean, between, burst, largest)


def itl_mixture(decode: Decoding) -> Mixture:
    """Return the mean time between the tokens of a request, by request."""
    excess = np.maximum(decode.mean_ms - decode.clear_ms, 0.0)
    # Those disturbed are disturbed by one prompt or by what an iteration can compute at most.
    some = np.maximum(1.0 - decode.clear, excess / np.maximum(decode.largest_ms, 1e-12))
    some = np.clip(some, 1e-9, 1.0)
    mean = excess / some
    square = (decode.burst_variance + excess**2) / some
    spread = np.maximum(square - mean**2, 0.02 * mean**2)
    spread = np.minimum(spread, 0.02 * mean**2 + mean * np.maximum(decode.largest_ms - mean, 0.0))
    quiet = Parts(
        decode.weight * (1.0 - some),
        np.zeros_like(mean),
        np.broadcast_to(decode.clear_ms, mean.shape),
        decode.state_variance,
    )
    low = 0.7 * np.broadcast_to(decode.clear_ms, mean.shape)
    busy = Parts(
        decode.weight * some,
        low,
        mean + decode.clear_ms - low,
        spread + decode.state_variance,
    )
    most = decode.clear_ms + decode.largest_ms
    most = most + 3.0 * np.sqrt(decode.state_variance.max(axis=0))
    return Mixture((quiet, busy), most)


def token_itl_mixture(scene: Scene, decode: Decoding) -> Mixture:
    """Return the time before an output token after the first, by token."""
    states, station, top, cases = scene.states, scene.station, scene.top, scene.cases
    at = states.at
    count = top.slots * scene.requests.steps / top.steps
    weight = states.in_time * at.decoding / station.cycle.mean_ms
    full = states.full_in_time * count / top.decode_ms
    total = np.maximum(weight.sum(axis=0) + full, 1e-300)
    mean = np.maximum(scene.rate * station.cycle.mean_ms, 1e-12)
    parts = []
    others = np.maximum(top.slots - 1.0, 0.0) / top.steps
    own_full = top.prompt_ms**2 * top.prompt_spread
    rows = (
        (weight / total, mean, station.cycle.prompts_variance, at.seen_ms, at.prompt_ms, at.offset_ms,
         station.own_variance, station.backlog.largest_ms),
        tuple(value[None] for value in (
            full / total, others, others, top.base_ms, top.prompt_ms, top.offset_ms, own_full,
            station.backlog.largest_ms[-1],
        )),
    )  # fmt: skip
    for w, count, variance, base, prompt, offset, own, largest in rows:
        number = np.maximum(count, 1e-12)
        swing = np.maximum(variance / number, 1.0001)
        some = np.maximum(-np.expm1(-number * np.log(swing) / (swing - 1.0)), 1e-12)
        there = number / some
        square = (variance + number**2) / some
        spread = prompt**2 * np.maximum(square - there**2, 0.0) + there * own
        # Work beyond the token budget goes to other iterations.
        work = prompt * there
        held = limited(work, largest)
        some = np.minimum(some * work / np.maximum(held, 1e-12), 1.0)
        spread = np.minimum(spread, held * np.maximum(largest - held, 0.0) + 1e-4 * held**2)
        parts.append(Parts(w * (1.0 - some), base, 0.0 * base, 0.0 * base))
        parts.append(Parts(w * some, base + offset, held, spread))
    # The mean over tokens is that over requests, weighted by their tokens: what iterations add
    # is found as often as that needs.
    pace = (decode.weight * decode.steps * decode.mean_ms).sum(axis=0)
    target = pace / np.maximum((decode.weight * decode.steps).sum(axis=0), 1e-300)
    quiet = [np.sum(part.weight * part.shift, axis=0) for part in parts[::2]]
    base = sum(quiet) + sum((p.weight * rows[i][3]).sum(axis=0) for i, p in enumerate(parts[1::2]))
    loud = sum(
        (p.weight * (p.shift + p.mean - rows[i][3])).sum(axis=0) for i, p in enumerate(parts[1::2])
    )
    often = np.clip((target - base) / np.maximum(loud, 1e-12), 0.0, 1e3)
    share = sum(p.weight.sum(axis=0) for p in parts[1::2])
    often = np.minimum(often, 1.0 / np.maximum(share, 1e-12))
    calm = (1.0 - often * share) / np.maximum(1.0 - share, 1e-12)
    parts = [replace(p, weight=p.weight * (often if i % 2 else calm)) for i, p in enumerate(parts)]
    return Mixture(tuple(parts))


def e2e_mixture(scene: Scene, decode: Decoding, ttft: Mixture) -> Mixture:
    """Return the time from arrival to the last output token."""
    first, spread = ttft.average(), ttft.spread()
    some = scene.requests.answering
    mean = decode.steps * decode.mean_ms
    variance = decode.steps_variance * decode.mean_ms**2 + decode.steps**2 * (
        decode.state_variance + decode.burst_variance
    )
    low = np.min([part.shift.min(axis=0) for part in ttft.parts], axis=0)
    low = np.minimum(low, first)
    after = Parts(
        decode.weight * some,
        np.broadcast_to(low, mean.shape),
        first - low + mean,
        spread + variance,
    )
    singles = [replace(part, weight=part.weight * (1.0 - some)) for part in ttft.parts]
    return Mixture((after, *singles))


def _near_mean(scene: Scene) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return slope of the iteration time over the number in service at its mean, and prompts."""
    states, station = scene.states, scene.station
    columns = np.arange(len(scene.cases))
    last = np.maximum(states.number.shape[0] - 2, 0)
    # Between states in which somebody decodes: the first node may be the empty one.
    index = np.clip((states.number < states.mean).sum(axis=0) - 1, 1, last)
    after = index + 1
    gap = states.number[after, columns] - states.number[index, columns]
    rise = station.seen_ms[after, columns] - station.seen_ms[index, columns]
    slope = np.where(gap > 1e-9, rise / np.where(gap > 1e-9, gap, 1.0), 0.0)
    prompt = states.at.prompt_ms[index, columns]
    return (
        slope,
        prompt,
        station.own_variance[index, columns],
        station.backlog.largest_ms[index, columns],
    )


def _row(weight: FloatArray, shift: FloatArray, mean: FloatArray, variance: FloatArray) -> Parts:
    return Parts(weight[None], shift[None], mean[None], variance[None])
