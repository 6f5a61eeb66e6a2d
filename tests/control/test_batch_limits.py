"""Batch limits through the whole loop, on a real API server and a real Prometheus."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.cli import stoker
from tests.support.control_setup import ControlSetup
from tests.support.real_cluster import eventually


def test_the_limit_of_the_plan_reaches_the_pods_and_stays(control_setup: ControlSetup) -> None:
    limits = {"allow_batch_limit": True, "set_batch_limit_by": "MAX_NUM_SEQS"}
    control_setup.control["cluster"].update(limits)
    control_setup.write()
    control_setup.deploy(args=["--max-num-seqs=$(MAX_NUM_SEQS)"])

    def cycle() -> Any:
        once = ("--cycles", "1", "--format", "json")
        result = stoker("control", "run", control_setup.document, *once)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def limit() -> int | None:
        apps = control_setup.cluster.apps
        found = apps.read_namespaced_deployment("chat", control_setup.namespace)
        env = found.spec.template.spec.containers[0].env or []
        return next((int(each.value) for each in env if each.name == "MAX_NUM_SEQS"), None)

    def told() -> bool:
        record = cycle()
        assert all(each["outcome"] in ("applied", "conflict") for each in record["changes"])
        return limit() is not None

    eventually(told)
    settled = cycle()
    placed = settled["plan"]["allocations"]["chat"]
    (workload,) = settled["cluster"]["workloads"]
    assert workload["max_batch"] == limit() == pytest.approx(placed["max_batch"], rel=0.1)
    assert settled["changes"] == []
