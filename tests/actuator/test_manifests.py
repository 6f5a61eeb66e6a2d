"""Manifests of HPA and KEDA: their structure, their bounds, and what their query answers."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from actuator.followed import ManagedWorkload, followed
from actuator.manifests import (
    DesiredMetric,
    FollowedWorkload,
    Follower,
    desired_query,
    horizontal_pod_autoscaler,
    scaled_object,
)
from stoker.domain.accelerator import Accelerator
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef
from stoker.domain.control.settings import ControlSettings, ServerControl
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.server import Server
from tests.support.cli import stoker
from tests.support.control_setup import fleet_document
from tests.support.manifest_schemas import check
from tests.support.real_cluster import RealCluster

REF = WorkloadRef("models", "chat")
WORKLOAD = FollowedWorkload(REF, 1, 6)
URL = "http://prometheus:9090"


@pytest.mark.parametrize("metric", DesiredMetric)
@pytest.mark.parametrize("kind", WorkloadKind)
def test_the_structure(metric: DesiredMetric, kind: WorkloadKind) -> None:
    workload = FollowedWorkload(WorkloadRef("models", "chat", kind), 2, 6)
    hpa = horizontal_pod_autoscaler(workload, metric)
    keda = scaled_object(workload, metric, URL)
    for manifest in (hpa, keda):
        check(manifest)
        assert manifest["spec"]["scaleTargetRef"]["kind"] == kind.value
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (2, 6)
    assert (keda["spec"]["minReplicaCount"], keda["spec"]["maxReplicaCount"]) == (2, 6)
    assert hpa["spec"]["metrics"][0]["external"]["metric"]["name"] == metric.series


def test_the_schemas_refuse_what_is_wrong() -> None:
    for manifest in (
        horizontal_pod_autoscaler(WORKLOAD, DesiredMetric.STOKER),
        scaled_object(WORKLOAD, DesiredMetric.STOKER, URL),
    ):
        for key in ("scaleTargetRef", "surprise"):
            wrong = copy.deepcopy(manifest)
            if key in wrong["spec"]:
                del wrong["spec"][key]
            else:
                wrong["spec"][key] = 1
            with pytest.raises(jsonschema.ValidationError):
                check(wrong)


QUERIES = """
evaluation_interval: 15s
rule_files: []
tests:
  - interval: 15s
    input_series:
      # Labels honoured; a second loop, which does not lead, says something else.
      - {series: 'METRIC{instance="a",job="s",NAME="chat",namespace="models"}', values: '3x4'}
      - {series: 'METRIC{instance="b",job="s",NAME="chat",namespace="models"}', values: '9x4'}
      - {series: 'METRIC{instance="a",job="s",NAME="chat",namespace="other"}', values: '5x4'}
      # Labels renamed, as Prometheus does by default.
      - series: >-
          METRIC{instance="a",job="s",NAME="code",namespace="stoker",exported_namespace="models"}
        values: '2x4'
      # A third one only observes: what is there is what it says that there should be.
      - {series: 'METRIC{instance="c",job="s",NAME="chat",namespace="models"}', values: '7x4'}
      - {series: 'stoker_leader{instance="a",job="s"}', values: '1x4'}
      - {series: 'stoker_leader{instance="b",job="s"}', values: '0x4'}
      - {series: 'stoker_leader{instance="c",job="s"}', values: '1x4'}
      - {series: 'stoker_acts{instance="a",job="s"}', values: '1x4'}
      - {series: 'stoker_acts{instance="b",job="s"}', values: '0x4'}
    promql_expr_test:
      - {expr: CHAT, eval_time: 30s, exp_samples: [{labels: '{}', value: 3}]}
      - {expr: CODE, eval_time: 30s, exp_samples: [{labels: '{}', value: 2}]}
      - {expr: NONE, eval_time: 30s, exp_samples: []}
