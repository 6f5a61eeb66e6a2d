"""The smallest factor that makes something possible, for many cases side by side.

A case is a question that is cheaper to ask of many cases at once, such as a prediction. Each search
is a generator that yields the factor it wants to know about and is sent the answer.
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

Search = Generator[float, bool, float | None]


def smallest_factors(
    count: int, possible: Callable[[Sequence[tuple[int, float]]], Sequence[bool]]
) -> list[float | None]:
    """Return, for each case, a factor of at least 1 that is possible, and 1% less is not.

    Where more is always possible once less is, it is the smallest, to 1%; otherwise it is the end
    of a range of possible ones. None where no factor up to `LARGEST_FACTOR` is.

    Args:
        count: Number of cases.
        possible: Tells of pairs of a case and a factor whether they are possible.
    """
    found: list[float | None] = [None] * count
    searches = {case: search() for case in range(count)}
    asked = {case: next(item) for case, item in searches.items()}
    while asked:
        pairs = list(asked.items())
        for (case, _), answer in zip(pairs, possible(pairs), strict=True):
            try:
                asked[case] = searches[case].send(answer)
            except StopIteration as end:
                found[case] = end.value
                del asked[case]
    return found


def search() -> Search:
    """Search one factor; yields what it asks about, returns what it found."""
    if (yield 1.0):
        return 1.0
    low, high = 1.0, _FIRST
    while not (yield high):
        if high >= LARGEST_FACTOR:
            return None
        low, high = high, min(high * high, LARGEST_FACTOR)
    while True:
        while high / low > _CLOSE:
            middle = math.sqrt(low * high)
            if (yield middle):
                high = middle
            else:
                low = middle
        rounded = rounded_up(high)
        if rounded != high and (yield rounded):
            high = rounded
        # Predictions are not monotone to the last percent: what is reported has been looked at.
        tighter = high / STEP
        if tighter <= 1.0 or not (yield tighter):
            return high
        low, high = 1.0, tighter


def rounded_up(factor: float) -> float:
    """Return a factor rounded up to a few digits, as people write it."""
    scale = 10.0 ** (_DIGITS - 1 - math.floor(math.log10(factor)))
    return math.ceil(factor * scale * (1 - 1e-12)) / scale
