"""Workloads, replicas and cards, read from a real API server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import kubernetes
import pytest

from collector.kubernetes.api import ApiServer, ClusterError, Kind, connect
from collector.kubernetes.mirror import Mirror
from collector.kubernetes.state import KINDS, cluster_state
from stoker.domain.control.cluster import (
    ClusterState,
    ReplicaPhase,
    VariantState,
    WorkloadKind,
    WorkloadRef,
)
from stoker.domain.control.settings import ClusterSettings, ServerControl
from tests.support.controlled_fleets import controlled_fleet
from tests.support.real_cluster import L4, RealCluster, eventually

FLEET = controlled_fleet()
MANAGED = {"stoker.dev/managed": "true"}
READS = [
    {
        "apiGroups": ["apps"],
        "resources": ["deployments", "statefulsets"],
        "verbs": ["list", "watch"],
    },
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
]


class Watched:
    """A mirror of one namespace, and the state read from it."""

    def __init__(self, mirror: Mirror, settings: ClusterSettings, *servers: ServerControl) -> None:
        self.mirror = mirror
        self._settings = settings
        self._servers = {each.server: each for each in servers}

    def state(self) -> ClusterState:
        found = cluster_state(self.mirror, FLEET, self._settings, self._servers, time.time())
        assert found is not None
        return found

    def variant(self, name: str) -> VariantState:
        return next(each for each in self.state().variants if each.ref.name == name)


@contextmanager
def watching(client: Any, namespaces: Sequence[str], *servers: ServerControl) -> Iterator[Watched]:
    settings = ClusterSettings(namespaces=tuple(namespaces))
    with Mirror(ApiServer(client), KINDS, namespaces, time.monotonic) as mirror:
        assert mirror.wait_listed(60)
        yield Watched(mirror, settings, *servers)


def test_workloads_are_found_by_the_labels_of_both_worlds(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    real_cluster.deploy(
        namespace,
        "own",
        replicas=2,
        labels={**MANAGED, "stoker.dev/server": "chat", "stoker.dev/accelerator": "H100"},
        args=["--max-num-seqs", "48"],
    )
    real_cluster.deploy(
        namespace,
        "theirs",
        gpus=1,
        product=L4,
        labels={
            "inferno.server.managed": "true",
            "inferno.server.model": "code-14b",
            "inferno.server.class": "interactive",
            "inferno.server.allocation.accelerator": "L4",
            "inferno.server.allocation.maxbatchsize": "16",
        },
    )
    real_cluster.deploy(namespace, "named", gpus=2)
    real_cluster.deploy(namespace, "none-of-ours")
    named = ServerControl("search", {"2xH100": WorkloadRef(namespace, "named")})
    with watching(real_cluster.admin, [namespace], named) as watched:
        eventually(lambda: len(watched.state().variants) == 3)
        own, theirs, third = (watched.variant(name) for name in ("own", "theirs", "named"))
        assert (own.server, own.accelerator, own.max_batch) == ("chat", "H100", 48)
        assert (own.replicas_wanted, own.cards_per_replica, own.card_type) == (2, 1, "H100")
        assert (theirs.server, theirs.accelerator, theirs.max_batch) == ("code", "L4", 16)
        assert (third.server, third.accelerator) == ("search", "2xH100")
        assert (third.cards_per_replica, third.card_type) == (2, "H100")
        assert [each.problem for each in (own, theirs, third)] == ["", "", ""]
        eventually(lambda: watched.variant("own").count(ReplicaPhase.READY) == 2)
        replica = watched.variant("own").replicas[0]
        assert replica.node.startswith("h100-")
        assert replica.ready_at is not None
        assert replica.created_at is not None
        assert replica.scheduled_at is not None


def test_the_accelerator_follows_from_the_pod_where_no_label_tells_it(
    real_cluster: RealCluster,
) -> None:
    namespace = real_cluster.namespace()
    labels = {**MANAGED, "stoker.dev/server": "code"}
    real_cluster.deploy(namespace, "pair", gpus=2, labels=labels)
    real_cluster.deploy(namespace, "small", product=L4, labels=labels)
    with watching(real_cluster.admin, [namespace]) as watched:
        eventually(lambda: len(watched.state().variants) == 2)
        assert watched.variant("pair").accelerator == "2xH100"
        assert watched.variant("small").accelerator == "L4"


@pytest.mark.parametrize(
    ("labels", "product", "words"),
    [
        ({}, L4, "no label names its server"),
        ({"stoker.dev/server": "chatt"}, L4, "'chatt', which the fleet does not have"),
        ({"stoker.dev/model": "org_chat-8b"}, L4, "fits chat, search; add stoker.dev/server"),
        ({"stoker.dev/model": "other"}, L4, "for which the fleet has no server"),
        ({"stoker.dev/server": "chat"}, "Tesla-T4", "its accelerator cannot be told"),
        (
            {"stoker.dev/server": "chat", "stoker.dev/accelerator": "h100"},
            L4,
            "the accelerator 'h100', which the fleet does not have",
        ),
    ],
)
def test_a_workload_that_cannot_be_placed_says_why(
    real_cluster: RealCluster, labels: dict[str, str], product: str, words: str
) -> None:
    namespace = real_cluster.namespace()
    real_cluster.deploy(namespace, "odd", product=product, labels={**MANAGED, **labels})
    with watching(real_cluster.admin, [namespace]) as watched:
        eventually(lambda: len(watched.state().variants) == 1)
        problem = watched.variant("odd").problem
        assert words in problem
        assert f"Deployment {namespace}/odd" in problem
        assert problem in watched.state().problems


def test_cards_are_those_of_nodes_less_those_of_others(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    labels = {**MANAGED, "stoker.dev/server": "chat"}
    with watching(real_cluster.admin, []) as watched:
        # Pods of tests before this one give their cards back first.
        eventually(real_cluster.settled)
        eventually(lambda: watched.state().cards is not None)
        time.sleep(1.0)  # for the watch to hear of the last of them
        before = (watched.state().cards or {})["L4"]
        real_cluster.deploy(namespace, "ours", replicas=3, product=L4, labels=labels)
        real_cluster.deploy(namespace, "theirs", replicas=2, product=L4)

        def counted() -> bool:
            now = (watched.state().cards or {})["L4"]
            return now.managed == before.managed + 3 and now.others == before.others + 2

        eventually(counted)
        now = (watched.state().cards or {})["L4"]
        assert now.total == before.total == 16
        assert now.free == before.free - 5
        assert now.usable == before.usable - 2


def test_replicas_without_room_are_pending_and_say_so(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    labels = {**MANAGED, "stoker.dev/server": "chat"}
    real_cluster.deploy(namespace, "wide", gpus=64, labels=labels)
    with watching(real_cluster.admin, [namespace]) as watched:
        eventually(
            lambda: any(
                "nvidia.com/gpu" in replica.reason for replica in watched.variant("wide").replicas
            )
        )
        assert watched.variant("wide").count(ReplicaPhase.PENDING) == 1
        # No accelerator of the fleet has that many cards, but some multiple of one does.
        assert watched.variant("wide").accelerator in ("", "H100", "2xH100")


def test_the_watch_follows_scaling_starting_and_ending(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    labels = {**MANAGED, "stoker.dev/server": "chat", "stoker.dev/accelerator": "L4"}
    real_cluster.deploy(namespace, "moving", product=L4, labels=labels, startup_s=2.0)
    with watching(real_cluster.admin, [namespace]) as watched:
        eventually(lambda: watched.variant("moving").count(ReplicaPhase.STARTING) == 1)
        eventually(lambda: watched.variant("moving").count(ReplicaPhase.READY) == 1)
        version = watched.variant("moving").version
        scale = {"spec": {"replicas": 3}}
        real_cluster.apps.patch_namespaced_deployment_scale("moving", namespace, scale)
        eventually(lambda: watched.variant("moving").replicas_wanted == 3)
        assert watched.variant("moving").version != version
        eventually(lambda: watched.variant("moving").count(ReplicaPhase.READY) == 3)
        real_cluster.apps.delete_namespaced_deployment("moving", namespace)
        eventually(lambda: not watched.state().variants)


def test_annotations_pause_and_bound(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    real_cluster.deploy(
        namespace,
        "bounded",
        labels={**MANAGED, "stoker.dev/server": "chat", "stoker.dev/accelerator": "H100"},
        annotations={
            "stoker.dev/paused": "true",
            "stoker.dev/min-replicas": "2",
            "stoker.dev/max-replicas": "5",
            "example.com/other": "x",
        },
    )
    with watching(real_cluster.admin, [namespace]) as watched:
        eventually(lambda: len(watched.state().variants) == 1)
        found = watched.variant("bounded")
        assert (found.paused, found.min_replicas, found.max_replicas) == (True, 2, 5)
        assert all(key.startswith("stoker.dev/") for key in found.annotations)


def test_stateful_sets_are_workloads_too(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    body = {
        "metadata": {
            "name": "set",
            "labels": {**MANAGED, "stoker.dev/server": "chat", "stoker.dev/accelerator": "H100"},
        },
        "spec": {
            "replicas": 1,
            "serviceName": "set",
            "selector": {"matchLabels": {"app": "set"}},
            "template": {
                "metadata": {"labels": {"app": "set"}},
                "spec": {"containers": [{"name": "server", "image": "example.com/server:1"}]},
            },
        },
    }
    real_cluster.apps.create_namespaced_stateful_set(namespace, body)
    with watching(real_cluster.admin, [namespace]) as watched:
        eventually(lambda: len(watched.state().variants) == 1)
        assert watched.variant("set").ref == WorkloadRef(
            namespace, "set", WorkloadKind.STATEFUL_SET
        )
        eventually(lambda: watched.variant("set").count(ReplicaPhase.READY) == 1)


def test_without_leave_to_read_nodes_cards_are_unknown_and_the_rest_is_told(
    real_cluster: RealCluster,
) -> None:
    namespace = real_cluster.namespace()
    real_cluster.grant("no-nodes", READS, namespace)
    labels = {**MANAGED, "stoker.dev/server": "chat", "stoker.dev/accelerator": "H100"}
    real_cluster.deploy(namespace, "seen", labels=labels)
    with watching(real_cluster.client("no-nodes"), [namespace]) as watched:
        eventually(lambda: len(watched.state().variants) == 1)
        state = watched.state()
        assert state.cards is None
        assert any("may not list nodes" in problem for problem in state.problems)


def test_without_any_leave_nothing_is_told(real_cluster: RealCluster) -> None:
    with Mirror(
        ApiServer(real_cluster.client("nobody")), KINDS, ["default"], time.monotonic
    ) as mirror:
        assert mirror.wait_listed(60)
        assert cluster_state(mirror, FLEET, ClusterSettings(), {}, 0.0) is None
        assert "may not list pods in namespace default" in mirror.copies(Kind.PODS).problem


def test_a_server_that_comes_back_is_followed_again(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    labels = {**MANAGED, "stoker.dev/server": "chat", "stoker.dev/accelerator": "L4"}
    real_cluster.deploy(namespace, "there", product=L4, labels=labels)
    server = real_cluster.plane.api_server
    assert server is not None
    with watching(real_cluster.admin, [namespace]) as watched:
        eventually(lambda: watched.variant("there").count(ReplicaPhase.READY) == 1)
        server.kill()
        eventually(lambda: bool(watched.mirror.copies(Kind.PODS).problem))
        away = watched.state()
        assert away.variants[0].replicas_wanted == 1  # the last that was known, with its age
        assert any("no answer" in problem for problem in away.problems)
        eventually(lambda: watched.state().age_s > away.age_s + 0.5)
        server.start()
        real_cluster.plane.wait_ready()
        scale = {"spec": {"replicas": 2}}
        eventually(_does(lambda: _scale(real_cluster, namespace, scale)))
        eventually(lambda: watched.variant("there").replicas_wanted == 2)
        assert watched.state().problems == ()
        assert watched.state().age_s < away.age_s + 30


def _scale(cluster: RealCluster, namespace: str, body: dict[str, Any]) -> None:
    cluster.apps.patch_namespaced_deployment_scale("there", namespace, body)


def _does(action: Callable[[], object]) -> Callable[[], bool]:
    def done() -> bool:
        try:
            action()
        except (kubernetes.client.ApiException, OSError):
            return False
        return True

    return done


def test_no_way_to_a_cluster_is_told() -> None:
    with pytest.raises(ClusterError, match=r"cluster\.kubeconfig"):
        connect(ClusterSettings(kubeconfig="/nowhere/at/all"))


def test_a_kubeconfig_leads_to_the_cluster(real_cluster: RealCluster) -> None:
    client = connect(ClusterSettings(kubeconfig=str(real_cluster.plane.kubeconfig())))
    listed = ApiServer(client).list_objects(Kind.NODES, "", 20.0)
    assert {item["metadata"]["name"] for item in listed.items} >= {"h100-a", "h100-b", "l4-a"}
    assert listed.version
