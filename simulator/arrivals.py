"""When requests arrive: open streams, a closed loop of clients, a trace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PoissonArrivals:
    """Arrivals at random, independent of each other."""

    rate_rps: float

    def times_ms(self, count: int, random: np.random.Generator) -> FloatArray:
        """Return ascending arrival times, shape (count,)."""
        return _renewal(self.rate_rps, 1.0, count, random)


@dataclass(frozen=True, slots=True)
class GammaArrivals:
    """Renewal arrivals: independent gamma times between them; a `cv` of 0 is a constant beat."""

    rate_rps: float
    cv: float

    def times_ms(self, count: int, random: np.random.Generator) -> FloatArray:
        """Return ascending arrival times, shape (count,)."""
        return _renewal(self.rate_rps, self.cv, count, random)


@dataclass(frozen=True, slots=True)
class TraceArrivals:
    """Arrivals at given times.

    Attributes:
        arrival_ms: Times in milliseconds, ascending.
    """

    arrival_ms: tuple[float, ...]

    def times_ms(self, count: int, random: np.random.Generator) -> FloatArray:
        """Return the first `count` arrival times.

        Raises:
            ValueError: The trace is shorter, or does not ascend.
        """
        times = np.asarray(self.arrival_ms[:count], dtype=np.float64)
        if len(times) < count:
            raise ValueError(f"the trace has {len(times)} requests, not {count}")
        if (np.diff(times) < 0).any():
            raise ValueError("the arrival times of the trace do not ascend")
        return times


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """A fixed number of clients, each with one request at a time.

    A client sends its next request when the last output token has come, after thinking. Clients
    wait as long as it takes: the queue limit is lifted to hold them all.

    Attributes:
        clients: Requests in the system or being thought of.
        think_ms: Mean time between an answer and the next request.
        think_cv: Coefficient of variation of that time (gamma); 0 for a constant.
        ramp_ms: The clients start evenly over this time; 0 for all at once, as benchmarks do.
    """

    clients: int
    think_ms: float = 0.0
    think_cv: float = 0.0
    ramp_ms: float = 0.0

    def __post_init__(self) -> None:
        """Check the loop.

        Raises:
            ValueError: Fewer than one client, or a negative time.
        """
        if self.clients < 1:
            raise ValueError(f"clients is {self.clients} (allowed: 1 or more)")
        if min(self.think_ms, self.think_cv, self.ramp_ms) < 0:
            raise ValueError("think_ms, think_cv and ramp_ms must be 0 or more")

    def thinking_ms(self, count: int, random: np.random.Generator) -> FloatArray:
        """Return the time that passes before each request, shape (count,).

        For the first request of a client it counts from the start, for any other from the end of
        the one before.
        """
        if self.think_ms == 0:
            times = np.zeros(count)
        else:
            times = _gamma(self.think_ms, self.think_cv, count, random)
        first = min(self.clients, count)
        times[:first] = self.ramp_ms * np.arange(first) / self.clients
        return times


Arrivals = PoissonArrivals | GammaArrivals | TraceArrivals | ClosedLoop


def _renewal(rate_rps: float, cv: float, count: int, random: np.random.Generator) -> FloatArray:
    if not (rate_rps > 0 and math.isfinite(rate_rps)):
        raise ValueError(f"rate_rps is {rate_rps} (allowed: above 0)")
    return np.cumsum(_gamma(1000.0 / rate_rps, cv, count, random))


def _gamma(mean: float, cv: float, count: int, random: np.random.Generator) -> FloatArray:
    if cv == 0:
        return np.full(count, mean)
    if cv == 1:
        return random.exponential(mean, count)
    return random.gamma(1 / cv**2, mean * cv**2, count)
