"""How many of a number of spot replicas can be counted on.

A replica that is interrupted at any moment of an hour, or so shortly before that its replacement is
still starting, counts as lost for that hour. With interruptions as a Poisson process of rate q an
hour and k hours of start-up, a replica is there with probability exp(-q (1 + k)), each on its own.
Of m replicas, g can be counted on where P(Binomial(m, p) >= g) is at least the confidence.
"""

from __future__ import annotations

import math

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
    counted = np.zeros(most + 1, dtype=np.int64)
    sure = 0
    for running in range(1, most + 1):
        # One replica more never takes away what could be counted on, and adds at most one.
        if 1.0 - float(bdtr(sure, running, presence)) >= confidence or presence >= 1.0:
            sure += 1
        counted[running] = sure
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
        counted = counted_on(most, presence, confidence)
        for running in range(1, most + 1):
            if counted[running] + fewest_firm(running, share) >= need:
                return running
        if most > 64 * (need + 64):
            return 0  # they are hardly ever there
        most *= 2


def fewest_firm(spot: int, share: float) -> int:
    """Return the firm replicas that so many spot ones must stand beside."""
    if share >= 1.0:
        return 0
    return max(0, math.ceil(spot * (1.0 - share) / share - 1e-9)) if share > 0.0 else 1 << 40
