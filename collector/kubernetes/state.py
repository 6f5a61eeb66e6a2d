"""The state of a cluster, put together from the copies of its objects."""

from __future__ import annotations

from collections.abc import Mapping

from collector.kubernetes.api import Kind, RawObject
from collector.kubernetes.hardware import CardNames, stock
from collector.kubernetes.labels import parse_selector
from collector.kubernetes.mirror import Copies, Mirror
from collector.kubernetes.replicas import Pods, pods_of
from collector.kubernetes.workloads import managed_workloads, variant
from stoker.domain.control.cluster import CardStock, ClusterState, WorkloadKind
from stoker.domain.control.settings import ClusterSettings, ServerControl
from stoker.domain.fleet import Fleet

KINDS = (
    Kind.DEPLOYMENTS,
    Kind.STATEFUL_SETS,
    Kind.LEADER_WORKER_SETS,
    Kind.PODS,
    Kind.NODES,
)
"""All kinds that the state is made from."""

_WORKLOADS = {
    Kind.DEPLOYMENTS: WorkloadKind.DEPLOYMENT,
    Kind.STATEFUL_SETS: WorkloadKind.STATEFUL_SET,
    Kind.LEADER_WORKER_SETS: WorkloadKind.LEADER_WORKER_SET,
}


def cluster_state(
    mirror: Mirror,
    fleet: Fleet,
    settings: ClusterSettings,
    servers: Mapping[str, ServerControl],
    at: float,
) -> ClusterState | None:
    """Return what the cluster holds; None where workloads or pods were never listed.

    Where nodes may not be read the cards are unknown, and everything else is told all the same.

    Raises:
        InvalidInputError: The selector of the settings is none.
    """
    copies = {kind: mirror.copies(kind) for kind in KINDS}
    problems = [part.problem for part in copies.values() if part.problem]
    pods = copies[Kind.PODS]
    found: dict[WorkloadKind, tuple[RawObject, ...]] = {
        workload: copies[kind].items or () for kind, workload in _WORKLOADS.items()
    }
    if copies[Kind.DEPLOYMENTS].items is None or pods.items is None:
        return None
    types = tuple(sorted({each.card_type for each in fleet.accelerators}))
    names = CardNames(types, settings.product_labels)
    selector = parse_selector(settings.selector)
    seen = Pods(pods.items)
    variants = []
    managed_pods: set[str] = set()
    for item, kind in managed_workloads(found, selector, servers):
        own = pods_of(item, kind, seen)
        managed_pods |= {pod["metadata"].get("uid") or "" for pod in own}
        variants.append(variant(item, kind, own, fleet, names, settings, servers))
    problems += [each.problem for each in variants if each.problem]
    cards: dict[str, CardStock] | None = None
    nodes = copies[Kind.NODES]
    if nodes.items is not None:
        cards, unclear = stock(nodes.items, pods.items, frozenset(managed_pods), names, settings)
        problems += unclear
    needed = (copies[Kind.DEPLOYMENTS], pods)
    return ClusterState(
        at,
        tuple(sorted(variants, key=lambda each: each.ref)),
        cards,
        max(_age(part) for part in needed),
        tuple(dict.fromkeys(problems)),
    )


def _age(copies: Copies) -> float:
    return copies.age_s if copies.age_s is not None else 0.0
