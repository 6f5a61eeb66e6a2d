"""`stoker doctor` on a real set-up: every planted mistake is found, and a healthy one has none."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
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


def named(kind: str) -> Callable[[ControlSetup], None]:
    """Name a workload in the document, and run as somebody who may only look."""

    def change(setup: ControlSetup) -> None:
        as_user("nobody")(setup)
        workload = {
            "accelerator": "H100",
            "namespace": setup.namespace,
            "name": "other",
            "kind": kind,
        }
        setup.control["servers"] = [{"server": "chat", "workloads": [workload]}]

    return change


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
    "seconds for ms in a percentile": (
        queries(ttft_p95_ms="scalar(sum(up)) * 0 + vector(0.19)"),
        "signals",
        "not plausible in ms",
    ),
    "percent of prefix hits": (
        queries(prefix_hit_rate="vector(25)"),
        "signals",
        "25, by vector(25): not plausible in share of the tokens",
    ),
    "percent of errors": (
        queries(error_rate="vector(5)"),
        "signals",
        "not plausible in share of the requests",
    ),
    "negative spread": (
        queries(input_tokens_cv="vector(-1)"),
        "signals",
        "not plausible in standard deviations",
    ),
    "blocks for tokens of memory": (
        queries(kv_tokens="vector(16)"),
        "signals",
        "not plausible in tokens a replica",
    ),
    "a canary that sees no errors": (
        put("transition", value={"kind": "canary"}),
        "signals",
        "unknown",
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
    "no leave to scale sets": (named("StatefulSet"), "permissions", "not allowed"),
    "no leave to scale groups": (named("LeaderWorkerSet"), "permissions", "not allowed"),
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


LOOKING = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["apps"],
        "resources": ["deployments", "statefulsets"],
        "verbs": ["list", "watch"],
    },
]


def asked_for(setup: ControlSetup) -> dict[str, str]:
    """Return what was found of each verb, by the verb."""
    result = stoker("doctor", str(setup.document), "--all", "--format", "json")
    found = json.loads(result.stdout)
    return {each["subject"]: each["level"] for each in found if each["topic"] == "permissions"}


def test_each_kind_of_workload_that_is_there_is_asked_for(control_setup: ControlSetup) -> None:
    control_setup.cluster.grant("stoker", LOOKING, control_setup.namespace)
    as_user("stoker")(control_setup)
    control_setup.control["cluster"]["allow_batch_limit"] = True
    workload = {"accelerator": "2xH100", "namespace": control_setup.namespace, "name": "pair"}
    control_setup.fleet["accelerators"].append(
        {"name": "2xH100", "card_type": "H100", "cards": 2, "cost_per_hour": 6, "memory_gb": 160}
    )
    control_setup.control["servers"] = [
        {"server": "chat", "workloads": [{**workload, "kind": "LeaderWorkerSet"}]}
    ]
    control_setup.write()
    control_setup.stateful_set(gpus=0)
    where = f"in namespace {control_setup.namespace}"
    found = asked_for(control_setup)
    for words in (
        "get statefulsets/scale",
        "update statefulsets/scale",
        "get leaderworkersets/scale",
        "update leaderworkersets/scale",
        "get statefulsets",
        "patch statefulsets",
        "list leaderworkersets",
        "watch leaderworkersets",
    ):
        assert found[f"{words} {where}"] == "error", words
    for words in ("list deployments", "watch statefulsets", "list pods"):
        assert found[f"{words} {where}"] == "fine", words
    # No Deployment is scaled, and groups are told no batch limit.
    for words in ("update deployments/scale", "patch deployments", "patch leaderworkersets"):
        assert f"{words} {where}" not in found
    _, findings = examined(control_setup)
    remedies = {each["subject"]: each["remedy"] for each in findings}
    assert "--clusterrole=stoker-act" in remedies[f"update statefulsets/scale {where}"]
    assert (
        "create clusterrolebinding stoker-batch-limits" in (remedies[f"patch statefulsets {where}"])
    )


def test_a_healthy_fleet_of_stateful_sets_has_no_finding(control_setup: ControlSetup) -> None:
    control_setup.write()
    control_setup.stateful_set(args=["--max-num-seqs=64"])

    def ready() -> bool:
        found = control_setup.cluster.apps.read_namespaced_stateful_set(
            "chat", control_setup.namespace
        )
        return bool(found.status.ready_replicas == found.spec.replicas)

    eventually(ready)
    code, findings = examined(control_setup)
    assert (code, findings) == (0, [])


@pytest.mark.parametrize("ahead_s", [-120.0, 120.0])
def test_a_clock_that_differs_is_found_of_both(
    control_setup: ControlSetup, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    control_setup.write()
    control_setup.deploy(args=["--max-num-seqs=64"])
    wrong = SimpleNamespace(time=lambda: time.time() + ahead_s, monotonic=time.monotonic)
    monkeypatch.setattr("stoker.cli.doctor.time", wrong)
    _, findings = examined(control_setup)
    clocks = [each for each in findings if each["topic"] == "clock"]
    way = "behind" if ahead_s > 0 else "ahead of"
    assert [f"{way} this machine's" in each["message"] for each in clocks] == [True, True]
    assert ["the API server" in each["message"] for each in clocks] == [False, True]
    assert all("set-ntp" in each["remedy"] for each in clocks)


def test_remedies_say_what_to_type(control_setup: ControlSetup) -> None:
    control_setup.control["loop"]["deadline_s"] = 90
    control_setup.write()
    _, (finding,) = examined(control_setup)
    assert "set loop.deadline_s to at most loop.period_s, 60" in finding["remedy"]
