"""What plans over pools, limits and objectives cannot be combined with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizer.pooled.pool_nodes import nodes_by_pool
from optimizer.pooled.pools import pools_of
from optimizer.table import CandidateTable
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Survival
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind

_FOR = "a plan with pools, limits or objectives"


def refuse_combinations(fleet: Fleet, settings: OptimizerSettings) -> None:
    """Refuse settings that a plan over pools does not know.

    Raises:
        InvalidInputError: Naming every one of them.
    """
    problems = []
    if settings.unlimited:
        problems.append(
            Problem("optimizer.unlimited", f"true, in {_FOR}", "false: pools and limits are heeded")
        )
    if settings.solver is SolverKind.GREEDY:
        problems.append(Problem("optimizer.solver", f"greedy, in {_FOR}", "milp"))
    if settings.heterogeneous:
        problems.append(
            Problem(
                "optimizer.heterogeneous",
                f"true, in {_FOR}: a server may not mix accelerators there",
                "false",
            )
        )
    if settings.placement:
        problems += list(_without_places(fleet))
    problems += list(_unknown_names(fleet))
    if problems:
        raise InvalidInputError(problems)


def _without_places(fleet: Fleet) -> Iterator[Problem]:
    """Yield what keeps a plan over pools from fitting its nodes."""
    if not fleet.nodes:
        yield Problem(
            "nodes", "is missing, though optimizer.placement is true", "the nodes of the fleet"
        )
    pools = pools_of(fleet)
    _, strays = nodes_by_pool(fleet.nodes, pools)
    for node in strays:
        names = [pool.name for pool in pools if pool.card_type == node.card_type]
        where = "none" if node.zone is None else repr(node.zone)
        yield Problem(
            f"nodes.{node.name}.pool",
            f"{node.pool!r} is no pool of {node.card_type}"
            if node.pool is not None
            else f"is not told, and its zone ({where}) is not that of just one pool",
            ", ".join(sorted(names)) or f"cards of {node.card_type} in capacity or pools",
        )


def unheeded(settings: OptimizerSettings) -> tuple[str, ...]:
    """Return what a reader should know of settings that such a plan does not heed."""
    policy = settings.saturation_policy
    if policy is SaturationPolicy.NONE:
        return ()
    return (
        f"saturation policy {policy.value} was ignored: in {_FOR} best effort comes with the "
        "objective fairness",
    )


def left_out(fleet: Fleet, table: CandidateTable) -> tuple[str, ...]:
    """Return what a reader should know of candidates that rules of the fleet leave out."""
    if fleet.limits.headroom.survive is not Survival.NODE:
        return ()
    if not np.any(table.accepted & table.disaggregated):
        return ()
    return (
        "prefill and decode apart were left out: limits.headroom.survive: node is promised of "
        "replicas that do both",
    )


def _unknown_names(fleet: Fleet) -> list[Problem]:
    """Return references of wishes and pools that nothing answers to."""
    pools = {pool.name for pool in fleet.pools} | {item.card_type for item in fleet.capacity}
    servers = {server.name for server in fleet.servers}
    quotas = {group.name for group in fleet.quotas}
    problems = [
        Problem(f"wishes.{name}", f"no server is called {name!r}", ", ".join(sorted(servers)))
        for name in fleet.wishes
        if name not in servers
    ]
    for name, wishes in fleet.wishes.items():
        problems += [
            Problem(
                f"servers.{name}.{key}", f"no pool is called {item!r}", ", ".join(sorted(pools))
            )
            for key, items in (("pools", wishes.pools), ("prefer_pools", wishes.prefer_pools))
            for item in items
            if item not in pools
        ]
    problems += [
        Problem(
            f"pools.{pool.name}.quota_group",
            f"no quota is called {pool.quota_group!r}",
            ", ".join(sorted(quotas)),
        )
        for pool in fleet.pools
        if pool.quota_group is not None and pool.quota_group not in quotas
    ]
    return problems
