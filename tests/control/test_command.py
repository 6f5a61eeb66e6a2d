"""`stoker control` on a real API server and a real Prometheus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import stoker
from tests.support.control_setup import RATE_RPS, ControlSetup, fleet_document
from tests.support.real_cluster import eventually


@pytest.fixture
def setup(control_setup: ControlSetup) -> ControlSetup:
    control_setup.write()
    control_setup.deploy()
    return control_setup


def test_one_cycle_scales_up_and_is_written_down(setup: ControlSetup) -> None:
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
        if command == ["explain"]:
            # Half of the prompts in (50, 100], half in (100, 150]; all outputs in (0, 100].
            assert "Requests by input tokens:" in text.stdout
            assert "up to 256" in text.stdout
    # The second cycle finds everything as it should be, and writes nothing.
    again = stoker("control", "run", str(setup.document), "--cycles", "1", "--format", "json")
    assert json.loads(again.stdout)["changes"] == []


def test_advice_waits_for_approval(setup: ControlSetup) -> None:
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


def test_before_the_first_cycle_there_is_nothing_to_show(setup: ControlSetup) -> None:
    result = stoker("control", "status", str(setup.document))
    assert result.exit_code == 2
    assert "the loop has not run yet" in result.stderr


def test_a_wrong_document_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(json.dumps(fleet_document()))
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


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Documents that are right, of a cluster that nobody asks."""
    (tmp_path / "fleet.yaml").write_text(json.dumps(fleet_document()))
    document = tmp_path / "control.yaml"
    document.write_text("version: 1\nkind: control\nfleet: fleet.yaml\n")
    return document


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "a token for nobody": (("run", "CONTROL", "--token-file", "token"), "goes with --metrics-port"),
    "no token file": (
        ("run", "CONTROL", "--metrics-port", "0", "--token-file", "/nowhere/token"),
        "/nowhere/token",
    ),
    "no such format": (("run", "CONTROL", "--log-format", "xml"), "xml"),
    "no document": (("status", "/nowhere/control.yaml"), "/nowhere/control.yaml"),
    "no records": (("history", "CONTROL"), "the loop has not run yet"),
    "no time": (("history", "CONTROL", "--since", "tomorrow"), "the loop has not run yet"),
    "no server": (("explain", "CONTROL"), "the name of a server"),
    "two servers": (("explain", "CONTROL", "chat", "search"), "one at a time"),
    "a token for files": (("pending", "CONTROL", "--token-file", "token"), "goes with --url"),
    "neither": (("pause",), "a control document, or --url"),
    "no plan": (("approve", "CONTROL", "--plan", "x"), "the loop has not run yet"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_wrong_is_told_without_a_traceback(documents: Path, case: str) -> None:
    words, message = WRONG[case]
    result = stoker("control", *(str(documents) if word == "CONTROL" else word for word in words))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
