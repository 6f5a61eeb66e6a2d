"""What `deploy/` ships: manifests that a server takes, names that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes
import yaml

from actuator.manifests import DesiredMetric
from api.control.access import OPEN_PATHS
from api.control.endpoints import CONTROL_ENDPOINTS
from controller.metrics import ControlMetrics
from data.control_document.reading import read_control
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import ControlSettings, LoopSettings
from stoker.domain.control.signals import Signal, SignalName
from tests.support.cli import ROOT, stoker
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload
from tests.support.real_cluster import RealCluster
from tests.support.shipped_rules import rules

DEPLOY = ROOT / "deploy"
NAME = re.compile(r"\b(?:stoker|wva|inferno)_[a-z_]+")


def controller() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((DEPLOY / "controller.yaml").read_text())
    return {document["kind"]: document for document in documents}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "stoker.json").read_text())
    return found


def dashboard_queries() -> Iterator[str]:
    board = dashboard()
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (item["expr"] for item in board["annotations"]["list"])


def label_names() -> Mapping[str, frozenset[str]]:
    """The series that a loop emits, with the labels of each."""
    metrics = ControlMetrics(compatible=True)
    world = PlayedWorld(
        controlled_fleet(),
        ControlSettings(loop=LoopSettings(mode=Mode.ACT)),
        [workload("chat", "H100", 1), workload("code", "H100", 2)],
        {"chat": lambda _: 150.0},
    )
    world.extra_signals["code"] = {SignalName.ARRIVAL_RATE: Signal.unknown("no series")}
    loop = world.loop()
    for _ in range(2):
        metrics.told(loop.cycle())
        world.advance(30.0)
    return {
        sample.name: frozenset(sample.labels)
        for family in metrics.collect()
        for sample in family.samples
    }


def test_every_metric_named_exists() -> None:
    known = label_names()
    texts = {
        "dashboard": [
            *dashboard_queries(),
            *(str(each["query"]) for each in dashboard()["templating"]["list"]),
        ],
        "rules": [rule["expr"] for rule in rules()],
        "adapter": [(DEPLOY / "prometheus-adapter.yaml").read_text().replace("|", " ")],
        "manifests": [each.series for each in DesiredMetric],
    }
    for where, lines in texts.items():
        named = {name for line in lines for name in NAME.findall(line)}
        named -= {"stoker_workload"}  # half of a name in the adapter's pattern
        assert named, where
        assert named <= known.keys() | {"stoker_workload"}, (where, named - known.keys())
    # The dashboard shows what the loop knows of servers and workloads.
    own = {name for name in known if name.startswith(("stoker_server_", "stoker_workload_"))}
    assert own <= {name for line in dashboard_queries() for name in NAME.findall(line)}


def test_every_label_named_exists() -> None:
    known = label_names()
    lines = [*dashboard_queries(), *(rule["expr"] for rule in rules())]
    found = 0
    for line in lines:
        for name, matchers in re.findall(r"(stoker_[a-z_]+)\{([^}]*)\}", line):
            for label in re.findall(r"([a-z_]+)(?:=~|=|!=|!~)", matchers):
                assert label in known[name], line
                found += 1
        for labels in re.findall(r"by \(([^)]*)\)", line):
            every = frozenset[str]().union(*(known[name] for name in NAME.findall(line)))
            assert set(labels.replace(" ", "").split(",")) <= every | {"job", "instance"}, line
    assert found > 5


def test_the_dashboard_is_whole(promtool: str, tmp_path: Path) -> None:
    board = dashboard()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    # Prometheus reads every query, once Grafana has put its variables in.
    recorded = [
        {"record": f"panel:query:{index}", "expr": query.replace("$server", ".*")}
        for index, query in enumerate(dashboard_queries())
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_api_server_takes_the_controller(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    create: Any = kubernetes.utils.create_from_dict
    for document in controller().values():
        moved = {**document, "metadata": {**document["metadata"], "namespace": namespace}}
        create(real_cluster.admin, moved)
    found = real_cluster.apps.read_namespaced_deployment("stoker", namespace)
    pod = found.spec.template.spec
    assert pod.service_account_name == "stoker"
    assert pod.security_context.run_as_non_root
    (container,) = pod.containers
    assert container.security_context.read_only_root_filesystem
    assert not container.security_context.allow_privilege_escalation
    ports = {each.name: each.container_port for each in container.ports}
    for probe in (container.startup_probe, container.liveness_probe, container.readiness_probe):
        assert probe.http_get.port in ports
    annotations = found.spec.template.metadata.annotations
    assert annotations["prometheus.io/port"] == str(ports["metrics"])
    assert f"--metrics-port={ports['metrics']}" in container.args
    real_cluster.apps.delete_namespaced_deployment("stoker", namespace)


def test_its_command_and_documents_run(real_cluster: RealCluster, tmp_path: Path) -> None:
    found = controller()
    for name, text in found["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    settings = read_control(tmp_path / "control.yaml").settings
    assert settings.loop.mode is Mode.OBSERVE
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert settings.records.folder == mounts["records"]
    # What differs here: the way to the cluster, a Prometheus that fails at once, folders, ports.
    document = yaml.safe_load((tmp_path / "control.yaml").read_text())
    document["cluster"]["kubeconfig"] = str(real_cluster.plane.kubeconfig())
    document["metrics"]["prometheus_url"] = "http://127.0.0.1:9"
    document["records"]["folder"] = str(tmp_path / "records")
    (tmp_path / "control.yaml").write_text(json.dumps(document))
    arguments = [
        each.replace(mounts["documents"], str(tmp_path))
        .replace("0.0.0.0", "127.0.0.1")
        .replace("9464", "0")
        for each in container["args"]
    ]
    result = stoker(*arguments, "--cycles", 1, "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert "metrics on http://127.0.0.1:" in result.stderr
    record = json.loads(result.stdout)
    assert record["mode"] == "observe"
    assert record["servers"]["chat"]["load"] is None


def test_its_probes_ask_what_is_served() -> None:
    (container,) = controller()["Deployment"]["spec"]["template"]["spec"]["containers"]
    served = {endpoint.path for endpoint in CONTROL_ENDPOINTS if endpoint.path in OPEN_PATHS}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in served
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"


def test_the_adapter_asks_in_promql(promtool: str, tmp_path: Path) -> None:
    (rule,) = yaml.safe_load((DEPLOY / "prometheus-adapter.yaml").read_text())["rules"]["external"]
    pattern = re.search(r'"\^(.*)\$"', rule["seriesQuery"])
    assert pattern is not None
    for metric in DesiredMetric:
        assert re.fullmatch(pattern[1], metric.series)
    query = rule["metricsQuery"].replace("<<.Series>>", "stoker_workload_desired_replicas")
    query = query.replace("<<.LabelMatchers>>", 'workload="chat"')
    file = tmp_path / "query.yaml"
    recorded = {"record": "adapter:query", "expr": query}
    file.write_text(json.dumps({"groups": [{"name": "adapter", "rules": [recorded]}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
