"""A whole cycle whose writes a real API server checks and keeps none of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from demos.cluster.control_plane import ClusterUser
from tests.support.cli import stoker
from tests.support.control_setup import ControlSetup
from tests.support.loop_account import ACCOUNT, roles_applied
from tests.support.real_cluster import RealCluster, eventually

TRY = ("--once", "--dry-run")


@pytest.fixture(scope="module")
def roles(real_cluster: RealCluster) -> Iterator[None]:
    with roles_applied(real_cluster):
        yield


@pytest.fixture
def setup(control_setup: ControlSetup) -> ControlSetup:
    """A deployment that is too small, and a document that only observes."""
    control_setup.control["loop"]["mode"] = "observe"
    control_setup.control["lease"] = {"namespace": control_setup.namespace}
    control_setup.write()
    control_setup.deploy(gpus=0)
    return control_setup


def run_as(setup: ControlSetup, user: str) -> None:
    path = setup.cluster.plane.kubeconfig(ClusterUser(user))
    setup.control["cluster"]["kubeconfig"] = str(path)
    setup.write()


def tried(setup: ControlSetup, exit_code: int, *options: str) -> dict[str, Any]:
    """Return the record of a cycle that tried something."""
    found: dict[str, Any] = {}

    def done() -> bool:
        result = stoker(
            "control", "run", str(setup.document), *(options or TRY), "--format", "json"
        )
        assert result.exit_code in (0, exit_code), result.stderr
        found.update(json.loads(result.stdout))
        return bool(found["changes"]) and result.exit_code == exit_code

    eventually(done)
    return found


def nothing_was_kept(setup: ControlSetup) -> None:
    assert setup.replicas() == 1
    assert not (setup.folder / "stoker-records").exists()
    events = setup.cluster.core.list_namespaced_event(setup.namespace).items
    assert not [each for each in events if each.source.component == "stoker"]
    coordination: Any = kubernetes.client.CoordinationV1Api(setup.cluster.admin)
    assert not coordination.list_namespaced_lease(setup.namespace).items


def test_accepted_changes_are_told_and_not_made(setup: ControlSetup, roles: None) -> None:
    run_as(setup, ACCOUNT)
    record = tried(setup, 0)
    assert record["dry_run"] is True
    (change,) = record["changes"]
    assert (change["outcome"], change["replicas_before"]) == ("dry_run", 1)
    assert change["replicas"] > 1
    nothing_was_kept(setup)
    text = stoker("control", "run", str(setup.document), *TRY).stdout
    assert "replicas, accepted" in text
    assert "Nothing was changed." in text


def test_a_refusal_under_rbac_is_told_with_what_to_grant(setup: ControlSetup) -> None:
    # Whoever may look and not write.
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "statefulsets"],
            "verbs": ["list", "watch"],
        },
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]},
    ]
    setup.cluster.grant("stoker", rules, setup.namespace)
    run_as(setup, "stoker")
    record = tried(setup, 3)
    (change,) = record["changes"]
    assert change["outcome"] == "forbidden"
    assert "grant update on deployments/scale" in change["detail"]
    text = stoker("control", "run", str(setup.document), *TRY)
    assert text.exit_code == 3
    assert "forbidden" in text.stdout
    assert "grant update on deployments/scale" in text.stdout
    nothing_was_kept(setup)


def test_a_document_may_ask_for_it_and_its_cycles_are_kept(setup: ControlSetup) -> None:
    setup.control["loop"] |= {"mode": "act", "dry_run": True}
    setup.write()
    first = tried(setup, 0, "--once")
    assert [each["outcome"] for each in first["changes"]] == ["dry_run"]
    # What was not made is not remembered as made: it is tried again, and the loop was not elected.
    again = tried(setup, 0, "--once")
    assert [each["outcome"] for each in again["changes"]] == ["dry_run"]
    assert again["cycle"] > first["cycle"]
    assert setup.replicas() == 1
    shown = stoker("control", "status", str(setup.document))
    assert "act, dry run" in shown.stdout
    status = stoker("control", "status", str(setup.document), "--format", "json")
    assert json.loads(status.stdout)["dry_run"] is True
    # A dry run beside a loop that is paused says so, and tries all the same.
    assert "is paused" not in stoker("control", "run", str(setup.document), *TRY).stderr
    assert stoker("control", "pause", str(setup.document), "--reason", "a test").exit_code == 0
    paused = stoker("control", "run", str(setup.document), *TRY)
    assert "the loop is paused (a test)" in paused.stderr
    assert "replicas, accepted" in paused.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dry-run", "--mode", "observe"), "--dry-run"),
        (("--once", "--cycles", "2"), "--once"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    result = stoker("control", "run", str(tmp_path / "control.yaml"), *options)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_mode_that_writes_nothing_has_nothing_to_try(setup: ControlSetup) -> None:
    setup.control["loop"] |= {"mode": "observe", "dry_run": True}
    setup.write()
    result = stoker("control", "run", str(setup.document), "--once")
    assert result.exit_code == 2
    assert "loop.dry_run" in result.stderr
    assert "only with mode: act" in result.stderr
