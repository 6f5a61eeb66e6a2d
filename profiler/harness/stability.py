"""How often an iteration is run: until its time is stable, then until its median is known."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution."""

_OUTLYING = 5.0
"""Robust standard deviations from which a time stands apart."""

_LEAST_DEVIATION = 0.005
"""Times closer than this to the median, relatively, are never outliers, however even the others."""


@dataclass(frozen=True, slots=True)
class SamplingRules:
    """How often an iteration is run.

    Attributes:
        window: Runs whose median is compared with that of as many before.
        tolerance: Relative difference of these at which the time is stable; and relative half-width
            of the 95% interval of the median at which it is known.
        warm_up_most: Runs after which it counts as warm in any case.
        least: Fewest runs that are kept.
        most: Most runs that are kept.
        seconds: Time that a case may take in all, once it has the fewest runs.
    """

    window: int = 3
    tolerance: float = 0.01
    warm_up_most: int = 40
    least: int = 7
    most: int = 60
    seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Samples:
    """Times of single iterations, (series, runs): one series for each number of layers.

    Attributes:
        series: The times kept.
        warm_up: Runs before them.
        stable: Whether the times were stable when the warm-up ended.
    """

    series: tuple[tuple[float, ...], ...]
    warm_up: int
    stable: bool


def sample(
    times: Sequence[Callable[[], float]], rules: SamplingRules, clock: Callable[[], float]
) -> Samples:
    """Return times of iterations that take turns.

    Args:
        times: Runs an iteration and returns its time in milliseconds, one for each series.
        rules: How often.
        clock: Monotonic seconds.
    """
    started = clock()
    past: list[list[float]] = [[] for _ in times]

    def turn(series: list[list[float]]) -> None:
        for one, run in zip(series, times, strict=True):
            one.append(run())

    def late() -> bool:
        return clock() - started > rules.seconds

    stable = False
    while not stable and len(past[0]) < rules.warm_up_most:
        turn(past)
        stable = all(_settled(one, rules) for one in past)
        if late() and len(past[0]) >= 2:
            break
    warm_up = len(past[0])
    kept: list[list[float]] = [[] for _ in times]
    while len(kept[0]) < rules.most:
        turn(kept)
        enough = len(kept[0]) >= rules.least
        if enough and (late() or all(_known(one, rules.tolerance) for one in kept)):
            break
    return Samples(tuple(tuple(one) for one in kept), warm_up, stable)


def _settled(times: Sequence[float], rules: SamplingRules) -> bool:
    """Return whether the last window of times is like the one before."""
    if len(times) < 2 * rules.window:
        return False
    now = statistics.median(times[-rules.window :])
    before = statistics.median(times[-2 * rules.window : -rules.window])
    return abs(now - before) <= rules.tolerance * now


def _known(times: Sequence[float], tolerance: float) -> bool:
    """Return whether the median is known: 1.57 interquartile ranges over the root of the count.

    That is the half-width of the 95% interval of a median (McGill, Tukey and Larsen, Variations of
    Box Plots, 1978).
    """
    median = statistics.median(times)
    return 1.57 * interquartile_range(times) <= tolerance * median * math.sqrt(len(times))


def interquartile_range(times: Sequence[float]) -> float:
    """Return the range of the middle half; 0 of a single time."""
    if len(times) < 2:
        return 0.0
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return high - low


def outliers(times: Sequence[float]) -> tuple[int, ...]:
    """Return the positions of times that stand apart from the others."""
    median = statistics.median(times)
    deviations = [abs(time - median) for time in times]
    sigma = max(_MAD_TO_SIGMA * statistics.median(deviations), _LEAST_DEVIATION * median)
    return tuple(position for position, each in enumerate(deviations) if each > _OUTLYING * sigma)
