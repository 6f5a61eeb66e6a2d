"""Replicas of a plan over pools, each on the nodes of its pool.

Pools take the place of card types there, as replicas of one never stand on nodes of another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from optimizer.nodes.place import place_replicas
from optimizer.pooled.pool_nodes import nodes_by_pool
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.nodes import Node
from stoker.domain.placement import NodePlacement, PlacementStrategy, ReplicaDemand
from stoker.domain.pools import Pool


def place_in_pools(
    demands: Sequence[ReplicaDemand],
    nodes: Sequence[Node],
    pools: Sequence[Pool],
    strategy: PlacementStrategy = PlacementStrategy.PACK,
    most_per_node: int | None = None,
    *,
    time_limit_s: float = 60.0,
    clock: Callable[[], float] = time.perf_counter,
) -> NodePlacement:
    """Return where the replicas go, those of a pool on nodes of that pool (`place_replicas`).

    Replicas that a plan keeps as they run are told no pool. They go to the only one of their card
    type; where there are several they are left out, and a note says so.

    Args:
        demands: Replicas to place.
        nodes: Nodes, names unique.
        pools: Pools of the plan; none for a plan that knows card types alone.
        strategy: What to prefer among placements of equally many replicas.
        most_per_node: Most replicas of one demand on a node; None for no limit.
        time_limit_s: Seconds after which the best found is returned.
        clock: Seconds.

    Raises:
        InvalidInputError: It is not told which pool a node stands in.
        SolverUnavailableError: The solver is not installed, or failed to run at all.
    """
    if not pools:
        return place_replicas(
            demands, nodes, strategy, most_per_node, time_limit_s=time_limit_s, clock=clock
        )
    by_pool, strays = nodes_by_pool(nodes, pools)
    types = {pool.card_type for pool in pools}
    problems = [_stray(node, pools) for node in strays if node.card_type in types]
    if problems:
        raise InvalidInputError(problems)
    own = [replace(node, card_type=name) for name, found in by_pool.items() for node in found]
    known, left = [], []
    for demand in demands:
        names = [pool.name for pool in pools if pool.card_type == demand.card_type]
        pool = demand.pool or (names[0] if len(names) == 1 else None)
        if pool is None:
            left.append(demand.server)
        else:
            known.append(replace(demand, card_type=pool))
    placement = place_replicas(
        known, own, strategy, most_per_node, time_limit_s=time_limit_s, clock=clock
    )
    notes = tuple(
        f"{server} was left out: the plan does not tell which pool it stands in"
        for server in dict.fromkeys(left)
    )
    return replace(placement, notes=(*placement.notes, *notes))


def _stray(node: Node, pools: Sequence[Pool]) -> Problem:
    names = sorted(pool.name for pool in pools if pool.card_type == node.card_type)
    where = "none" if node.zone is None else repr(node.zone)
    return Problem(
        f"nodes.{node.name}.pool",
        f"{node.pool!r} is no pool of {node.card_type} in the plan"
        if node.pool is not None
        else f"is not told, and its zone ({where}) is not that of just one pool",
        ", ".join(names),
    )
