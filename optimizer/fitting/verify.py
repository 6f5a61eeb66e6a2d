"""The last look at a plan that fits its nodes: every replica is placed, by nothing that planned it.

Servers left out for want of room are told what the nodes lack for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from optimizer.fitting.shapes import Shapes, demands_of, shapes_of
from optimizer.nodes.place import place_replicas
from optimizer.pooled.pool_nodes import nodes_by_pool
from optimizer.pooled.pools import pools_of
from optimizer.table import CandidateTable
from stoker.domain.errors import PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.placement import ReplicaDemand, UnfitReplicas
from stoker.domain.plan import Plan, PlanStatus, Unplaced
from stoker.domain.reasons import UnplacedReason

MOST_EXPLAINED = 20
"""Servers without room that are looked at one by one; each is placed once more."""

_PLANNED, _ADDED = 1, 2
_EXPLAIN_S = 2.0


def with_places(fleet: Fleet, table: CandidateTable, plan: Plan) -> Plan:
    """Return a plan whose replicas were all placed, with what the nodes lack for the others.

    Raises:
        PlanCheckError: Some replica has no place, which is a bug.
    """
    if plan.pools:
        return _with_places_in_pools(fleet, plan)
    known = {server.name for server in fleet.servers if server.load is not None}
    planned = [item for item in plan.allocations if item.server in known]
    # What is kept as it runs may not fit, and is placed after what is planned.
    demands = demands_of(plan.allocations, {item.server: _PLANNED for item in planned})
    demands = tuple(
        item if item.server in known else replace(item, priority=_ADDED) for item in demands
    )
    placement = place_replicas(demands, fleet.nodes)
    missing = [item for item in placement.unfit if item.server in known]
    if missing and placement.status is PlanStatus.OPTIMAL:
        told = "; ".join(f"{item.server}: {item.detail}" for item in missing)
        raise PlanCheckError(f"the plan does not fit its nodes: {told}")
    notes = plan.notes
    if missing:
        notes += ("it was not proven in time that every replica has a place on the nodes",)
    elif placement.placed:
        used = len({replica.node for replica in placement.placed})
        notes += (
            f"every planned replica has a place: they stand on {used:,} of {len(fleet.nodes):,} "
            "nodes",
        )
    return replace(plan, unplaced=_told(fleet, table, plan, demands), notes=notes)


def _with_places_in_pools(fleet: Fleet, plan: Plan) -> Plan:
    """Return a plan over pools, whose replicas were all placed on nodes of their pools.

    Pools take the place of card types, as replicas of one never stand on nodes of another.
    """
    pools = {pool.name: pool for pool in pools_of(fleet)}
    nodes, _ = nodes_by_pool(fleet.nodes, pools.values())
    own = tuple(replace(node, card_type=name) for name, found in nodes.items() for node in found)
    demands = tuple(
        replace(demand, card_type=part.pool)
        for item in plan.allocations
        for part in item.placements
        for demand in demands_of(
            [replace(item, replicas=part.replicas, cards=part.cards)], {item.server: _PLANNED}
        )
    )
    placement = place_replicas(demands, own)
    notes = plan.notes
    if placement.unfit and placement.status is PlanStatus.OPTIMAL:
        told = "; ".join(f"{item.server}: {item.detail}" for item in placement.unfit)
        raise PlanCheckError(f"the plan does not fit the nodes of its pools: {told}")
    if placement.unfit:
        notes += ("it was not proven in time that every replica has a place on the nodes",)
    elif placement.placed:
        used = len({replica.node for replica in placement.placed})
        notes += (
            "every planned replica has a place on the nodes of its pool: they stand on "
            f"{used:,} of {len(fleet.nodes):,} nodes",
        )
    return replace(plan, notes=notes)


def _told(
    fleet: Fleet, table: CandidateTable, plan: Plan, demands: tuple[ReplicaDemand, ...]
) -> tuple[Unplaced, ...]:
    """Return the servers left out, those for want of room with what the nodes lack for them."""
    shapes = shapes_of(fleet, table)
    index = {name: server for server, name in enumerate(table.servers)}
    given = {item.server for item in plan.allocations}
    told = []
    looked_at = 0
    for item in plan.unplaced:
        if item.reason is UnplacedReason.CAPACITY and looked_at < MOST_EXPLAINED:
            looked_at += 1
            own = tuple(
                replace(demand, server="") if demand.server == item.server else demand
                for demand in demands
            )
            rest = own if item.server not in given else tuple(d for d in own if d.server)
            told.append(_explained(fleet, table, shapes, rest, item, index[item.server]))
        else:
            told.append(item)
    return tuple(told)


def _explained(
    fleet: Fleet,
    table: CandidateTable,
    shapes: Shapes,
    rest: tuple[ReplicaDemand, ...],
    item: Unplaced,
    server: int,
) -> Unplaced:
    """Return what the nodes lack for a server beside everybody else's replicas.

    Of its candidates the one of least value is looked at; where cards alone are too few, or it
    would fit if others stood elsewhere, the explanation stays as it was.
    """
    rows = np.flatnonzero(table.accepted & (table.server == server) & (table.card_type >= 0))
    if not rows.size:
        return item
    row = int(rows[np.argmin(table.value[rows])])
    card_type = table.card_types[int(table.card_type[row])]
    accelerator = table.accelerators[int(table.accelerator[row])]
    asked = _demands_of_row(table, shapes, row, item.server, accelerator, card_type)
    same = tuple(demand for demand in rest if demand.card_type == card_type)
    placement = place_replicas((*same, *asked), fleet.nodes, time_limit_s=_EXPLAIN_S)
    lacking = [unfit for unfit in placement.unfit if unfit.server == item.server]
    if not lacking:
        return item
    return replace(item, detail=_detail(lacking[0], asked), remedy=lacking[0].remedy)


def _demands_of_row(
    table: CandidateTable,
    shapes: Shapes,
    row: int,
    server: str,
    accelerator: str,
    card_type: str,
) -> tuple[ReplicaDemand, ...]:
    sizes: Mapping[int, int] = shapes.of(row)
    return tuple(
        ReplicaDemand(
            server, accelerator, card_type, size, count * int(table.replicas[row]), _ADDED
        )
        for size, count in sizes.items()
    )


def _detail(unfit: UnfitReplicas, asked: tuple[ReplicaDemand, ...]) -> str:
    replicas = sum(demand.replicas for demand in asked)
    return (
        f"{unfit.replicas:,} of the {replicas:,} replicas on {unfit.accelerator} that serve it "
        f"have no place on the nodes ({unfit.reason.value}): {unfit.detail}"
    )
