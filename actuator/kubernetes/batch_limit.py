"""Batch limits of pods, by server-side apply: one field owned, everything else left as it is.

A limit stands in an environment variable or in an argument of the container that serves. Variables
are a list by name, so that one alone can be owned. Arguments are owned all together: they are
written as they stand with one value changed, and only over the version that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actuator.kubernetes.api import RawObject, WriteError, call
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, VariantTarget
from stoker.domain.control.cluster import BATCH_ARGUMENTS, WorkloadKind, WorkloadRef
from stoker.domain.control.settings import ClusterSettings
from stoker.domain.errors import StokerError

BY_ARGUMENT = "argument"
"""The setting that asks for arguments; any other names an environment variable."""

_APPLY = "application/apply-patch+yaml"
_DRY_RUN = "All"
_TRIES = 5
_RESOURCES = {
    WorkloadKind.DEPLOYMENT: ("deployment", "deployments"),
    WorkloadKind.STATEFUL_SET: ("stateful_set", "statefulsets"),
}


class NoPlaceError(StokerError):
    """The pods have no place for a batch limit; the message says what to add."""


@dataclass(frozen=True, slots=True)
class ContainerPatch:
    """What a container is to be told.

    Attributes:
        container: Its name.
        fields: The fields to own, as they are to be; empty where it is told so already.
        whole_list: Whether they stand for lists as they were read, which nobody else may have
            changed meanwhile.
    """

    container: str
    fields: Mapping[str, Any]
    whole_list: bool = False


def container_patch(
    spec: Mapping[str, Any], limit: int, set_by: str, resource: str
) -> ContainerPatch:
    """Return what tells the pods of a pod template their batch limit.

    Args:
        spec: Spec of the pod template.
        limit: Requests in the batch, at most.
        set_by: `argument`, or the name of an environment variable.
        resource: Name of the resource that counts cards: tells the container that serves.

    Raises:
        NoPlaceError: No container has the argument, or it cannot be told which one serves.
    """
    containers: Sequence[Mapping[str, Any]] = spec.get("containers") or ()
    if set_by == BY_ARGUMENT:
        return _by_argument(containers, limit)
    return _by_variable(containers, limit, set_by, resource)


def _by_argument(containers: Sequence[Mapping[str, Any]], limit: int) -> ContainerPatch:
    for container in containers:
        for key in ("args", "command"):
            words = [str(word) for word in container.get(key) or ()]
            changed = _with_limit(words, limit)
            if changed is not None:
                fields = {} if changed == words else {key: changed}
                return ContainerPatch(container["name"], fields, whole_list=True)
    raise NoPlaceError(
        f"no container has the argument {' or '.join(BATCH_ARGUMENTS[:2])}; add it, or name an "
        "environment variable in cluster.set_batch_limit_by"
    )


def _with_limit(words: Sequence[str], limit: int) -> list[str] | None:
    """Return arguments with the limit replaced in place; None where none of them is the limit."""
    changed = list(words)
    found = False
    for index, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if name not in BATCH_ARGUMENTS:
            continue
        if equals:
            changed[index] = f"{name}={limit}"
            found = True
        elif index + 1 < len(words):
            changed[index + 1] = str(limit)
            found = True
    return changed if found else None


def _by_variable(
    containers: Sequence[Mapping[str, Any]], limit: int, variable: str, resource: str
) -> ContainerPatch:
    container = _serving(containers, variable, resource)
    told = next((each for each in container.get("env") or () if each.get("name") == variable), None)
    if told is not None and told.get("valueFrom"):
        raise NoPlaceError(
            f"the variable {variable} of container {container['name']} comes from elsewhere "
            "(valueFrom); take it out of the manifest, and Stoker sets it"
        )
    fields = {"env": [{"name": variable, "value": str(limit)}]}
    right = told is not None and str(told.get("value")) == str(limit)
    return ContainerPatch(container["name"], {} if right else fields)


def _serving(
    containers: Sequence[Mapping[str, Any]], variable: str, resource: str
) -> Mapping[str, Any]:
    """Return the container that serves: the one that knows the variable, or that holds cards."""
    tests: tuple[Callable[[Mapping[str, Any]], bool], ...] = (
        lambda each: any(item.get("name") == variable for item in each.get("env") or ()),
        lambda each: (
            f"$({variable})" in " ".join([*(each.get("command") or ()), *(each.get("args") or ())])
        ),
        lambda each: resource in ((each.get("resources") or {}).get("limits") or {}),
        lambda _: True,
    )
    for test in tests:
        found = [each for each in containers if test(each)]
        if len(found) == 1:
            return found[0]
    names = ", ".join(each["name"] for each in containers)
    raise NoPlaceError(
        f"which of the containers {names} serves cannot be told; give one the variable {variable}"
    )


class BatchLimiter:
    """Writes batch limits of Deployments and StatefulSets, only where they differ.

    What another field manager owns is never forced from it: that is a conflict, and its words name
    the owner.

    Args:
        client: A client of the API server.
        settings: Where limits stand, and under which name fields are owned.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, client: Any, settings: ClusterSettings, timeout_s: float = 10.0) -> None:
        import kubernetes

        self._apps = kubernetes.client.AppsV1Api(client)
        self._settings = settings
        self._timeout_s = timeout_s

    def limit(self, target: VariantTarget, *, dry_run: bool) -> ChangeResult:
        """Tell the pods of one workload their batch limit.

        New pods are told it by the workload's own rolling update. The version of an object changes
        with its status too: a write that was refused for that is tried again on what is there then.
        """
        if target.ref.kind not in _RESOURCES:
            words = f"{target.ref}: batch limits are written to Deployments and StatefulSets alone"
            return ChangeResult(target, ChangeOutcome.FAILED, detail=words)
        result = ChangeResult(target, ChangeOutcome.CONFLICT)
        for _ in range(_TRIES):
            result, again = self._limit_once(target, dry_run=dry_run)
            if not again:
                break
        return result

    def _limit_once(self, target: VariantTarget, *, dry_run: bool) -> tuple[ChangeResult, bool]:
        """Return what came of it, and whether it is worth another try."""
        ref = target.ref
        try:
            found = self._call("read", ref)
        except WriteError as error:
            return ChangeResult(target, error.outcome, None, _detail(error, ref, "get")), False
        replicas = found["spec"].get("replicas")
        before = None if replicas is None else int(replicas)
        try:
            patch = container_patch(
                found["spec"]["template"].get("spec") or {},
                target.max_batch or 0,
                self._settings.set_batch_limit_by,
                self._settings.resource,
            )
        except NoPlaceError as error:
            return ChangeResult(target, ChangeOutcome.FAILED, before, f"{ref}: {error}"), False
        if not patch.fields:
            return ChangeResult(target, ChangeOutcome.UNCHANGED, before), False
        try:
            self._call(
                "patch",
                ref,
                _body(ref, patch, found["metadata"]),
                field_manager=self._settings.field_manager,
                _content_type=_APPLY,
                **({"dry_run": _DRY_RUN} if dry_run else {}),
            )
        except WriteError as error:
            detail = _detail(error, ref, "patch")
            again = error.outcome is ChangeOutcome.CONFLICT and not error.contested
            return ChangeResult(target, error.outcome, before, detail), again
        outcome = ChangeOutcome.DRY_RUN if dry_run else ChangeOutcome.APPLIED
        return ChangeResult(target, outcome, before), False

    def _call(self, verb: str, ref: WorkloadRef, *body: RawObject, **options: Any) -> RawObject:
        function = getattr(self._apps, f"{verb}_namespaced_{_RESOURCES[ref.kind][0]}")
        answer: RawObject = call(
            function, ref.name, ref.namespace, *body, timeout_s=self._timeout_s, **options
        )
        return answer


def _body(ref: WorkloadRef, patch: ContainerPatch, found: Mapping[str, Any]) -> RawObject:
    """Return the fields to own, and nothing else."""
    metadata = {"name": ref.name, "namespace": ref.namespace}
    if patch.whole_list:
        metadata["resourceVersion"] = found["resourceVersion"]
    container = {"name": patch.container, **patch.fields}
    return {
        "apiVersion": "apps/v1",
        "kind": ref.kind.value,
        "metadata": metadata,
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def _detail(error: WriteError, ref: WorkloadRef, verb: str) -> str:
    words = f"{ref}: batch limit: {error}"
    if error.outcome is ChangeOutcome.FORBIDDEN:
        resource = _RESOURCES[ref.kind][1]
        return f"{words}; grant {verb} on {resource} in apps: bind stoker-batch-limits"
    if error.contested:
        return f"{words}; hand the field over, as docs/control.md shows under Batch limits"
    return words
