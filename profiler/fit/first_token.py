"""The time to the first token at a known decode batch."""

from __future__ import annotations

import numpy as np

from profiler.fit.candidate import Candidate
from profiler.fit.mixture import Mixture, computed, iteration_with_prompts
from profiler.fit.points import Points
from queueing.arrays import FloatArray


def first_token_ms(
    points: Points, candidate: Candidate, decoding: FloatArray, iterations: Mixture
) -> FloatArray:
    """Return the mean TTFT of requests with nobody queued for the batch.

    It waits for the running iteration, then is prefilled together with the prompts that came
    during the same iteration, and its token travels. A share of a closed loop's requests comes in
    waves of all clients at once, and is prefilled budget by budget.
    """
    wait, together = _arrival(points, iterations)
    delay = (
        candidate.first_token_ms
        + candidate.first_token_sequence_ms * decoding
        + candidate.first_token_output_ms * points.output_tokens
    )
    beside = np.where(points.alone, 0.0, decoding)
    apart = wait + _prefill_ms(points, candidate, beside, together)
    wave = np.where(points.closed & ~points.alone, candidate.wave_share, 0.0)
    ttft = (1.0 - wave) * apart + wave * _wave_ms(points, candidate, decoding)
    ttft = np.where(points.static, _batch_ms(points, candidate), ttft) + delay
    steps_ms = points.output_tokens * iterations.gap_ms
    turnover = candidate.turnover_share * (ttft + steps_ms) / np.maximum(points.load, 1.0)
    total: FloatArray = ttft + np.where(points.closed & ~points.alone, turnover, 0.0)
    return total


def _arrival(points: Points, iterations: Mixture) -> tuple[FloatArray, FloatArray]:
    """Return the wait for the running iteration, and the prompts that are prefilled together.

    A Poisson arrival meets an iteration in proportion to its length and waits half of it; the
    others that come during it are independent. Constant arrivals never meet the prefill of the
    one before unless it lasts from one to the next, and come alone unless they come faster than
    iterations. In a closed loop a request is sent as the iteration ends that completed the last
    one: it waits for the whole next one, whichever it is, and the others that were completed with
    it come along.
    """
    interval = 1.0 / np.maximum(iterations.rate_per_ms, 1e-12)
    overlap = np.clip(
        (iterations.plain_ms + iterations.loaded_ms - interval) / iterations.plain_ms, 0.0, 1.0
    )
    overlap = overlap**2 * (3.0 - 2.0 * overlap)
    beat = (1.0 - overlap) * iterations.plain_ms + overlap * iterations.loaded_ms
    regularity = np.clip(points.arrival_cv**2, 0.0, 1.0)
    met = regularity * iterations.met_ms + (1.0 - regularity) * beat
    met = np.where(points.closed, iterations.gap_ms, met)
    company = points.others * iterations.rate_per_ms * met - (1.0 - regularity)
    wait = np.where(points.closed, np.where(points.alone, 0.0, met), 0.5 * met)
    return wait, 1.0 + np.maximum(company, 0.0)


def _prefill_ms(
    points: Points, candidate: Candidate, decoding: FloatArray, prompts: FloatArray
) -> FloatArray:
    """Return the time to prefill that many prompts: one iteration, or as many as they fill."""
    room = np.maximum(points.token_budget - decoding, 1.0) / computed(points, candidate)
    filled = np.maximum(prompts / room, 1.0)
    single = iteration_with_prompts(points, candidate, decoding, np.minimum(prompts, room))
    time: FloatArray = filled * single
    return time


def _wave_ms(points: Points, candidate: Candidate, decoding: FloatArray) -> FloatArray:
    """Return the mean TTFT of prompts that all clients send at once, half of them done before."""
    room = points.token_budget / computed(points, candidate)
    filled = np.maximum(points.load / room, 1.0)
    beside = np.where(filled > 1.0, 0.5 * decoding, 0.0)
    iteration = iteration_with_prompts(points, candidate, beside, np.minimum(points.load, room))
    time: FloatArray = iteration * 0.5 * (filled + 1.0)
    return time


def _batch_ms(points: Points, candidate: Candidate) -> FloatArray:
    """Return the time of the one iteration that prefills a static batch."""
    return iteration_with_prompts(points, candidate, np.zeros(len(points)), points.load)
