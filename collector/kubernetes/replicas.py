"""The pods of workloads, and where each replica stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from collector.kubernetes.api import RawObject
from collector.kubernetes.labels import object_selector
from stoker.domain.control.cluster import ReplicaPhase, ReplicaState, WorkloadKind

_LEADER_LABEL = "leaderworkerset.sigs.k8s.io/worker-index"
_LEADER_NAME = "leaderworkerset.sigs.k8s.io/name"


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
        return tuple(pods.with_labels(namespace, {_LEADER_NAME: meta["name"]}))
    selector = (workload.get("spec") or {}).get("selector") or {}
    selects = object_selector(selector)
    found = pods.with_labels(namespace, selector.get("matchLabels") or {})
    return tuple(pod for pod in found if selects(_labels(pod)))


def leading(pods: Sequence[RawObject], kind: WorkloadKind) -> Sequence[RawObject]:
    """Return the pods that stand for a replica each: of a group, the first."""
    if kind is not WorkloadKind.LEADER_WORKER_SET:
        return pods
    return [pod for pod in pods if _labels(pod).get(_LEADER_LABEL, "0") == "0"]


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
    )


def _waiting_reason(status: Mapping[str, Any]) -> str:
    """Return why a container does not run, e.g. ``CrashLoopBackOff: back-off 5m0s``."""
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            message = waiting.get("message") or ""
            return f"{waiting['reason']}: {message}" if message else str(waiting["reason"])
    return ""


def _labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    return (item.get("metadata") or {}).get("labels") or {}


def _seconds(text: object) -> float | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
