"""Several writes at once: in order where it counts, and each with its own result."""

from __future__ import annotations

import threading

import pytest

from actuator.kubernetes.scaling import Scaler
from actuator.kubernetes.together import written_together
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, VariantTarget
from stoker.domain.control.cluster import WorkloadRef
from tests.support.real_cluster import RealCluster

WAIT_S = 60.0


def target(name: str, before: int | None, replicas: int) -> VariantTarget:
    return VariantTarget(WorkloadRef("models", name), "H100", replicas, replicas_before=before)


def test_what_shrinks_waits_for_all_that_grows() -> None:
    both_grow = threading.Barrier(2)
    done: list[str] = []

    def write(each: VariantTarget) -> ChangeResult:
        if each.ref.name.startswith("up"):
            both_grow.wait(WAIT_S)  # neither could pass this alone
        done.append(each.ref.name)
        return ChangeResult(each, ChangeOutcome.APPLIED)

    targets = [target("up-a", 1, 2), target("up-b", None, 3), target("down", 3, 1)]
    results = written_together(targets, write)
    assert [each.target.ref.name for each in results] == ["up-a", "up-b", "down"]
    assert done[-1] == "down"


def test_no_more_are_written_at_once_than_may_be() -> None:
    now, most = 0, 0
    lock = threading.Lock()
    gate = threading.Barrier(3)

    def write(each: VariantTarget) -> ChangeResult:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(WAIT_S)
        with lock:
            now -= 1
        return ChangeResult(each, ChangeOutcome.APPLIED)

    written_together([target(f"up-{index}", 1, 2) for index in range(9)], write, most_at_once=3)
    assert most == 3


def test_a_write_that_raises_is_heard_of() -> None:
    def write(each: VariantTarget) -> ChangeResult:
        raise RuntimeError(each.ref.name)

    with pytest.raises(RuntimeError, match="up-0"):
        written_together([target(f"up-{index}", 1, 2) for index in range(3)], write)


def test_a_refusal_stops_no_other(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    names = [f"server-{index}" for index in range(10)]
    for name in names:
        real_cluster.deploy(namespace, name, gpus=0, replicas=0)
    targets = [
        VariantTarget(WorkloadRef(namespace, name), "H100", 1, replicas_before=0)
        for name in (*names[:5], "nobody", *names[5:])
    ]
    results = Scaler(real_cluster.admin, "stoker", 60.0).apply(targets, dry_run=False)
    assert [each.target for each in results] == targets
    outcomes = {each.target.ref.name: each.outcome for each in results}
    assert outcomes.pop("nobody") is ChangeOutcome.MISSING
    assert set(outcomes.values()) == {ChangeOutcome.APPLIED}
    real_cluster.vacate(namespace)
