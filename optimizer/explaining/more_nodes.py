"""Nodes with one more card, in each place that makes a difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stoker.domain.nodes import LinkGroup, Node

_NAME = "one more card"


def nodes_with_more(
    nodes: Sequence[Node], card_type: str, pool: str | None = None
) -> Iterator[tuple[Node, ...]]:
    """Yield the nodes with one more card of a type: in a group of a node, or in a node of its own.

    Of nodes with alike groups in the same zone one stands for all.

    Args:
        nodes: The nodes; those of no known pool may be of any.
        card_type: The type.
        pool: Pool of the card; None for any.
    """
    seen = set()
    for at, node in enumerate(nodes):
        if node.card_type != card_type or pool not in (None, node.pool or pool):
            continue
        for index, group in enumerate(node.groups):
            others = (*node.groups[:index], *node.groups[index + 1 :])
            kind = (group, tuple(sorted((item.cards, item.taken) for item in others)), node.zone)
            if kind in seen:
                continue
            seen.add(kind)
            larger = replace(group, cards=group.cards + 1)
            groups = (*node.groups[:index], larger, *node.groups[index + 1 :])
            yield (*nodes[:at], replace(node, groups=groups), *nodes[at + 1 :])
    names = {node.name for node in nodes}
    name = _NAME
    while name in names:
        name += "'"
    yield (*nodes, Node(name, card_type, (LinkGroup(1),), pool=pool))
