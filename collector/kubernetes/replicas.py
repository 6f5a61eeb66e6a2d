"""The pods of workloads, and where each replica stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from collector.kubernetes.api import RawObject
from collector.kubernetes.labels import object_selector
from stoker.domain.control.cluster import ReplicaPhase, ReplicaState, WorkloadKind

_WORKER_INDEX = "leaderworkerset.sigs.k8s.io/worker-index"
_GROUP_INDEX = "leaderworkerset.sigs.k8s.io/group-index"
_SET_NAME = "leaderworkerset.sigs.k8s.io/name"
_SIZE = "leaderworkerset.sigs.k8s.io/size"
_CRASHED = "CrashLoopBackOff"


class Pods:
    """Pods, found by namespace and label: thousands of them are asked for by each workload.

    Args:
        pods: All pods that are seen.
    """

    def __init__(self, pods: Sequence[RawObject]) -> None:
        self._found: dict[tuple[str, str, str], list[RawObject]] = defaultdict(list)
        self._here: dict[str, list[RawObject]] = defaultdict(list)
        for pod in pods:
            namespace = pod["metadata"].get("namespace") or ""
            self._here[namespace].append(pod)
            for label, value in _labels(pod).items():
                self._found[namespace, label, value].append(pod)

    def with_labels(self, namespace: str, labels: Mapping[str, str]) -> Sequence[RawObject]:
        """Return the pods of a namespace with the first of some labels; all of it for none."""
        for label, value in labels.items():
            return self._found.get((namespace, label, value), ())
        return self._here.get(namespace, ())


def pods_of(workload: RawObject, kind: WorkloadKind, pods: Pods) -> tuple[RawObject, ...]:
    """Return the pods of a workload: those that its selector selects, in its namespace."""
    meta = workload["metadata"]
    namespace = meta.get("namespace") or ""
    if kind is WorkloadKind.LEADER_WORKER_SET:
        return tuple(pods.with_labels(namespace, {_SET_NAME: meta["name"]}))
    selector = (workload.get("spec") or {}).get("selector") or {}
    selects = object_selector(selector)
    found = pods.with_labels(namespace, selector.get("matchLabels") or {})
    return tuple(pod for pod in found if selects(_labels(pod)))


def replicas_of(
    pods: Sequence[RawObject], kind: WorkloadKind, size: int
) -> tuple[ReplicaState, ...]:
    """Return where each replica of a workload stands.

    Args:
        pods: Its pods.
        kind: Its kind.
        size: Pods of a replica that is made now; groups tell the size that they were made with.
    """
    if kind is not WorkloadKind.LEADER_WORKER_SET:
        return tuple(replica_of(pod) for pod in pods)
    workers: dict[str, list[ReplicaState]] = defaultdict(list)
    leaders = []
    for pod in pods:
        if _labels(pod).get(_WORKER_INDEX, "0") == "0":
            leaders.append(pod)
        else:
            workers[_labels(pod).get(_GROUP_INDEX, "")].append(replica_of(pod))
    return tuple(
        _group(
            replica_of(leader),
            workers[_labels(leader).get(_GROUP_INDEX, "")],
            _size_made_with(leader) or size,
        )
        for leader in leaders
    )


def _group(leader: ReplicaState, workers: Sequence[ReplicaState], size: int) -> ReplicaState:
    """Return where a group stands: it serves when all its pods are there and ready, no sooner."""
    pods = (leader, *workers)
    restarts = sum(each.restarts for each in pods)
    if leader.phase is ReplicaPhase.TERMINATING:
        return leader
    behind = [each for each in pods if each.phase is not ReplicaPhase.READY]
    scheduled = [each.scheduled_at for each in pods if each.scheduled_at is not None]
    last = max(scheduled) if len(scheduled) == len(pods) >= size else None
    placed = sum(bool(each.node) for each in pods)
    partly = 0 < placed < max(size, len(pods))
    if not behind and len(pods) >= size:
        ready = [each.ready_at for each in pods if each.ready_at is not None]
        return replace(
            leader,
            scheduled_at=last,
            ready_at=max(ready, default=leader.ready_at),
            restarts=restarts,
        )
    homeless = next((each for each in behind if each.phase is ReplicaPhase.PENDING), None)
    phase = ReplicaPhase.STARTING if homeless is None else ReplicaPhase.PENDING
    if behind:
        crashed = next((each for each in behind if each.reason.startswith(_CRASHED)), None)
        first = homeless or crashed or behind[0]
        reason = f"{first.name} is {first.phase.value}"
        reason = f"{reason}: {first.reason}" if first.reason else reason
    else:
        reason = f"{len(pods)} of its {size} pods are there"
    return replace(
        leader,
        phase=phase,
        node="" if partly else leader.node,
        scheduled_at=last,
        ready_at=None,
        reason=reason,
        restarts=restarts,
        partly=partly,
    )


def replica_of(pod: RawObject) -> ReplicaState:
    """Return where a pod stands."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    scheduled = conditions.get("PodScheduled") or {}
    reason = ""
    if meta.get("deletionTimestamp"):
        phase = ReplicaPhase.TERMINATING
    elif ready.get("status") == "True":
        phase = ReplicaPhase.READY
    elif spec.get("nodeName"):
        phase = ReplicaPhase.STARTING
        reason = _waiting_reason(status)
    else:
        phase = ReplicaPhase.PENDING
        reason = str(scheduled.get("message") or scheduled.get("reason") or "")
    return ReplicaState(
        meta["name"],
        phase,
        spec.get("nodeName") or "",
        _seconds(meta.get("creationTimestamp")),
        _seconds(scheduled.get("lastTransitionTime")) if spec.get("nodeName") else None,
        _seconds(ready.get("lastTransitionTime")) if phase is ReplicaPhase.READY else None,
        reason,
        sum(each.get("restartCount") or 0 for each in status.get("containerStatuses") or ()),
    )


def _waiting_reason(status: Mapping[str, Any]) -> str:
    """Return why a container does not run, e.g. ``CrashLoopBackOff: back-off 5m0s``."""
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            message = waiting.get("message") or ""
            return f"{waiting['reason']}: {message}" if message else str(waiting["reason"])
    return ""


def _size_made_with(leader: RawObject) -> int | None:
    """Return how many pods a group was made with: its set may ask for another size by now."""
    text = str((leader["metadata"].get("annotations") or {}).get(_SIZE) or "")
    return int(text) if text.isdecimal() else None


def _labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    return (item.get("metadata") or {}).get("labels") or {}


def _seconds(text: object) -> float | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
