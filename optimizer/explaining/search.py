"""The smallest factor that makes something possible, for many cases side by side.

A case is a question that is cheaper to ask of many cases at once, such as a prediction. Each search
is a generator that yields the factor it wants to know about and is sent the answer. With it, it
yields those that it may want to know about next, as what they need may be had in one go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence

LARGEST_FACTOR = 1e4
"""Beyond it nobody would call a target or a load the same."""

STEP = 1.01
"""What is 1% tighter than a factor found is not possible."""

_CLOSE = 1.004
_FIRST = 1.1
_DIGITS = 4

_AHEAD = 3
"""Halvings that are looked ahead."""

Question = tuple[float, tuple[float, ...]]
"""A factor to know about now, and those that may be asked about next."""

Search = Generator[Question, bool, float | None]


def smallest_factors(
    count: int,
    possible: Callable[[Sequence[tuple[int, float]], Sequence[tuple[int, float]]], Sequence[bool]],
) -> list[float | None]:
    """Return, for each case, a factor of at least 1 that is possible, and 1% less is not.

    Where more is always possible once less is, it is the smallest, to 1%; otherwise it is the end
    of a range of possible ones. None where no factor up to `LARGEST_FACTOR` is.

    Args:
        count: Number of cases.
        possible: Tells of pairs of a case and a factor whether they are possible; the other pairs
            may be asked about later.
    """
    found: list[float | None] = [None] * count
    searches = {case: search() for case in range(count)}
    asked = {case: next(item) for case, item in searches.items()}
    while asked:
        pairs = [(case, factor) for case, (factor, _) in asked.items()]
        later = [(case, factor) for case, (_, more) in asked.items() for factor in more]
        for (case, _), answer in zip(pairs, possible(pairs, later), strict=True):
            try:
                asked[case] = searches[case].send(answer)
            except StopIteration as end:
                found[case] = end.value
                del asked[case]
    return found


def search() -> Search:
    """Search one factor; yields what it asks about, returns what it found."""
    ladder = [1.0, _FIRST]
    while ladder[-1] < LARGEST_FACTOR:
        ladder.append(min(ladder[-1] ** 2, LARGEST_FACTOR))
    low = high = 1.0
    for step, high in enumerate(ladder):
        if (yield high, tuple(ladder[step + 1 :])):
            break
        low = high
    else:
        return None
    if high == 1.0:
        return 1.0
    while True:
        while high / low > _CLOSE:
            middle = math.sqrt(low * high)
            if (yield middle, tuple(middles(low, high, _AHEAD))):
                high = middle
            else:
                low = middle
        rounded = rounded_up(high)
        if rounded != high and (yield rounded, (rounded / STEP, high / STEP)):
            high = rounded
        # Predictions are not monotone to the last percent: what is reported has been looked at.
        tighter = high / STEP
        if tighter <= 1.0 or not (yield tighter, ()):
            return high
        low, high = 1.0, tighter


def middles(low: float, high: float, depth: int) -> list[float]:
    """Return all middles that halving a range so many times may ask about."""
    if depth == 0 or high / low <= _CLOSE:
        return []
    middle = math.sqrt(low * high)
    return [middle, *middles(low, middle, depth - 1), *middles(middle, high, depth - 1)]


def rounded_up(factor: float) -> float:
    """Return a factor rounded up to a few digits, as people write it."""
    scale = 10.0 ** (_DIGITS - 1 - math.floor(math.log10(factor)))
    return math.ceil(factor * scale * (1 - 1e-12)) / scale
