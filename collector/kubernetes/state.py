"""The state of a cluster, put together from the copies of its objects."""

from __future__ import annotations

from collections.abc import Mapping

from collector.kubernetes.api import Kind, RawObject
from collector.kubernetes.hardware import CardNames, stock
from collector.kubernetes.labels import parse_selector
from collector.kubernetes.mirror import Copies, Mirror
from collector.kubernetes.replicas import Pods, pods_of
from collector.kubernetes.workloads import managed_workloads, variant
from stoker.domain.control.cluster import ClusterState, WorkloadKind
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

    Where nodes, or the pods of other namespaces, may not be read the cards are unknown; all else
    is told all the same. It is as old as the oldest copies of pods, of Deployments, and of other
    kinds that a managed workload is of: a cluster that does not know a kind is seldom asked for it.

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
    managed = managed_workloads(found, selector, servers)
    for item, kind in managed:
        own = pods_of(item, kind, seen)
        managed_pods |= {pod["metadata"].get("uid") or "" for pod in own}
        variants.append(variant(item, kind, own, fleet, names, settings, servers))
    problems += [each.problem for each in variants if each.problem]
    cards, cards_problem = None, ""
    nodes, others = copies[Kind.NODES], mirror.others()
    if nodes.items is None:
        cards_problem = nodes.problem or "the cluster did not tell its nodes yet"
    elif settings.sole_tenant:
        cards, unclear = stock(nodes.items, pods.items, frozenset(managed_pods), names, settings)
        problems += unclear
    elif others.items is None:
        cards_problem = _unseen(others)
        problems.append(cards_problem)
    else:
        every = (*pods.items, *others.items)
        cards, unclear = stock(nodes.items, every, frozenset(managed_pods), names, settings)
        problems += unclear
        if others.problem:
            problems.append(others.problem)
    kinds = {WorkloadKind.DEPLOYMENT, *(kind for _, kind in managed)}
    needed = (pods, *(copies[kind] for kind, made in _WORKLOADS.items() if made in kinds))
    return ClusterState(
        at,
        tuple(sorted(variants, key=lambda each: each.ref)),
        cards,
        max(_age(part) for part in needed),
        tuple(dict.fromkeys(problems)),
        cards_problem,
    )


def _unseen(others: Copies) -> str:
    why = others.problem or "pods of other namespaces are not told yet"
    return (
        f"cards are unknown, since pods of other namespaces may hold some: {why}; or say "
        "cluster.sole_tenant: true where none of them does"
    )


def _age(copies: Copies) -> float:
    return copies.age_s if copies.age_s is not None else 0.0
