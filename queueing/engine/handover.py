"""The latencies of requests that prefill at one station, travel, and decode at another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.decoding import Decoding
from queueing.engine.mixtures import Mixture, Parts, Shape
from queueing.engine.scene import Scene
from queueing.engine.tokens import e2e_mixture, token_itl_mixture


@dataclass(frozen=True, slots=True, eq=False)
class Handover:
    """Both stations at a rate; arrays (cases,).

    Attributes:
        first: a replica of the first station.
        second: a replica of the second one.
        first_token: time from arrival to first token.
        second_token: time from arrival at the second station to the second token.
        decode: how decoding goes from there, by strata of the tokens left.
        answering: share of the requests with more than one token.
        steps: mean tokens after the first, of all requests.
        travel_ms: mean time of a transfer.
        least_travel_ms: shortest time of a transfer.
        travel_variance: variance of it.
        together: covariance of it and of the time to the first token.
    """

    first: Scene
    second: Scene
    first_token: Mixture
    second_token: Mixture
    decode: Decoding
    answering: FloatArray
    steps: FloatArray
    travel_ms: FloatArray
    least_travel_ms: FloatArray
    travel_variance: FloatArray
    together: FloatArray

    def e2e(self) -> Mixture:
        """Return the time from arrival to the last output token."""
        low, mean = _least(self.first_token), self.first_token.average()
        before = self.first_token.spread() + self.travel_variance + 2.0 * self.together
        after = e2e_mixture(self.second, self.decode, self.second_token)
        parts = [
            replace(part, weight=part.weight * (1.0 - self.answering))
            for part in self.first_token.parts
        ]
        parts += [
            _later(
                part,
                self.answering,
                low + self.least_travel_ms,
                mean - low + self.travel_ms - self.least_travel_ms,
                before,
            )
            for part in after.parts
        ]
        return Mixture(tuple(parts))

    def itl(self) -> Mixture:
        """Return the mean time between the tokens of a request, by request.

        The transfer and the first iteration at the second station, then k more iterations, over
        k + 1 gaps.
        """
        decode, joining = self.decode, self.second_token
        some = self.second.requests.answering
        gaps = decode.steps + 1.0
        first = self.travel_ms + joining.average()
        spread = self.travel_variance + joining.spread()
        mean = (first + decode.steps * decode.mean_ms) / gaps
        varied = decode.steps**2 * (decode.state_variance + decode.burst_variance)
        # The first gap weighs less over longer answers of the same stratum.
        uneven = ((first - decode.mean_ms) / gaps) ** 2 * decode.steps_variance
        low = (self.least_travel_ms + 0.7 * decode.steps * decode.clear_ms) / gaps
        low = np.minimum(low, mean)
        long = Parts(decode.weight * some, low, mean - low, (spread + varied + uneven) / gaps**2)
        short = [
            _later(
                part,
                1.0 - some,
                self.least_travel_ms,
                self.travel_ms - self.least_travel_ms,
                self.travel_variance,
            )
            for part in joining.parts
        ]
        return Mixture((long, *short))

    def token_itl(self) -> Mixture:
        """Return the time before an output token after the first, by token."""
        share = self.answering / np.maximum(self.steps, 1e-12)
        later = token_itl_mixture(self.second, self.decode)
        parts = [replace(part, weight=part.weight * (1.0 - share)) for part in later.parts]
        parts += [
            _later(
                part,
                share,
                self.least_travel_ms,
                self.travel_ms - self.least_travel_ms,
                self.travel_variance,
            )
            for part in self.second_token.parts
        ]
        return Mixture(tuple(parts))


def _later(
    part: Parts, weight: FloatArray, shift: FloatArray, mean: FloatArray, variance: FloatArray
) -> Parts:
    """Return a part with a weight and an independent time added: least, mean beyond, variance."""
    zero = np.zeros_like(part.weight)
    return Parts(
        part.weight * weight,
        part.shift + shift + zero,
        part.mean + mean + zero,
        part.variance + variance + zero,
        part.shape if np.all(variance == 0.0) else Shape.GAMMA,
    )


def _least(mixture: Mixture) -> FloatArray:
    """Return the least value of a mixture."""
    least: FloatArray = np.min([part.shift.min(axis=0) for part in mixture.parts], axis=0)
    return np.minimum(least, mixture.average())
