"""What tells how far off the analysis is at an operating point: numbers without units.

The correction (`queueing.engine.correction`) is a function of these. All are ratios, probabilities
and shares, so that replicas of any speed are compared; large ones count by their logarithm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.first_token import memory_wait
from queueing.engine.mixtures import Mixture
from queueing.engine.scene import Scene
from queueing.engine.states import States

LOAD = 10
"""Place of the load among the common traits."""

_LEAST = 1e-9
_UNBOUNDED = 10.0
"""Room for requests, in batch limits, that stands for no limit of memory."""
_FULLNESS = (0.25, 0.5, 1.0)
"""Shares of the slots at which an iteration is timed."""
_LENGTHS = (0.3, 1.0, 3.0)
"""Prompts, in mean lengths, whose time is told."""
_LONG, _SHORT = 2.33, -1.0
"""Deviates of long and of short prompts: of a hundred one is longer, and every sixth shorter."""


def common_traits(scene: Scene) -> list[FloatArray]:
    """Return what all latencies depend on: a list of arrays (cases,), in a fixed order."""
    cases, requests, states = scene.cases, scene.requests, scene.states
    station, top, at = scene.station, scene.top, scene.states.at
    rate, count = scene.rate, len(cases)
    near = _near_mean(states)
    base, prompt = near(at.base_ms), near(at.prompt_ms)
    chunks, cycle = near(at.chunks), near(station.cycle.mean_ms)
    alone = alone_ms(scene)
    in_service, decoding = near(at.in_service), near(at.decoding)
    none = np.zeros(count)
    longer = cases.times.iteration_ms(decoding, 1.5 * requests.context, none, none, none)
    shorter = cases.times.iteration_ms(decoding, 0.5 * requests.context, none, none, none)
    memory = top.memory
    bounded = memory.bounded()
    room = np.where(bounded, memory.room, _UNBOUNDED * cases.max_batch)
    held = np.where(bounded, memory.kv_mean, requests.context)
    preempted = none
    if np.any(bounded):
        preempted = memory.preemptions_per_request(np.minimum(states.mean, top.slots))
    load = np.minimum(states.load, 0.999)
    return [
        _log(cases.max_batch),
        _log(top.slots),
        _log(requests.output),
        _log(requests.held),
        np.sqrt(requests.steps_spread),
        np.sqrt(requests.input_spread),
        cases.arrival_cv,
        cases.prefix_hit_rate,
        np.log(cases.token_budget / requests.computed),
        np.log(requests.computed / requests.output),
        load,
        -np.log1p(-load),
        states.full_met,
        _log(states.full_met, 1e-4),
        states.full_in_time,
        states.in_time[0],
        scene.accepted[0],
        _log(states.mean),
        states.mean / top.limit,
        _log(states.variance / np.maximum(states.mean, _LEAST), 1e-3),
        rate * prompt,
        _log(prompt / np.maximum(base, _LEAST)),
        _log(chunks),
        _log(top.base_ms / np.maximum(at.base_ms[1], _LEAST)),
        _log(top.prompt_ms / np.maximum(top.base_ms, _LEAST)),
        _log(longer / np.maximum(shorter, _LEAST)),
        _log(rate * cycle, 1e-4),
        _log(rate * alone, 1e-4),
        near(station.backlog.queued),
        np.minimum(near(station.behind), 10.0),
        near(station.fading),
        _log(in_service / np.maximum(top.slots, 1.0)),
        _log(top.slots / (np.maximum(top.rate, 1e-15) * np.maximum(alone, _LEAST))),
        _log(scene.line.mean_ms / np.maximum(alone, _LEAST), 1e-3),
        np.minimum(np.sqrt(scene.line.variance) / np.maximum(scene.line.mean_ms, _LEAST), 5.0),
        np.minimum(top.spread, 9.0),
        np.log(np.minimum(room / cases.max_batch, _UNBOUNDED)),
        np.log(np.minimum(room, 4096.0)),
        np.minimum(requests.held / held, 4.0),
        np.where(bounded, np.minimum(states.mean / np.maximum(room, _LEAST), 2.0), 0.0),
        np.minimum(preempted, 3.0),
        *_memory_traits(scene, alone),
        _uneven(scene, decoding, _LONG),
        _uneven(scene, decoding, _SHORT),
        *_case_traits(scene),
    ]


def _case_traits(scene: Scene) -> list[FloatArray]:
    """Return what iterations take at numbers and prompts that do not depend on the load.

    All are ratios to an iteration of one sequence; the last one tells the rate in that unit.
    """
    cases, requests = scene.cases, scene.requests
    times, context, budget = cases.times, requests.context, cases.token_budget
    none = np.zeros(len(cases))
    slots = np.maximum(scene.top.slots, 1.0)
    unit = np.maximum(times.iteration_ms(none + 1.0, context, none, none, none), _LEAST)
    traits = [_log(requests.computed), cases.input_cv, cases.output_cv]
    for share in _FULLNESS:
        full = times.iteration_ms(np.maximum(share * slots, 1.0), context, none, none, none)
        traits.append(_log(full / unit))
    long = times.iteration_ms(slots, 2.0 * context, none, none, none)
    traits.append(_log(long / np.maximum(full, _LEAST)))
    half = np.maximum(0.5 * slots, 1.0)
    base = times.iteration_ms(half, context, none, none, none)
    for length in _LENGTHS:
        tokens = np.clip(length * requests.computed, 1.0, budget)
        more = times.iteration_ms(half, context, none + 1.0, tokens, tokens) - base
        traits.append(_log(more / unit, 1e-6))
    traits.append(_log(scene.rate * unit, 1e-6))
    return traits


def _near_mean(states: States) -> Callable[[FloatArray], FloatArray]:
    """Return what tells values at the mean number, from arrays (states, cases).

    They are interpolated between the states on either side, the empty one never among them.
    """
    number = states.number
    count, last = number.shape[1], number.shape[0] - 1
    below = np.count_nonzero(number < states.mean, axis=0)
    lower = np.clip(below - 1, 1, max(last - 1, 1)) * count + np.arange(count)
    upper = lower + (count if last > 1 else 0)
    low = number.take(lower)
    gap = number.take(upper) - low
    share = np.where(gap > 0.0, (states.mean - low) / np.where(gap > 0.0, gap, 1.0), 0.0)
    share = np.minimum(np.maximum(share, 0.0), 1.0)

    def at_mean(values: FloatArray) -> FloatArray:
        value = values.take(lower)
        between: FloatArray = value + share * (values.take(upper) - value)
        return between

    return at_mean


def _memory_traits(scene: Scene, alone_ms: FloatArray) -> list[FloatArray]:
    """Return how many requests fit at their largest, and who waits for memory, how long."""
    cases, requests = scene.cases, scene.requests
    largest = requests.held + requests.output
    fit = np.minimum(scene.top.memory.capacity / largest, _UNBOUNDED * cases.max_batch)
    waits = memory_wait(scene)
    if waits is None:
        none = np.zeros_like(largest)
        return [np.log(np.minimum(fit, 4096.0)), none, none + np.log(1e-3)]
    share, long = waits
    met = (scene.accepted * share).sum(axis=0)
    mean = (scene.accepted * share * long).sum(axis=0)
    longest = _log(mean / np.maximum(alone_ms, _LEAST), 1e-3)
    return [np.log(np.minimum(fit, 4096.0)), met, longest]


def _uneven(scene: Scene, decoding: FloatArray, deviations: float) -> FloatArray:
    """Return the log of the time of a token of an unusual prompt over that of a mean one.

    Args:
        scene: the replicas.
        decoding: sequences that decode meanwhile, array (cases,).
        deviations: how unusual the logarithm of its length is, in standard deviations.
    """
    cases, requests = scene.cases, scene.requests
    if cases.times.proportional:
        return np.zeros(len(cases))
    spread = np.log1p(cases.input_cv**2)
    other = requests.computed * np.exp(deviations * np.sqrt(spread) - 0.5 * spread)
    none = np.zeros(len(cases))

    def by_token(tokens: FloatArray) -> FloatArray:
        held = np.clip(tokens, 1.0, cases.token_budget)
        with_prompt = cases.times.iteration_ms(decoding, requests.context, none + 1.0, held, held)
        alone = cases.times.iteration_ms(decoding, requests.context, none, none, none)
        per_token: FloatArray = (with_prompt - alone) / held
        return per_token

    return _log(by_token(other) / np.maximum(by_token(requests.computed), _LEAST), 1e-2)


def alone_ms(scene: Scene) -> FloatArray:
    """Return TTFT of a request that finds nobody, about; array (cases,)."""
    at = scene.states.at
    alone: FloatArray = at.chunks[1] * at.base_ms[1] + at.offset_ms[1] + at.prompt_ms[1]
    return alone


def own_traits(mixture: Mixture, apart_ms: FloatArray, unit_ms: FloatArray) -> list[FloatArray]:
    """Return what a latency tells about itself: its mean in a unit and its variation.

    Args:
        mixture: its distribution.
        apart_ms: part of it that does not count, array (cases,).
        unit_ms: the unit, array (cases,).
    """
    average, square = _moments(mixture)
    mean = np.maximum(average - apart_ms, _LEAST)
    variation = np.minimum(np.sqrt(np.maximum(square - average**2, 0.0)) / mean, 9.0)
    return [_log(mean / np.maximum(unit_ms, _LEAST)), variation]


def _moments(mixture: Mixture) -> tuple[FloatArray, FloatArray]:
    """Return mean and mean square of a latency, looking at each part once; arrays (cases,)."""
    means, squares = [], []
    for part in mixture.parts:
        value = part.shift + part.mean
        means.append((part.weight * value).sum(axis=0))
        squares.append((part.weight * (value * value + part.variance)).sum(axis=0))
    return np.sum(means, axis=0), np.sum(squares, axis=0)


def _log(value: FloatArray, least: float = _LEAST) -> FloatArray:
    logarithm: FloatArray = np.log(np.maximum(value, least))
    return logarithm
