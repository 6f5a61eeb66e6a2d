"""Clocks: whether those that answered agree with this machine's."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from stoker.domain.control.diagnosis import Finding, Level

_MOST_SKEW_S = 5.0
"""Ages and start-up times are tens of seconds: less than this harms none of them."""


def moment_of(date: str) -> float | None:
    """Return the moment of a Date header, in seconds since the epoch; None where it is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def compare_clocks(
    whose: str, address: str, there: float, asked_at: float, told_at: float, harms: str
) -> Finding:
    """Return whether a clock agrees with this machine's.

    An answer was made at some time between question and answer: only what lies outside is a
    difference.

    Args:
        whose: Who has the clock.
        address: Where it answered.
        there: What it showed, in seconds since the epoch.
        asked_at: When it was asked, by this machine.
        told_at: When it had answered, by this machine.
        harms: What a difference makes wrong.
    """
    skew_s = max(there - told_at, 0.0) or min(there - asked_at, 0.0)
    if abs(skew_s) <= _MOST_SKEW_S:
        return Finding("clock", address, Level.FINE, f"that of {whose} agrees with this machine's")
    way = "ahead of" if skew_s > 0 else "behind"
    return Finding(
        "clock",
        address,
        Level.WARNING,
        f"that of {whose} is {abs(skew_s):.0f} s {way} this machine's: {harms} are told wrong",
        "timedatectl set-ntp true on both machines, and chronyc tracking to see how far they are",
    )
