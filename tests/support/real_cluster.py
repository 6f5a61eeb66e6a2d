"""A real control plane with pretended GPU nodes, started once for all tests that need one."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from demos.cluster.assets import kubernetes_folder
from demos.cluster.control_plane import ADMIN, ClusterUser, ControlPlane
from demos.cluster.nodes import (
    GPU_RESOURCE,
    PRODUCT_LABEL,
    STARTUP_ANNOTATION,
    GpuNode,
    Kubelet,
)

H100 = "NVIDIA-H100-80GB-HBM3"
L4 = "NVIDIA-L4"
NODES = (
    GpuNode("h100-a", H100, 8),
    GpuNode("h100-b", H100, 8),
    GpuNode("l4-a", L4, 16),
)
USERS = (
    *(ClusterUser(name) for name in ("stoker", "nobody", "no-nodes", "tenant")),
    ClusterUser("system:serviceaccount:stoker:stoker"),
)

PATIENCE_S = 60.0
_NAMESPACES = itertools.count(1)


@dataclass(frozen=True)
class RealCluster:
    """The cluster, with the words that tests need."""

    plane: ControlPlane
    kubelet: Kubelet
    admin: Any = field(repr=False)
    namespaces: list[str] = field(default_factory=list)
    """Those that tests made, in the order in which they did."""

    @property
    def apps(self) -> Any:
        return kubernetes.client.AppsV1Api(self.admin)

    @property
    def core(self) -> Any:
        return kubernetes.client.CoreV1Api(self.admin)

    def client(self, user: str) -> Any:
        """A client that acts as somebody."""
        found = next(each for each in (ADMIN, *USERS) if each.name == user)
        return self.plane.client(found)

    def namespace(self) -> str:
        """A new namespace."""
        name = f"test-{os.getpid()}-{next(_NAMESPACES)}"
        self.core.create_namespace({"metadata": {"name": name}})
        self.namespaces.append(name)
        return name

    def vacate(self, namespace: str) -> None:
        """Take all workloads out of a namespace at once, so that others find free cards."""
        self.apps.delete_collection_namespaced_deployment(namespace)
        self.apps.delete_collection_namespaced_stateful_set(namespace)
        self.apps.delete_collection_namespaced_replica_set(namespace)
        self.core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)

    def settled(self) -> bool:
        """Whether no pod is left of workloads that are gone."""
        names = {pod.metadata.namespace for pod in self.core.list_pod_for_all_namespaces().items}
        return all(
            self.apps.list_namespaced_deployment(name).items
            or self.apps.list_namespaced_stateful_set(name).items
            for name in names.intersection(self.namespaces)
        )

    def deploy(self, namespace: str, name: str, **options: Any) -> None:
        """Create a deployment as `deployment` describes it."""
        self.apps.create_namespaced_deployment(namespace, deployment(name, **options))

    def deploy_set(self, namespace: str, name: str, **options: Any) -> None:
        """Create a stateful set of the same servers: its pods are named name-0, name-1, ..."""
        body = deployment(name, **options)
        body["kind"] = "StatefulSet"
        body["spec"]["serviceName"] = name
        self.apps.create_namespaced_stateful_set(namespace, body)

    def grant(
        self, user: str, rules: Sequence[Mapping[str, Sequence[str]]], namespace: str = ""
    ) -> None:
        """Let somebody do something, in one namespace or everywhere."""
        rbac: Any = kubernetes.client.RbacAuthorizationV1Api(self.admin)
        name = f"{user}-{next(_NAMESPACES)}"
        role = {"metadata": {"name": name}, "rules": [dict(rule) for rule in rules]}
        binding = {
            "metadata": {"name": name},
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role" if namespace else "ClusterRole",
                "name": name,
            },
        }
        if namespace:
            rbac.create_namespaced_role(namespace, role)
            rbac.create_namespaced_role_binding(namespace, binding)
        else:
            rbac.create_cluster_role(role)
            rbac.create_cluster_role_binding(binding)


def deployment(
    name: str,
    *,
    replicas: int = 1,
    gpus: int = 1,
    product: str = H100,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    startup_s: float | None = None,
    grace_s: int = 1,
) -> dict[str, Any]:
    """A deployment of a model server."""
    pod_annotations = {} if startup_s is None else {STARTUP_ANNOTATION: str(startup_s)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "labels": dict(labels or {}),
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": pod_annotations},
                "spec": {
                    "nodeSelector": {PRODUCT_LABEL: product},
                    "terminationGracePeriodSeconds": grace_s,
                    "containers": [
                        {
                            "name": "server",
                            "image": "example.com/server:1",
                            "args": list(args),
                            "env": [
                                {"name": key, "value": text} for key, text in (env or {}).items()
                            ],
                            "resources": {"limits": {GPU_RESOURCE: str(gpus)}},
                        }
                    ],
                },
            },
        },
    }


def eventually(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait until something holds; fail the test where it never does."""
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def real_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """The cluster; where its programs are not there, tests are skipped, or fail where required."""
    if kubernetes_folder() is None:
        message = "no Kubernetes programs: run tools/build_kubernetes.sh"
        if os.environ.get("STOKER_REQUIRE_CLUSTER"):
            pytest.fail(message)
        pytest.skip(message)
    folder: Path = tmp_path_factory.mktemp("cluster")
    with ControlPlane(folder, USERS) as plane, Kubelet(plane, NODES) as kubelet:
        yield RealCluster(plane, kubelet, plane.client())


@pytest.fixture(autouse=True)
def cards_given_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take down what a test put into namespaces of its own, so that the next one finds cards."""
    if "real_cluster" not in request.fixturenames:
        yield
        return
    cluster: RealCluster = request.getfixturevalue("real_cluster")
    before = len(cluster.namespaces)
    yield
    for namespace in cluster.namespaces[before:]:
        cluster.vacate(namespace)
