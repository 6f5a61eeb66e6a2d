"""Moments of the token lengths of requests, and the work they bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Moments of requests; arrays (cases,).

    Lengths are whole and at least one token, so that small means of wide distributions are lifted.

    Attributes:
        held: mean tokens of a prompt.
        held_square: mean of their square.
        computed: mean tokens of a prompt that are computed: those beyond the prefix hit, whose
            tokens are rounded down, at least one.
        output: mean output tokens K.
        output_square: mean of their square.
        steps: mean decode iterations of a request, K - 1.
        context: KV tokens that a decoding sequence reads, on average over its iterations. Longer
            answers count more: E[L(K - 1) + K(K - 1)/2] / E[K - 1].
        answering: share of the requests with more than one output token.
        input_spread: squared coefficient of variation of the prompts.
        steps_spread: squared coefficient of variation of the decode iterations.
    """

    held: FloatArray
    held_square: FloatArray
    computed: FloatArray
    output: FloatArray
    output_square: FloatArray
    steps: FloatArray
    context: FloatArray
    answering: FloatArray
    input_spread: FloatArray
    steps_spread: FloatArray

    @classmethod
    def of(cls, cases: EngineCases) -> Requests:
        """Return the moments of the requests of the cases."""
        held, held_square = whole_moments(cases.input_tokens, cases.input_cv)
        output, output_square = whole_moments(cases.output_tokens, cases.output_cv)
        steps = output - 1.0
        hits = cases.prefix_hit_rate
        some = np.maximum(steps, 1e-12)
        inner = 0.5 * (output_square - output)
        variance = np.maximum(output_square - output**2, 0.0)
        return cls(
            held=held,
            held_square=held_square,
            computed=np.maximum(held * (1.0 - hits) + np.where(hits > 0.0, 0.5, 0.0), 1.0),
            output=output,
            output_square=output_square,
            steps=steps,
            context=np.where(steps > 1e-9, held + inner / some, held),
            answering=more_than_one(cases.output_tokens, cases.output_cv),
            input_spread=np.maximum(held_square / held**2 - 1.0, 0.0),
            steps_spread=np.where(steps > 1e-9, variance / some**2, 0.0),
        )


def whole_moments(mean: FloatArray, cv: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and mean square of lognormal lengths made whole and at least 1.

    Rounding up or down at random keeps the mean and adds the variance f(1 - f) of the fraction f;
    what is below 1 becomes 1: partial expectations of the lognormal distribution.
    """
    fixed = np.maximum(mean, 1.0)
    fraction = fixed - np.floor(fixed)
    fixed_square = fixed**2 + fraction * (1.0 - fraction)
    spread = np.log1p(cv**2)
    deviation = np.sqrt(np.maximum(spread, 1e-18))
    location = np.log(np.maximum(mean, 1e-9)) - 0.5 * spread
    below = ndtr(-location / deviation)
    first = mean * ndtr((location + spread) / deviation) + below
    second = mean**2 * (1.0 + cv**2) * ndtr((location + 2.0 * spread) / deviation) + below
    random = (cv > 0.0) & (mean > 0.0)
    return (
        np.where(random, first, fixed),
        np.where(random, second + (1.0 - below) / 6.0, fixed_square),
    )


def more_than_one(mean: FloatArray, cv: FloatArray) -> FloatArray:
    """Return the probability that such a length is 2 or more.

    A length x between 1 and 2 is rounded up with probability x - 1.
    """
    fixed = np.clip(mean - 1.0, 0.0, 1.0)
    spread = np.log1p(cv**2)
    deviation = np.sqrt(np.maximum(spread, 1e-18))
    location = np.log(np.maximum(mean, 1e-9)) - 0.5 * spread
    at_two = ndtr((np.log(2.0) - location) / deviation)
    at_one = ndtr(-location / deviation)
    tokens = mean * (
        ndtr((np.log(2.0) - location - spread) / deviation) - ndtr((-location - spread) / deviation)
    )
    random = (cv > 0.0) & (mean > 0.0)
    share: FloatArray = np.where(random, 1.0 - at_two + tokens - (at_two - at_one), fixed)
    return share
