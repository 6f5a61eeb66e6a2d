"""Groups of pods: what they teach of start-ups, and which cards they are still to take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from collector.kubernetes.api import RawObject
from collector.kubernetes.replicas import replicas_of
from controller.degraded import unscheduled
from controller.startups import StartupTimes, Watch
from controller.world import fleet_now, free_cards
from stoker.domain.control.cluster import (
    CardStock,
    ClusterState,
    ReplicaPhase,
    ReplicaState,
    VariantState,
    WorkloadKind,
    WorkloadRef,
)
from tests.support.controlled_fleets import controlled_fleet

REF = WorkloadRef("models", "pair", WorkloadKind.LEADER_WORKER_SET)
AT = 1_000_000.0
DAY_S = 86_400.0
PREFIX = "leaderworkerset.sigs.k8s.io"


def pod(
    worker: int,
    created_at: float,
    placed_at: float | None = None,
    ready_at: float | None = None,
    *,
    waits: str = "",
    restarts: int = 0,
    made_with: int | None = None,
    no_node: str = "",
) -> RawObject:
    """A pod of group 0, as the API server tells it."""
    conditions = []
    if placed_at is not None:
        conditions.append(_condition("PodScheduled", placed_at))
    elif no_node:
        conditions.append({"type": "PodScheduled", "status": "False", "message": no_node})
    if ready_at is not None:
        conditions.append(_condition("Ready", ready_at))
    state = {"waiting": {"reason": waits}} if waits else {"running": {}}
    return {
        "metadata": {
            "name": f"pair-0-{worker}" if worker else "pair-0",
            "creationTimestamp": _told(created_at),
            "annotations": {} if made_with is None else {f"{PREFIX}/size": str(made_with)},
            "labels": {f"{PREFIX}/group-index": "0", f"{PREFIX}/worker-index": str(worker)},
        },
        "spec": {} if placed_at is None else {"nodeName": "node"},
        "status": {
            "conditions": conditions,
            "containerStatuses": [{"state": state, "restartCount": restarts}],
        },
    }


def _condition(name: str, at: float) -> dict[str, str]:
    return {"type": name, "status": "True", "lastTransitionTime": _told(at)}


def _told(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def group(*pods: RawObject, size: int = 2) -> ReplicaState:
    (found,) = replicas_of(pods, WorkloadKind.LEADER_WORKER_SET, size)
    return found


def cluster(*replicas: ReplicaState) -> ClusterState:
    variant = VariantState(
        REF, "chat", "16xH100", 1, replicas, cards_per_replica=16, card_type="H100"
    )
    return ClusterState(AT, (variant,), {"H100": CardStock("H100", 20, 8, 4)})


def learned(*looks: tuple[float, ReplicaState | None]) -> tuple[float, ...]:
    times = StartupTimes()
    for passed_s, seen in looks:
        (variant,) = cluster(*([] if seen is None else [seen])).variants
        times = times.with_variant("model", variant, Watch(AT + passed_s, 90.0, 30.0, 900.0))
    return times.seconds.get(("model", "16xH100"), ())


LEADER = pod(0, AT - DAY_S, AT - DAY_S, AT - DAY_S + 60)
WORKER = pod(1, AT - DAY_S, AT - DAY_S, AT - DAY_S + 60)
BACK = pod(1, AT + 20, AT + 40, AT + 55)


def test_a_group_that_starts_teaches_from_its_last_node_on() -> None:
    leader, ready = pod(0, AT + 5, AT + 10), pod(0, AT + 5, AT + 10, AT + 70)
    assert learned(
        (0, None),
        (30, group(leader, pod(1, AT + 5))),
        (60, group(leader, pod(1, AT + 5, AT + 40))),
        (90, group(ready, pod(1, AT + 5, AT + 40, AT + 80))),
    ) == (40.0,)


def test_a_worker_that_is_made_anew_teaches_nothing() -> None:
    away = group(LEADER, pod(1, AT + 20))
    assert away.phase is ReplicaPhase.PENDING
    back = group(LEADER, BACK)
    assert back.phase is ReplicaPhase.READY
    assert learned((0, group(LEADER, WORKER)), (30, away), (60, back)) == ()
    # Nor where the loop comes when the worker is gone already.
    assert learned((30, away), (60, back)) == ()
    assert learned((0, group(LEADER)), (30, away), (60, back)) == ()


def test_a_worker_that_crashes_on_its_first_start_teaches_nothing() -> None:
    leader, worker = pod(0, AT + 5, AT + 10), pod(1, AT + 5, AT + 10)
    crashed = group(leader, pod(1, AT + 5, AT + 10, waits="CrashLoopBackOff"))
    assert crashed.reason == "pair-0-1 is starting: CrashLoopBackOff"
    ready = group(pod(0, AT + 5, AT + 10, AT + 80), pod(1, AT + 5, AT + 10, AT + 85))
    assert learned((0, None), (30, group(leader, worker)), (90, ready)) == (75.0,)
    assert learned((0, None), (30, group(leader, worker)), (60, crashed), (90, ready)) == ()
    # A crash between two looks is told by the count of restarts alone.
    again = group(pod(0, AT + 5, AT + 10, AT + 80), pod(1, AT + 5, AT + 10, AT + 85, restarts=1))
    assert again.restarts == 1
    assert learned((0, None), (30, group(leader, worker)), (90, again)) == ()


def test_cards_of_a_worker_without_a_node_are_not_free() -> None:
    words = "0/3 nodes: Insufficient nvidia.com/gpu"
    found = group(pod(0, AT - 600, AT - 590), pod(1, AT - 600, no_node=words))
    state = cluster(found)
    assert (found.phase, found.node) == (ReplicaPhase.PENDING, "")
    assert words in unscheduled(state, AT)["chat"]
    assert free_cards(state) == {"H100": 0}
    # As long as the worker is not even made, its cards are to come as well.
    assert free_cards(cluster(group(pod(0, AT - 600, AT - 590)))) == {"H100": 0}
    assert free_cards(cluster(group(LEADER, WORKER))) == {"H100": 8}
    assert unscheduled(cluster(group(LEADER, WORKER)), AT) == {}


def test_cards_of_groups_that_cannot_be_managed_are_in_no_plan() -> None:
    for found in (group(LEADER, WORKER), group(LEADER, pod(1, AT))):
        (variant,) = cluster(found).variants
        state = replace(cluster(), variants=(replace(variant, server="", problem="whose is it"),))
        fleet = fleet_now(controlled_fleet(), {}, state, {})
        assert {each.card_type: each.count for each in fleet.capacity}[
            "H100"
        ] == 0  # 20, 4 of others


def test_a_group_is_ready_by_the_size_that_it_was_made_with() -> None:
    leader = pod(0, AT - DAY_S, AT - DAY_S, AT - DAY_S + 60, made_with=2)
    assert group(leader, WORKER, size=4).phase is ReplicaPhase.READY
    assert group(leader, size=1).reason == "1 of its 2 pods are there"
    assert group(LEADER, WORKER, size=4).reason == "2 of its 4 pods are there"
