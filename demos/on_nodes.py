"""A plan on nodes: where its replicas stand, and what is still carried when nodes are lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from stoker.domain.fleet import Fleet
from stoker.domain.placement import NodePlacement
from stoker.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Placed:
    """A plan on the nodes.

    Attributes:
        plan: The plan.
        placement: Where its replicas stand.
    """

    plan: Plan
    placement: NodePlacement


def standing_of(placed: Placed) -> dict[str, Counter[str]]:
    """Return the replicas of each server by node."""
    found: dict[str, Counter[str]] = {item.server: Counter() for item in placed.plan.allocations}
    for replica in placed.placement.placed:
        found[replica.server][replica.node] += 1
    return found


def carried_without(placed: Placed, lost: frozenset[str] = frozenset()) -> dict[str, float]:
    """Return the share of its load that each server carries within its targets without nodes.

    Args:
        placed: A plan on nodes.
        lost: Names of the nodes that are lost.
    """
    standing = standing_of(placed)
    shares = {}
    for item in placed.plan.allocations:
        left = sum(count for node, count in standing[item.server].items() if node not in lost)
        shares[item.server] = min(1.0, left * item.max_rate_rps / item.arrival_rate_rps)
    return shares


def losses_of(fleet: Fleet, placed: Placed, *, zones: bool = False) -> dict[str, dict[str, float]]:
    """Return what each server still carries, by the node, or the zone, that is lost.

    Args:
        fleet: The fleet.
        placed: A plan on its nodes.
        zones: Whether all nodes of a zone are lost together.
    """
    groups: dict[str, set[str]] = {}
    for node in fleet.nodes:
        groups.setdefault((node.zone or "") if zones else node.name, set()).add(node.name)
    return {name: carried_without(placed, frozenset(lost)) for name, lost in groups.items()}


def worst_of(losses: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the least share of each server over all losses."""
    servers = next(iter(losses.values()))
    return {server: min(each[server] for each in losses.values()) for server in servers}


def idle_used(fleet: Fleet, placed: Placed) -> list[str]:
    """Return the nodes on which nothing ran before and now something does."""
    used = {replica.node for replica in placed.placement.placed}
    return [node.name for node in fleet.nodes if node.name in used and not node.taken]
