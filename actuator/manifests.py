"""Manifests for hands-off scaling: HPA or KEDA bring workloads to the replicas that Stoker emits.

The metric tells replicas, so its target is an average value of 1: as many replicas as it says. The
loop has waited and limited steps already, so the autoscalers follow at once. Where the metric is
gone, both keep the replicas that there are.

Sources: the API references of HorizontalPodAutoscaler (autoscaling/v2) and of KEDA's ScaledObject
(keda.sh/v1alpha1) with its Prometheus trigger.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stoker.domain.control.cluster import WorkloadKind, WorkloadRef

Manifest = dict[str, Any]

_MANAGED_BY = {"app.kubernetes.io/managed-by": "stoker"}
_FOLLOW_PERIOD_S = 15
_VERSIONS = {
    WorkloadKind.DEPLOYMENT: "apps/v1",
    WorkloadKind.STATEFUL_SET: "apps/v1",
    WorkloadKind.LEADER_WORKER_SET: "leaderworkerset.x-k8s.io/v1",
}


class Follower(StrEnum):
    """Who writes the replicas that Stoker emits."""

    HPA = "hpa"
    KEDA = "keda"


class DesiredMetric(StrEnum):
    """Under which name the desired replicas are read."""

    STOKER = "stoker"
    WVA = "wva"
    INFERNO = "inferno"

    @property
    def series(self) -> str:
        """Name of the series."""
        if self is DesiredMetric.STOKER:
            return "stoker_workload_desired_replicas"
        return f"{self.value}_desired_replicas"

    @property
    def label(self) -> str:
        """Label of the series that names the workload."""
        return "workload" if self is DesiredMetric.STOKER else "variant_name"


@dataclass(frozen=True, slots=True)
class FollowedWorkload:
    """A workload that an autoscaler is to bring to the replicas emitted for it.

    Attributes:
        ref: The object.
        min_replicas: Fewest replicas; 0 where it may go to zero.
        max_replicas: Most replicas.
    """

    ref: WorkloadRef
    min_replicas: int
    max_replicas: int


def desired_query(ref: WorkloadRef, metric: DesiredMetric) -> str:
    """Return the PromQL of the replicas that a workload is to have.

    It holds whether Prometheus honours the labels of the metric or renames `namespace`, which its
    own target has too; and of several loops only the one that leads and may write is asked: to one
    that observes, every workload is to have what it has.
    """
    name = f"{metric.series}{{{metric.label}={json.dumps(ref.name)},"
    space = json.dumps(ref.namespace)
    renamed = f"{name}exported_namespace={space}}}"
    honoured = f'{name}namespace={space},exported_namespace=""}}'
    return f"max(({renamed} or {honoured}) and on (job, instance) (stoker_acts == 1))"


def horizontal_pod_autoscaler(workload: FollowedWorkload, metric: DesiredMetric) -> Manifest:
    """Return the HPA of a workload: it reads an external metric, by an adapter for Prometheus.

    Fewest replicas are at least 1, since an HPA does not go to zero.
    """
    most = max(1, workload.max_replicas)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(workload.ref),
        "spec": {
            "scaleTargetRef": _target(workload.ref),
            "minReplicas": max(1, workload.min_replicas),
            "maxReplicas": most,
            "metrics": [
                {
                    "type": "External",
                    "external": {
                        "metric": {
                            "name": metric.series,
                            "selector": {"matchLabels": {metric.label: workload.ref.name}},
                        },
                        "target": {"type": "AverageValue", "averageValue": "1"},
                    },
                }
            ],
            "behavior": _behaviour(most),
        },
    }


def scaled_object(
    workload: FollowedWorkload, metric: DesiredMetric, prometheus_url: str
) -> Manifest:
    """Return KEDA's ScaledObject of a workload.

    Args:
        workload: The workload.
        metric: Under which name its replicas are read.
        prometheus_url: Where KEDA reaches Prometheus.
    """
    most = max(1, workload.max_replicas)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": _metadata(workload.ref),
        "spec": {
            "scaleTargetRef": _target(workload.ref),
            "pollingInterval": _FOLLOW_PERIOD_S,
            "cooldownPeriod": _FOLLOW_PERIOD_S,
            "minReplicaCount": workload.min_replicas,
            "maxReplicaCount": most,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behaviour(most)}},
            "triggers": [
                {
                    "type": "prometheus",
                    "metricType": "AverageValue",
                    "metadata": {
                        "serverAddress": prometheus_url,
                        "query": desired_query(workload.ref, metric),
                        "threshold": "1",
                        # No answer is not zero: without it KEDA would take silence for no load.
                        "ignoreNullValues": "false",
                    },
                }
            ],
        },
    }


def _metadata(ref: WorkloadRef) -> Manifest:
    name = ref.name
    if ref.kind is not WorkloadKind.DEPLOYMENT:  # a Deployment may have the same name
        name = f"{name}-{ref.kind.value.lower()}"
    return {"name": name, "namespace": ref.namespace, "labels": dict(_MANAGED_BY)}


def _target(ref: WorkloadRef) -> Manifest:
    return {"apiVersion": _VERSIONS[ref.kind], "kind": ref.kind.value, "name": ref.name}


def _behaviour(most: int) -> Manifest:
    """Return how to follow: at once, and in one step."""

    def rules() -> Manifest:
        policy = {"type": "Pods", "value": most, "periodSeconds": _FOLLOW_PERIOD_S}
        return {"stabilizationWindowSeconds": 0, "policies": [policy]}

    return {"scaleUp": rules(), "scaleDown": rules()}
