"""The account that the loop runs as in a cluster, with the roles of `deploy/rbac.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubernetes
import yaml

from tests.support.real_cluster import RealCluster

MANIFESTS = Path(__file__).resolve().parents[2] / "deploy" / "rbac.yaml"
ACCOUNT = "system:serviceaccount:stoker:stoker"
_BOUND = ("stoker-observe", "stoker-act")


@contextmanager
def roles_applied(cluster: RealCluster) -> Iterator[None]:
    """Have the roles of the manifests in a cluster, as long as the context lasts."""
    create: Any = kubernetes.utils.create_from_dict
    for document in yaml.safe_load_all(MANIFESTS.read_text()):
        try:
            create(cluster.admin, document)
        except kubernetes.utils.FailToCreateError as error:
            # The namespace and what is in it stay from the test before.
            if any(each.status != 409 for each in error.api_exceptions):
                raise
    try:
        yield
    finally:
        rbac: Any = kubernetes.client.RbacAuthorizationV1Api(cluster.admin)
        for name in _BOUND:
            rbac.delete_cluster_role_binding(name)
        for name in (*_BOUND, "stoker-batch-limits"):
            rbac.delete_cluster_role(name)
