"""How many tokens a request of so many input tokens will put out, from requests seen lately.

Output lengths go with the model and with the size of the prompt: they are kept by model and by
bucket of input tokens, in powers of two, within a sliding window. Where a bucket has seen too few
requests, the answer comes from the next best source, and says which.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_ADJACENT = 2


class LengthBasis(StrEnum):
    """What a predicted length rests on, the best first."""

    BUCKET = "bucket"
    """Requests to the model with about as many input tokens."""
    NEAREST_BUCKET = "nearest_bucket"
    """Requests to the model with up to four times more or fewer input tokens."""
    MODEL = "model"
    """All requests to the model."""
    ALL_MODELS = "all_models"
    """Requests to any model: those with about as many input tokens, where there are enough."""
    PRIOR = "prior"
    """Nothing was seen: what the predictor was told to begin with."""


@dataclass(frozen=True, slots=True)
class PredictedLength:
    """Output tokens to expect of a request.

    Attributes:
        mean: Mean output tokens.
        cv: Coefficient of variation; None where it rests on nothing seen.
        p90: Tokens that nine of ten requests do not exceed; None where it rests on nothing seen.
        requests: Requests that it rests on.
        basis: What it rests on.
    """

    mean: float
    cv: float | None
    p90: float | None
    requests: float
    basis: LengthBasis


@dataclass(frozen=True, slots=True)
class _Seen:
    """Requests seen at once: when, their mean output tokens, and how many they were."""

    at: float
    output_tokens: float
    requests: float


def bucket_of(input_tokens: float) -> int:
    """Return the bucket of a prompt: b for more than 2^(b-1) and up to 2^b tokens; 0 up to one."""
    return 0 if input_tokens <= 1 else math.ceil(math.log2(input_tokens))


class OutputLengths:
    """Predicts output lengths from requests of a sliding window.

    Args:
        window_s: Age from which requests count no more.
        prior_tokens: Output tokens to expect where nothing was seen at all.
        fewest: Requests that a source needs to be believed.
        most: Observations kept in a bucket; the oldest go first.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        window_s: float = 3600.0,
        prior_tokens: float = 256.0,
        *,
        fewest: float = 10.0,
        most: int = 1000,
    ) -> None:
        for name, value in (
            ("window_s", window_s),
            ("prior_tokens", prior_tokens),
            ("fewest", fewest),
            ("most", most),
        ):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value} (allowed: above 0)")
        self._window_s = window_s
        self._prior_tokens = prior_tokens
        self._fewest = fewest
        self._most = most
        self._seen: dict[str, dict[int, deque[_Seen]]] = {}

    def observe(
        self,
        model: str,
        input_tokens: float | None,
        output_tokens: float | None,
        at: float,
        requests: float = 1.0,
    ) -> bool:
        """Take in requests that ended; return whether they told anything.

        Unknown figures (None, NaN), negative ones and counts of zero tell nothing.

        Args:
            model: Name of the model.
            input_tokens: Input tokens of the request; their mean, of several.
            output_tokens: Output tokens of the request; their mean, of several.
            at: When it ended, in seconds since the epoch.
            requests: How many requests the figures are of.
        """
        if input_tokens is None or output_tokens is None:
            return False
        figures = (input_tokens, output_tokens, requests, at)
        if not all(math.isfinite(each) and each >= 0 for each in figures) or requests == 0:
            return False
        buckets = self._seen.setdefault(model, {})
        kept = buckets.setdefault(bucket_of(input_tokens), deque(maxlen=self._most))
        kept.append(_Seen(at, output_tokens, requests))
        return True

    def predict(self, model: str, input_tokens: float, at: float) -> PredictedLength:
        """Return the output tokens to expect of a request, and what that rests on.

        Args:
            model: Name of the model.
            input_tokens: Its input tokens, from 0.
            at: Now, in seconds since the epoch.

        Raises:
            ValueError: `input_tokens` is negative or no number.
        """
        if not (math.isfinite(input_tokens) and input_tokens >= 0):
            raise ValueError(f"input_tokens is {input_tokens} (allowed: at least 0)")
        bucket = bucket_of(input_tokens)
        for basis, seen in self._sources(model, bucket, at):
            found = _summary(seen, basis)
            if found is not None and found.requests >= self._fewest:
                return found
        return PredictedLength(self._prior_tokens, None, None, 0.0, LengthBasis.PRIOR)

    def _sources(
        self, model: str, bucket: int, at: float
    ) -> Iterable[tuple[LengthBasis, list[_Seen]]]:
        own = self._seen.get(model, {})
        yield LengthBasis.BUCKET, self._recent(own.get(bucket), at)
        for distance in range(1, _ADJACENT + 1):
            # Of two as near, the longer prompts: rather too much is made ready than too little.
            for near in (bucket + distance, bucket - distance):
                yield LengthBasis.NEAREST_BUCKET, self._recent(own.get(near), at)
        yield LengthBasis.MODEL, [each for kept in own.values() for each in self._recent(kept, at)]
        everybody = self._seen.values()
        yield (
            LengthBasis.ALL_MODELS,
            [each for buckets in everybody for each in self._recent(buckets.get(bucket), at)],
        )
        yield (
            LengthBasis.ALL_MODELS,
            [
                each
                for buckets in everybody
                for kept in buckets.values()
                for each in self._recent(kept, at)
            ],
        )

    def _recent(self, kept: deque[_Seen] | None, at: float) -> list[_Seen]:
        """Return what is within the window, whatever the order in which it came."""
        return [each for each in kept or () if at - each.at <= self._window_s]


def _summary(seen: list[_Seen], basis: LengthBasis) -> PredictedLength | None:
    requests = sum(each.requests for each in seen)
    if requests <= 0:
        return None
    mean = sum(each.requests * each.output_tokens for each in seen) / requests
    square = sum(each.requests * (each.output_tokens - mean) ** 2 for each in seen) / requests
    below, p90 = 0.0, 0.0
    for each in sorted(seen, key=lambda one: one.output_tokens):
        below, p90 = below + each.requests, each.output_tokens
        if below >= 0.9 * requests:
            break
    cv = math.sqrt(square) / mean if mean > 0 else 0.0
    return PredictedLength(mean, cv, p90, requests, basis)
