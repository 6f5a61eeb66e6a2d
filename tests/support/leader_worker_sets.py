"""LeaderWorkerSets in a cluster that has no controller for them: the kind, sets, and their pods."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import kubernetes

from demos.cluster.nodes import GPU_RESOURCE, PRODUCT_LABEL
from tests.support.real_cluster import H100, RealCluster, eventually

GROUP, VERSION, PLURAL = "leaderworkerset.x-k8s.io", "v1", "leaderworkersets"
_ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "LeaderWorkerSet", "plural": PLURAL, "singular": "leaderworkerset"},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        **_ANY,
                        "properties": {
                            "spec": {**_ANY, "properties": {"replicas": {"type": "integer"}}}
                        },
                    }
                },
                "subresources": {
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                    }
                },
            }
        ],
    },
}


class LeaderWorkerSets:
    """The kind, as long as the context lasts."""

    def __init__(self, cluster: RealCluster) -> None:
        self._cluster = cluster
        self._custom: Any = kubernetes.client.CustomObjectsApi(cluster.admin)

    def create(
        self,
        namespace: str,
        name: str,
        *,
        replicas: int = 1,
        size: int = 1,
        labels: Mapping[str, str] | None = None,
        leader_gpus: int = 0,
        worker_gpus: int = 0,
    ) -> None:
        """Create a set; nothing makes its pods."""
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "LeaderWorkerSet",
            "metadata": {"name": name, "labels": dict(labels or {})},
            "spec": {
                "replicas": replicas,
                "leaderWorkerTemplate": {
                    "size": size,
                    "leaderTemplate": {"spec": _pod_spec(leader_gpus)},
                    "workerTemplate": {"spec": _pod_spec(worker_gpus)},
                },
            },
        }

        def create() -> None:
            self._custom.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body)

        _until(404, create)  # the server may have learned of the kind only just now

    def pod(self, namespace: str, name: str, group: int, worker: int, gpus: int) -> None:
        """Create a pod of a set, as its controller would."""
        index = "" if worker == 0 else f"-{worker}"
        body = {
            "metadata": {
                "name": f"{name}-{group}{index}",
                "labels": {
                    "leaderworkerset.sigs.k8s.io/name": name,
                    "leaderworkerset.sigs.k8s.io/group-index": str(group),
                    "leaderworkerset.sigs.k8s.io/worker-index": str(worker),
                },
            },
            "spec": {**_pod_spec(gpus), "terminationGracePeriodSeconds": 1},
        }
        self._cluster.core.create_namespaced_pod(namespace, body)

    def replicas(self, namespace: str, name: str) -> int:
        """Return what a set asks for."""
        found = self._custom.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
        return int(found["spec"]["replicas"])


@contextlib.contextmanager
def leader_worker_sets(cluster: RealCluster) -> Iterator[LeaderWorkerSets]:
    """Have a cluster know the kind, and forget it afterwards."""
    extensions: Any = kubernetes.client.ApiextensionsV1Api(cluster.admin)
    # Another test may have had it forgotten a moment ago.
    _until(409, lambda: extensions.create_custom_resource_definition(_DEFINITION))
    try:
        yield LeaderWorkerSets(cluster)
    finally:
        extensions.delete_custom_resource_definition(_DEFINITION["metadata"]["name"])


def _pod_spec(gpus: int) -> dict[str, Any]:
    limits = {GPU_RESOURCE: str(gpus)} if gpus else {}
    container = {"name": "server", "image": "example.com/server:1", "resources": {"limits": limits}}
    return {"nodeSelector": {PRODUCT_LABEL: H100}, "containers": [container]}


def _until(refusal: int, action: Callable[[], object]) -> None:
    """Try something again as long as it is refused so."""

    def done() -> bool:
        try:
            action()
        except kubernetes.client.ApiException as error:
            if error.status != refusal:
                raise
            return False
        return True

    eventually(done)
