"""Cards that pods of other namespaces hold are counted or unknown, and never free."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from collector.kubernetes.api import ApiServer, Kind
from collector.kubernetes.hardware import cards_requested, holding
from collector.kubernetes.mirror import Mirror
from collector.kubernetes.state import KINDS, cluster_state
from collector.observer import FleetObserver
from controller.world import fleet_now, free_cards
from demos.cluster.nodes import GPU_RESOURCE
from stoker.domain.control.cluster import CardStock, ClusterState
from stoker.domain.control.settings import ClusterSettings, ControlSettings, LoopSettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.real_cluster import L4, RealCluster, deployment
from tests.support.real_cluster import eventually as within

FLEET = controlled_fleet()
TENANT = "tenant"
READS_ITS_OWN = [
    {
        "apiGroups": ["apps"],
        "resources": ["deployments", "statefulsets"],
        "verbs": ["list", "watch"],
    },
    {
        "apiGroups": ["leaderworkerset.x-k8s.io"],
        "resources": ["leaderworkersets"],
        "verbs": ["list", "watch"],
    },
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
]
READS_NODES = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}]
READS_PODS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]
LABELS = {
    "stoker.dev/managed": "true",
    "stoker.dev/server": "chat",
    "stoker.dev/accelerator": "L4",
}


def eventually(holds: Callable[[], bool]) -> None:
    """Wait as long as a cluster takes that has only just started, on a busy machine."""
    within(holds, 240.0)


class Watched:
    """What somebody sees who looks at one namespace."""

    def __init__(self, mirror: Mirror, namespace: str) -> None:
        self.mirror = mirror
        self._namespace = namespace

    def state(self, *, sole_tenant: bool = False) -> ClusterState:
        settings = ClusterSettings(namespaces=(self._namespace,), sole_tenant=sole_tenant)
        found = cluster_state(self.mirror, FLEET, settings, {}, time.time())
        assert found is not None
        return found

    def cards(self, *, sole_tenant: bool = False) -> CardStock | None:
        found = self.state(sole_tenant=sole_tenant).cards
        return None if found is None else found["L4"]

    def counts(self, managed: int, others: int) -> bool:
        found = self.cards()
        return found is not None and (found.managed, found.others) == (managed, others)


@contextmanager
def watching(client: Any, namespace: str) -> Iterator[Watched]:
    with Mirror(ApiServer(client), KINDS, [namespace], time.monotonic) as mirror:
        assert mirror.wait_listed(60)
        yield Watched(mirror, namespace)


def capacity(state: ClusterState) -> int:
    """The cards that a plan may use."""
    return {each.card_type: each.count for each in fleet_now(FLEET, {}, state, {}).capacity}["L4"]


def test_cards_in_other_namespaces_are_not_free(real_cluster: RealCluster) -> None:
    ours, theirs = real_cluster.namespace(), real_cluster.namespace()
    real_cluster.deploy(ours, "ours", replicas=2, product=L4, labels=LABELS)
    real_cluster.deploy(theirs, "theirs", replicas=5, product=L4)
    with watching(real_cluster.admin, ours) as watched:
        # Pods of tests before this one may still be ending.
        eventually(lambda: real_cluster.settled() and watched.counts(2, 5))
        state = watched.state()
        assert (capacity(state), (free_cards(state) or {})["L4"]) == (16 - 5, 16 - 2 - 5)
        assert state.problems == ()
        # Of theirs nothing is kept but what they hold.
        foreign = watched.mirror.others().items
        assert foreign is not None
        assert {pod["metadata"]["namespace"] for pod in foreign} >= {theirs}
        assert not any("containerStatuses" in pod["status"] for pod in foreign)
        scale = {"spec": {"replicas": 1}}
        real_cluster.apps.patch_namespaced_deployment_scale("theirs", theirs, scale)
        eventually(lambda: watched.counts(2, 1))
        # A pod of ours is counted once, as ours, from when we see it.
        scale = {"spec": {"replicas": 4}}
        real_cluster.apps.patch_namespaced_deployment_scale("ours", ours, scale)
        seen = set()

        def grown() -> bool:
            found = watched.cards()
            assert found is not None
            seen.add(found.others)
            return found.managed == 4

        eventually(grown)
        assert seen == {1}


def test_where_pods_of_others_may_not_be_read_cards_are_unknown_until_they_may(
    real_cluster: RealCluster,
) -> None:
    ours, theirs = real_cluster.namespace(), real_cluster.namespace()
    real_cluster.grant(TENANT, READS_ITS_OWN, ours)
    real_cluster.grant(TENANT, READS_NODES)
    real_cluster.deploy(ours, "ours", product=L4, labels=LABELS)
    real_cluster.deploy(theirs, "theirs", replicas=3, product=L4)
    with watching(real_cluster.client(TENANT), ours) as watched:
        eventually(lambda: watched.mirror.copies(Kind.NODES).items is not None)
        eventually(lambda: "may not list pods in the cluster" in watched.state().cards_problem)
        state = watched.state()
        assert state.cards is None
        assert free_cards(state) is None
        # What is told in the fleet document counts.
        assert capacity(state) == next(
            each.count for each in FLEET.capacity if each.card_type == "L4"
        )
        assert state.cards_problem in state.problems
        assert "cluster.sole_tenant" in state.cards_problem
        assert [each.ref.name for each in state.variants] == ["ours"]
        # Who says that nobody else is there gets the nodes' cards less their own.
        expected = CardStock("L4", 16, 1, 0)
        eventually(lambda: watched.cards(sole_tenant=True) == expected)
        assert watched.state(sole_tenant=True).problems == ()
        real_cluster.grant(TENANT, READS_PODS)
        eventually(lambda: real_cluster.settled() and watched.counts(1, 3))
        assert watched.state().problems == ()


class Standing:
    """A mirror that confirmed nothing for a while, but for some kinds."""

    def __init__(self, mirror: Mirror, since_s: float) -> None:
        self._mirror = mirror
        self._since_s = since_s

    def copies(self, kind: Kind) -> Any:
        return self._mirror.copies(kind)

    def others(self) -> Any:
        found = self._mirror.others()
        return type(found)(found.items, (found.age_s or 0.0) + self._since_s, found.problem)


def test_cards_are_unknown_when_pods_of_others_were_confirmed_too_long_ago(
    real_cluster: RealCluster,
) -> None:
    ours = real_cluster.namespace()
    cluster = ClusterSettings(namespaces=(ours,))
    settings = ControlSettings(loop=LoopSettings(period_s=60.0), cluster=cluster)
    with watching(real_cluster.admin, ours) as watched:

        def seen(since_s: float) -> ClusterState:
            mirror: Any = Standing(watched.mirror, since_s)
            observer = FleetObserver(None, mirror, settings, time.time, time.monotonic)
            found = observer.observe(FLEET, time.monotonic() + 60.0).cluster
            assert found is not None
            return found

        assert seen(0.0).cards is not None
        late = seen(3600.0)
        assert late.cards is None
        assert "pods of other namespaces were last confirmed" in late.cards_problem


def test_what_is_kept_of_a_pod_tells_the_same_cards() -> None:
    whole = deployment("any", gpus=3)["spec"]["template"]
    larger_first: Sequence[Any] = [{"resources": {"requests": {GPU_RESOURCE: "4"}}}]
    for first in ([], larger_first):
        pod = {
            "metadata": {"uid": "1", "namespace": "a", "annotations": {"long": "text"}},
            "spec": {**whole["spec"], "nodeName": "l4-a", "initContainers": first},
            "status": {"phase": "Running", "message": "long"},
        }
        kept = holding(pod)
        assert cards_requested(kept["spec"], GPU_RESOURCE) == cards_requested(
            pod["spec"], GPU_RESOURCE
        )
        assert kept["spec"]["nodeName"] == "l4-a"
        assert kept["metadata"] == {"uid": "1", "namespace": "a"}
        assert kept["status"] == {"phase": "Running"}
    assert "nodeName" not in holding({"metadata": {}, "spec": {}})["spec"]
