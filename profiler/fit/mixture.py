"""The iterations of an engine whose decode batch is known: some hold prompts, most do not."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from profiler.fit.candidate import Candidate
from profiler.fit.points import Points
from queueing.arrays import FloatArray, RowSelector

_LEAST = 1e-12
_MOST_PREFILLING = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Iterations at a decode batch; arrays of the shape of that batch.

    Attributes:
        gap_ms: mean time of an iteration: the mean gap between a request's tokens.
        met_ms: mean time of the iteration that a random instant meets, longer than the mean.
        rate_per_ms: requests completed per ms, as many as are prefilled.
        plain_ms: time of an iteration without prompts.
        loaded_ms: time of an iteration with prompts.
        loaded_share: share of the time that iterations with prompts take.
    """

    gap_ms: FloatArray
    met_ms: FloatArray
    rate_per_ms: FloatArray
    plain_ms: FloatArray
    loaded_ms: FloatArray
    loaded_share: FloatArray

    def take(self, rows: RowSelector) -> Self:
        """Return the iterations of the selected points."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


def context(points: Points) -> FloatArray:
    """Return the mean KV tokens that a decoding sequence reads.

    A sequence met at random is longer than most: its output tokens so far are on average
    E[K²] / (2 E[K]), half the mean with (1 + cv²).
    """
    mean: FloatArray = points.input_tokens + 0.5 * points.output_tokens * (
        1.0 + points.output_cv**2
    )
    return mean


def computed(points: Points, candidate: Candidate) -> FloatArray:
    """Return the tokens of a prompt that are computed, the others being cached."""
    share = np.where(points.cached, candidate.miss_share, 1.0)
    return np.maximum(points.input_tokens * share, 1.0)


def decode_steps(points: Points) -> FloatArray:
    """Return the decode iterations of a request: its output tokens after the first."""
    return np.maximum(points.output_tokens - 1.0, 1e-6)


def mixture(points: Points, candidate: Candidate, decoding: FloatArray) -> Mixture:
    """Return the iterations at a mean decode batch, (points,) or (states, points).

    Each iteration makes a token of every sequence in the batch, and a request needs K - 1 of
    them, so n / (K - 1) requests are completed, and as many prefilled, in an iteration: its mean
    number of prompts, whatever the arrivals. They come in batches: Poisson arrivals leave
    exp(-m) of the iterations without a prompt, constant ones 1 - m, and arrivals of another
    coefficient of variation are put between. The token budget spreads them over more.

    In a closed loop a request does not meet its own prompt, and of a wave of prompts it meets
    half: those behind its own.
    """
    completed = decoding / decode_steps(points)
    wave = np.where(points.closed, candidate.wave_share, 0.0)
    met = np.where(points.static, 0.0, completed * points.others * (1.0 - 0.5 * wave))
    regularity = np.clip(points.arrival_cv**2, 0.0, 1.0)
    share = regularity * -np.expm1(-met) + (1.0 - regularity) * np.minimum(met, 1.0)
    room = np.maximum(points.token_budget - decoding, 1.0)
    share = np.clip(np.maximum(share, met * computed(points, candidate) / room), _LEAST, 1.0)
    prompts = np.where(met > _LEAST, met / share, 1.0)
    plain, loaded = _times(points, candidate, decoding, prompts)
    if not np.all(points.closed | (points.arrival_cv == 0.0)):
        gap = (1.0 - share) * plain + share * loaded
        seen = decoding + _company(points, share * (loaded - plain) / gap)
        plain, loaded = _times(points, candidate, seen, prompts)
    gap = (1.0 - share) * plain + share * loaded
    square = (1.0 - share) * plain**2 + share * loaded**2
    return Mixture(gap, square / gap, completed / gap, plain, loaded, share * loaded / gap)


def _times(
    points: Points, candidate: Candidate, decoding: FloatArray, prompts: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the times of iterations without prompts and with them."""
    nothing = np.zeros_like(prompts)
    plain = candidate.times.iteration_ms(decoding, context(points), nothing, nothing, nothing)
    return plain, iteration_with_prompts(points, candidate, decoding, prompts)


def _company(points: Points, prefilling: FloatArray) -> FloatArray:
    """Return how many more sequences a request of an open loop sees than decode on average.

    A Poisson arrival sees the average, and itself beside it; processor sharing whose speed falls
    with n has that mean exactly (its states are negative binomial). Where prompts take a share x
    of the time, an arrival also holds back 1 / (1 - x) - 1 completions, and the variance of n, to
    which the effect is proportional, grows by the square. Constant arrivals see no more than the
    average.
    """
    jump = 1.0 / (1.0 - np.minimum(prefilling, _MOST_PREFILLING))
    return np.where(points.closed, 0.0, points.arrival_cv**2 * jump**2)


def iteration_with_prompts(
    points: Points, candidate: Candidate, decoding: FloatArray, prompts: FloatArray
) -> FloatArray:
    """Return the time of an iteration that computes that many prompts beside the decode batch.

    A part of a prompt reads half of what comes before it on average. Reads are enlarged by the
    variance of the lengths, as attention grows with their squares.
    """
    tokens = prompts * computed(points, candidate)
    whole = np.minimum(prompts, 1.0)
    reads = np.maximum(prompts, 0.5 * (1.0 + whole)) * points.input_tokens
    reads = reads * (1.0 + 0.5 * points.input_cv**2)
    return candidate.times.iteration_ms(decoding, context(points), prompts, tokens, reads)
