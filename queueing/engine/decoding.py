"""Between the tokens: the pace of a request's decodes, by the length of its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_variance
from queueing.engine.cycle import faded, limited, no_prompt
from queueing.engine.lengths import WEIGHTS
from queueing.engine.scene import Scene


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """How decoding goes, by strata of the output length; arrays (strata, cases) or (cases,).

    Attributes:
        weight: probability of a stratum, of requests with more than one token.
        steps: decode iterations in it.
        steps_variance: variance of them.
        clear: probability to meet no prompt.
        clear_ms: time of an iteration without prompts, array (cases,).
        mean_ms: mean time between tokens.
        state_variance: variance of it by the number in service.
        burst_variance: variance of it by the prompts that are met.
        largest_ms: prompt work that one iteration can hold, array (cases,).
    """

    weight: FloatArray
    steps: FloatArray
    steps_variance: FloatArray
    clear: FloatArray
    clear_ms: FloatArray
    mean_ms: FloatArray
    state_variance: FloatArray
    burst_variance: FloatArray
    largest_ms: FloatArray


def decoding(scene: Scene) -> Decoding:
    """Return means and variances of the time between the tokens of a request.

    A request decodes at the pace of the iterations without prompts, and of those that it shares
    with prompts: the ones that come at random over its time, and the echo of its own arrival.
    """
    cases, requests = scene.cases, scene.requests
    states, station, top = scene.states, scene.station, scene.top
    at = states.at
    some = np.maximum(requests.answering, 1e-12)
    steps = np.maximum(top.answers.mean / some, 1.0)
    typical = np.maximum(requests.steps / some, 1.0)
    # Harmonic mean over time, weighted by those that decode: tokens come where iterations are.
    count = top.slots * requests.steps / top.steps
    tokens = (states.in_time * at.decoding).sum(axis=0) + states.full_in_time * count
    tokens = np.maximum(tokens, 1e-300)
    made = states.in_time * at.decoding / station.seen_ms
    made_full = states.full_in_time * count / top.decode_ms
    pace = np.maximum(made.sum(axis=0) + made_full, 1e-300)
    base = tokens / pace
    clear = ((made * at.seen_ms).sum(axis=0) + made_full * top.base_ms) / pace
    # The echo, spread over the iterations of short and of long requests.
    fading = np.minimum(scene.met(station.fading), 0.98)
    echo = (scene.accepted * station.echo_ms).sum(axis=0)
    unit = echo / np.maximum(1.0 - faded(fading, typical), 1e-12)
    mean = base + unit * (1.0 - faded(fading, steps)) / steps
    near = _near_mean(scene)
    excess = limited(np.maximum(mean - clear, 0.0), near.largest_ms)
    number = np.maximum((mean - clear) * steps / np.maximum(near.prompt_ms, 1e-12), 1e-9)
    # Prompts are met one by one, arrive in clumps, and bring others.
    dispersion = count_variance(number, cases.arrival_cv) / number
    one = near.prompt_variance + near.prompt_ms**2 * dispersion
    burst = np.where(top.slots > 1.5, one * number / ((1.0 - fading) * steps**2), 0.0)
    burst = np.minimum(burst, excess * np.maximum(near.largest_ms - excess, 0.05 * near.largest_ms))
    return Decoding(
        np.broadcast_to(WEIGHTS[:, None], steps.shape),
        steps,
        top.answers.variance,
        _undisturbed(scene, steps, clear),
        clear,
        clear + excess,
        _between_states(scene, near.slope, mean * steps, base * typical),
        burst,
        near.largest_ms,
    )


def _undisturbed(scene: Scene, steps: FloatArray, clear: FloatArray) -> FloatArray:
    """Return the probability that a request meets no prompt while it decodes.

    None is left behind when its own is done, where the time in which those arrived is about gamma
    distributed, and none arrives in time.
    """
    station = scene.station
    behind = scene.met(station.behind)
    mixed = np.clip(scene.met(station.behind_spread), 1e-3, 3.0)
    none_left = np.exp(-np.log1p(mixed * behind) / mixed)
    window = np.maximum(scene.rate * np.maximum(steps - 1.0, 0.0) * clear, 1e-12)
    return none_left * no_prompt(window, count_variance(window, scene.cases.arrival_cv))


def _between_states(
    scene: Scene, slope: FloatArray, long_ms: FloatArray, relaxation_ms: FloatArray
) -> FloatArray:
    """Return the variance by the number in service, less so over a long request.

    The number forgets itself about exponentially over a time in service: the variance of the mean
    of an Ornstein–Uhlenbeck process over a time.
    """
    time = np.maximum(long_ms / np.maximum(relaxation_ms, 1e-9), 1e-6)
    smooth = 2.0 * (time - 1.0 + np.exp(-time)) / time**2
    variance: FloatArray = slope**2 * scene.states.variance * smooth
    return variance


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """What holds at about the mean number in service; arrays (cases,)."""

    slope: FloatArray
    prompt_ms: FloatArray
    prompt_variance: FloatArray
    largest_ms: FloatArray


def _near_mean(scene: Scene) -> _Near:
    """Return what holds at about the mean number in service, and how the pace changes there."""
    states, station = scene.states, scene.station
    columns = np.arange(len(scene.cases))
    last = np.maximum(states.number.shape[0] - 2, 0)
    # Between states in which somebody decodes: the first node is the empty one.
    index = np.clip((states.number < states.mean).sum(axis=0) - 1, 1, last)
    gap = states.number[index + 1, columns] - states.number[index, columns]
    rise = station.seen_ms[index + 1, columns] - station.seen_ms[index, columns]
    return _Near(
        np.where(gap > 1e-9, rise / np.where(gap > 1e-9, gap, 1.0), 0.0),
        states.at.prompt_ms[index, columns],
        station.own_variance[index, columns],
        station.backlog.largest_ms[index, columns],
    )
