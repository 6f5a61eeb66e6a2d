"""Conversions between the units of the field and Stoker's own.

Stoker's own units are requests per second, milliseconds and money per hour.
"""

from __future__ import annotations

from decimal import Decimal

MS_PER_SECOND = 1000.0
SECONDS_PER_MINUTE = 60.0
CENTS_PER_UNIT = 100

_SIGNIFICANT_DIGITS = 15


def rps_from_rpm(rate_rpm: float) -> float:
    """Return requests per second from requests per minute."""
    return rate_rpm / SECONDS_PER_MINUTE


def rpm_from_rps(rate_rps: float) -> float:
    """Return requests per minute from requests per second.

    Rounded to 15 significant digits, so that a decimal rate read from a file in requests per
    minute is written back as it was.
    """
    return float(f"{rate_rps * SECONDS_PER_MINUTE:.{_SIGNIFICANT_DIGITS}g}")


def units_from_cents(cents: float) -> float:
    """Return an amount in currency units from one in cents, exact in decimal."""
    return float(Decimal(repr(float(cents))) / CENTS_PER_UNIT)


def cents_from_units(amount: float) -> float:
    """Return an amount in cents from one in currency units, exact in decimal."""
    return float(Decimal(repr(float(amount))) * CENTS_PER_UNIT)
