"""How many of a number of spot replicas can be counted on.

A replica that is interrupted at any moment of an hour, or so shortly before that its replacement is
still starting, counts as lost for that hour. With interruptions as a Poisson process of rate q an
hour and k hours of start-up, a replica is there with probability exp(-q (1 + k)), each on its own.
Of m replicas, g can be counted on where P(Binomial(m, p) >= g) is at least the confidence.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import bdtr

from optimizer.table import IntArray


def presence(interruptions_per_hour: float, start_up_hours: int) -> float:
    """Return the probability that a spot replica is there for all of an hour."""
    return math.exp(-interruptions_per_hour * (1 + start_up_hours))


def counted_on(most: int, presence: float, confidence: float) -> IntArray:
    """Return how many of 0, 1, ..., `most` spot replicas can be counted on, shape (most + 1,).

    Args:
        most: Largest number of replicas.
        presence: Probability that one is there.
        confidence: Probability that at least as many as counted on are there.
    """
    return _counted(1 << max(most, 1).bit_length(), presence, confidence)[: most + 1]


@lru_cache(maxsize=64)
def _counted(size: int, presence: float, confidence: float) -> IntArray:
    """Return how many of 0, 1, ... spot replicas can be counted on, shape (size,)."""
    counted = np.zeros(size, dtype=np.int64)
    sure = 0
    for running in range(1, size):
        # One replica more never takes away what could be counted on, and adds at most one.
        if 1.0 - float(bdtr(sure, running, presence)) >= confidence or presence >= 1.0:
            sure += 1
        counted[running] = sure
    counted.setflags(write=False)
    return counted


def most_useful(need: int, share: float, presence: float, confidence: float) -> int:
    """Return the spot replicas beyond which none is of use to a server that needs so many.

    Args:
        need: Replicas needed at most.
        share: Largest share of the replicas that may be spot.
        presence: Probability that one is there.
        confidence: As in `counted_on`.
    """
    if need <= 0 or share <= 0.0:
        return 0
    most = 1
    while True:
        running = np.arange(1, most + 1)
        counted = counted_on(most, presence, confidence)[1:]
        enough = np.flatnonzero(counted + fewest_beside(running, share) >= need)
        if len(enough):
            return int(running[enough[0]])
        if most > 64 * (need + 64):
            return 0  # they are hardly ever there
        most *= 2


def fewest_firm(spot: int, share: float) -> int:
    """Return the firm replicas that so many spot ones must stand beside."""
    return int(fewest_beside(np.array([spot]), share)[0])


def fewest_beside(spot: IntArray, share: float) -> IntArray:
    """Return the firm replicas that numbers of spot ones must stand beside."""
    if share >= 1.0:
        return np.zeros_like(spot)
    if share <= 0.0:
        return np.where(spot > 0, 1 << 40, 0)
    beside = np.ceil(spot * (1.0 - share) / share - 1e-9)
    least: IntArray = np.maximum(beside, 0.0).astype(np.int64)
    return least
