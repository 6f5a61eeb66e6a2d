"""The API server: does it answer, does its clock agree, and what may the loop do there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from collector.diagnosis.clocks import compare_clocks, moment_of
from stoker.domain.control.choices import Actuation, Mode
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef
from stoker.domain.control.diagnosis import Finding, Level
from stoker.domain.control.settings import ControlSettings

_LWS = "leaderworkerset.x-k8s.io"
_RESOURCES = {
    WorkloadKind.DEPLOYMENT: ("apps", "deployments"),
    WorkloadKind.STATEFUL_SET: ("apps", "statefulsets"),
    WorkloadKind.LEADER_WORKER_SET: (_LWS, "leaderworkersets"),
}
_ACCOUNT = "--serviceaccount=stoker:stoker"


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that the loop asks leave for.

    Attributes:
        verb: The verb.
        group: API group of the resource; empty for the core.
        resource: The resource.
        subresource: Its subresource; empty for none.
        name: The one object it is for; empty for all.
        namespace: Where; empty for the whole cluster.
        needed: Whether the loop cannot work without it.
        role: The role of `deploy/rbac.yaml` that grants it.
    """

    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    needed: bool = True
    role: str = "stoker-observe"

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else " in the cluster"
        return f"{self.verb} {self.what}{where}"

    @property
    def what(self) -> str:
        """The resource with its subresource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    @property
    def remedy(self) -> str:
        """What to type to grant it."""
        if self.role == "stoker-batch-limits":
            return _bound("clusterrolebinding", self.role, "")
        if self.role == "stoker-lease":
            return (
                f"kubectl -n {self.namespace} create role {self.role} --verb=get,create,update "
                f"--resource=leases.coordination.k8s.io && kubectl -n {self.namespace} create "
                f"rolebinding {self.role} --role={self.role} {_ACCOUNT}"
            )
        kind = "rolebinding" if self.namespace else "clusterrolebinding"
        return f"kubectl apply -f deploy/rbac.yaml; or {_bound(kind, self.role, self.namespace)}"


def _bound(kind: str, role: str, namespace: str) -> str:
    where = f"-n {namespace} " if namespace else ""
    return f"kubectl {where}create {kind} {role} --clusterrole={role} {_ACCOUNT}"


def reading_verbs(settings: ControlSettings) -> tuple[Verb, ...]:
    """Return what the loop looks at with these settings, whatever runs in the cluster."""
    named = {each.kind for each in _named(settings)}
    found = [Verb(verb, "", "nodes", needed=False) for verb in ("list", "watch")]
    if settings.cluster.namespaces and not settings.cluster.sole_tenant:
        # Cards that pods of other namespaces hold.
        found += [Verb(verb, "", "pods", needed=False) for verb in ("list", "watch")]
    for namespace in settings.cluster.namespaces or ("",):
        for verb in ("list", "watch"):
            found.append(Verb(verb, "", "pods", namespace=namespace))
            for kind, (group, resource) in _RESOURCES.items():
                needed = kind is WorkloadKind.DEPLOYMENT or kind in named
                found.append(Verb(verb, group, resource, namespace=namespace, needed=needed))
    return tuple(found)


def writing_verbs(
    settings: ControlSettings, workloads: Iterable[WorkloadRef] = ()
) -> tuple[Verb, ...]:
    """Return what the loop writes with these settings.

    A dry run asks the API server to check its writes, so it needs leave for them; it takes no
    Lease and tells no Events.

    Args:
        settings: The settings.
        workloads: Workloads that were found, beside those that the settings name. Where there are
            none at all, Deployments in all namespaces that are looked at.
    """
    if settings.loop.mode is Mode.OBSERVE:
        return ()
    refs = {*workloads, *_named(settings)}
    places = sorted({(each.namespace, each.kind) for each in refs}) or [
        (namespace, WorkloadKind.DEPLOYMENT) for namespace in settings.cluster.namespaces or ("",)
    ]
    found: list[Verb] = []
    for namespace, kind in places:
        found += _workload_verbs(settings, namespace, kind)
    if settings.loop.dry_run:
        return tuple(found)
    if settings.records.events:
        found += [
            Verb("create", "", "events", namespace=namespace, needed=False, role="stoker-act")
            for namespace in sorted({namespace for namespace, _ in places})
        ]
    if settings.lease.enabled:
        lease = settings.lease
        found += [
            Verb(verb, "coordination.k8s.io", "leases", "", name, lease.namespace, True, _LEASE)
            for verb, name in (("get", lease.name), ("create", ""), ("update", lease.name))
        ]
    return tuple(found)


_LEASE = "stoker-lease"


def _workload_verbs(
    settings: ControlSettings, namespace: str, kind: WorkloadKind
) -> Iterator[Verb]:
    if settings.cluster.actuation is not Actuation.SCALE:
        return
    group, resource = _RESOURCES[kind]
    for verb in ("get", "update"):
        yield Verb(verb, group, resource, "scale", namespace=namespace, role="stoker-act")
    if settings.cluster.allow_batch_limit and kind is not WorkloadKind.LEADER_WORKER_SET:
        for verb in ("get", "patch"):
            yield Verb(verb, group, resource, namespace=namespace, role="stoker-batch-limits")


def _named(settings: ControlSettings) -> Collection[WorkloadRef]:
    return {ref for each in settings.servers.values() for ref in each.workloads.values()}


def examine_permissions(
    client: Any,
    verbs: Iterable[Verb],
    now: Callable[[], float],
    timeout_s: float = 10.0,
    *,
    first: bool = True,
) -> Iterator[Finding]:
    """Yield what the account may do in the cluster, verb by verb.

    Args:
        client: A client of the API server.
        verbs: What to ask for.
        now: The time of day, in seconds since the epoch.
        timeout_s: Longest wait for an answer.
        first: Whether to tell that the cluster answers, and to compare its clock.
    """
    import kubernetes
    import urllib3

    api: Any = kubernetes.client.AuthorizationV1Api(client)
    address = str(client.configuration.host)
    for verb in verbs:
        asked_at = now()
        try:
            answer, _, headers = api.create_self_subject_access_review_with_http_info(
                _review(verb), _request_timeout=timeout_s
            )
        except kubernetes.client.ApiException as error:
            yield _refused(address, error.status, str(error.reason or error))
            return
        except (urllib3.exceptions.HTTPError, OSError) as error:
            yield Finding(
                "cluster",
                address,
                Level.ERROR,
                f"does not answer ({type(error).__name__})",
                f"try curl -k {address}/readyz from here; set cluster.kubeconfig or "
                "cluster.context where it is another cluster",
            )
            return
        if first:
            yield Finding("cluster", address, Level.FINE, "answers")
            yield from _clock(address, headers, asked_at, now())
            first = False
        if answer.status.allowed:
            yield Finding("permissions", str(verb), Level.FINE, "allowed")
            continue
        level = Level.ERROR if verb.needed else Level.WARNING
        yield Finding("permissions", str(verb), level, "not allowed", verb.remedy)


def _review(verb: Verb) -> dict[str, Any]:
    attributes = {
        "verb": verb.verb,
        "group": verb.group,
        "resource": verb.resource,
        "subresource": verb.subresource,
        "name": verb.name,
        "namespace": verb.namespace,
    }
    return {"spec": {"resourceAttributes": {k: v for k, v in attributes.items() if v}}}


def _refused(address: str, status: int | None, words: str) -> Finding:
    if status == 401:
        words = "the token or certificate is not accepted"
    return Finding(
        "cluster",
        address,
        Level.ERROR,
        words,
        "try kubectl auth can-i --list with the same kubeconfig; set cluster.kubeconfig and "
        "cluster.context to an account that the cluster takes",
    )


def _clock(
    address: str, headers: Mapping[str, str], asked_at: float, told_at: float
) -> Iterator[Finding]:
    date = next((text for name, text in headers.items() if name.lower() == "date"), "")
    there = moment_of(date)
    if there is not None:
        yield compare_clocks(
            "the API server", address, there, asked_at, told_at, "start-up times of replicas"
        )
