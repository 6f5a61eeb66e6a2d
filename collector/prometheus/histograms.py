"""Histograms of tokens: mean, spread, and counts in buckets of powers of two.

Buckets tell between which bounds requests lie, and the engine's sums tell their mean exactly. Their
spread lies between two figures that follow from both (`TokenSpread.least_cv` and `most_cv`). Where
between them rests on two assumptions:

- Requests lie at the same share of the way through each bucket: at the share that makes their mean
  the exact one. Around it they are even, as far as the bucket reaches to both sides.
- A bucket whose neighbours are empty holds requests of one length: lengths that vary over a whole
  bucket would pass its bounds, which know nothing of them. The fuller the neighbours, the wider.

So requests of one fixed length, or of a few, have the spread that they have, and not that of the
bucket's width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stoker.domain.control.observation import TokenHistogram

_LAST_FACTOR = 2.0
"""The open bucket is taken to end at this multiple of where it begins."""
_PASSING = 0.25
"""Requests beside a bucket, over its own, from which it counts as one piece of a wider range."""

_Bucket = tuple[float, float, float]
"""Where it begins and ends, and how many requests it holds."""


@dataclass(frozen=True, slots=True)
class TokenSpread:
    """Mean and spread of the tokens of requests.

    Attributes:
        mean: Mean tokens.
        cv: Coefficient of variation.
        least_cv: The smallest that buckets and mean allow.
        most_cv: The largest that they allow.
    """

    mean: float
    cv: float
    least_cv: float
    most_cv: float


def counts_of(cumulative: Mapping[float, float]) -> tuple[_Bucket, ...]:
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


def spread_of(cumulative: Mapping[float, float], mean: float | None = None) -> TokenSpread | None:
    """Return mean and spread; None for no requests.

    Args:
        cumulative: Requests, or their rate, by bound.
        mean: Their exact mean; None where it is unknown, and requests are even within buckets.
    """
    buckets = counts_of(cumulative)
    total = sum(count for _, _, count in buckets)
    if total <= 0:
        return None
    lowest = sum(count * low for low, _, count in buckets) / total
    highest = sum(count * high for _, high, count in buckets) / total
    if mean is None or not math.isfinite(mean):
        mean = (lowest + highest) / 2
    # Rates of sums and buckets are those of the same scrapes, but for the last digits.
    mean = min(max(mean, lowest), highest)
    if mean <= 0:
        return None
    share = (mean - lowest) / (highest - lowest)
    variance = 0.0
    for index, (low, high, count) in enumerate(buckets):
        width = high - low
        middle = low + share * width
        even = _evenness(buckets, index) * 2 * min(share, 1 - share) * width
        variance += count / total * ((middle - mean) ** 2 + even * even / 12)
    least, most = _least(buckets, total, mean), _most(buckets, total, mean)
    deviation = min(max(math.sqrt(variance), least), most)
    return TokenSpread(mean, deviation / mean, least / mean, most / mean)


def _evenness(buckets: Sequence[_Bucket], index: int) -> float:
    """Return over which share of a bucket its requests are even: none where it stands alone."""
    low, high, count = buckets[index]
    beside = sum(
        other[2]
        for other in buckets[max(0, index - 1) : index + 2]
        if other[1] == low or other[0] == high
    )
    return min(1.0, beside / (_PASSING * count))


def _least(buckets: Sequence[_Bucket], total: float, mean: float) -> float:
    """Return the smallest standard deviation: all requests as near to one length as may be."""

    def placed(length: float) -> list[float]:
        return [min(max(length, low), high) for low, high, _ in buckets]

    def mean_of(places: Sequence[float]) -> float:
        weighed = zip(places, buckets, strict=True)
        return sum(count * place for place, (_, _, count) in weighed) / total

    # The mean grows with the length: evenly between two bounds, so that the length is found there.
    bounds = sorted({bound for low, high, _ in buckets for bound in (low, high)})
    length = bounds[-1]
    for before, after in itertools.pairwise(bounds):
        least, most = mean_of(placed(before)), mean_of(placed(after))
        if most >= mean:
            part = (mean - least) / (most - least) if most > least else 0.0
            length = before + min(max(part, 0.0), 1.0) * (after - before)
            break
    variance = sum(
        count * (place - mean) ** 2
        for place, (_, _, count) in zip(placed(length), buckets, strict=True)
    )
    return math.sqrt(variance / total)


def _most(buckets: Sequence[_Bucket], total: float, mean: float) -> float:
    """Return the largest standard deviation: all requests at the ends of their buckets."""
    square = sum(count * low * low for low, _, count in buckets)
    left = total * mean - sum(count * low for low, _, count in buckets)
    # A token that is moved up counts by the sum of its bucket's ends: the widest reach first.
    for low, high, count in sorted(buckets, key=lambda each: -(each[0] + each[1])):
        moved = min(left, count * (high - low))
        square += moved * (low + high)
        left -= moved
    return math.sqrt(max(0.0, square / total - mean * mean))


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
