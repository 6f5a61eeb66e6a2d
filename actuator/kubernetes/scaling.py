"""Replicas of workloads, through their scale subresource."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actuator.kubernetes.api import RawObject, WriteError, call
from actuator.kubernetes.together import written_together
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, VariantTarget
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef

LEADER_WORKER_SETS = ("leaderworkerset.x-k8s.io", "v1", "leaderworkersets")

_DRY_RUN = "All"
_TRIES = 5


def always() -> str:
    """Permit every write."""
    return ""


class Scaler:
    """Writes replicas, only where they differ, and never over somebody else's change.

    Each write names the version that was read just before it, so that of two writers one is
    refused. Where the replicas are no longer those that the target was decided on, somebody else
    has decided meanwhile: that is a conflict, left to the next cycle.

    Args:
        client: A client of the API server.
        field_manager: Name under which the field is owned.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, client: Any, field_manager: str, timeout_s: float = 10.0) -> None:
        import kubernetes

        self._apps = kubernetes.client.AppsV1Api(client)
        self._custom = kubernetes.client.CustomObjectsApi(client)
        self._manager = field_manager
        self._timeout_s = timeout_s

    def apply(
        self,
        targets: Sequence[VariantTarget],
        *,
        dry_run: bool,
        permit: Callable[[], str] = always,
    ) -> tuple[ChangeResult, ...]:
        """Bring each workload to its replicas; a refusal is a result, and stops no other."""

        def write(target: VariantTarget) -> ChangeResult:
            return self.scale(target, dry_run=dry_run, permit=permit)

        return written_together(targets, write)

    def scale(
        self, target: VariantTarget, *, dry_run: bool, permit: Callable[[], str] = always
    ) -> ChangeResult:
        """Bring one workload to its replicas.

        The version of an object changes with its status too, as pods come and go: a write that was
        refused for that is tried again as long as the replicas are those that were read.
        """
        expected = target.replicas_before
        result = ChangeResult(target, ChangeOutcome.CONFLICT)
        for _ in range(_TRIES):
            result = self._scale_once(target, expected, permit, dry_run=dry_run)
            if result.outcome is not ChangeOutcome.CONFLICT:
                break
            if expected is not None and result.replicas_before != expected:
                break
            expected = result.replicas_before
        return result

    def _scale_once(
        self,
        target: VariantTarget,
        expected: int | None,
        permit: Callable[[], str],
        *,
        dry_run: bool,
    ) -> ChangeResult:
        forbidden = permit()
        if forbidden:
            return _not_permitted(target, None, forbidden)
        try:
            scale = call(self._verb("read", target.ref), timeout_s=self._timeout_s)
        except WriteError as error:
            return ChangeResult(target, error.outcome, None, _detail(error, target.ref, "get"))
        before = int((scale.get("spec") or {}).get("replicas") or 0)
        if before == target.replicas:
            return ChangeResult(target, ChangeOutcome.UNCHANGED, before)
        if expected is not None and before != expected:
            return ChangeResult(
                target,
                ChangeOutcome.CONFLICT,
                before,
                f"{target.ref} asks for {before} replicas now, and was decided on at {expected}",
            )
        forbidden = permit()  # reading may have taken long
        if forbidden:
            return _not_permitted(target, before, forbidden)
        body: RawObject = {
            "apiVersion": scale["apiVersion"],
            "kind": scale["kind"],
            "metadata": {
                "name": target.ref.name,
                "namespace": target.ref.namespace,
                "resourceVersion": scale["metadata"]["resourceVersion"],
            },
            "spec": {"replicas": target.replicas},
        }
        try:
            call(
                self._verb("replace", target.ref),
                body,
                timeout_s=self._timeout_s,
                field_manager=self._manager,
                **({"dry_run": _DRY_RUN} if dry_run else {}),
            )
        except WriteError as error:
            return ChangeResult(target, error.outcome, before, _detail(error, target.ref, "update"))
        outcome = ChangeOutcome.DRY_RUN if dry_run else ChangeOutcome.APPLIED
        return ChangeResult(target, outcome, before)

    def _verb(self, verb: str, ref: WorkloadRef) -> Callable[..., Any]:
        """Return the client's function for a workload's scale, its name and namespace filled in."""
        if ref.kind is WorkloadKind.LEADER_WORKER_SET:
            group, version, plural = LEADER_WORKER_SETS
            name = {"read": "get", "replace": "replace"}[verb]
            function = getattr(self._custom, f"{name}_namespaced_custom_object_scale")

            def custom(*body: Any, **options: Any) -> Any:
                return function(group, version, ref.namespace, plural, ref.name, *body, **options)

            return custom
        kind = {
            WorkloadKind.DEPLOYMENT: "deployment",
            WorkloadKind.STATEFUL_SET: "stateful_set",
        }[ref.kind]
        function = getattr(self._apps, f"{verb}_namespaced_{kind}_scale")

        def builtin(*body: Any, **options: Any) -> Any:
            return function(ref.name, ref.namespace, *body, **options)

        return builtin


def _not_permitted(target: VariantTarget, before: int | None, why: str) -> ChangeResult:
    return ChangeResult(
        target, ChangeOutcome.FAILED, before, f"{target.ref}: nothing was written: {why}"
    )


def _detail(error: WriteError, ref: WorkloadRef, verb: str) -> str:
    if error.outcome is ChangeOutcome.FORBIDDEN:
        resource = {
            WorkloadKind.DEPLOYMENT: "deployments/scale in apps",
            WorkloadKind.STATEFUL_SET: "statefulsets/scale in apps",
            WorkloadKind.LEADER_WORKER_SET: "leaderworkersets/scale in leaderworkerset.x-k8s.io",
        }[ref.kind]
        return f"{ref}: {error}; grant {verb} on {resource}, as deploy/rbac.yaml does"
    return f"{ref}: {error}"
