"""What fits on the nodes of one card type: how many replicas of each size together.

On a bin of c cards there are ⌊c/k⌋ slots of k cards. Where every size divides the next, a replica
of s cards takes exactly s/k of them, so that largest-first never fails before the slots are used
up: replicas fit if and only if, for each size k, those of k cards or more take no more slots of k
than the bins have. Bins are link groups, and whole nodes for replicas that run across groups.

Where sizes do not divide one another, or groups that replicas run across have odd numbers of cards,
the ways to fill a node are counted instead (`optimizer.nodes.fillings`), which is exact as well.
Where those are too many, sizes are rounded up until each divides the next: what fits so does fit,
but more might.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from optimizer.linear_model import LinearModel, SolveLimits
from optimizer.nodes.fillings import TooManyFillingsError, fillings
from optimizer.nodes.question import NodeKind
from optimizer.solver import solve
from stoker.domain.nodes import Node

MOST_WAYS = 2_000
"""Ways to fill nodes beyond which sizes are rounded: each is a column of the planner's program."""

Counts = Mapping[int, int]
"""Replicas by cards of each."""


@dataclass(frozen=True, slots=True)
class Slots:
    """A row: replicas take slots of a size, of which there are so many.

    Attributes:
        takes: Slots that a replica takes, by its cards.
        most: Slots that there are.
    """

    takes: Counts
    most: int


