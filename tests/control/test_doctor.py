"""`stoker doctor` on a real set-up: every planted mistake is found, and a healthy one has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from demos.cluster.control_plane import ClusterUser
from tests.support.cli import stoker
from tests.support.control_setup import MODEL, ControlSetup
from tests.support.real_cluster import L4, eventually


def examined(setup: ControlSetup) -> tuple[int, list[dict[str, Any]]]:
    result = stoker("doctor", str(setup.document), "--format", "json")
    assert result.exit_code in (0, 3), result.stderr
    return result.exit_code, json.loads(result.stdout)


def settled(setup: ControlSetup, name: str = "chat") -> None:
    """Wait until its pods are ready."""

    def ready() -> bool:
        found = setup.cluster.apps.read_namespaced_deployment(name, setup.namespace)
        return bool((found.status.ready_replicas or 0) == found.spec.replicas)

    eventually(ready)


def test_a_healthy_set_up_has_no_finding(control_setup: ControlSetup) -> None:
    control_setup.write()
    control_setup.deploy(args=["--max-num-seqs=64"])
    settled(control_setup)
    code, findings = examined(control_setup)
    assert findings == []
    assert code == 0
    text = stoker("doctor", str(control_setup.document), "--all")
    assert text.exit_code == 0
    assert "0 errors, 0 warnings" in text.stdout
    for words in ("chat arrival_rate_rps", "vllm:request_success_total", "1 on H100, 1 ready"):
        assert words in text.stdout


def second_server(setup: ControlSetup) -> None:
    setup.fleet["servers"].append({**setup.fleet["servers"][0], "name": "search"})


def as_user(name: str) -> Callable[[ControlSetup], None]:
    def change(setup: ControlSetup) -> None:
        path = setup.cluster.plane.kubeconfig(ClusterUser(name))
        setup.control["cluster"]["kubeconfig"] = str(path)

    return change


def put(*path: str | int, value: Any) -> Callable[[ControlSetup], None]:
    """Change a place of the control document, or (first of the path: `fleet`) of the fleet's."""

    def change(setup: ControlSetup) -> None:
        here: Any = setup.fleet if path[0] == "fleet" else setup.control
        rest = path[1:] if path[0] == "fleet" else path
        for part in rest[:-1]:
            here = here.setdefault(part, {}) if isinstance(here, dict) else here[part]
        here[rest[-1]] = value

    return change


def queries(**told: str) -> Callable[[ControlSetup], None]:
    return put("servers", value=[{"server": "chat", "queries": told}])


PLANTED: dict[str, tuple[Callable[[ControlSetup], None], str, str]] = {
    "wrong port": (
        put("metrics", "prometheus_url", value="http://127.0.0.1:9"),
        "prometheus",
        "cannot be reached",
    ),
    "no address": (put("metrics", "prometheus_url", value=""), "prometheus", "is not set"),
    "no token file": (
        put("metrics", "bearer_token_file", value="/nowhere/token"),
        "prometheus",
        "/nowhere/token",
    ),
    "another model name": (put("fleet", "servers", 0, "model", value="chat-9b"), "documents", ""),
    "wrong label": (put("metrics", "model_label", value="model"), "signals", "no series with"),
    "wrong engine": (put("metrics", "engine", value="sglang"), "signals", "unknown"),
    "query that is none": (queries(arrival_rate_rps="sum("), "signals", "refused the query"),
    "query of many series": (queries(input_tokens="up or vector(1)"), "signals", "series"),
    "query of nothing": (queries(output_tokens="sum(nothing)"), "signals", "answered nothing"),
    "seconds for ms": (
        queries(
            ttft_mean_ms="sum(rate(vllm:time_to_first_token_seconds_sum[6s]))"
            " / sum(rate(vllm:time_to_first_token_seconds_count[6s]))"
        ),
        "signals",
        "not plausible in ms",
    ),
    "completions for offers": (
        queries(arrival_rate_rps="sum(rate(vllm:request_success_total[6s])) / 4"),
        "signals",
        "are offered",
    ),
    "two servers of one model": (second_server, "signals", "give each its own labels"),
    "a server without workload": (second_server, "workloads", "no workload of the cluster"),
    "no kubeconfig": (
        put("cluster", "kubeconfig", value="/nowhere/config"),
        "cluster",
        "no way to a cluster",
    ),
    "no leave at all": (as_user("nobody"), "permissions", "not allowed"),
    "no leave to scale": (as_user("no-nodes"), "permissions", "not allowed"),
    "a card type that is not there": (
        put("fleet", "capacity", value={"H100": 16, "H200": 8}),
        "documents",
        "",
    ),
    "longer than its period": (put("loop", "deadline_s", value=90), "documents", "loop.deadline_s"),
    "a selector that is none": (
        put("cluster", "selector", value="a in b"),
        "documents",
        "cluster.selector",
    ),
}


