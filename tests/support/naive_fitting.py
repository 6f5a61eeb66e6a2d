"""Whether replicas fit on nodes, by trying every place for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from stoker.domain.nodes import Node
from tests.support.naive_placement import ways


def fit(nodes: Sequence[Node], counts: Mapping[int, int]) -> bool:
    """Return whether replicas, so many of each number of cards, all have a place."""
    return _fit(tuple(nodes), tuple(sorted(item for item in counts.items() if item[1])))


@cache
def _fit(nodes: tuple[Node, ...], counts: tuple[tuple[int, int], ...]) -> bool:
    sizes = [size for size, count in reversed(counts) for _ in range(count)]

    @cache
    def follow(at: int, free: tuple[tuple[int, ...], ...]) -> bool:
        if at == len(sizes):
            return True
        for index, node in enumerate(nodes):
            for groups in ways(node, free[index], sizes[at]):
                rest = list(free[index])
                for group, number in groups:
                    rest[group] -= number
                if follow(at + 1, (*free[:index], tuple(rest), *free[index + 1 :])):
                    return True
        return False

    return follow(0, tuple(tuple(group.free for group in node.groups) for node in nodes))
