"""Nodes with GPUs that are objects alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PRODUCT_LABEL = "nvidia.com/gpu.product"
GPU_RESOURCE = "nvidia.com/gpu"

_PODS_PER_NODE = 1000


def moment() -> str:
    """Return the time of day as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class GpuNode:
    """A node to pretend.

    Attributes:
        name: Name of the node.
        product: Product label of its GPUs.
        gpus: Number of GPUs.
        labels: Labels beside those of every node.
        resources: What it offers beside, by name of the resource.
    """

    name: str
    product: str
    gpus: int
    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, int] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """Return the node as an object for the API server."""
        resources = {
            "cpu": "1000",
            "memory": "4000Gi",
            "pods": str(_PODS_PER_NODE),
            GPU_RESOURCE: str(self.gpus),
            **{name: str(count) for name, count in self.resources.items()},
        }
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {
                    "kubernetes.io/hostname": self.name,
                    PRODUCT_LABEL: self.product,
                    **self.labels,
                },
            },
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "Pretended",
                        "message": "a node without a machine",
                        "lastHeartbeatTime": moment(),
                        "lastTransitionTime": moment(),
                    }
                ],
            },
        }
