"""Which nodes stand in which pool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from stoker.domain.nodes import Node
from stoker.domain.pools import Pool


def pool_of_node(node: Node, pools: Iterable[Pool]) -> Pool | None:
    """Return the pool that a node stands in; None where that is not told.

    It is the one that the node names, else the only pool of its card type, else the only one of
    those in its zone.
    """
    same = [pool for pool in pools if pool.card_type == node.card_type]
    if node.pool is not None:
        return next((pool for pool in same if pool.name == node.pool), None)
    if len(same) != 1:
        same = [pool for pool in same if pool.zone == node.zone]
    return same[0] if len(same) == 1 else None


def nodes_by_pool(
    nodes: Iterable[Node], pools: Iterable[Pool]
) -> tuple[Mapping[str, list[Node]], list[Node]]:
    """Return the nodes of each pool by its name, and those of which it is not told."""
    found: defaultdict[str, list[Node]] = defaultdict(list)
    pools = tuple(pools)
    strays = []
    for node in nodes:
        pool = pool_of_node(node, pools)
        if pool is None:
            strays.append(node)
        else:
            found[pool.name].append(node)
    return found, strays


def largest_node(pool: Pool, nodes: Mapping[str, list[Node]]) -> int:
    """Return the cards of the largest node of a pool; all of its cards where it tells of none."""
    told = [*pool.node_cards, *(node.cards for node in nodes.get(pool.name, ()))]
    return max(told, default=pool.cards)
