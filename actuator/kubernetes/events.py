"""Events of the cluster, on the workloads that were changed: where people look first."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from actuator.kubernetes.api import RawObject, WriteError, call
from stoker.domain.control.changes import (
    ChangeOutcome,
    ChangeResult,
    Decisions,
    Notice,
    ServerDecision,
)
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef

logger = logging.getLogger(__name__)

_LONGEST = 1000
_MOST_KEPT = 1000
_GROUPS = {
    WorkloadKind.DEPLOYMENT: "apps/v1",
    WorkloadKind.STATEFUL_SET: "apps/v1",
    WorkloadKind.LEADER_WORKER_SET: "leaderworkerset.x-k8s.io/v1",
}


class EventWriter:
    """Writes an event for each change that was made or refused, and for each notice.

    Events that cannot be written are kept, with the time of what they tell, and written when the
    cluster takes them again; of too many the oldest are lost. Why they are not written is
    `problem`, and told in the log once.

    Args:
        client: A client of the API server.
        component: Who writes.
        now: The time of day, in seconds since the epoch.
        timeout_s: Longest wait for an answer.
    """

    def __init__(
        self, client: Any, component: str, now: Callable[[], float], timeout_s: float = 5.0
    ) -> None:
        import kubernetes

        self._api = kubernetes.client.CoreV1Api(client)
        self._component = component
        self._now = now
        self._timeout_s = timeout_s
        self._kept: deque[RawObject] = deque(maxlen=_MOST_KEPT)
        self._logged = False
        self.problem = ""

    def announce(
        self,
        decisions: Decisions,
        results: Sequence[ChangeResult],
        notices: Sequence[Notice] = (),
    ) -> None:
        """Write the events of a cycle, and those that were kept."""
        self._kept.extend(self._of_changes(decisions, results))
        self._kept.extend(
            self._event(each.ref, each.reason, each.words, well=each.well) for each in notices
        )
        self._write()

    def _of_changes(
        self, decisions: Decisions, results: Sequence[ChangeResult]
    ) -> Iterable[RawObject]:
        by_ref = {
            target.ref: decision
            for decision in decisions.servers.values()
            for target in decision.targets
        }
        for result in results:
            if result.outcome in (ChangeOutcome.UNCHANGED, ChangeOutcome.DRY_RUN):
                continue
            made = result.outcome is ChangeOutcome.APPLIED
            words = _words(result, by_ref.get(result.target.ref))
            yield self._event(result.target.ref, _reason(result, made=made), words, well=made)

    def _write(self) -> None:
        """Write what is kept, until it is refused: the rest would wait as long."""
        while self._kept:
            event = self._kept[0]
            try:
                call(
                    self._api.create_namespaced_event,
                    event["metadata"]["namespace"],
                    event,
                    timeout_s=self._timeout_s,
                )
            except WriteError as error:
                if error.outcome not in (ChangeOutcome.FAILED, ChangeOutcome.FORBIDDEN):
                    self._kept.popleft()  # there already, or nowhere to be: gone, say
                    continue
                self.problem = f"events are not written: {error}"
                if not self._logged:
                    logger.warning("%s", self.problem)
                self._logged = True
                return
            self._kept.popleft()
            self.problem = ""

    def _event(self, ref: WorkloadRef, reason: str, words: str, *, well: bool) -> RawObject:
        moment = datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "metadata": {
                "name": f"{ref.name}.{uuid4().hex[:16]}",
                "namespace": ref.namespace,
            },
            "type": "Normal" if well else "Warning",
            "reason": reason,
            "message": words[:_LONGEST],
            "involvedObject": _object(ref),
            "source": {"component": self._component},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }


def _reason(result: ChangeResult, *, made: bool) -> str:
    limited = result.target.max_batch and result.replicas_before == result.target.replicas
    if made:
        return "BatchLimited" if limited else "Scaled"
    return f"{'BatchLimiting' if limited else 'Scaling'}{result.outcome.value.title()}"


def _words(result: ChangeResult, decision: ServerDecision | None) -> str:
    before = "?" if result.replicas_before is None else str(result.replicas_before)
    words = f"{before} to {result.target.replicas} replicas"
    if result.target.max_batch:
        words += f", batch limit {result.target.max_batch}"
    if decision is not None:
        words = f"{decision.server}: {words}"
        if decision.wanted_replicas is not None:
            words += f"; the plan asks for {decision.wanted_replicas}"
            if decision.wanted_accelerator:
                words += f" on {decision.wanted_accelerator}"
        if decision.reason:
            words += f"; {decision.reason}"
    return f"{words}: {result.detail}" if result.detail else words


def _object(ref: WorkloadRef) -> RawObject:
    return {
        "apiVersion": _GROUPS[ref.kind],
        "kind": ref.kind.value,
        "namespace": ref.namespace,
        "name": ref.name,
    }
