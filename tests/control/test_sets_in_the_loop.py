"""StatefulSets and LeaderWorkerSets, kept at their size under the roles of the manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from demos.cluster.control_plane import ClusterUser
from stoker.cli.control_wiring import wired
from tests.support.control_setup import ControlSetup
from tests.support.leader_worker_sets import LeaderWorkerSets, leader_worker_sets
from tests.support.loop_account import ACCOUNT, roles_applied
from tests.support.real_cluster import RealCluster, eventually

SIZE = 2


@pytest.fixture(scope="module")
def roles(real_cluster: RealCluster) -> Iterator[None]:
    with roles_applied(real_cluster):
        yield


@pytest.fixture
def setup(control_setup: ControlSetup, roles: None) -> ControlSetup:
    """A loop that runs as its account, and takes back at once what is not needed."""
    path = control_setup.cluster.plane.kubeconfig(ClusterUser(ACCOUNT))
    control_setup.control["cluster"]["kubeconfig"] = str(path)
    # One page tells of all replicas here.
    control_setup.control["metrics"] |= {"reporting_share": 0, "fresh_replica_s": 0}
    control_setup.control["stability"] = {"scale_down_window_s": 0, "cooldown_down_s": 0}
    control_setup.control["forecast"] = {"method": "last"}
    control_setup.write()
    return control_setup


Cycle = Callable[[], dict[str, Any]]


@contextmanager
def running(setup: ControlSetup) -> Iterator[Cycle]:
    """Run a loop whose cycles come when they are asked for."""
    with wired(setup.document, None, lambda _: None) as found:

        def cycle() -> dict[str, Any]:
            record = dict(found.loop.cycle().document)
            refused = [each for each in record["changes"] if each["outcome"] == "forbidden"]
            assert not refused, refused
            return record

        yield cycle


def up_and_down(
    setup: ControlSetup, cycle: Cycle, replicas: Callable[[], int]
) -> list[dict[str, Any]]:
    """Have the loop grow a workload, and shrink it when its load has gone; return the changes."""
    changes = []

    def grown() -> bool:
        changes.extend(cycle()["changes"])
        return replicas() > 1

    eventually(grown)
    most = replicas()
    query = {"arrival_rate_rps": "vector(1)"}
    setup.control["servers"] = [{"server": "chat", "queries": query}]
    setup.write()

    def shrunk() -> bool:
        changes.extend(cycle()["changes"])
        return replicas() < most

    eventually(shrunk)
    return [each for each in changes if each["outcome"] == "applied"]


def ready(cycle: Cycle) -> int:
    """Replicas that serve, as a cycle sees them."""
    (workload,) = cycle()["cluster"]["workloads"]
    return int(workload["ready"])


def test_a_stateful_set_grows_and_shrinks(setup: ControlSetup) -> None:
    setup.stateful_set(gpus=0)
    apps = setup.cluster.apps

    def replicas() -> int:
        return int(apps.read_namespaced_stateful_set("chat", setup.namespace).spec.replicas)

    with running(setup) as cycle:
        changes = up_and_down(setup, cycle, replicas)
    assert {each["workload"] for each in changes} == {f"StatefulSet {setup.namespace}/chat"}
    assert len(changes) >= 2


def test_a_leader_worker_set_grows_and_shrinks_by_groups(setup: ControlSetup) -> None:
    with leader_worker_sets(setup.cluster) as sets:
        sets.create(setup.namespace, "chat", size=SIZE, labels=setup.labels)
        groups = Groups(sets, setup)
        with running(setup) as cycle:
            changes = up_and_down(setup, cycle, groups.followed)
            # A group whose worker is gone serves nothing, however ready its leader is.
            eventually(lambda: ready(cycle) == groups.followed())
            setup.cluster.core.delete_namespaced_pod("chat-0-1", setup.namespace)
            eventually(lambda: ready(cycle) < sets.replicas(setup.namespace, "chat"))
        assert {each["workload"] for each in changes} == {f"LeaderWorkerSet {setup.namespace}/chat"}
        assert len(changes) >= 2
        setup.cluster.core.delete_collection_namespaced_pod(setup.namespace)


class Groups:
    """Makes the pods of a set's groups, as its controller would."""

    def __init__(self, sets: LeaderWorkerSets, setup: ControlSetup) -> None:
        self._sets = sets
        self._setup = setup
        self._made = 0

    def followed(self) -> int:
        """Make the pods that are missing, delete those too many, and return the groups asked."""
        asked = self._sets.replicas(self._setup.namespace, "chat")
        while self._made < asked:
            for worker in range(SIZE):
                self._sets.pod(self._setup.namespace, "chat", self._made, worker, 0)
            self._made += 1
        while self._made > asked:
            self._made -= 1
            for name in (f"chat-{self._made}", f"chat-{self._made}-1"):
                self._setup.cluster.core.delete_namespaced_pod(name, self._setup.namespace)
        return asked
