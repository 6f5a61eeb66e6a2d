"""Token lengths of requests.

A length drawn as a fraction is rounded up or down at random so that its mean stays; fixed lengths
of a fractional mean are a mix of the two whole ones. At least one token comes in (engines prepend
one) and one goes out: at small means a wide distribution is lifted by that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class Length(Protocol):
    """Distribution of one token length."""

    def draw(self, count: int, random: np.random.Generator) -> IntArray:
        """Return whole lengths of at least 1, shape (count,)."""
        ...


@dataclass(frozen=True, slots=True)
class FixedLength:
    """Every request has the same length."""

    tokens: float

    def draw(self, count: int, random: np.random.Generator) -> IntArray:
        """Return whole lengths of at least 1, shape (count,)."""
        return _whole(np.full(count, self.tokens, dtype=np.float64), random)


@dataclass(frozen=True, slots=True)
class LognormalLength:
    """Lognormal lengths of a mean and a coefficient of variation."""

    mean_tokens: float
    cv: float

    def draw(self, count: int, random: np.random.Generator) -> IntArray:
        """Return whole lengths of at least 1, shape (count,)."""
        if self.cv == 0 or self.mean_tokens == 0:
            return FixedLength(self.mean_tokens).draw(count, random)
        variance = math.log1p(self.cv**2)
        location = math.log(self.mean_tokens) - variance / 2
        return _whole(random.lognormal(location, math.sqrt(variance), count), random)


@dataclass(frozen=True, slots=True)
class UniformLength:
    """Whole lengths from `low` to `high`, all alike."""

    low: int
    high: int

    def draw(self, count: int, random: np.random.Generator) -> IntArray:
        """Return whole lengths of at least 1, shape (count,)."""
        return np.maximum(random.integers(self.low, self.high, count, endpoint=True), 1)


class TokenLengths(Protocol):
    """Joint distribution of input and output tokens."""

    def draw(self, count: int, random: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Return input and output tokens, shapes (count,)."""
        ...


@dataclass(frozen=True, slots=True)
class SeparateLengths:
    """Input and output tokens drawn independently of each other."""

    input_tokens: Length
    output_tokens: Length

    def draw(self, count: int, random: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Return input and output tokens, shapes (count,)."""
        first, second = random.spawn(2)
        return self.input_tokens.draw(count, first), self.output_tokens.draw(count, second)


@dataclass(frozen=True, slots=True)
class JointLengths:
    """Pairs of lengths: a histogram to draw from, or a trace to follow.

    Attributes:
        input_tokens: Input tokens of each pair.
        output_tokens: Output tokens of each pair.
        weights: How often each pair occurs, in any unit; None for all alike.
        in_order: Take the pairs in their order, from the start again at the end, instead of
            drawing them.
    """

    input_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    weights: tuple[float, ...] | None = None
    in_order: bool = False

    def __post_init__(self) -> None:
        """Check the pairs.

        Raises:
            ValueError: No pair, lists of different lengths, or weights that are none.
        """
        if not self.input_tokens or len(self.input_tokens) != len(self.output_tokens):
            raise ValueError("input_tokens and output_tokens must be of one length, at least 1")
        if self.weights is not None and (
            len(self.weights) != len(self.input_tokens)
            or min(self.weights) < 0
            or not 0 < sum(self.weights) < math.inf
        ):
            raise ValueError("weights must be one for each pair, 0 or more, not all 0")

    def draw(self, count: int, random: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Return input and output tokens, shapes (count,)."""
        pairs = len(self.input_tokens)
        if self.in_order:
            chosen = np.arange(count) % pairs
        elif self.weights is None:
            chosen = random.integers(0, pairs, count)
        else:
            weights = np.asarray(self.weights, dtype=np.float64)
            chosen = random.choice(pairs, size=count, p=weights / weights.sum())
        tokens_in = np.asarray(self.input_tokens, dtype=np.int64)
        tokens_out = np.asarray(self.output_tokens, dtype=np.int64)
        return np.maximum(tokens_in[chosen], 1), np.maximum(tokens_out[chosen], 1)


def _whole(lengths: FloatArray, random: np.random.Generator) -> IntArray:
    below = np.floor(lengths)
    fraction = lengths - below
    if fraction.any():
        below += random.random(len(lengths)) < fraction
    return np.maximum(below.astype(np.int64), 1)
