"""Probabilities of the number present: a birth–death chain on a window of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.window import Window

LEAST_RATE = 0.35
"""Least share of the rate that regular arrivals keep when every slot is taken."""
_CLUMPS = 0.7
"""Share of the free capacity that clumps of arrivals may use up before every slot is taken."""
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Arrivals whose rate depends on how many are present: level + slope · number, per ms.

    Delbrouck's Bernoulli–Poisson–Pascal input, by which the number at an infinite-server station
    has the mean and the peakedness that the renewal arrivals give it.
    """

    level: FloatArray
    slope: FloatArray
    least: FloatArray

    @classmethod
    def of(
        cls,
        rate: FloatArray,
        offered: FloatArray,
        peakedness: FloatArray,
        limit: FloatArray,
        most_rate: FloatArray,
        spread: FloatArray,
    ) -> Arrivals:
        """Return the arrivals at a rate, for an offered number and its variance over its mean.

        The squared coefficient of variation of services tells how regular arrivals can remain.
        """
        slope = rate * (1.0 - 1.0 / peakedness) / offered
        room = np.maximum(limit - offered, 1e-9)
        most = _CLUMPS * np.maximum(most_rate - rate, 0.0) / room
        least = LEAST_RATE * np.sqrt(np.minimum(spread, 1.0))
        slope = np.clip(slope, -(1.0 - least) * rate / room, most)
        return cls(rate - slope * offered, slope, 1e-9 * rate)

    def at(self, number: FloatArray) -> FloatArray:
        """Return the rate with a number present."""
        rate: FloatArray = np.maximum(self.level + self.slope * number, self.least)
        return rate

    def scaled(self, factor: FloatArray) -> Arrivals:
        """Return the arrivals with all rates scaled."""
        return Arrivals(self.level * factor, self.slope * factor, self.least * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Presence:
    """Probabilities over time; arrays (cases,) or (fine, cases).

    Attributes:
        empty: nobody present.
        fine: the fine nodes with what they stand for.
        density: a single number at a fine node.
        full: every slot taken.
        arrivals: the rates, scaled so that they are the offered rate on average.
    """

    empty: FloatArray
    fine: FloatArray
    density: FloatArray
    full: FloatArray
    arrivals: Arrivals


def presence(
    window: Window,
    limit: FloatArray,
    log_service: FloatArray,
    arrivals: Arrivals,
    rate: FloatArray,
    line_weight: FloatArray,
    most_rate: FloatArray,
) -> Presence:
    """Return the probabilities of the number present.

    Args:
        window: the numbers from 1 to the limit less 1 that matter.
        limit: number present from which on every slot is taken.
        log_service: log of time in service over number in service, array (fine, cases).
        arrivals: rates by the number present.
        rate: what they are to be on average.
        line_weight: what a full replica counts for with those that wait behind it.
        most_rate: departures per ms of a full replica.
    """
    result = _solve(window, limit, log_service, arrivals, line_weight, most_rate)
    if not np.any(arrivals.slope):
        return result
    for _ in range(_ROUNDS):
        current = result.arrivals
        mean = (
            result.empty * current.at(np.zeros(len(limit)))
            + (result.fine * current.at(window.fine)).sum(axis=0)
            + result.full * current.at(limit)
        )
        factor = np.clip(rate / mean, 0.5, 2.0)
        result = _solve(window, limit, log_service, current.scaled(factor), line_weight, most_rate)
    return result


def _solve(
    window: Window,
    limit: FloatArray,
    log_service: FloatArray,
    arrivals: Arrivals,
    line_weight: FloatArray,
    most_rate: FloatArray,
) -> Presence:
    """Return the probabilities by the ratios of neighbours."""
    several = limit > 1.0
    log_arrivals = np.log(arrivals.at(window.fine))
    # Sums over the numbers between nodes: the trapezoidal rule, and half of the difference of the
    # ends as departures count the upper and arrivals the lower end. Exact where the step is 1.
    half = 0.5 * window.step
    growth = (half + 0.5) * (log_service[1:] + log_arrivals[:-1])
    growth = growth + (half - 0.5) * (log_service[:-1] + log_arrivals[1:])
    logs = np.zeros_like(window.fine)
    # Row by row: numpy's own cumulative sum would go down one column after the other.
    for node, more in enumerate(growth):
        np.add(logs[node], more, out=logs[node + 1])
    logs = np.where(window.inside & several, logs, -np.inf)
    # Below a single request there is the empty replica, where the window reaches down to it.
    nobody = arrivals.at(np.zeros(len(limit)))
    below = np.where(window.first <= 1.0, -np.log(nobody) - log_service[0], -np.inf)
    bare = np.where(several, below, 0.0)
    peak = np.maximum(logs.max(axis=0), bare)
    density = np.exp(logs - peak)
    empty = np.exp(bare - peak)
    columns = np.arange(len(limit))
    last = window.last.astype(np.int64)
    at_last = np.where(several, density[last, columns], empty)
    final = np.where(several, window.fine[last, columns], 0.0)
    entering = at_last * arrivals.at(limit - 1.0) / most_rate
    full = np.where(final >= limit - 1.0 - 1e-6, entering, 0.0) * line_weight
    # The ends of the trapezoidal rule count (step + 1) / 2; a single node counts once.
    fine = density * window.step
    ends = np.where(last > 0, 0.5 * (window.step + 1.0), 1.0) / window.step
    fine[0] *= ends
    fine[last, columns] *= np.where(last > 0, ends, 1.0)
    scale = 1.0 / (fine.sum(axis=0) + empty + full)
    return Presence(empty * scale, fine * scale, density * scale, full * scale, arrivals)
