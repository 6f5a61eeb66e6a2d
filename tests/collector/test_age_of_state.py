"""How old what the cluster told is: as old as the oldest copies that a decision rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from collector.kubernetes.api import Kind
from collector.kubernetes.mirror import Copies, Mirror
from collector.kubernetes.state import cluster_state
from stoker.domain.control.settings import ClusterSettings
from tests.support.controlled_fleets import controlled_fleet

FRESH, OLD = 5.0, 120.0


class Told(Mirror):
    """Copies of an age that the test tells, without a server."""

    def __init__(self, told: Mapping[Kind, Copies]) -> None:
        self._told = told

    def copies(self, kind: Kind) -> Copies:
        return self._told.get(kind, Copies((), FRESH))

    def others(self) -> Copies:
        return Copies((), FRESH)


def workload(**labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "set", "namespace": "models", "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "set"}}, "template": {}},
    }


MANAGED = workload(**{"stoker.dev/managed": "true", "stoker.dev/server": "chat"})


def age(told: Mapping[Kind, Copies]) -> float:
    found = cluster_state(Told(told), controlled_fleet(), ClusterSettings(), {}, 0.0)
    assert found is not None
    return found.age_s


@pytest.mark.parametrize("kind", [Kind.DEPLOYMENTS, Kind.STATEFUL_SETS, Kind.LEADER_WORKER_SETS])
def test_old_copies_of_managed_workloads_make_it_old(kind: Kind) -> None:
    assert age({kind: Copies((MANAGED,), FRESH)}) == FRESH
    assert age({kind: Copies((MANAGED,), OLD)}) == OLD


def test_old_pods_make_it_old() -> None:
    assert age({Kind.PODS: Copies((), OLD)}) == OLD


@pytest.mark.parametrize("kind", [Kind.STATEFUL_SETS, Kind.LEADER_WORKER_SETS])
@pytest.mark.parametrize("items", [None, (), (workload(),)])
def test_kinds_that_no_managed_workload_is_of_do_not_count(
    kind: Kind, items: tuple[dict[str, Any], ...] | None
) -> None:
    """A cluster without LeaderWorkerSets is asked for them every ten minutes."""
    assert age({kind: Copies(items, None if items is None else OLD)}) == FRESH
