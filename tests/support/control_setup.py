"""A fleet on a real cluster with a real Prometheus, whose documents can be spoiled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from collector.prometheus.source import PrometheusSource
from demos.cluster.assets import prometheus_program
from demos.cluster.prometheus import Prometheus, ScrapeTarget
from stoker.domain.control.settings import MetricSettings
from tests.support.metric_pods import vllm
from tests.support.metrics_pages import MetricsPages
from tests.support.real_cluster import RealCluster, deployment, eventually

MODEL = "chat-8b"
RATE_RPS = 60.0


def fleet_document() -> dict[str, Any]:
    """A fleet of one server."""
    return {
        "version": 1,
        "currency": "USD",
        "analysis": "reference",
        "accelerators": [
            {"name": "H100", "cost_per_hour": 3, "memory_gb": 80},
            {"name": "L4", "cost_per_hour": 0.7, "memory_gb": 24},
        ],
        "capacity": {"H100": 16, "L4": 16},
        "profiles": [
            {
                "model": MODEL,
                "accelerator": "H100",
                "max_batch": 64,
                "at_tokens": 512,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": 12,
                    "beta_ms": 0.1,
                    "gamma_ms": 0.0005,
                },
            }
        ],
        "service_classes": [
            {
                "name": "interactive",
                "priority": 1,
                "targets": [{"model": MODEL, "ttft_ms": 800, "itl_ms": 60}],
            }
        ],
        "servers": [
            {
                "name": "chat",
                "service_class": "interactive",
                "model": MODEL,
                "load": "unknown",
                "min_replicas": 1,
            }
        ],
    }


def control_document(cluster: RealCluster, prometheus_url: str, namespace: str) -> dict[str, Any]:
    """What the loop is to do with it."""
    return {
        "version": 1,
        "kind": "control",
        "fleet": "fleet.yaml",
        "loop": {"mode": "act", "period_s": 60, "deadline_s": 60},
        "metrics": {
            "prometheus_url": prometheus_url,
            "window_s": 6,
            "stale_s": 30,
            "timeout_s": 20,
        },
        "cluster": {
            "namespaces": [namespace],
            "kubeconfig": str(cluster.plane.kubeconfig()),
        },
        "lease": {"enabled": False},
    }


@dataclass
class ControlSetup:
    """Documents and a deployment; write the documents after changing them."""

    folder: Path
    cluster: RealCluster
    namespace: str
    fleet: dict[str, Any]
    control: dict[str, Any]
    labels: dict[str, str] = field(
        default_factory=lambda: {
            "stoker.dev/managed": "true",
            "stoker.dev/server": "chat",
            "stoker.dev/accelerator": "H100",
        }
    )

    @property
    def document(self) -> Path:
        return self.folder / "control.yaml"

    def write(self) -> None:
        (self.folder / "fleet.yaml").write_text(json.dumps(self.fleet))
        self.document.write_text(json.dumps(self.control))

    def deploy(self, name: str = "chat", **options: Any) -> None:
        options.setdefault("labels", self.labels)
        self.cluster.deploy(self.namespace, name, **options)

    def stateful_set(self, name: str = "chat", **options: Any) -> None:
        """Create a StatefulSet that is otherwise as `deploy` would make it."""
        options.setdefault("labels", self.labels)
        body = deployment(name, **options)
        body["kind"] = "StatefulSet"
        body["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel"}
        self.cluster.apps.create_namespaced_stateful_set(self.namespace, body)

    def replicas(self, name: str = "chat") -> int:
        found = self.cluster.apps.read_namespaced_deployment(name, self.namespace)
        return int(found.spec.replicas)


def steady_prometheus(folder: Path) -> Iterator[Prometheus]:
    """Yield a Prometheus that has seen steady load on the model for a whole window."""
    if prometheus_program() is None:
        message = "prometheus is not installed"
        if os.environ.get("STOKER_REQUIRE_CLUSTER"):
            pytest.fail(message)
        pytest.skip(message)
    pages = {"/metrics": vllm(MODEL, RATE_RPS, input_tokens=200.0, output_tokens=100.0)}
    with MetricsPages(pages) as served:
        prometheus = Prometheus(folder, scrape_interval_s=0.5)
        prometheus.set_targets([ScrapeTarget(served.address)])
        with prometheus:
            source = PrometheusSource(MetricSettings(prometheus_url=prometheus.url))

            def steady() -> bool:
                found = source.query("sum(rate(vllm:request_success_total[6s]))", 20.0)
                return bool(found) and abs(found[0].value - RATE_RPS) < 0.1 * RATE_RPS

            eventually(steady)
            yield prometheus
