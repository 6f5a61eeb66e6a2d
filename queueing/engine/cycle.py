"""Iterations that prompts lengthen: a cycle that feeds on itself.

The prompts that arrive during an iteration are computed in the next one, T' = B + W(λT), so that
iterations have mean B / (1 - r), r = λw, and variance λ E[w²] T / (1 - r²). An arrival meets an
iteration in proportion to its length, and so does what arrives beside it. All of this is for
Poisson arrivals; others are likelier or less likely to be near each other than anywhere, by the
renewal function (`queueing.engine.arrivals`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_after, count_variance
from queueing.engine.iterations import Iterations

_LONGEST_IDLE = 0.95
"""Largest share of time without requests by which what is met when there are some is scaled."""


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """Iterations at some number in service; arrays (states, cases).

    Attributes:
        share: share of their time that prompts take, r.
        mean_ms: mean time of an iteration.
        met_ms: mean time of the iteration that an arrival meets.
        met_variance: variance of that.
        others: prompts that arrive during that iteration beside the one that meets it.
        others_variance: variance of their number.
        prompts_variance: variance of the number of prompts in an iteration.
        busier: what being met by an arrival adds: one over the share of time with requests.
    """

    share: FloatArray
    mean_ms: FloatArray
    met_ms: FloatArray
    met_variance: FloatArray
    others: FloatArray
    others_variance: FloatArray
    prompts_variance: FloatArray
    busier: FloatArray


def cycle(
    at: Iterations,
    rate: FloatArray,
    arrival_cv: FloatArray,
    idle: FloatArray,
    most_load: FloatArray,
) -> Cycle:
    """Return the iterations under arrivals at a rate (per ms).

    Args:
        at: iterations by the number in service.
        rate: arrivals per ms, array (cases,).
        arrival_cv: coefficient of variation of the times between arrivals, array (cases,).
        idle: share of time without any request, array (cases,).
        most_load: largest share that prompts are taken to need in any state, array (cases,).
    """
    base, prompt, spread = at.base_ms, at.prompt_ms, at.prompt_spread
    share = np.minimum(rate * prompt, most_load)
    mean = _mean(at, rate, share)
    count = np.maximum(rate * mean, 1e-12)
    second = prompt**2 * (1.0 + spread)
    variance = second * count / (1.0 - share * share)
    third = second * prompt * (1.0 + spread) ** 2
    third = count * third + 3.0 * share * rate * second * variance
    third = third / (1.0 - share * share * share)
    # Lengths as an arrival meets them: E[T²]/E[T], and E[T³]/E[T] for the variance.
    met = mean + variance / mean
    met_variance = variance + third / mean - (variance / mean) ** 2
    met_variance = np.maximum(met_variance, 0.1 * variance)
    # What is computed is computed while there are requests: per arrival that meets some, more.
    busier = 1.0 / np.maximum(1.0 - idle, 1.0 - _LONGEST_IDLE)
    square = (met_variance + (met - base) ** 2) * busier
    met = base + (met - base) * busier
    others = rate * met
    prompts_variance = count + rate**2 * variance
    dispersion: FloatArray | float = 1.0
    if not np.all(arrival_cv == 1.0):
        # Who meets a prompt is met by another that came while it was computed.
        while_computed = np.maximum(rate * (base + prompt), 1e-12)
        near = count_after(while_computed, arrival_cv) / while_computed
        met = base + (met - base) * near
        square = square * near
        expected = np.maximum(rate * met, 1e-12)
        others = count_after(expected, arrival_cv)
        dispersion = np.maximum(count_variance(expected, arrival_cv) / expected, 0.05)
        prompts_variance = count_variance(count, arrival_cv) + rate**2 * variance * near
    met_variance = np.maximum(square - (met - base) ** 2, 0.05 * square)
    others_variance = others * dispersion + rate**2 * met_variance
    return Cycle(share, mean, met, met_variance, others, others_variance, prompts_variance, busier)


def _mean(at: Iterations, rate: FloatArray, share: FloatArray) -> FloatArray:
    """Return the mean time of an iteration; what the presence of prompts costs is paid once."""
    mean = at.base_ms / (1.0 - share)
    if np.any(at.offset_ms != 0.0):
        for _ in range(3):
            mean = (at.base_ms - at.offset_ms * np.expm1(-rate * mean)) / (1.0 - share)
    return np.maximum(mean, 1e-9)


def no_prompt(count: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the probability of none of a number of arrivals, negative binomial by its moments."""
    swing = np.maximum(variance / np.maximum(count, 1e-300), 1.0001)
    none: FloatArray = np.exp(-count * np.log(swing) / (swing - 1.0))
    return none


def faded(factor: FloatArray, steps: FloatArray) -> FloatArray:
    """Return factor ** steps, for factors from 0 to 1.

    By logarithms: numpy's power takes many times as long where the result is next to nothing.
    """
    left: FloatArray = np.exp(steps * np.log(np.maximum(factor, 1e-300)))
    return left


def limited(value: FloatArray, most: FloatArray) -> FloatArray:
    """Return about the mean of the smaller of a random number and a limit: smooth, below both."""
    ratio = value / np.maximum(most, 1e-9)
    result: FloatArray = value / np.sqrt(1.0 + ratio * ratio)
    return result
