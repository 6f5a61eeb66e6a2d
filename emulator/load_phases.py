"""Load that changes over time, put together of phases: requests with their times and lengths.

A phase has a rate at every moment; arrivals are a Poisson stream of that rate (by thinning: Lewis
and Shedler, 1979), or come with the times that a trace gives. The same seed gives the same load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from simulator import FixedLength, SeparateLengths, TokenLengths

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A request to send.

    Attributes:
        at_s: When, in seconds from the start of the load.
        prompt_tokens: Tokens of the prompt.
        output_tokens: Tokens to make.
        phase: Index of the phase that it belongs to.
    """

    at_s: float
    prompt_tokens: int
    output_tokens: int
    phase: int


class Phase(Protocol):
    """A stretch of load whose rate is known at every moment."""

    @property
    def duration_s(self) -> float:
        """How long it lasts."""

    @property
    def peak_rps(self) -> float:
        """A rate that it never exceeds."""

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from its start."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One rate throughout."""

    level_rps: float
    duration_s: float

    @property
    def peak_rps(self) -> float:
        """A rate that it never exceeds."""
        return self.level_rps

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from its start."""
        return self.level_rps


@dataclass(frozen=True, slots=True)
class Ramp:
    """From one rate to another in a straight line."""

    from_rps: float
    to_rps: float
    duration_s: float

    @property
    def peak_rps(self) -> float:
        """A rate that it never exceeds."""
        return max(self.from_rps, self.to_rps)

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from its start."""
        share = min(max(at_s / self.duration_s, 0.0), 1.0)
        return self.from_rps + (self.to_rps - self.from_rps) * share


@dataclass(frozen=True, slots=True)
class Steps:
    """From one rate to another in equal steps, each as long as the others.

    Attributes:
        from_rps: Rate of the first step.
        to_rps: Rate of the last one.
        steps: How many, at least 2.
        duration_s: Of all together.
    """

    from_rps: float
    to_rps: float
    steps: int
    duration_s: float

    @property
    def peak_rps(self) -> float:
        """A rate that it never exceeds."""
        return max(self.from_rps, self.to_rps)

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from its start."""
        step = min(max(int(at_s / self.duration_s * self.steps), 0), self.steps - 1)
        return self.from_rps + (self.to_rps - self.from_rps) * step / (self.steps - 1)


@dataclass(frozen=True, slots=True)
class Sinus:
    """A wave around a mean, as a day has; never below 0.

    Attributes:
        mean_rps: Rate in the middle, where it begins, rising.
        amplitude_rps: How far it goes up and down from there.
        period_s: From crest to crest.
        duration_s: How long it lasts.
    """

    mean_rps: float
    amplitude_rps: float
    period_s: float
    duration_s: float

    @property
    def peak_rps(self) -> float:
        """A rate that it never exceeds."""
        return self.mean_rps + abs(self.amplitude_rps)

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from its start."""
        wave = math.sin(2.0 * math.pi * at_s / self.period_s)
        return max(self.mean_rps + self.amplitude_rps * wave, 0.0)


@dataclass(frozen=True, slots=True)
class Noise:
    """Another phase with noise on it: its rate times a lognormal factor of mean 1.

    Attributes:
        phase: The phase.
        cv: Coefficient of variation of the factor.
        interval_s: How long each factor holds.
        seed: Of the factors.
    """

    phase: Phase
    cv: float
    interval_s: float
    seed: int = 0
    _factors: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Draw the factors."""
        count = max(1, math.ceil(self.phase.duration_s / self.interval_s))
        variance = math.log1p(self.cv**2)
        draws = np.random.default_rng(self.seed).lognormal(
            -variance / 2, math.sqrt(variance), count
        )
        object.__setattr__(self, "_factors", tuple(float(factor) for factor in draws))

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return self.phase.duration_s

    @property
    def peak_rps(self) -> float:
        """A rate that it never exceeds."""
        return self.phase.peak_rps * max(self._factors)

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from its start."""
        index = min(max(int(at_s / self.interval_s), 0), len(self._factors) - 1)
        return self.phase.rate_rps(at_s) * self._factors[index]


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests at given times with given lengths.

    Attributes:
        requests: (seconds from the start, prompt tokens, output tokens), the times ascending.
        duration_s: How long it lasts.
    """

    requests: tuple[tuple[float, int, int], ...]
    duration_s: float


_EVEN = SeparateLengths(FixedLength(512), FixedLength(128))


@dataclass(frozen=True, slots=True)
class Load:
    """Phases, one after the other.

    Attributes:
        phases: In their order.
        lengths: Tokens of the requests, but of those of traces, which tell their own.
        seed: Of times and lengths.
    """

    phases: tuple[Phase | Trace, ...]
    lengths: TokenLengths = _EVEN
    seed: int = 0

    @property
    def duration_s(self) -> float:
        """How long all phases last together."""
        return sum(phase.duration_s for phase in self.phases)

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from the start; of a trace, its mean; 0 after the end."""
        for phase in self.phases:
            if at_s < phase.duration_s:
                if isinstance(phase, Trace):
                    return len(phase.requests) / phase.duration_s
                return phase.rate_rps(at_s)
            at_s -= phase.duration_s
        return 0.0

    def requests(self) -> Iterator[LoadRequest]:
        """Yield the requests in the order of their times."""
        start_s = 0.0
        for index, phase in enumerate(self.phases):
            random = np.random.default_rng((self.seed, index))
            if isinstance(phase, Trace):
                for at_s, prompt, output in phase.requests:
                    yield LoadRequest(start_s + at_s, prompt, output, index)
            else:
                yield from self._drawn(phase, start_s, index, random)
            start_s += phase.duration_s

    def _drawn(
        self, phase: Phase, start_s: float, index: int, random: np.random.Generator
    ) -> Iterator[LoadRequest]:
        peak, at_s = phase.peak_rps, 0.0
        if peak <= 0:
            return
        measuring = random.spawn(1)[0]
        while True:
            gaps = random.exponential(1.0 / peak, _BLOCK)
            keep = random.random(_BLOCK)
            inputs, outputs = self.lengths.draw(_BLOCK, measuring)
            for gap, draw, prompt, output in zip(gaps, keep, inputs, outputs, strict=True):
                at_s += float(gap)
                if at_s >= phase.duration_s:
                    return
                if draw * peak < phase.rate_rps(at_s):
                    yield LoadRequest(start_s + at_s, int(prompt), int(output), index)