@pytest.mark.parametrize("plant", sorted(PLANTED))
def test_a_planted_mistake_of_documents_is_found(control_setup: ControlSetup, plant: str) -> None:
    change, topic, words = PLANTED[plant]
    control_setup.deploy(args=["--max-num-seqs=64"])
    change(control_setup)
    control_setup.write()
    result = stoker("doctor", str(control_setup.document), "--format", "json")
    assert result.exit_code in (0, 3), result.stderr
    findings = json.loads(result.stdout)
    found = [f for f in findings if f["topic"] == topic and words in f["message"]]
    assert found, findings
    assert all(each["remedy"] for each in found)


DEPLOYED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no labels": ({"labels": {}}, "workloads", "no workload of the cluster"),
    "a server misspelt": (
        {"labels": {"stoker.dev/managed": "true", "stoker.dev/server": "chatt"}},
        "workloads",
        "'chatt', which the fleet does not have",
    ),
    "an accelerator misspelt": (
        {
            "labels": {
                "stoker.dev/managed": "true",
                "stoker.dev/server": "chat",
                "stoker.dev/accelerator": "h100",
            }
        },
        "workloads",
        "'h100', which the fleet does not have",
    ),
    "too many cards": ({"gpus": 2}, "workloads", "request 2 cards, a replica of the fleet has 1"),
    "no cards": ({"gpus": 0}, "workloads", "request no cards"),
    "another batch limit": (
        {"args": ["--max-num-seqs", "256"]},
        "profiles",
        "is 256, the fleet plans with 64",
    ),
    "paused": ({"annotations": {"stoker.dev/paused": "true"}}, "workloads", "pauses it"),
    "bounds upside down": (
        {"annotations": {"stoker.dev/min-replicas": "5", "stoker.dev/max-replicas": "2"}},
        "workloads",
        "at least 5 and at most 2",
    ),
    "no room": ({"gpus": 1, "product": L4 + "-none"}, "workloads", "replicas are pending"),
}


@pytest.mark.parametrize("plant", sorted(DEPLOYED))
def test_a_planted_mistake_of_a_deployment_is_found(
    control_setup: ControlSetup, plant: str
) -> None:
    options, topic, words = DEPLOYED[plant]
    control_setup.write()
    control_setup.deploy(**options)

    def found() -> bool:
        _, findings = examined(control_setup)
        return any(f["topic"] == topic and words in f["message"] and f["remedy"] for f in findings)

    eventually(found)


def test_a_model_without_profile_is_found(control_setup: ControlSetup) -> None:
    control_setup.write()
    control_setup.deploy()
    labels = {**control_setup.labels, "stoker.dev/accelerator": "L4"}
    control_setup.deploy("chat-small", product=L4, labels=labels)
    _, findings = examined(control_setup)
    assert any(f"no profile of {MODEL} on L4" in f["message"] for f in findings)


def test_two_workloads_on_one_accelerator_are_found(control_setup: ControlSetup) -> None:
    control_setup.write()
    control_setup.deploy()
    control_setup.deploy("chat-too")
    code, findings = examined(control_setup)
    assert code == 3
    assert any("two workloads run it on H100" in f["message"] for f in findings)
