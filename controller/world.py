"""The fleet as it is now: its document with the load, cards and replicas of this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.places import doubled, unclear
from optimizer.configurations.running import RunningAllocations
from stoker.domain.control.cluster import ClusterState, ReplicaPhase, VariantState, WorkloadRef
from stoker.domain.control.configurations import Configurations, configurations_of
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


def free_cards(cluster: ClusterState | None) -> dict[str, int] | None:
    """Return the cards that nobody holds, less those that replicas on their way will take.

    None where the cluster does not tell its cards.
    """
    if cluster is None or cluster.cards is None:
        return None
    free = {name: stock.free for name, stock in cluster.cards.items()}
    for variant in cluster.variants:
        # Replicas that end hold their cards still, and those that come will want cards beside.
        placed = sum(
            bool(each.node) and each.phase is not ReplicaPhase.TERMINATING
            for each in variant.replicas
        )
        waiting = variant.replicas_wanted - placed
        if waiting > 0 and variant.card_type in free:
            free[variant.card_type] -= waiting * (variant.cards_per_replica or 0)
    return {name: max(0, count) for name, count in free.items()}


def room_for(variant: VariantState, free: Mapping[str, int] | None) -> int | None:
    """Return how many more replicas free cards allow; None where that is unknown."""
    if free is None or variant.card_type not in free or not variant.cards_per_replica:
        return None
    return free[variant.card_type] // variant.cards_per_replica


def order_of(fleet: Fleet, server: Server) -> tuple[int, str]:
    """Return by what servers come: the more important ones take free cards first."""
    return fleet.priorities.get(server.name, 0), server.name


def _cards_out_of_reach(cluster: ClusterState) -> dict[str, int]:
    """Return the cards that workloads hold which cannot be managed: no plan may use them."""
    found: dict[str, int] = {}
    for variant in cluster.variants:
        if variant.problem:
            # Of a group that has some of its nodes, all that it will take is out of reach.
            held = sum(bool(each.node) or each.partly for each in variant.replicas)
            cards = held * (variant.cards_per_replica or 0)
            found[variant.card_type] = found.get(variant.card_type, 0) + cards
    return found


def fleet_now(
    fleet: Fleet,
    loads: Mapping[str, Load],
    cluster: ClusterState | None,
    controls: Mapping[str, ServerControl],
    pinned: frozenset[str] = frozenset(),
    unbounded: frozenset[str] = frozenset(),
    headed: Mapping[str, WorkloadRef] | None = None,
) -> Fleet:
    """Return the fleet to plan.

    A server without a load in `loads` has an unknown one: the planner keeps what runs for it, as
    it does for a paused one. Cards are those that the cluster has, less those of others and of
    workloads that cannot be managed; where the cluster does not tell them, those of the document. A
    server with workloads on one accelerator alone stays there.

    Args:
        fleet: The document.
        loads: Loads to plan for, by server.
        cluster: What runs; None where unknown.
        controls: What the loop is told of servers.
        pinned: Servers that must stay where they are.
        unbounded: Servers that are planned without their largest number of replicas.
        headed: The workload that servers are on their way to: they count as being there.
    """
    variants = variants_of(cluster)
    prices = _Prices(fleet)
    configurations = configurations_of(fleet)
    servers = tuple(
        _server_now(
            server,
            prices,
            loads.get(server.name),
            variants.get(server.name, ()),
            controls.get(server.name),
            keep=server.name in pinned,
            bounded=server.name not in unbounded,
            headed=(headed or {}).get(server.name),
            configurations=configurations,
            seen=cluster is not None,
        )
        for server in fleet.servers
    )
    capacity = fleet.capacity
    if cluster is not None and cluster.cards is not None and not fleet.pools:
        lost = _cards_out_of_reach(cluster)
        usable = {
            name: max(0, stock.usable - lost.get(name, 0)) for name, stock in cluster.cards.items()
        }
        capacity = tuple(
            Capacity(item.card_type, usable[item.card_type]) if item.card_type in usable else item
            for item in fleet.capacity
        )
        told = {item.card_type for item in capacity}
        capacity += tuple(Capacity(name, usable[name]) for name in sorted(usable.keys() - told))
    return replace(fleet, servers=servers, capacity=capacity)


class _Prices:
    """What workloads cost as they run: a move pays only where it saves more than it costs."""

    def __init__(self, fleet: Fleet) -> None:
        self._running = RunningAllocations(fleet)
        self._unit = {item.name: item.cost_per_hour for item in fleet.accelerators}

    def priced(self, server: Server, now: Allocation) -> Allocation:
        """Return what runs with its cost; 0 where it runs on what the fleet does not know."""
        unit = self._unit.get(now.accelerator or "", 0.0)
        return replace(now, cost_per_hour=unit * self._running.of(server, now).units)


def _server_now(
    server: Server,
    prices: _Prices,
    load: Load | None,
    variants: tuple[VariantState, ...],
    control: ServerControl | None,
    *,
    keep: bool,
    bounded: bool,
    headed: WorkloadRef | None,
    configurations: Configurations,
    seen: bool,
) -> Server:
    current = server.current
    if seen:
        going = next((each for each in variants if each.ref == headed), None)
        running = going or running_variant(variants)
        current = None
        if running is not None:
            twins = doubled(server, variants, configurations)
            counted = twins if running in twins else (running,)
            now = Allocation(
                running.accelerator,
                sum(each.replicas_wanted for each in counted),
                running.max_batch,
                configuration=running.configuration or None,
            )
            current = prices.priced(server, now)
    accelerators = {variant.accelerator for variant in variants}
    # The document's most replicas bound the plan too, so that it does not promise more.
    most = [
        bound
        for bound in (server.max_replicas, control.max_replicas if control else None)
        if bound is not None and bounded
    ]
    least = server.min_replicas
    if control is not None and control.min_replicas is not None:
        least = max(least, control.min_replicas)
    if any(variant.paused for variant in variants) or unclear(
        server, variants, running_variant(variants), configurations
    ):
        load = None
    return replace(
        server,
        load=load,
        current=current,
        keep_accelerator=server.keep_accelerator or keep or len(accelerators) == 1,
        max_replicas=min(most) if most else None,
        min_replicas=min(least, min(most)) if most else least,
    )
