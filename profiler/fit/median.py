"""The median TTFT where the mean is known: waits for iterations and company are skewed."""

from __future__ import annotations

import numpy as np

from profiler.fit.candidate import Candidate
from profiler.fit.mixture import Mixture, iteration_with_prompts
from profiler.fit.points import Points
from queueing.arrays import FloatArray

_MOST_COMPANY = 6
_STEPS = 30


def above_median_ms(
    points: Points, candidate: Candidate, decoding: FloatArray, iterations: Mixture
) -> FloatArray:
    """Return by how much the mean TTFT is above the median one; 0 in closed loops.

    A Poisson arrival waits a uniform part of an iteration without prompts or, in proportion to
    the time that these take, with them; each other prompt that comes during it adds its time. So
    the TTFT is a mixture of uniform distributions, whose median is found by bisection. Constant
    arrivals hardly vary.
    """
    one, two = np.ones_like(decoding), np.full_like(decoding, 2.0)
    prompt_ms = np.maximum(
        iteration_with_prompts(points, candidate, decoding, two)
        - iteration_with_prompts(points, candidate, decoding, one),
        0.0,
    )
    waits = [iterations.plain_ms, iterations.loaded_ms]
    shares = [1.0 - iterations.loaded_share, iterations.loaded_share]
    companies = [iterations.rate_per_ms * wait for wait in waits]
    mean = sum(
        share * (0.5 * wait + company * prompt_ms)
        for share, wait, company in zip(shares, waits, companies, strict=True)
    )
    low = np.zeros_like(decoding)
    high = iterations.loaded_ms + _MOST_COMPANY * prompt_ms
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        below = sum(
            share * _below(middle, wait, company, prompt_ms)
            for share, wait, company in zip(shares, waits, companies, strict=True)
        )
        low, high = np.where(below < 0.5, middle, low), np.where(below < 0.5, high, middle)
    regularity = np.clip(points.arrival_cv**2, 0.0, 1.0)
    above: FloatArray = regularity * (mean - 0.5 * (low + high))
    return np.where(points.closed | points.static, 0.0, above)


def _below(
    at_ms: FloatArray, wait_ms: FloatArray, company: FloatArray, prompt_ms: FloatArray
) -> FloatArray:
    """Return the probability that a uniform wait and a Poisson company take less than `at_ms`."""
    chance = np.exp(-company)
    total = np.zeros_like(at_ms)
    for others in range(_MOST_COMPANY):
        total = total + chance * np.clip((at_ms - others * prompt_ms) / wait_ms, 0.0, 1.0)
        chance = chance * company / (others + 1.0)
    return total
