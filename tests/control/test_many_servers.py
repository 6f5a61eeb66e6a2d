"""Forty servers: a steady fleet is left alone, and what is asked does not grow with it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from benchmarks.control_fleet import (
    ScaledServer,
    deployments,
    fleet_document,
    metrics_page,
    nodes,
    scaled_servers,
)
from demos.cluster.prometheus import Prometheus, ScrapeTarget
from stoker.cli.control_wiring import wired
from stoker.domain.control.settings import MetricSettings
from tests.support.control_setup import control_document
from tests.support.metrics_pages import MetricsPages
from tests.support.real_cluster import RealCluster, eventually

SERVERS, FEW = 40, 8
WINDOW_S = 6
PATIENCE_S = 240.0
BETWEEN_S = 1.0
"""Time between two cycles in which replicas come up: they need the processor more."""


class Counters:
    """Counts what the API server and Prometheus were asked, by their own metrics."""

    def __init__(self, cluster: RealCluster, prometheus: Prometheus) -> None:
        self._cluster = cluster
        self._prometheus = prometheus

    def writes(self) -> float:
        """Writes of replicas: nobody but the loop uses that way."""
        return self._scales("PUT") + self._scales("PATCH")

    def reads(self) -> float:
        return self._scales("GET")

    def queries(self) -> float:
        page = urllib3.request("GET", f"{self._prometheus.url}/metrics").data.decode()
        return _total(page, "prometheus_http_requests_total", 'handler="/api/v1/query"')

    def events(self, namespace: str) -> int:
        found = self._cluster.core.list_namespaced_event(namespace).items
        return sum(each.source.component == "stoker" for each in found)

    def _scales(self, verb: str) -> float:
        answer = self._cluster.admin.call_api(
            *self._cluster.admin.param_serialize("GET", "/metrics", auth_settings=["BearerToken"])
        )
        page = answer.read().decode()
        conditions = 'resource="deployments"', 'subresource="scale"', f'verb="{verb}"'
        return _total(page, "apiserver_request_total", *conditions)


def _total(page: str, name: str, *conditions: str) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith(f"{name}{{") and all(each in line for each in conditions)
    )


@pytest.fixture(scope="module")
def servers() -> tuple[ScaledServer, ...]:
    return scaled_servers(SERVERS)


@pytest.fixture(scope="module")
def prometheus(
    servers: tuple[ScaledServer, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    from collector.prometheus.source import PrometheusSource

    offered = sum(each.rate_rps for each in servers)
    with MetricsPages({"/metrics": metrics_page(servers)}) as pages:
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), scrape_interval_s=1.0)
        prometheus.set_targets([ScrapeTarget(pages.address)])
        with prometheus:
            source = PrometheusSource(MetricSettings(prometheus_url=prometheus.url))
            query = f"sum(rate(vllm:request_success_total[{WINDOW_S}s]))"

            def measured() -> bool:
                found = source.query(query, 20.0)
                return bool(found) and found[0].value == pytest.approx(offered, rel=0.05)

            eventually(measured, PATIENCE_S)
            yield prometheus


@pytest.fixture(scope="module")
def namespace(real_cluster: RealCluster, servers: tuple[ScaledServer, ...]) -> Iterator[str]:
    """A namespace with all workloads, on nodes of their own."""
    name = real_cluster.namespace()
    added = nodes(SERVERS)
    for node in added:
        real_cluster.kubelet.add_node(node)
    for manifest in deployments(servers):
        real_cluster.apps.create_namespaced_deployment(name, manifest)
    yield name
    real_cluster.vacate(name)
    for node in added:
        real_cluster.kubelet.remove_node(node.name)


def document(
    folder: Path, cluster: RealCluster, prometheus: Prometheus, namespace: str, count: int
) -> Path:
    control: dict[str, Any] = control_document(cluster, prometheus.url, namespace)
    control["loop"] = {"mode": "act", "period_s": 300, "deadline_s": 300}
    control["stability"] = {"scale_down_window_s": 3600}
    control["forecast"] = {"method": "last", "quantile": 0.5}
    folder.mkdir()
    (folder / "fleet.yaml").write_text(json.dumps(fleet_document(count)))
    path = folder / "control.yaml"
    path.write_text(json.dumps(control))
    return path


def test_a_steady_fleet_is_left_alone_and_questions_do_not_grow_with_it(
    real_cluster: RealCluster,
    prometheus: Prometheus,
    namespace: str,
    servers: tuple[ScaledServer, ...],
    tmp_path: Path,
) -> None:
    counters = Counters(real_cluster, prometheus)
    asked = {}
    for count in (FEW, SERVERS):
        path = document(tmp_path / str(count), real_cluster, prometheus, namespace, count)
        with wired(path, None, lambda _: None) as running:

            def grown(running: Any = running, count: int = count) -> bool:
                record = running.loop.cycle().document
                wanted = {each.name: each.replicas for each in servers[:count]}
                have = {
                    each["server"]: each["ready"]
                    for each in record["cluster"]["workloads"]
                    if each["replicas_wanted"]
                }
                there = all(have[name] >= replicas for name, replicas in wanted.items())
                if not there:
                    time.sleep(BETWEEN_S)
                return there and not record["changes"]

            eventually(grown, PATIENCE_S)
            sent: list[float] = []

            def left_alone(running: Any = running, sent: list[float] = sent) -> bool:
                before = counters.writes(), counters.reads(), counters.events(namespace)
                for _ in range(3):
                    queries = counters.queries()
                    assert not running.loop.cycle().document["changes"]
                    sent.append(counters.queries() - queries)
                return before == (counters.writes(), counters.reads(), counters.events(namespace))

            # The API server may count a request of before the first of these cycles late.
            eventually(left_alone, PATIENCE_S)
            # More are sent where a signal is missing for a moment: other names are tried then.
            asked[count] = min(sent)
    # Each of the first cycles wrote what lacked.
    assert counters.writes() > 0
    assert asked[FEW] == asked[SERVERS] > 0
