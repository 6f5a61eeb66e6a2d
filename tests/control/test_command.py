"""`stoker control` on a real API server and a real Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from collector.prometheus.source import PrometheusSource
from demos.cluster.assets import prometheus_program
from demos.cluster.prometheus import Prometheus, ScrapeTarget
from stoker.domain.control.settings import MetricSettings
from tests.support.cli import stoker
from tests.support.metric_pods import vllm
from tests.support.metrics_pages import MetricsPages
from tests.support.real_cluster import RealCluster, eventually

FLEET = """
version: 1
currency: USD
accelerators:
  - {name: H100, cost_per_hour: 3, memory_gb: 80}
capacity: {H100: 16}
profiles:
  - model: chat-8b
    accelerator: H100
    max_batch: 64
    at_tokens: 512
    parameters: {kind: token-work, alpha_ms: 12, beta_ms: 0.1, gamma_ms: 0.0005}
service_classes:
  - name: interactive
    priority: 1
    targets: [{model: chat-8b, ttft_ms: 800, itl_ms: 60}]
servers:
  - {name: chat, service_class: interactive, model: chat-8b, load: unknown, min_replicas: 1}
analysis: reference
"""

RATE_RPS = 60.0


@dataclass
class Setup:
    """A control document, and the deployment that it controls."""

    document: Path
    namespace: str
    cluster: RealCluster

    def replicas(self) -> int:
        found = self.cluster.apps.read_namespaced_deployment("chat", self.namespace)
        return int(found.spec.replicas)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    if prometheus_program() is None:
        pytest.skip("prometheus is not installed")
    pages = {"/metrics": vllm("chat-8b", RATE_RPS, input_tokens=200.0, output_tokens=100.0)}
    with MetricsPages(pages) as served:
        server = Prometheus(tmp_path_factory.mktemp("prometheus"), scrape_interval_s=0.5)
        server.set_targets([ScrapeTarget(served.address)])
        with server:
            source = PrometheusSource(MetricSettings(prometheus_url=server.url))

            def steady() -> bool:
                found = source.query("sum(rate(vllm:request_success_total[6s]))", 20.0)
                return bool(found) and abs(found[0].value - RATE_RPS) < 0.1 * RATE_RPS

            eventually(steady)
            yield server


@pytest.fixture
def setup(real_cluster: RealCluster, prometheus: Prometheus, tmp_path: Path) -> Setup:
    namespace = real_cluster.namespace()
    labels = {
        "stoker.dev/managed": "true",
        "stoker.dev/server": "chat",
        "stoker.dev/accelerator": "H100",
    }
    real_cluster.deploy(namespace, "chat", labels=labels)
    (tmp_path / "fleet.yaml").write_text(FLEET)
    document = tmp_path / "control.yaml"
    document.write_text(
        f"""
version: 1
kind: control
fleet: fleet.yaml
loop: {{mode: act, period_s: 60, deadline_s: 60}}
metrics: {{prometheus_url: "{prometheus.url}", window_s: 6, stale_s: 20}}
cluster:
  namespaces: [{namespace}]
  kubeconfig: {real_cluster.plane.kubeconfig()}
lease: {{enabled: false}}
"""
    )
    return Setup(document, namespace, real_cluster)


def test_one_cycle_scales_up_and_is_written_down(setup: Setup) -> None:
    def scaled() -> bool:
        result = stoker("control", "run", str(setup.document), "--cycles", "1", "--format", "json")
        assert result.exit_code == 0, result.stderr
        record = json.loads(result.stdout)
        return bool(record["changes"])

    eventually(scaled)
    assert setup.replicas() > 1
    shown = stoker("control", "status", str(setup.document), "--format", "json")
    record = json.loads(shown.stdout)
    assert record["servers"]["chat"]["decision"]["direction"] == "up"
    assert record["servers"]["chat"]["load"]["arrival_rate_rps"] == pytest.approx(RATE_RPS, rel=0.2)
    assert record["changes"][0]["outcome"] == "applied"
    assert record["changes"][0]["replicas"] == setup.replicas()
    for command in (["status"], ["history"], ["explain"]):
        arguments = [*command, str(setup.document), *(["chat"] if command == ["explain"] else [])]
        text = stoker("control", *arguments)
        assert text.exit_code == 0, text.stderr
        assert "chat" in text.stdout
    # The second cycle finds everything as it should be, and writes nothing.
    again = stoker("control", "run", str(setup.document), "--cycles", "1", "--format", "json")
    assert json.loads(again.stdout)["changes"] == []


def test_advice_waits_for_approval(setup: Setup) -> None:
    advise = ["control", "run", str(setup.document), "--cycles", "1", "--mode", "advise"]

    def open_decision() -> bool:
        result = stoker(*advise, "--format", "json")
        assert result.exit_code == 0, result.stderr
        decision = json.loads(result.stdout)["servers"]["chat"]["decision"]
        return bool(decision["targets"])

    eventually(open_decision)
    assert setup.replicas() == 1
    approved = stoker("control", "approve", str(setup.document))
    assert approved.exit_code == 0, approved.stderr
    assert f"{setup.namespace}/chat" in approved.stdout

    def done() -> bool:
        stoker(*advise)
        if setup.replicas() > 1:
            return True
        stoker("control", "approve", str(setup.document))  # the load moved: it decided anew
        return False

    eventually(done)


def test_before_the_first_cycle_there_is_nothing_to_show(setup: Setup) -> None:
    result = stoker("control", "status", str(setup.document))
    assert result.exit_code == 2
    assert "the loop has not run yet" in result.stderr


def test_a_wrong_document_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    document = tmp_path / "control.yaml"
    document.write_text(
        "version: 1\nkind: control\nfleet: fleet.yaml\n"
        "loop: {period_s: 10, deadline_s: 20}\n"
        "lease: {renew_s: 10}\n"
        "servers: [{server: chatt, queries: {arrival: up}}]\n"
    )
    result = stoker("control", "run", str(document))
    assert result.exit_code == 2
    for words in ("loop.deadline_s", "lease.renew_s", "arrival", "is no signal"):
        assert words in result.stderr
