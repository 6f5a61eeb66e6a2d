"""Sets of pods beside Deployments, and watches that are cut off, on a real API server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actuator.kubernetes.scaling import Scaler
from collector.kubernetes.api import ApiServer, ClusterError, Event, Kind, Listed
from collector.kubernetes.mirror import Mirror
from collector.kubernetes.state import KINDS, cluster_state
from stoker.domain.control.changes import ChangeOutcome, VariantTarget
from stoker.domain.control.cluster import ReplicaPhase, VariantState, WorkloadKind, WorkloadRef
from stoker.domain.control.settings import ClusterSettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.leader_worker_sets import leader_worker_sets
from tests.support.real_cluster import RealCluster, deployment, eventually

MANAGED = {"stoker.dev/managed": "true", "stoker.dev/server": "chat"}


class Counting:
    """A real API server; counts lists, and can be made to watch from a version of long ago."""

    def __init__(self, client: Any) -> None:
        self._server = ApiServer(client)
        self.lists = 0
        self.refused: list[int | None] = []
        self.from_long_ago = False

    def list_objects(self, kind: Kind, namespace: str, timeout_s: float) -> Listed:
        self.lists += kind is Kind.LEADER_WORKER_SETS
        return self._server.list_objects(kind, namespace, timeout_s)

    def watch(self, kind: Kind, namespace: str, version: str, seconds: int) -> Iterator[Event]:
        if kind is Kind.LEADER_WORKER_SETS and self.from_long_ago:
            self.from_long_ago = False
            version = "1"
        try:
            yield from self._server.watch(kind, namespace, version, seconds)
        except ClusterError as error:
            self.refused.append(error.status)
            raise


class Watched:
    """What a mirror of one namespace shows."""

    def __init__(self, mirror: Mirror, namespace: str) -> None:
        self._mirror = mirror
        self._settings = ClusterSettings(namespaces=(namespace,))

    def variants(self) -> dict[str, VariantState]:
        found = cluster_state(self._mirror, controlled_fleet(), self._settings, {}, time.time())
        assert found is not None
        return {each.ref.name: each for each in found.variants}


@contextmanager
def watching(objects: Any, namespace: str, **options: Any) -> Iterator[Watched]:
    with Mirror(objects, KINDS, [namespace], time.monotonic, **options) as mirror:
        assert mirror.wait_listed(60)
        yield Watched(mirror, namespace)


def scaled(cluster: RealCluster, ref: WorkloadRef, before: int, after: int) -> None:
    target = VariantTarget(ref, "H100", after, replicas_before=before)
    (result,) = Scaler(cluster.admin, "stoker", 60.0).apply([target], dry_run=False)
    assert result.outcome is ChangeOutcome.APPLIED, result.detail


def reasons(watched: Watched) -> dict[ReplicaPhase, str]:
    """What keeps the groups of the set from serving, by where they stand."""
    return {each.phase: each.reason for each in watched.variants()["pair"].replicas}


def test_a_stateful_set_is_found_scaled_and_followed(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    body = deployment("set", gpus=0, labels={**MANAGED, "stoker.dev/accelerator": "H100"})
    body["kind"] = "StatefulSet"
    body["spec"] |= {"serviceName": "set", "podManagementPolicy": "Parallel"}
    real_cluster.apps.create_namespaced_stateful_set(namespace, body)
    ref = WorkloadRef(namespace, "set", WorkloadKind.STATEFUL_SET)
    with watching(ApiServer(real_cluster.admin), namespace) as watched:
        eventually(lambda: "set" in watched.variants())
        assert watched.variants()["set"].ref == ref
        scaled(real_cluster, ref, 1, 2)
        eventually(lambda: watched.variants()["set"].count(ReplicaPhase.READY) == 2)
        assert watched.variants()["set"].replicas_wanted == 2
        scaled(real_cluster, ref, 2, 0)
        eventually(lambda: not watched.variants()["set"].replicas)


def test_a_leader_worker_set_is_found_scaled_and_followed(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    ref = WorkloadRef(namespace, "pair", WorkloadKind.LEADER_WORKER_SET)
    with leader_worker_sets(real_cluster) as sets:
        labels = MANAGED | {"stoker.dev/accelerator": "2xH100"}
        sets.create(namespace, "pair", size=3, labels=labels, worker_gpus=1)
        with watching(ApiServer(real_cluster.admin), namespace) as watched:
            eventually(lambda: "pair" in watched.variants())
            found = watched.variants()["pair"]
            assert (found.ref, found.server, found.accelerator) == (ref, "chat", "2xH100")
            # Its leader has no card, each of its two workers has one.
            assert (found.cards_per_replica, found.card_type) == (2, "H100")
            for worker in range(2):
                sets.pod(namespace, "pair", 0, worker, 0)
            words = "2 of its 3 pods are there"
            eventually(lambda: reasons(watched) == {ReplicaPhase.STARTING: words})
            sets.pod(namespace, "pair", 0, 2, 0)
            eventually(lambda: watched.variants()["pair"].count(ReplicaPhase.READY) == 1)
            # A group is one replica: that of its leader.
            assert [each.name for each in watched.variants()["pair"].replicas] == ["pair-0"]
            # Its leader is ready still, and nothing is served without all of its workers.
            real_cluster.core.delete_namespaced_pod("pair-0-1", namespace)
            eventually(lambda: reasons(watched) == {ReplicaPhase.STARTING: words})
            sets.pod(namespace, "pair", 0, 1, 0)
            eventually(lambda: watched.variants()["pair"].count(ReplicaPhase.READY) == 1)
            scaled(real_cluster, ref, 1, 2)
            eventually(lambda: watched.variants()["pair"].replicas_wanted == 2)
            assert sets.replicas(namespace, "pair") == 2
        real_cluster.core.delete_collection_namespaced_pod(namespace)


def test_a_watch_from_too_old_a_version_is_gone(real_cluster: RealCluster) -> None:
    # The server remembers what happened to a kind from when it learned of it.
    with leader_worker_sets(real_cluster) as sets:
        sets.create(real_cluster.namespace(), "any")
        server = ApiServer(real_cluster.admin)
        with pytest.raises(ClusterError) as caught:
            list(server.watch(Kind.LEADER_WORKER_SETS, "", "1", 5))
    assert caught.value.status == 410


def test_a_watch_that_is_gone_begins_anew_with_a_list(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    objects = Counting(real_cluster.admin)
    objects.from_long_ago = True
    with leader_worker_sets(real_cluster) as sets:
        sets.create(namespace, "before", labels=MANAGED)
        with watching(objects, namespace) as watched:
            eventually(lambda: 410 in objects.refused and objects.lists >= 2)
            eventually(lambda: "before" in watched.variants())
            sets.create(namespace, "after", labels=MANAGED)
            eventually(lambda: "after" in watched.variants())


def test_watches_that_work_are_listed_again_now_and_then(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    objects = Counting(real_cluster.admin)
    with (
        leader_worker_sets(real_cluster),
        watching(objects, namespace, resync_s=1.0, watch_s=1.0),
    ):
        eventually(lambda: objects.lists >= 3)
