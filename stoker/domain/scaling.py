"""A fleet with more or fewer cards than it says."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from stoker.domain.fleet import Fleet

LARGEST_SCALE = 1e6
"""Largest factor; a fleet of it still counts its cards exactly."""


def scale_capacity(fleet: Fleet, factor: float) -> Fleet:
    """Return the fleet with all card counts multiplied and rounded down.

    A part of a card serves nobody, so counts are rounded down: half of 25 cards is 12. The
    factor counts as the decimal number it was written as (0.1 is a tenth), so that 0.7 of 10
    cards is 7.

    Args:
        fleet: The fleet.
        factor: What to multiply with, from 0 to `LARGEST_SCALE`.
    """
    exact = Fraction(repr(float(factor)))
    return replace(
        fleet,
        capacity=tuple(
            replace(capacity, count=math.floor(capacity.count * exact))
            for capacity in fleet.capacity
        ),
    )
