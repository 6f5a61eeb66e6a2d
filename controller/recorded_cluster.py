"""What the record of a cycle tells of the cluster: its workloads, its cards, and its changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.proposals import JsonObject
from stoker.domain.control.changes import ChangeResult
from stoker.domain.control.cluster import ClusterState, ReplicaPhase, VariantState


def cluster_of(cluster: ClusterState | None) -> JsonObject | None:
    """Return what runs; None where the cluster did not tell."""
    if cluster is None:
        return None
    return {
        "age_s": cluster.age_s,
        "cards": None
        if cluster.cards is None
        else {
            name: {"total": stock.total, "managed": stock.managed, "others": stock.others}
            for name, stock in cluster.cards.items()
        },
        "workloads": [_variant(each) for each in cluster.variants],
    }


def _variant(variant: VariantState) -> Mapping[str, Any]:
    return {
        "workload": str(variant.ref),
        "server": variant.server,
        "accelerator": variant.accelerator,
        "replicas_wanted": variant.replicas_wanted,
        **{phase.value: variant.count(phase) for phase in ReplicaPhase},
        "max_batch": variant.max_batch,
        "paused": variant.paused,
        "problem": variant.problem,
    }


def change_of(result: ChangeResult) -> Mapping[str, Any]:
    """Return a change and what came of it."""
    return {
        "workload": str(result.target.ref),
        "replicas": result.target.replicas,
        "replicas_before": result.replicas_before,
        "outcome": result.outcome.value,
        "detail": result.detail,
    }
