"""Histograms of tokens: mean, spread, and counts in buckets of powers of two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stoker.domain.control.observation import TokenHistogram

_LAST_FACTOR = 2.0
"""The open bucket is taken to end at this multiple of where it begins."""


@dataclass(frozen=True, slots=True)
class TokenSpread:
    """Mean and spread of the tokens of requests.

    Attributes:
        mean: Mean tokens.
        cv: Coefficient of variation.
    """

    mean: float
    cv: float


def counts_of(cumulative: Mapping[float, float]) -> tuple[tuple[float, float, float], ...]:
    """Return (from, to, count) of the buckets with requests, from cumulative counts by bound.

    Counts that fall from one bound to the next (scrapes of several pods at different moments)
    count as zero.
    """
    found = []
    low, below = 0.0, 0.0
    for bound in sorted(cumulative):
        count = max(0.0, cumulative[bound] - below)
        high = bound if math.isfinite(bound) else max(low, 1.0) * _LAST_FACTOR
        if count > 0:
            found.append((low, high, count))
        low, below = high, max(below, cumulative[bound])
    return tuple(found)


def spread_of(cumulative: Mapping[float, float]) -> TokenSpread | None:
    """Return mean and spread by tokens that are even within each bucket; None for no requests."""
    buckets = counts_of(cumulative)
    total = sum(count for _, _, count in buckets)
    if total <= 0:
        return None
    mean = sum(count * (low + high) / 2 for low, high, count in buckets) / total
    square = (
        sum(count * (low * low + low * high + high * high) / 3 for low, high, count in buckets)
        / total
    )
    if mean <= 0:
        return None
    return TokenSpread(mean, math.sqrt(max(0.0, square - mean * mean)) / mean)


def in_powers_of_two(cumulative: Mapping[float, float], seconds: float) -> TokenHistogram | None:
    """Return the requests of so many seconds by powers of two, from rates by bound.

    A bucket that several powers share is split evenly over its tokens. None for no requests.
    """
    buckets = counts_of(cumulative)
    if not buckets:
        return None
    last = max(1, math.ceil(math.log2(max(high for _, high, _ in buckets))))
    bounds = tuple(2.0**power for power in range(last + 1))
    counts = [0.0] * len(bounds)
    for low, high, rate in buckets:
        begin = 0.0
        for index, end in enumerate(bounds):
            shared = min(high, end) - max(low, begin)
            if shared > 0:
                counts[index] += rate * seconds * shared / (high - low)
            begin = end
    return TokenHistogram(bounds, tuple(counts))
