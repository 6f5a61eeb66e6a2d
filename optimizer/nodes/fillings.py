"""The ways worth considering to fill a node: replicas of each size, and their groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from optimizer.nodes.question import NodeKind

MOST_FILLINGS = 5_000
"""Ways to fill one kind of node beyond which the integer program is not tried."""

_MOST_STEPS = 1_000_000
"""Combinations of fillings of some groups with those of the next that are gone through."""


@dataclass(frozen=True, slots=True)
class Filling:
    """A way to fill a node.

    Attributes:
        slots: Replicas of each size.
        groups: Replicas of each size within each group of the kind, in its order.
        shared: Cards of each group that replicas across groups take.
        across: Number of replicas that run across groups.
        opened: Number of groups that were idle and are not any more.
    """

    slots: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    shared: tuple[int, ...]
    across: int
    opened: int


class TooManyFillingsError(Exception):
    """There are more ways to fill a node than an integer program should choose from."""


@dataclass(frozen=True, slots=True)
class _Partial:
    opened: int
    groups: tuple[tuple[int, ...], ...]
    shared: tuple[int, ...]


def fillings(kind: NodeKind, sizes: Sequence[int], wanted: Sequence[int]) -> tuple[Filling, ...]:
    """Return the ways to fill a node that no other way dominates, the empty one left out.

    A way dominates another where it has room for at least as many replicas of every size, opens no
    more groups and runs no more replicas across groups: slots may stay empty, so the other is never
    needed.

    Args:
        kind: The node.
        sizes: Cards of a replica, ascending.
        wanted: Replicas of each size that there are at most.

    Raises:
        TooManyFillingsError: There are more than `MOST_FILLINGS` before any is dominated.
    """
    within = [size if size <= kind.largest_group else 0 for size in sizes]
    beyond = [0 if size <= kind.largest_group else size for size in sizes]
    total_free = sum(free for free, _ in kind.groups)
    across = [
        vector for vector, _ in islice(_vectors(beyond, total_free, wanted), MOST_FILLINGS + 1)
    ]
    if len(across) > MOST_FILLINGS:
        raise TooManyFillingsError
    needed = {_cards(vector, sizes) for vector in across}
    states: dict[tuple[tuple[int, ...], int], _Partial] = {
        ((0,) * len(sizes), 0): _Partial(0, (), ())
    }
    for free, idle in kind.groups:
        states = _with_group(states, free, idle, within, wanted, max(needed))
        if len(states) > MOST_FILLINGS:
            raise TooManyFillingsError
    best: dict[tuple[tuple[int, ...], int], Filling] = {}
    for (inside, shared), partial in states.items():
        for vector in across if shared in needed else ():
            if _cards(vector, sizes) != shared:
                continue
            slots = tuple(a + b for a, b in zip(inside, vector, strict=True))
            filling = Filling(slots, partial.groups, partial.shared, sum(vector), partial.opened)
            known = best.get((slots, filling.across))
            if any(slots) and (known is None or filling.opened < known.opened):
                best[slots, filling.across] = filling
    return _undominated(list(best.values()))


def _with_group(
    states: dict[tuple[tuple[int, ...], int], _Partial],
    free: int,
    idle: bool,
    within: Sequence[int],
    wanted: Sequence[int],
    most_shared: int,
) -> dict[tuple[tuple[int, ...], int], _Partial]:
    options = [
        (vector, shared)
        for vector, used in islice(_vectors(within, free, wanted), MOST_FILLINGS + 1)
        for shared in range(min(free - used, most_shared) + 1)
    ]
    if len(options) > MOST_FILLINGS or len(options) * len(states) > _MOST_STEPS:
        raise TooManyFillingsError
    following: dict[tuple[tuple[int, ...], int], _Partial] = {}
    for (inside, before), partial in states.items():
        for vector, shared in options:
            slots = tuple(
                min(a + b, most) for a, b, most in zip(inside, vector, wanted, strict=True)
            )
            if before + shared > most_shared or sum(slots) != sum(inside) + sum(vector):
                continue
            opened = partial.opened + int(idle and (shared > 0 or any(vector)))
            known = following.get((slots, before + shared))
            if known is None or opened < known.opened:
                following[slots, before + shared] = _Partial(
                    opened, (*partial.groups, vector), (*partial.shared, shared)
                )
        if len(following) > MOST_FILLINGS:
            raise TooManyFillingsError
    return following


def _vectors(
    sizes: Sequence[int], free: int, wanted: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield counts of each size that fit, with the cards used; size 0 is skipped."""
    if not sizes:
        yield (), 0
        return
    most = min(free // sizes[0], wanted[0]) if sizes[0] else 0
    for count in range(most + 1):
        used = count * sizes[0]
        for rest, more in _vectors(sizes[1:], free - used, wanted[1:]):
            yield (count, *rest), used + more


def _cards(slots: Sequence[int], sizes: Sequence[int]) -> int:
    return sum(count * size for count, size in zip(slots, sizes, strict=True))


def _undominated(found: list[Filling]) -> tuple[Filling, ...]:
    if not found:
        return ()
    # Every figure the less the better.
    figures = np.array(
        [(*(-count for count in one.slots), one.across, one.opened) for one in found]
    )
    # A dominating way never comes after one that it dominates in this order.
    order = np.lexsort(figures.T[::-1])
    kept: list[int] = []
    for index in order.tolist():
        rivals = figures[kept] if kept else figures[:0]
        if not bool(np.any(np.all(rivals <= figures[index], axis=1))):
            kept.append(index)
    return tuple(found[index] for index in kept)
