"""Batch limits, written to a real API server by server-side apply."""

from __future__ import annotations

import time
from typing import Any

import pytest

from actuator.kubernetes.batch_limit import BatchLimiter, NoPlaceError, container_patch
from actuator.kubernetes.events import EventWriter
from actuator.kubernetes.hands import ClusterHands
from stoker.domain.control.changes import (
    ChangeOutcome,
    Decisions,
    Direction,
    ServerDecision,
    VariantTarget,
)
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef
from stoker.domain.control.settings import ClusterSettings
from tests.support.real_cluster import RealCluster, deployment, eventually

VARIABLE = "MAX_NUM_SEQS"
GPU = "nvidia.com/gpu"
BY_VARIABLE = ClusterSettings(allow_batch_limit=True, set_batch_limit_by=VARIABLE)
BY_ARGUMENT = ClusterSettings(allow_batch_limit=True)
APPLY = "application/apply-patch+yaml"


def deployed(cluster: RealCluster, **options: Any) -> WorkloadRef:
    namespace = cluster.namespace()
    cluster.deploy(namespace, "server", gpus=0, **options)  # the cards are for other tests
    return WorkloadRef(namespace, "server")


def target(ref: WorkloadRef, limit: int, replicas: int = 1) -> VariantTarget:
    return VariantTarget(ref, "H100", replicas, limit, 1)


def found(cluster: RealCluster, ref: WorkloadRef) -> Any:
    return cluster.apps.read_namespaced_deployment(ref.name, ref.namespace)


def container(cluster: RealCluster, ref: WorkloadRef) -> Any:
    return found(cluster, ref).spec.template.spec.containers[0]


def hand_over(cluster: RealCluster, ref: WorkloadRef, **fields: Any) -> None:
    """What docs/control.md tells a person to do: give fields to Stoker, by force, once."""
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ref.name},
        "spec": {"template": {"spec": {"containers": [{"name": "server", **fields}]}}},
    }
    cluster.apps.patch_namespaced_deployment(
        ref.name,
        ref.namespace,
        body,
        field_manager="stoker",
        force=True,
        _content_type=APPLY,
    )


def test_a_variable_of_ones_own_and_nothing_else(real_cluster: RealCluster) -> None:
    args = ["--model", "m", f"--max-num-seqs=$({VARIABLE})"]
    ref = deployed(real_cluster, args=args, env={"OTHER": "1"})
    hands = ClusterHands(real_cluster.admin, BY_VARIABLE)
    (dry,) = hands.apply([target(ref, 64)], dry_run=True)
    assert dry.outcome is ChangeOutcome.DRY_RUN
    assert [each.name for each in container(real_cluster, ref).env] == ["OTHER"]
    for limit in (64, 96):
        (result,) = hands.apply([target(ref, limit)], dry_run=False)
        assert (result.outcome, result.replicas_before) == (ChangeOutcome.APPLIED, 1), result.detail
        told = container(real_cluster, ref)
        assert {each.name: each.value for each in told.env} == {"OTHER": "1", VARIABLE: str(limit)}
        assert told.args == args
    (owned,) = [
        each.fields_v1
        for each in found(real_cluster, ref).metadata.managed_fields
        if (each.manager, each.operation) == ("stoker", "Apply")
    ]
    (own,) = owned["f:spec"]["f:template"]["f:spec"]["f:containers"].values()
    assert set(own) == {".", "f:name", "f:env"}
    assert set(own["f:env"]) == {f'k:{{"name":"{VARIABLE}"}}'}
    generation = found(real_cluster, ref).metadata.generation
    (again,) = hands.apply([target(ref, 96)], dry_run=False)
    assert again.outcome is ChangeOutcome.UNCHANGED
    assert found(real_cluster, ref).metadata.generation == generation


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        (BY_VARIABLE, {"env": {VARIABLE: "64"}}),
        (BY_ARGUMENT, {"args": ["--model", "m", "--max-num-seqs", "64"]}),
    ],
    ids=["variable", "argument"],
)
def test_what_another_manager_owns_is_a_conflict_until_it_is_handed_over(
    real_cluster: RealCluster, settings: ClusterSettings, options: dict[str, Any]
) -> None:
    ref = deployed(real_cluster, **options)
    before = container(real_cluster, ref)
    hands = ClusterHands(real_cluster.admin, settings)
    (result,) = hands.apply([target(ref, 32)], dry_run=False)
    assert result.outcome is ChangeOutcome.CONFLICT
    assert "hand the field over" in result.detail
    assert "conflict with" in result.detail
    assert container(real_cluster, ref).to_dict() == before.to_dict()
    if settings is BY_VARIABLE:
        hand_over(real_cluster, ref, env=[{"name": VARIABLE, "value": "48"}])
    else:
        hand_over(real_cluster, ref, args=["--model", "m", "--max-num-seqs", "48"])
    (result,) = hands.apply([target(ref, 32)], dry_run=False)
    assert result.outcome is ChangeOutcome.APPLIED, result.detail
    after = container(real_cluster, ref)
    if settings is BY_VARIABLE:
        assert {each.name: each.value for each in after.env} == {VARIABLE: "32"}
    else:
        assert after.args == ["--model", "m", "--max-num-seqs", "32"]


