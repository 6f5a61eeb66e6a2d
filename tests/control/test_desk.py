"""A running loop on a real API server and a real Prometheus: its address, its metrics, its log.

One loop for all: it runs as `stoker control run` does, in the mode `advise`.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from demos.cluster.prometheus import Prometheus
from tests.support.cli import ROOT, stoker
from tests.support.control_setup import MODEL
from tests.support.real_cluster import RealCluster, eventually
from tests.support.running_loop import PATIENCE_S, RunningLoop, running_loop

# The first of them waits for a cluster, a Prometheus and a loop to start.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def running(
    real_cluster: RealCluster, steady: Prometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningLoop]:
    with running_loop(real_cluster, steady, tmp_path_factory.mktemp("loop")) as found:
        yield found


def waiting(running: RunningLoop) -> dict[str, Any]:
    """The plan that waits for the server whose load is known."""
    found: dict[str, Any] = {}

    def waits() -> bool:
        running.cycle()
        result = stoker("control", "pending", "--url", running.url, "--format", "json")
        plan = json.loads(result.stdout)["plan"]
        found.update(plan or {})
        return plan is not None and "chat" in plan["servers"]

    eventually(waits, PATIENCE_S)
    return found


def grown(running: RunningLoop) -> None:
    """Approve what waits until chat has grown."""

    def carried_out() -> bool:
        plan = waiting_or_none(running)
        if plan is not None:
            # As the measured load moves, the plan may be another one by now: look again.
            stoker("control", "approve", "--url", running.url, "--plan", plan)
        running.cycle()
        return running.setup.replicas() > 1

    if running.setup.replicas() == 1:
        eventually(carried_out, PATIENCE_S)


def test_a_plan_is_seen_and_approved_and_carried_out(running: RunningLoop) -> None:
    setup = running.setup
    setup.cluster.apps.patch_namespaced_deployment_scale(
        "chat", setup.namespace, {"spec": {"replicas": 1}}
    )
    seen = waiting(running)
    assert seen["decisions"]["chat"]["direction"] == "up"
    refused = stoker("control", "approve", "--url", running.url, "--plan", "0" * 12)
    assert refused.exit_code == 3
    assert "another one does" in refused.stderr
    running.cycle()
    assert setup.replicas() == 1
    grown(running)
    found = running.command("history", "--count", "50")["cycles"]
    made = [each for cycle in found for each in cycle["changes"]]
    assert "applied" in [each["outcome"] for each in made]


def waiting_or_none(running: RunningLoop) -> str | None:
    result = stoker("control", "pending", "--url", running.url, "--format", "json")
    plan = json.loads(result.stdout)["plan"]
    return None if plan is None else str(plan["id"])


def test_it_is_read_at_its_address_and_from_its_records_alike(running: RunningLoop) -> None:
    grown(running)  # a history names a server where it was changed
    running.cycle()
    document = running.setup.document
    for words in (["status"], ["history"], ["history", "--server", "chat"]):
        there = running.command(*words)
        here = stoker("control", words[0], document, *words[1:], "--format", "json")
        assert json.loads(here.stdout) == there
        assert "chat" in running.text(*words)
    told = running.command("explain", "chat")
    here = stoker("control", "explain", document, "chat", "--format", "json")
    assert json.loads(here.stdout) == told
    assert told["signals"]["arrival_rate_rps"]["state"] == "known"
    assert MODEL in told["signals"]["arrival_rate_rps"]["source"]
    assert "vllm:request_success_total" in running.text("explain", "chat")


def test_it_is_paused_and_resumed(running: RunningLoop) -> None:
    running.command("pause", "--reason", "new cards")
    found = running.cycle()
    assert found["paused"] is True
    assert "Paused since" in running.text("status")
    assert "new cards" in running.text("status")
    eventually(lambda: value(running, "stoker_paused") == 1, PATIENCE_S)
    running.command("resume")
    assert running.cycle()["paused"] is False


def test_orders_want_the_loop_or_its_records(running: RunningLoop) -> None:
    both = stoker("control", "status", running.setup.document, "--url", running.url)
    assert both.exit_code == 2
    assert "name a loop each" in both.stderr
    none = stoker("control", "status")
    assert none.exit_code == 2
    assert "a control document, or --url" in none.stderr
    files = stoker("control", "trigger", running.setup.document)
    assert files.exit_code == 2
    assert "--url" in files.stderr
    for url, words in (
        ("127.0.0.1:9464", "is no such address"),
        ("http://127.0.0.1:9", "does not answer"),
        (running.prometheus.url, "no control loop's answer"),
    ):
        wrong = stoker("control", "status", "--url", url)
        assert wrong.exit_code == 2
        assert words in wrong.stderr
    nobody = stoker("control", "explain", "--url", running.url, "nobody")
    assert nobody.exit_code == 2
    assert "'nobody' is not in cycle" in nobody.stderr


# The names of the autoscalers whose users have none any more, and their labels.
VARIANT = frozenset({"variant_name", "namespace", "accelerator_type"})
OTHERS = {
    f"{prefix}_{name}": labels
    for prefix in ("inferno", "wva")
    for name, labels in {
        "desired_replicas": VARIANT,
        "current_replicas": VARIANT,
        "desired_ratio": VARIANT,
        "replica_scaling_total": VARIANT | {"direction", "reason"},
    }.items()
}


def test_prometheus_gets_every_name_with_its_labels(running: RunningLoop) -> None:
    grown(running)
    expected = dict(OTHERS)
    for line in (ROOT / "docs" / "control.md").read_text().splitlines():
        if line.startswith("| `stoker_"):
            for name in re.findall(r"`(stoker_[a-z_]+)`", line):
                expected[name] = frozenset()
    assert len(expected) > 20

    def every() -> bool:
        found = {
            each["metric"]["__name__"]
            for each in running.query('{__name__=~"(stoker|inferno|wva)_.+"}')
        }
        return found == expected.keys()

    eventually(every, PATIENCE_S)
    for name, labels in OTHERS.items():
        for series in running.query(name):
            own = series["metric"].keys() - {"__name__", "instance", "job"}
            assert own == labels, name
    chat = f'variant_name="chat",namespace="{running.setup.namespace}",accelerator_type="H100"'
    size = running.setup.replicas()
    eventually(lambda: value(running, f"wva_current_replicas{{{chat}}}") == size, PATIENCE_S)
    up = f'inferno_replica_scaling_total{{{chat},direction="up"}}'
    assert (value(running, up) or 0) >= 1


def test_every_query_of_dashboard_and_alerts_answers(running: RunningLoop) -> None:
    grown(running)
    board = json.loads((ROOT / "deploy" / "grafana" / "stoker.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) > 15
    for query in queries:
        asked = query.replace("$server", ".*")
        eventually(lambda asked=asked: bool(running.query(asked)), PATIENCE_S)  # type: ignore[misc]
    for item in board["annotations"]["list"]:
        running.query(item["expr"])
    (group,) = yaml.safe_load((ROOT / "deploy" / "prometheus-rules.yaml").read_text())["groups"]
    firing = {rule["alert"] for rule in group["rules"] if running.query(rule["expr"])}
    # Nothing else is wrong here.
    assert firing <= {"StokerLoadUnknown", "StokerReplicasNotReady", "StokerLoopStalled"}


def test_it_logs_a_line_for_each_decision(running: RunningLoop) -> None:
    number = running.cycle()["cycle"]

    def told() -> bool:
        return any(each["event"] == "cycle" and each["cycle"] == number for each in running.lines())

    eventually(told, PATIENCE_S)
    lines = [each for each in running.lines() if each.get("cycle") == number]
    assert {each["server"] for each in lines if each["event"] == "decision"} == {"chat", "search"}
    (search,) = (each for each in lines if each.get("server") == "search")
    assert search["direction"] == "hold"
    assert search["held"] == ["load_unknown"]
    assert search["arrival_rate_rps"] is None
    (cycle,) = (each for each in lines if each["event"] == "cycle")
    assert cycle["mode"] == "advise"
    for each in running.lines():
        assert each.keys() >= {"time", "level", "logger", "message", "event"}
    # Whatever the loop tells to read stands in the log alone.
    assert (running.setup.folder / "out").read_text() == ""


def test_a_signal_begins_a_cycle(running: RunningLoop) -> None:
    before = running.status()["cycle"]
    running.process.send_signal(signal.SIGHUP)
    eventually(lambda: running.status()["cycle"] > before, PATIENCE_S)


def test_documents_are_followed_while_it_runs(running: RunningLoop) -> None:
    setup = running.setup
    good = json.dumps(setup.control)
    fleet = setup.folder / "fleet.yaml"
    whole = fleet.read_text()
    try:
        fleet.write_text("version: 1\nservers: nothing\n")
        found = running.cycle()
        (problem,) = (each for each in found["problems"] if "is not taken" in each)
        assert "servers" in problem
        assert found["servers"].keys() == {"chat", "search"}  # the last good one
        # Whoever asks by the document hears what is wrong with it, and what the loop does.
        asked = stoker("control", "status", setup.document)
        assert asked.exit_code == 0, asked.stderr
        assert "the document is wrong" in asked.stderr
        assert "the last good one stays" in asked.stdout
        fleet.write_text(whole)
        setup.control["servers"] = [
            {"server": "search", "queries": {"arrival_rate_rps": "vector(3)"}}
        ]
        setup.control["cluster"]["allow_batch_limit"] = True
        setup.write()
        found = running.cycle()
        signal_ = found["servers"]["search"]["signals"]["arrival_rate_rps"]
        assert (signal_["value"], signal_["source"]) == (3.0, "vector(3)")
        (waits,) = (each for each in found["problems"] if "started again" in each)
        assert "cluster.allow_batch_limit" in waits
    finally:
        setup.control = json.loads(good)
        setup.write()
        fleet.write_text(whole)
    assert not any("is not taken" in each for each in running.cycle()["problems"])


def value(running: RunningLoop, expression: str) -> float | None:
    found = running.query(expression)
    return float(found[0]["value"][1]) if found else None
