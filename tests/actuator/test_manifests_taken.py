"""A real API server takes the manifests of HPA and KEDA, and drops nothing of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest

from actuator.manifests import (
    DesiredMetric,
    FollowedWorkload,
    horizontal_pod_autoscaler,
    scaled_object,
)
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef
from tests.support.real_cluster import RealCluster, eventually

GROUP, VERSION, PLURAL = "keda.sh", "v1alpha1", "scaledobjects"
_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "format": "int32"}


def _record(required: tuple[str, ...] = (), **fields: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": fields}
    return {**found, "required": list(required)} if required else found


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_RULES = _record(
    stabilizationWindowSeconds=_COUNT,
    selectPolicy=_TEXT,
    policies=_list(
        _record(("type", "value", "periodSeconds"), type=_TEXT, value=_COUNT, periodSeconds=_COUNT)
    ),
)
# The fields of KEDA's own definition that people set, with its types; what it does not know is
# dropped by the API server.
_SPEC = _record(
    ("scaleTargetRef", "triggers"),
    scaleTargetRef=_record(("name",), apiVersion=_TEXT, kind=_TEXT, name=_TEXT),
    pollingInterval=_COUNT,
    cooldownPeriod=_COUNT,
    initialCooldownPeriod=_COUNT,
    idleReplicaCount=_COUNT,
    minReplicaCount=_COUNT,
    maxReplicaCount=_COUNT,
    fallback=_record(("failureThreshold", "replicas"), failureThreshold=_COUNT, replicas=_COUNT),
    advanced=_record(
        restoreToOriginalReplicaCount={"type": "boolean"},
        horizontalPodAutoscalerConfig=_record(
            name=_TEXT, behavior=_record(scaleUp=_RULES, scaleDown=_RULES)
        ),
    ),
    triggers=_list(
        _record(
            ("type", "metadata"),
            type=_TEXT,
            name=_TEXT,
            metricType=_TEXT,
            useCachedMetrics={"type": "boolean"},
            metadata={"type": "object", "additionalProperties": _TEXT},
        )
    ),
)
_DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "ScaledObject", "plural": PLURAL, "singular": "scaledobject"},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": _record(("spec",), spec=_SPEC)},
            }
        ],
    },
}


@contextlib.contextmanager
def keda(cluster: RealCluster) -> Iterator[Any]:
    """Have a cluster know scaled objects as long as the context lasts; yield what makes them."""
    extensions: Any = kubernetes.client.ApiextensionsV1Api(cluster.admin)
    custom: Any = kubernetes.client.CustomObjectsApi(cluster.admin)
    extensions.create_custom_resource_definition(_DEFINITION)

    def served() -> bool:
        try:
            custom.list_cluster_custom_object(GROUP, VERSION, PLURAL)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise
            return False
        return True

    try:
        eventually(served)
        yield custom
    finally:
        extensions.delete_custom_resource_definition(_DEFINITION["metadata"]["name"])


def test_an_api_server_takes_the_scaled_object(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    with keda(real_cluster) as custom:
        for kind in WorkloadKind:
            workload = FollowedWorkload(WorkloadRef(namespace, "chat", kind), 0, 6)
            manifest = scaled_object(workload, DesiredMetric.STOKER, "http://prometheus:9090")
            found = custom.create_namespaced_custom_object(
                GROUP, VERSION, namespace, PLURAL, manifest
            )
            assert found["spec"] == manifest["spec"]
            wrong = {**manifest, "metadata": {"name": "other"}, "spec": {**manifest["spec"]}}
            wrong["spec"]["triggers"] = [{"type": "prometheus", "metadata": {"threshold": 1}}]
            with pytest.raises(kubernetes.client.ApiException, match="threshold"):
                custom.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, wrong)


def test_an_api_server_takes_the_hpa(real_cluster: RealCluster) -> None:
    """Its version here is the one before, v2beta2, which has the same fields."""
    ref = WorkloadRef(real_cluster.namespace(), "chat")
    manifest = horizontal_pod_autoscaler(FollowedWorkload(ref, 1, 6), DesiredMetric.STOKER)
    custom: Any = kubernetes.client.CustomObjectsApi(real_cluster.admin)
    where = ("autoscaling", "v2beta2", ref.namespace, "horizontalpodautoscalers")
    body = {**manifest, "apiVersion": "autoscaling/v2beta2"}
    found = custom.create_namespaced_custom_object(*where, body)
    assert found["spec"] == {
        **manifest["spec"],
        "behavior": {
            way: {"selectPolicy": "Max", **rules}
            for way, rules in manifest["spec"]["behavior"].items()
        },
    }
    wrong = {**body, "spec": {**body["spec"], "minReplicas": 7}, "metadata": {"name": "other"}}
    with pytest.raises(kubernetes.client.ApiException, match="maxReplicas"):
        custom.create_namespaced_custom_object(*where, wrong)