"""


@pytest.mark.parametrize("metric", DesiredMetric)
def test_what_the_query_answers(metric: DesiredMetric, tmp_path: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        if os.environ.get("STOKER_REQUIRE_CLUSTER"):
            pytest.fail("no promtool: it comes with Prometheus")
        pytest.skip("no promtool: it comes with Prometheus")
    text = QUERIES.replace("METRIC", metric.series).replace("NAME", metric.label)
    for word, name in (("CHAT", "chat"), ("CODE", "code"), ("NONE", "search")):
        query = desired_query(WorkloadRef("models", name), metric)
        text = text.replace(f"expr: {word}", f"expr: {json.dumps(query)}")
    file = tmp_path / "queries.yaml"
    file.write_text(text)
    done = subprocess.run(
        [program, "test", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def fleet(**server: Any) -> Fleet:
    return Fleet(
        currency="USD",
        accelerators=(Accelerator("H100x2", "H100", 2, 6.0), Accelerator("L4", "L4", 1, 1.0)),
        capacity=(Capacity("H100", 17),),
        profiles=(),
        service_classes=(),
        servers=(Server("chat", "interactive", "chat-8b", **server),),
    )


ON_H100 = ManagedWorkload(REF, "chat", "H100x2")
ON_L4 = ManagedWorkload(WorkloadRef("models", "chat-l4"), "chat", "L4", max_replicas=4)


@pytest.mark.parametrize(
    ("server", "control", "bounds"),
    [
        ({}, {}, (1, 8)),  # by the cards: 17 of them, two a replica
        ({"min_replicas": 2, "max_replicas": 5}, {}, (2, 5)),
        ({"min_replicas": 2, "max_replicas": 5}, {"min_replicas": 3, "max_replicas": 4}, (3, 4)),
        ({"min_replicas": 2}, {"scale_to_zero": True}, (0, 8)),
    ],
)
def test_bounds(server: dict[str, Any], control: dict[str, Any], bounds: tuple[int, int]) -> None:
    settings = ControlSettings(servers={"chat": ServerControl("chat", **control)})
    (found,), problems = followed([ON_H100], fleet(**server), settings, Follower.KEDA)
    assert problems == ()
    assert (found.min_replicas, found.max_replicas) == bounds
    hpa = horizontal_pod_autoscaler(found, DesiredMetric.STOKER)
    assert hpa["spec"]["minReplicas"] == max(1, bounds[0])


def test_a_server_that_moves_can_be_followed_by_keda_alone() -> None:
    found, problems = followed([ON_L4, ON_H100], fleet(), ControlSettings(), Follower.KEDA)
    assert problems == ()
    assert [(each.ref.name, each.min_replicas, each.max_replicas) for each in found] == [
        ("chat", 0, 8),
        ("chat-l4", 0, 4),
    ]
    found, problems = followed([ON_L4, ON_H100], fleet(), ControlSettings(), Follower.HPA)
    assert found == ()
    assert len(problems) == 2
    assert "use --for keda" in problems[0]


def test_what_cannot_be_followed() -> None:
    for workload, words in (
        (ManagedWorkload(REF, "chat", "L4"), "set max_replicas of chat"),
        (ManagedWorkload(REF, "code", "L4"), "no server of the fleet"),
        (ManagedWorkload(REF, "chat", "L4", 5, 4), "at least 5 and at most 4"),
        (ManagedWorkload(WorkloadRef("models", "c" * 64), "chat", "H100x2"), "63 characters"),
    ):
        found, problems = followed([workload], fleet(), ControlSettings(), Follower.HPA)
        assert found == ()
        assert len(problems) == 1
        assert words in problems[0]


def documents(folder: Path, **control: Any) -> Path:
    """A fleet of one server whose workload is named, and its control document."""
    (folder / "fleet.yaml").write_text(json.dumps(fleet_document()))
    written = {
        "version": 1,
        "kind": "control",
        "fleet": "fleet.yaml",
        "metrics": {"prometheus_url": URL},
        "cluster": {"actuation": "emit"},
        "servers": [
            {
                "server": "chat",
                "workloads": [{"accelerator": "H100", "namespace": "models", "name": "chat"}],
            }
        ],
        **control,
    }
    (folder / "control.yaml").write_text(json.dumps(written))
    return folder / "control.yaml"


def test_the_command_prints_manifests(tmp_path: Path) -> None:
    document = documents(tmp_path)
    for follower, kind in (("keda", "ScaledObject"), ("hpa", "HorizontalPodAutoscaler")):
        result = stoker("control", "manifests", document, "--for", follower)
        assert (result.exit_code, result.stderr) == (0, "")
        (manifest,) = yaml.safe_load_all(result.stdout)
        assert manifest["kind"] == kind
        check(manifest)
        assert stoker("control", "manifests", document, "--for", follower).stdout == result.stdout
    result = stoker("control", "manifests", document, "--prometheus", "http://other:1")
    assert "serverAddress: http://other:1" in result.stdout


def test_the_command_tells_what_does_not_fit(tmp_path: Path) -> None:
    document = documents(tmp_path, cluster={}, metrics={})
    result = stoker("control", "manifests", document)
    assert result.exit_code == 2
    assert "metrics.prometheus_url: is missing" in result.stderr
    result = stoker("control", "manifests", document, "--for", "hpa", "--metric", "wva")
    assert result.exit_code == 0
    assert "set it to emit" in result.stderr
    assert "records.compatible_metrics: true" in result.stderr
    assert yaml.safe_load(result.stdout)["spec"]["metrics"][0]["external"]["metric"] == {
        "name": "wva_desired_replicas",
        "selector": {"matchLabels": {"variant_name": "chat"}},
    }


def test_workloads_that_carry_labels(real_cluster: RealCluster, tmp_path: Path) -> None:
    namespace = real_cluster.namespace()
    labels = {"stoker.dev/managed": "true", "stoker.dev/accelerator": "H100"}
    real_cluster.deploy(
        namespace,
        "chat",
        gpus=0,
        labels={**labels, "stoker.dev/server": "chat"},
        annotations={"stoker.dev/max-replicas": "3"},
    )
    real_cluster.deploy(namespace, "other", gpus=0, labels=labels)
    kubeconfig = str(real_cluster.plane.kubeconfig())
    cluster = {"namespaces": [namespace], "kubeconfig": kubeconfig, "actuation": "emit"}
    document = documents(tmp_path, cluster=cluster, servers=[])
    result = stoker("control", "manifests", document)
    assert result.exit_code == 3
    assert "no label names its server" in result.stderr
    (manifest,) = yaml.safe_load_all(result.stdout)
    assert manifest["metadata"]["namespace"] == namespace
    assert manifest["spec"]["maxReplicaCount"] == 3