def rolled_out(cluster: RealCluster, ref: WorkloadRef) -> bool:
    """Whether the controller of deployments has nothing left to write."""
    deployment = found(cluster, ref)
    status = deployment.status
    return bool(
        status.observed_generation == deployment.metadata.generation
        and status.replicas == status.updated_replicas == status.ready_replicas
        and status.ready_replicas == deployment.spec.replicas
        and any(
            each.type == "Progressing" and each.reason == "NewReplicaSetAvailable"
            for each in status.conditions or ()
        )
    )


def test_arguments_that_change_meanwhile_are_read_again(
    real_cluster: RealCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = deployed(real_cluster)
    hand_over(real_cluster, ref, args=["--max-running-requests=48"])
    limiter = BatchLimiter(real_cluster.admin, BY_ARGUMENT)
    call, patches = limiter._call, []

    def slow(verb: str, *arguments: Any, **options: Any) -> Any:
        if verb == "patch":
            patches.append(verb)
            if len(patches) == 1:  # between the read and the write somebody else hands over more
                hand_over(real_cluster, ref, args=["--tp=2", "--max-running-requests=48"])
                eventually(lambda: rolled_out(real_cluster, ref))  # which writes, too
        return call(verb, *arguments, **options)

    monkeypatch.setattr(limiter, "_call", slow)
    result = limiter.limit(target(ref, 24), dry_run=False)
    assert result.outcome is ChangeOutcome.APPLIED, result.detail
    assert len(patches) == 2
    assert container(real_cluster, ref).args == ["--tp=2", "--max-running-requests=24"]


def test_replicas_and_limit_together(real_cluster: RealCluster) -> None:
    ref, owned = deployed(real_cluster), deployed(real_cluster, env={VARIABLE: "64"})
    hands = ClusterHands(real_cluster.admin, BY_VARIABLE)
    both, half = hands.apply([target(ref, 16, 2), target(owned, 16, 2)], dry_run=False)
    assert (both.outcome, both.replicas_before, both.detail) == (ChangeOutcome.APPLIED, 1, "")
    assert found(real_cluster, ref).spec.replicas == 2
    assert container(real_cluster, ref).env[0].value == "16"
    # Replicas were written; the refused limit is told, and comes up alone later.
    assert half.outcome is ChangeOutcome.APPLIED
    assert "batch limit: Apply failed" in half.detail
    (alone,) = hands.apply([VariantTarget(owned, "H100", 2, 16, 2)], dry_run=False)
    assert (alone.outcome, alone.replicas_before) == (ChangeOutcome.CONFLICT, 2)


def test_limits_are_written_only_where_that_is_allowed_and_replicas_stand(
    real_cluster: RealCluster,
) -> None:
    ref = deployed(real_cluster)
    not_allowed = ClusterSettings(set_batch_limit_by=VARIABLE)
    (result,) = ClusterHands(real_cluster.admin, not_allowed).apply([target(ref, 8)], dry_run=False)
    assert result.outcome is ChangeOutcome.UNCHANGED
    elsewhere = VariantTarget(ref, "H100", 3, 8, replicas_before=2)
    (result,) = ClusterHands(real_cluster.admin, BY_VARIABLE).apply([elsewhere], dry_run=False)
    assert result.outcome is ChangeOutcome.CONFLICT
    assert container(real_cluster, ref).env is None


def test_a_workload_that_is_gone_is_not_made(real_cluster: RealCluster) -> None:
    ref = WorkloadRef(real_cluster.namespace(), "never-was")
    result = BatchLimiter(real_cluster.admin, BY_VARIABLE).limit(target(ref, 8), dry_run=False)
    assert result.outcome is ChangeOutcome.MISSING
    assert not real_cluster.apps.list_namespaced_deployment(ref.namespace).items


def test_stateful_sets_too_and_groups_not(real_cluster: RealCluster) -> None:
    ref = WorkloadRef(real_cluster.namespace(), "server", WorkloadKind.STATEFUL_SET)
    body = deployment(ref.name, gpus=0)
    body["kind"] = ref.kind.value
    body["spec"]["serviceName"] = ref.name
    real_cluster.apps.create_namespaced_stateful_set(ref.namespace, body)
    limiter = BatchLimiter(real_cluster.admin, BY_VARIABLE)
    result = limiter.limit(target(ref, 8), dry_run=False)
    assert result.outcome is ChangeOutcome.APPLIED, result.detail
    group = WorkloadRef(ref.namespace, ref.name, WorkloadKind.LEADER_WORKER_SET)
    result = limiter.limit(target(group, 8), dry_run=False)
    assert result.outcome is ChangeOutcome.FAILED
    assert "Deployments and StatefulSets alone" in result.detail


ONE = {"name": "a", "args": ["--max-num-seqs", "64", "--x", "--max-num-seqs=64"]}
CARDS = {"name": "b", "resources": {"limits": {GPU: "1"}}}


@pytest.mark.parametrize(
    ("containers", "set_by", "name", "fields"),
    [
        (
            [CARDS, ONE],
            "argument",
            "a",
            {"args": ["--max-num-seqs", "8", "--x", "--max-num-seqs=8"]},
        ),
        (
            [{"name": "c", "command": ["serve", "--max-running-requests=9"]}],
            "argument",
            "c",
            {"command": ["serve", "--max-running-requests=8"]},
        ),
        ([{"name": "c", "args": ["--max-num-seqs=8"]}], "argument", "c", {}),
        ([ONE, CARDS], "LIMIT", "b", {"env": [{"name": "LIMIT", "value": "8"}]}),
        (
            [CARDS, {"name": "c", "args": ["--n=$(LIMIT)"]}],
            "LIMIT",
            "c",
            {"env": [{"name": "LIMIT", "value": "8"}]},
        ),
        ([CARDS, {"name": "c", "env": [{"name": "LIMIT", "value": "8"}]}], "LIMIT", "c", {}),
    ],
)
def test_where_a_limit_goes(
    containers: list[Any], set_by: str, name: str, fields: dict[str, Any]
) -> None:
    patch = container_patch({"containers": containers}, 8, set_by, GPU)
    assert (patch.container, dict(patch.fields)) == (name, fields)


@pytest.mark.parametrize(
    ("containers", "set_by", "words"),
    [
        ([CARDS], "argument", "no container has the argument --max-num-seqs"),
        ([{"name": "c", "args": ["--max-num-seqs"]}], "argument", "no container has the argument"),
        ([{"name": "c"}, {"name": "d"}], "LIMIT", "which of the containers c, d serves"),
        (
            [{"name": "c", "env": [{"name": "LIMIT", "valueFrom": {"fieldRef": {}}}]}],
            "LIMIT",
            "comes from elsewhere",
        ),
    ],
)
def test_where_it_has_no_place(containers: list[Any], set_by: str, words: str) -> None:
    with pytest.raises(NoPlaceError, match=words):
        container_patch({"containers": containers}, 8, set_by, GPU)


def test_events_tell_of_batch_limits(real_cluster: RealCluster) -> None:
    ref, owned = deployed(real_cluster), deployed(real_cluster, env={VARIABLE: "64"})
    hands = ClusterHands(real_cluster.admin, BY_VARIABLE)
    targets = (target(ref, 16), target(owned, 16))
    results = hands.apply(targets, dry_run=False)
    decision = ServerDecision("chat", Direction.MOVE, targets)
    EventWriter(real_cluster.admin, "stoker", time.time).announce(
        Decisions({"chat": decision}), results
    )
    for where, reason in ((ref, "BatchLimited"), (owned, "BatchLimitingConflict")):
        (event,) = [
            each
            for each in real_cluster.core.list_namespaced_event(where.namespace).items
            if each.source.component == "stoker"
        ]
        assert event.reason == reason
        assert event.message.startswith("chat: 1 to 1 replicas, batch limit 16")
