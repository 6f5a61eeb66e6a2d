"""Figures as a reader wants them: short, with units, and honest about what is not known."""

from __future__ import annotations

import math

UNKNOWN = "?"
"""Shown for a figure that nobody knows; the table says so below."""

HOURS_PER_MONTH = 730
"""A twelfth of 8760 hours, as cloud price lists count a month."""

_TOLERANCE = 1e-6


def money(amount: float) -> str:
    """Return an amount with two decimals and thousands separated, e.g. ``1,234.50``."""
    return f"{amount:,.2f}"


def duration_ms(value_ms: float | None) -> str:
    """Return a duration in milliseconds to about four digits, without the unit."""
    if value_ms is None:
        return UNKNOWN
    if value_ms >= 1000:
        return f"{value_ms:,.0f}"
    return f"{value_ms:.1f}" if value_ms >= 10 else f"{value_ms:.2f}"


def target_ms(value_ms: float) -> str:
    """Return a target in milliseconds as it was probably written: no needless decimals."""
    return f"{value_ms:,.10g}"


def share(fraction: float | None) -> str:
    """Return a fraction as a percentage without decimals."""
    return UNKNOWN if fraction is None else f"{fraction:.0%}"


def small_share(fraction: float | None) -> str:
    """Return a fraction that should be small as a percentage; never round it down to zero."""
    if fraction is None:
        return UNKNOWN
    if fraction <= 0:
        return "0%"
    if fraction < 0.0001:
        return "<0.01%"
    return f"{fraction:.2%}" if fraction < 0.1 else f"{fraction:.1%}"


def filled_share(fraction: float) -> str:
    """Return how full something is: 100% only where nothing is left, 0% only where it is empty."""
    if 0 < fraction < 0.01:
        return "<1%"
    return f"{math.floor(100 * fraction + _TOLERANCE)}%"


def keeps(value_ms: float | None, target: float | None) -> bool | None:
    """Return whether a latency keeps its target; None where either is not known."""
    if value_ms is None or target is None:
        return None
    return value_ms <= target * (1 + _TOLERANCE)


def relation(value_ms: float | None, target: float | None) -> str:
    """Return the target after its relation to the latency, e.g. ``≤ 200``; empty for no target."""
    if target is None:
        return ""
    sign = {True: "≤", False: ">", None: "vs"}[keeps(value_ms, target)]
    return f"{sign} {target_ms(target)}"


def elapsed(value_ms: float) -> str:
    """Return a time that passed, in the unit that suits it."""
    if value_ms >= 1000:
        return f"{value_ms / 1000:.2f} s"
    return f"{value_ms:.0f} ms" if value_ms >= 10 else f"{value_ms:.1f} ms"


def count_of(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, e.g. ``1 server``, ``27 servers``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
