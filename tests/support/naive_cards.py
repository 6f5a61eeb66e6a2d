"""Slices on cards by trying every way to lay them out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache

from stoker.domain.accelerator import Slice

MEMORY = {1: 1, 2: 2, 3: 4, 4: 4, 7: 8}
"""Memory slices that an instance covers, of eight; it begins at a multiple of them."""


@cache
def fits_one_card(sizes: tuple[int, ...]) -> bool:
    """Try every way to lay MIG instances out on the memory slices of a card."""
    starts = [
        [
            first
            for first in range(0, 9 - MEMORY[size], MEMORY[size])
            if (size, first) not in {(1, 7), (2, 6), (4, 4)}  # where NVIDIA begins none
        ]
        for size in sizes
    ]
    for begins in itertools.product(*starts):
        taken = [
            k
            for size, begin in zip(sizes, begins, strict=True)
            for k in range(begin, begin + MEMORY[size])
        ]
        if len(taken) == len(set(taken)):
            return True
    return False


@cache
def naive_fewest(sizes: tuple[int, ...]) -> int:
    """Fill cards with MIG instances one after the other, trying everything."""
    if not sizes:
        return 0
    best = len(sizes)
    for own in one_card(sizes):
        remaining = list(sizes)
        for size in own:
            remaining.remove(size)
        best = min(best, 1 + naive_fewest(tuple(remaining)))
    return best


def one_card(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield what one card may hold of these instances, the first of them always."""
    for count in range(len(sizes)):
        for others in set(itertools.combinations(sizes[1:], count)):
            own = (sizes[0], *others)
            if sum(own) <= 7 and fits_one_card(own):
                yield own


def naive_cards(slices: list[Slice]) -> int:
    """Return the fewest cards that hold slices of any kinds; equal parts share with their like."""
    parts: dict[int, int] = {}
    for item in slices:
        if item.parts:
            parts[item.parts] = parts.get(item.parts, 0) + 1
    whole = sum(-(-count // size) for size, count in parts.items())
    return whole + naive_fewest(tuple(sorted(item.sevenths for item in slices if item.sevenths)))


def naive_per_card(item: Slice) -> int:
    """Return how many slices of a kind one card holds."""
    return max(n for n in range(1, 13) if naive_cards([item] * n) == 1)


def naive_share(item: Slice) -> float:
    """Return the share of its card that a slice is."""
    return item.sevenths / 7 if item.sevenths else 1 / item.parts


def layouts(items: tuple[Slice, ...]) -> list[dict[Slice, int]]:
    """Return every way to have slices of these kinds on one card."""
    most = [naive_per_card(item) for item in items]
    found = []
    for counts in itertools.product(*(range(top + 1) for top in most)):
        slices = [item for item, n in zip(items, counts, strict=True) for _ in range(n)]
        if slices and naive_cards(slices) == 1:
            found.append(dict(zip(items, counts, strict=True)))
    return found
