"""Replicas, written to a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from actuator.kubernetes.scaling import Scaler
from stoker.domain.control.changes import ChangeOutcome, VariantTarget
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef
from tests.support.leader_worker_sets import leader_worker_sets
from tests.support.real_cluster import RealCluster

SCALES = [
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "update"]},
]


def target(ref: WorkloadRef, replicas: int, before: int | None = None) -> VariantTarget:
    return VariantTarget(ref, "H100", replicas, replicas_before=before)


def deployed(cluster: RealCluster, replicas: int = 1) -> WorkloadRef:
    namespace = cluster.namespace()
    cluster.deploy(namespace, "server", gpus=0, replicas=replicas)  # cards are for other tests
    return WorkloadRef(namespace, "server")


def replicas_of(cluster: RealCluster, ref: WorkloadRef) -> int:
    found = cluster.apps.read_namespaced_deployment(ref.name, ref.namespace)
    return int(found.spec.replicas)


def version_of(cluster: RealCluster, ref: WorkloadRef) -> int:
    found = cluster.apps.read_namespaced_deployment(ref.name, ref.namespace)
    return int(found.metadata.generation)


def test_up_and_down(real_cluster: RealCluster) -> None:
    ref = deployed(real_cluster)
    scaler = Scaler(real_cluster.admin, "stoker")
    for replicas, before in ((3, 1), (0, 3), (2, 0)):
        (result,) = scaler.apply([target(ref, replicas, before)], dry_run=False)
        assert (result.outcome, result.replicas_before) == (ChangeOutcome.APPLIED, before)
        assert replicas_of(real_cluster, ref) == replicas


def test_the_second_time_nothing_is_written(real_cluster: RealCluster) -> None:
    ref = deployed(real_cluster)
    scaler = Scaler(real_cluster.admin, "stoker")
    scaler.apply([target(ref, 2)], dry_run=False)
    generation = version_of(real_cluster, ref)
    (result,) = scaler.apply([target(ref, 2, 1)], dry_run=False)
    assert result.outcome is ChangeOutcome.UNCHANGED
    assert version_of(real_cluster, ref) == generation


def test_a_dry_run_is_judged_by_the_server_and_keeps_nothing(real_cluster: RealCluster) -> None:
    ref = deployed(real_cluster)
    (result,) = Scaler(real_cluster.admin, "stoker").apply([target(ref, 5)], dry_run=True)
    assert result.outcome is ChangeOutcome.DRY_RUN
    assert replicas_of(real_cluster, ref) == 1


def test_somebody_elses_decision_is_not_overwritten(real_cluster: RealCluster) -> None:
    ref = deployed(real_cluster, replicas=4)
    (result,) = Scaler(real_cluster.admin, "stoker").apply([target(ref, 2, 3)], dry_run=False)
    assert result.outcome is ChangeOutcome.CONFLICT
    assert "4 replicas now" in result.detail
    assert replicas_of(real_cluster, ref) == 4


def test_of_two_writers_at_once_one_is_refused(
    real_cluster: RealCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = deployed(real_cluster)
    scaler = Scaler(real_cluster.admin, "stoker")
    verb = scaler._verb

    def slow(name: str, which: WorkloadRef) -> Any:
        function = verb(name, which)
        if name == "replace":  # between the read and the write somebody else writes
            real_cluster.apps.patch_namespaced_deployment_scale(
                ref.name, ref.namespace, {"spec": {"replicas": 7}}
            )
        return function

    monkeypatch.setattr(scaler, "_verb", slow)
    (result,) = scaler.apply([target(ref, 2, 1)], dry_run=False)
    assert result.outcome is ChangeOutcome.CONFLICT
    assert "7 replicas now" in result.detail
    assert replicas_of(real_cluster, ref) == 7


def test_a_refusal_names_the_verb_to_grant_and_stops_no_other(real_cluster: RealCluster) -> None:
    allowed, refused = deployed(real_cluster), deployed(real_cluster)
    real_cluster.grant("stoker", SCALES, allowed.namespace)
    scaler = Scaler(real_cluster.client("stoker"), "stoker")
    first, second = scaler.apply([target(refused, 2), target(allowed, 2)], dry_run=False)
    assert first.outcome is ChangeOutcome.FORBIDDEN
    assert "grant get on deployments/scale in apps" in first.detail
    assert second.outcome is ChangeOutcome.APPLIED
    assert replicas_of(real_cluster, refused) == 1
    assert replicas_of(real_cluster, allowed) == 2


def test_a_workload_that_is_gone_is_missing(real_cluster: RealCluster) -> None:
    ref = WorkloadRef(real_cluster.namespace(), "never-was")
    (result,) = Scaler(real_cluster.admin, "stoker").apply([target(ref, 1)], dry_run=False)
    assert result.outcome is ChangeOutcome.MISSING
    assert "never-was" in result.detail


def test_a_server_that_does_not_answer_is_a_failure(real_cluster: RealCluster) -> None:
    ref = deployed(real_cluster)
    server = real_cluster.plane.api_server
    assert server is not None
    server.pause()
    try:
        scaler = Scaler(real_cluster.admin, "stoker", timeout_s=1.0)
        (result,) = scaler.apply([target(ref, 2)], dry_run=False)
    finally:
        server.resume()
    assert result.outcome is ChangeOutcome.FAILED
    assert "no answer" in result.detail
    real_cluster.plane.wait_ready()


def test_leader_worker_sets_scale_through_their_subresource(real_cluster: RealCluster) -> None:
    ref = WorkloadRef(real_cluster.namespace(), "group", WorkloadKind.LEADER_WORKER_SET)
    scaler = Scaler(real_cluster.admin, "stoker")
    with leader_worker_sets(real_cluster) as sets:
        sets.create(ref.namespace, ref.name)
        (result,) = scaler.apply([target(ref, 3, 1)], dry_run=False)
        assert result.outcome is ChangeOutcome.APPLIED, result.detail
        assert sets.replicas(ref.namespace, ref.name) == 3


def test_leave_is_asked_for_between_reading_and_writing(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    real_cluster.deploy(namespace, "server", gpus=0)
    target = VariantTarget(WorkloadRef(namespace, "server"), "H100", 2, replicas_before=1)
    answers = iter(["", "this loop leads no more"])
    scaler = Scaler(real_cluster.admin, "stoker")
    (result,) = scaler.apply([target], dry_run=False, permit=lambda: next(answers))
    assert result.outcome is ChangeOutcome.FAILED
    assert "nothing was written: this loop leads no more" in result.detail
    assert real_cluster.apps.read_namespaced_deployment("server", namespace).spec.replicas == 1
