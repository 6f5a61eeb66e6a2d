"""The distributions of ITL, by request and by token, and of E2E."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.cycle import limited, no_prompt
from queueing.engine.decoding import Decoding
from queueing.engine.mixtures import Mixture, Parts
from queueing.engine.scene import Scene


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
    """Return the time before an output token after the first, by token.

    Iterations as those that decode meet them, without prompts or with some. How often with some
    follows from the mean, which is that over requests, weighted by their tokens.
    """
    states, station, top = scene.states, scene.station, scene.top
    at = states.at
    largest = station.backlog.largest_ms

    def below_and_full(below: FloatArray, full: FloatArray) -> FloatArray:
        return np.concatenate([below, full[None]])

    count = top.slots * scene.requests.steps / top.steps
    others = np.maximum(top.slots - 1.0, 0.0) / top.steps
    full_variance = top.prompt_ms**2 * top.prompt_spread
    weight = below_and_full(
        states.in_time * at.decoding / station.cycle.mean_ms,
        states.full_in_time * count / top.decode_ms,
    )
    weight = weight / np.maximum(weight.sum(axis=0), 1e-300)
    number = below_and_full(scene.rate * station.cycle.mean_ms, others)
    number = np.maximum(number, 1e-12)
    spread = below_and_full(station.cycle.prompts_variance, others)
    base = below_and_full(at.seen_ms, top.base_ms)
    prompt = below_and_full(at.prompt_ms, top.prompt_ms)
    offset = below_and_full(at.offset_ms, top.offset_ms)
    own = below_and_full(station.own_variance, full_variance)
    most = below_and_full(largest, largest[-1])
    some = np.maximum(1.0 - no_prompt(number, spread), 1e-12)
    there = number / some
    square = (spread + number**2) / some
    variance = prompt**2 * np.maximum(square - there**2, 0.0) + there * own
    # Work beyond the token budget goes to other iterations.
    held = limited(prompt * there, most)
    some = np.minimum(some * prompt * there / np.maximum(held, 1e-12), 1.0)
    variance = np.minimum(variance, held * np.maximum(most - held, 0.0) + 1e-4 * held**2)
    tokens = decode.weight * decode.steps
    mean = (tokens * decode.mean_ms).sum(axis=0) / np.maximum(tokens.sum(axis=0), 1e-300)
    adds = (weight * some * (held + offset)).sum(axis=0)
    often = (mean - (weight * base).sum(axis=0)) / np.maximum(adds, 1e-12)
    share = (weight * some).sum(axis=0)
    often = np.clip(often, 0.0, 1.0 / np.maximum(share, 1e-12))
    calm = np.maximum(1.0 - often * share, 0.0) / np.maximum(1.0 - share, 1e-12)
    none = np.zeros_like(base)
    return Mixture(
        (
            Parts(weight * (1.0 - some) * calm, base, none, none),
            Parts(weight * some * often, base + offset, held, variance),
        )
    )


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
