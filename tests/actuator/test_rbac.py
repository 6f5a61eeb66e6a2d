"""The roles of `deploy/rbac.yaml`, applied to a real API server: enough, and no more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest

from actuator.kubernetes.events import EventWriter
from actuator.kubernetes.hands import ClusterHands
from actuator.kubernetes.lease import Leadership
from actuator.kubernetes.scaling import Scaler
from collector.kubernetes.api import ApiServer
from collector.kubernetes.mirror import Mirror
from collector.kubernetes.state import KINDS
from stoker.domain.control.changes import (
    ChangeOutcome,
    Decisions,
    Direction,
    Notice,
    ServerDecision,
    VariantTarget,
)
from stoker.domain.control.cluster import WorkloadRef
from stoker.domain.control.settings import ClusterSettings, LeaseSettings
from tests.support.loop_account import ACCOUNT, roles_applied
from tests.support.real_cluster import RealCluster, eventually


@pytest.fixture(scope="module")
def account(real_cluster: RealCluster) -> Iterator[Any]:
    """A client that acts as the loop's account, with the roles of the manifests."""
    with roles_applied(real_cluster):
        yield real_cluster.client(ACCOUNT)


def allowed(client: Any, verb: str, group: str, resource: str, sub: str = "") -> bool:
    api: Any = kubernetes.client.AuthorizationV1Api(client)
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": sub}
    body = {"spec": {"resourceAttributes": {**attributes, "namespace": "default"}}}
    return bool(api.create_self_subject_access_review(body).status.allowed)


def test_the_account_can_do_its_work(real_cluster: RealCluster, account: Any) -> None:
    namespace = real_cluster.namespace()
    real_cluster.deploy(namespace, "server", gpus=0)
    ref = WorkloadRef(namespace, "server")
    with Mirror(ApiServer(account), KINDS, [], time.monotonic) as mirror:
        assert mirror.wait_listed(60)
        assert [mirror.copies(kind).problem for kind in KINDS] == [""] * len(KINDS)
    target = VariantTarget(ref, "H100", 2, replicas_before=1)
    results = Scaler(account, "stoker").apply([target], dry_run=False)
    assert results[0].outcome is ChangeOutcome.APPLIED, results[0].detail
    settings = LeaseSettings(namespace="stoker", duration_s=5.0, renew_s=1.0)
    with Leadership(account, settings, "one", time.monotonic) as leadership:
        eventually(leadership.holds)
        assert leadership.problem == ""
    decision = ServerDecision("chat", Direction.UP, (target,), 2, "H100", (), "more load")
    EventWriter(account, "stoker", time.time).announce(Decisions({"chat": decision}), results)
    found = [
        event
        for event in real_cluster.core.list_namespaced_event(namespace).items
        if event.source.component == "stoker"
    ]
    assert [event.reason for event in found] == ["Scaled"]
    assert found[0].involved_object.name == "server"
    assert found[0].message == ("chat: 1 to 2 replicas; the plan asks for 2 on H100; more load")


@pytest.mark.parametrize(
    ("verb", "group", "resource", "sub"),
    [
        ("get", "", "secrets", ""),
        ("delete", "", "pods", ""),
        ("create", "", "pods", ""),
        ("update", "apps", "deployments", ""),
        ("patch", "apps", "deployments", ""),
        ("delete", "apps", "deployments", ""),
        ("patch", "", "nodes", ""),
        ("create", "rbac.authorization.k8s.io", "roles", ""),
        ("update", "coordination.k8s.io", "leases", ""),
    ],
)
def test_the_account_may_do_nothing_else(
    account: Any, verb: str, group: str, resource: str, sub: str
) -> None:
    assert not allowed(account, verb, group, resource, sub)


def test_batch_limits_need_a_role_of_their_own(real_cluster: RealCluster, account: Any) -> None:
    namespace = real_cluster.namespace()
    real_cluster.deploy(namespace, "server", gpus=0, env={"MAX_NUM_SEQS": "64"})
    settings = ClusterSettings(allow_batch_limit=True, set_batch_limit_by="MAX_NUM_SEQS")
    target = VariantTarget(WorkloadRef(namespace, "server"), "H100", 1, max_batch=32)
    hands = ClusterHands(account, settings)
    (refused,) = hands.apply([target], dry_run=False)
    assert refused.outcome is ChangeOutcome.FORBIDDEN
    assert "bind stoker-batch-limits" in refused.detail
    rbac: Any = kubernetes.client.RbacAuthorizationV1Api(real_cluster.admin)
    binding = {
        "metadata": {"name": "stoker-batch-limits"},
        "subjects": [{"kind": "ServiceAccount", "name": "stoker", "namespace": "stoker"}],
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "stoker-batch-limits",
        },
    }
    rbac.create_namespaced_role_binding(namespace, binding)
    eventually(
        lambda: hands.apply([target], dry_run=True)[0].outcome is not ChangeOutcome.FORBIDDEN
    )
    # It may try now; what the test's own manifest owns stays with that manifest all the same.
    (conflict,) = hands.apply([target], dry_run=False)
    assert conflict.outcome is ChangeOutcome.CONFLICT
    other = {"spec": {"template": {"spec": {"containers": [{"name": "server", "env": None}]}}}}
    real_cluster.apps.patch_namespaced_deployment("server", namespace, other)
    (applied,) = hands.apply([target], dry_run=False)
    assert applied.outcome is ChangeOutcome.APPLIED, applied.detail


def test_a_cluster_that_takes_no_events_is_told_of_once(
    real_cluster: RealCluster, caplog: pytest.LogCaptureFixture
) -> None:
    target = VariantTarget(WorkloadRef(real_cluster.namespace(), "server"), "H100", 2)
    results = Scaler(real_cluster.client("nobody"), "stoker").apply([target], dry_run=False)
    writer = EventWriter(real_cluster.client("nobody"), "stoker", time.time)
    for _ in range(2):
        writer.announce(Decisions(), results)
    assert sum("events are not written" in record.message for record in caplog.records) == 1


def test_events_that_were_refused_are_written_later(real_cluster: RealCluster) -> None:
    ref = WorkloadRef(real_cluster.namespace(), "server")
    rule = {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}
    writer = EventWriter(real_cluster.client("nobody"), "stoker", time.time)
    writer.announce(Decisions(), (), [Notice(ref, "Degraded", "chat: load_unknown")])
    assert "events are not written" in writer.problem
    real_cluster.grant("nobody", [rule], ref.namespace)

    def written() -> bool:
        writer.announce(Decisions(), (), ())
        return not writer.problem

    eventually(written)
    found = real_cluster.core.list_namespaced_event(ref.namespace).items
    assert [(each.type, each.reason) for each in found] == [("Warning", "Degraded")]
