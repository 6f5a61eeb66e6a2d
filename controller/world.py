"""The fleet as it is now: its document with the load, cards and replicas of this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stoker.domain.control.cluster import ClusterState, ReplicaPhase, VariantState
from stoker.domain.control.settings import ServerControl
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.server import Allocation, Server
from stoker.domain.workload import Load


def variants_of(cluster: ClusterState | None) -> dict[str, tuple[VariantState, ...]]:
    """Return the workloads that can be managed, by server."""
    found: dict[str, tuple[VariantState, ...]] = {}
    for variant in () if cluster is None else cluster.variants:
        if not variant.problem:
            found[variant.server] = (*found.get(variant.server, ()), variant)
    return found


def running_variant(variants: tuple[VariantState, ...]) -> VariantState | None:
    """Return the workload that serves: the one with most ready replicas, then with most wanted."""
    if not variants:
        return None
    return max(
        variants,
        key=lambda each: (each.count(ReplicaPhase.READY), each.replicas_wanted, each.ref),
    )


def fleet_now(
    fleet: Fleet,
    loads: Mapping[str, Load],
    cluster: ClusterState | None,
    controls: Mapping[str, ServerControl],
    pinned: frozenset[str] = frozenset(),
) -> Fleet:
    """Return the fleet to plan.

    A server without a load in `loads` has an unknown one: the planner keeps what runs for it.
    Cards are those that the cluster has, less those of others; where the cluster does not tell
    them, those of the document. A server with workloads on one accelerator alone stays there.

    Args:
        fleet: The document.
        loads: Loads to plan for, by server.
        cluster: What runs; None where unknown.
        controls: What the loop is told of servers.
        pinned: Servers that must stay where they are.
    """
    variants = variants_of(cluster)
    servers = tuple(
        _server_now(
            server,
            loads.get(server.name),
            variants.get(server.name, ()),
            controls.get(server.name),
            keep=server.name in pinned,
            seen=cluster is not None,
        )
        for server in fleet.servers
    )
    capacity = fleet.capacity
    if cluster is not None and cluster.cards is not None and not fleet.pools:
        stocks = cluster.cards
        capacity = tuple(
            Capacity(item.card_type, stocks[item.card_type].usable)
            if item.card_type in stocks
            else item
            for item in fleet.capacity
        )
        told = {item.card_type for item in capacity}
        capacity += tuple(
            Capacity(name, stocks[name].usable) for name in sorted(stocks) if name not in told
        )
    return replace(fleet, servers=servers, capacity=capacity)


def _server_now(
    server: Server,
    load: Load | None,
    variants: tuple[VariantState, ...],
    control: ServerControl | None,
    *,
    keep: bool,
    seen: bool,
) -> Server:
    current = server.current
    if seen:
        running = running_variant(variants)
        current = None
        if running is not None:
            current = Allocation(
                running.accelerator,
                running.replicas_wanted,
                running.max_batch,
                configuration=running.configuration or None,
            )
    accelerators = {variant.accelerator for variant in variants}
    # The document's most replicas bound the plan too, so that it does not promise more.
    most = [
        bound
        for bound in (server.max_replicas, control.max_replicas if control else None)
        if bound is not None
    ]
    least = server.min_replicas
    if control is not None and control.min_replicas is not None:
        least = max(least, control.min_replicas)
    return replace(
        server,
        load=load,
        current=current,
        keep_accelerator=server.keep_accelerator or keep or len(accelerators) == 1,
        max_replicas=min(most) if most else None,
        min_replicas=min(least, min(most)) if most else least,
    )