@dataclass(frozen=True, slots=True)
class Ways:
    """Nodes that are alike, and the ways to fill one.

    Attributes:
        nodes: How many nodes.
        ways: Replicas of each size that a way has room for, in the order of the sizes.
    """

    nodes: int
    ways: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Room:
    """What fits on the nodes of a type.

    Attributes:
        sizes: Cards that a replica may take, ascending.
        slots: Rows that counts must keep; all there is to keep where there are no `kinds`.
        kinds: Ways to fill nodes; empty where rows say it all.
        exact: Whether everything that fits on the nodes keeps this.
    """

    sizes: tuple[int, ...]
    slots: tuple[Slots, ...]
    kinds: tuple[Ways, ...] = ()
    exact: bool = True

    def most(self, placed: Counts, more: Counts, limit: int, backend: str) -> int:
        """Return how many times some replicas fit beside others, at most `limit`.

        Args:
            placed: Replicas that are there, which fit.
            more: Replicas to add, all of them each time.
            limit: The most that is asked for.
            backend: Solver, where ways to fill nodes are to be chosen.
        """
        for row in self.slots:
            need = _taken(row, more)
            if need:
                limit = min(limit, (row.most - _taken(row, placed)) // need)
        limit = max(limit, 0)
        if not self.kinds or not limit:
            return limit
        if self._fits(_sum(placed, more, limit), backend):
            return limit
        low, high = 0, limit
        while high - low > 1:
            middle = (low + high) // 2
            if self._fits(_sum(placed, more, middle), backend):
                low = middle
            else:
                high = middle
        return low

    def _fits(self, counts: Counts, backend: str) -> bool:
        """Whether nodes can be filled so that there is room for these replicas."""
        columns = [(kind, way) for kind, own in enumerate(self.kinds) for way in own.ways]
        if not columns:
            return not any(counts.values())
        entries = [
            (index, column, float(way[index]))
            for column, (_, way) in enumerate(columns)
            for index in range(len(self.sizes))
            if way[index]
        ]
        rows = len(self.sizes)
        entries += [(rows + kind, column, 1.0) for column, (kind, _) in enumerate(columns)]
        row, column, value = zip(*entries, strict=True)
        need = [float(counts.get(size, 0)) for size in self.sizes]
        nodes = [float(kind.nodes) for kind in self.kinds]
        model = LinearModel(
            cost=np.zeros(len(columns)),
            lower=np.zeros(len(columns)),
            upper=np.array([nodes[kind] for kind, _ in columns]),
            integer=np.ones(len(columns), dtype=np.bool_),
            entry_row=np.array(row, dtype=np.int64),
            entry_column=np.array(column, dtype=np.int64),
            entry_value=np.array(value, dtype=np.float64),
            row_lower=np.array(need + [-np.inf] * len(nodes)),
            row_upper=np.array([np.inf] * rows + nodes),
        )
        return solve(model, backend, SolveLimits(time_limit_s=_LONGEST_S)).x is not None


_LONGEST_S = 10.0
"""Longest that ways to fill nodes are searched for some counts, in seconds."""


def room_of(nodes: Iterable[Node], sizes: Iterable[int]) -> Room:
    """Return what fits on the nodes of one type, for replicas of these numbers of cards."""
    free = [node for node in nodes if node.free]
    # What no node can hold takes no part in whether sizes divide one another.
    held = tuple(
        size for size in sorted(set(sizes)) if any(_own_slots(node, size) for node in free)
    )
    absent = tuple(Slots({size: 1}, 0) for size in sorted(set(sizes) - set(held)))
    if _chained(held) and all(_even(node, held) for node in free):
        return Room(held, (*absent, *_rows(free, held)))
    try:
        return Room(held, absent, _ways(free, held))
    except TooManyFillingsError:
        return Room(held, (*absent, *_rounded(free, held)), exact=False)


def _own_slots(node: Node, size: int) -> int:
    """Return how many replicas of one size fit on an empty rest of a node."""
    if size > node.largest_group:
        return node.free // size
    return sum(group.free // size for group in node.groups)


def _chained(sizes: Sequence[int]) -> bool:
    return all(large % small == 0 for small, large in pairwise(sizes))


def _even(node: Node, sizes: Sequence[int]) -> bool:
    """Whether slots of a node say what fits, though replicas may run across its groups."""
    within = [size for size in sizes if size <= node.largest_group]
    if not within or not any(within[-1] < size <= node.free for size in sizes):
        return True
    return all(group.free % within[-1] == 0 for group in node.groups)


def _rows(nodes: Sequence[Node], sizes: Sequence[int]) -> tuple[Slots, ...]:
    return tuple(
        Slots(
            {other: other // size for other in sizes if other >= size},
            sum(_own_slots(node, size) for node in nodes),
        )
        for size in sizes
    )


def _ways(nodes: Sequence[Node], sizes: tuple[int, ...]) -> tuple[Ways, ...]:
    most = [max(node.free for node in nodes)] * len(sizes)
    alike: Counter[tuple[int, tuple[int, ...]]] = Counter()
    for node in nodes:
        having = sorted((group.free for group in node.groups if group.free), reverse=True)
        alike[node.largest_group, tuple(having)] += 1
    found = []
    for (largest, groups), count in sorted(alike.items()):
        kind = NodeKind(0, largest, False, False, tuple((free, False) for free in groups), (0,))
        slots = sorted({way.slots for way in fillings(kind, sizes, most)}, reverse=True)
        kept: list[tuple[int, ...]] = []
        for way in slots:
            if not any(all(a >= b for a, b in zip(other, way, strict=True)) for other in kept):
                kept.append(way)
        found.append(Ways(count, tuple(kept)))
        if sum(len(kind.ways) for kind in found) > MOST_WAYS:
            raise TooManyFillingsError
    return tuple(found)


def _rounded(nodes: Sequence[Node], sizes: Sequence[int]) -> tuple[Slots, ...]:
    """Return rows that are enough to keep: every size counts as the next power of two.

    A replica that runs across groups finds room on nodes where all do.
    """
    up = {size: 1 << (size - 1).bit_length() for size in sizes}
    found = []
    for slot in sorted(set(up.values())):
        most = 0
        for node in nodes:
            if node.largest_group < sizes[0]:
                most += node.free // slot
            else:
                most += sum(group.free // slot for group in node.groups)
        takes = {size: rounded // slot for size, rounded in up.items() if rounded >= slot}
        found.append(Slots(takes, most))
    return tuple(found)


def _taken(row: Slots, counts: Counts) -> int:
    return sum(count * row.takes.get(size, 0) for size, count in counts.items())


def _sum(placed: Counts, more: Counts, times: int) -> Counts:
    return {size: placed.get(size, 0) + times * more.get(size, 0) for size in {*placed, *more}}
