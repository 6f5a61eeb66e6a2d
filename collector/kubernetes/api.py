"""The connection to the API server: lists and watches of raw objects, every failure in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from stoker.domain.control.settings import ClusterSettings
from stoker.domain.errors import StokerError

RawObject = dict[str, Any]
"""An object as the API server writes it."""

_CONNECT_S = 5.0
_PAGE = 500
_CONNECTIONS = 32
"""Kept open: watches, the Lease, and writes at once."""
_GROUP = ("leaderworkerset.x-k8s.io", "v1", "leaderworkersets")


class ClusterError(StokerError):
    """The API server did not answer, or refused; the message says why and what to do.

    Attributes:
        status: Its HTTP status; None where there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Kind(StrEnum):
    """Kinds of objects that are looked at, by the names of their resources."""

    DEPLOYMENTS = "deployments"
    STATEFUL_SETS = "statefulsets"
    LEADER_WORKER_SETS = "leaderworkersets"
    PODS = "pods"
    NODES = "nodes"


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of objects.

    Attributes:
        items: The objects.
        version: The version from which a watch goes on.
    """

    items: tuple[RawObject, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a watch.

    Attributes:
        kind: ``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``.
        item: The object, as it is now.
    """

    kind: str
    item: RawObject


class Objects(Protocol):
    """Lists objects and watches them."""

    def list_objects(self, kind: Kind, namespace: str, timeout_s: float) -> Listed:
        """Return all objects of a kind, in one namespace or (empty) in all.

        Raises:
            ClusterError: There was no answer, or a refusal.
        """
        ...

    def watch(self, kind: Kind, namespace: str, version: str, seconds: int) -> Iterator[Event]:
        """Yield what changes after `version`, for so many seconds at most.

        Raises:
            ClusterError: There was no answer, or a refusal; status 410 where the version is too
                old, and a list has to be made again.
        """
        ...


def connect(settings: ClusterSettings) -> Any:
    """Return a client of the API server: from the pod's own account, or a kubeconfig.

    Raises:
        ClusterError: The extra `kube` is not installed, or no configuration was found.
    """
    try:
        import kubernetes
    except ImportError as error:
        raise ClusterError(
            "reading a cluster needs the extra `kube`: pip install 'stoker[kube]'"
        ) from error
    configuration = kubernetes.client.Configuration()
    try:
        if settings.kubeconfig or settings.context:
            kubernetes.config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(Path(settings.kubeconfig).expanduser())
                if settings.kubeconfig
                else None,
                context=settings.context or None,
                client_configuration=configuration,
            )
        else:
            try:
                kubernetes.config.load_incluster_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
            except kubernetes.config.ConfigException:
                kubernetes.config.load_kube_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
    except (kubernetes.config.ConfigException, OSError) as error:
        raise ClusterError(
            f"no way to a cluster: {error}; set cluster.kubeconfig, or run inside the cluster"
        ) from error
    configuration.retries = False
    configuration.connection_pool_maxsize = _CONNECTIONS
    return kubernetes.client.ApiClient(configuration)


class ApiServer:
    """Lists and watches through the Kubernetes client.

    Args:
        client: A client as `connect` returns it.
    """

    def __init__(self, client: Any) -> None:
        import kubernetes

        self._apps = kubernetes.client.AppsV1Api(client)
        self._core = kubernetes.client.CoreV1Api(client)
        self._custom = kubernetes.client.CustomObjectsApi(client)
        self.address = str(client.configuration.host)

    def list_objects(self, kind: Kind, namespace: str, timeout_s: float) -> Listed:
        """Return all objects of a kind, in one namespace or (empty) in all; page by page.

        Raises:
            ClusterError: There was no answer, or a refusal.
        """
        items: list[RawObject] = []
        call = self._call(kind, namespace)
        onward = ""
        while True:
            with self._told(kind, namespace):
                answer = call(
                    limit=_PAGE,
                    **({"_continue": onward} if onward else {}),
                    _preload_content=False,
                    _request_timeout=(min(_CONNECT_S, timeout_s), timeout_s),
                )
                data = answer.data
            self._check(answer.status, data, kind, namespace)
            page = json.loads(data)
            items += page.get("items") or []
            meta = page.get("metadata") or {}
            onward = meta.get("continue") or ""
            if not onward:
                return Listed(tuple(items), meta.get("resourceVersion") or "")

    def watch(self, kind: Kind, namespace: str, version: str, seconds: int) -> Iterator[Event]:
        """Yield what changes after `version`, for so many seconds at most.

        Raises:
            ClusterError: There was no answer, or a refusal.
        """
        call = self._call(kind, namespace)
        with self._told(kind, namespace):
            answer = call(
                watch=True,
                allow_watch_bookmarks=True,
                resource_version=version,
                timeout_seconds=seconds,
                _preload_content=False,
                _request_timeout=(_CONNECT_S, seconds + _CONNECT_S),
            )
            try:
                if answer.status >= 400:
                    self._check(answer.status, answer.data, kind, namespace)
                yield from self._events(answer, kind, namespace)
            finally:
                answer.close()
                answer.release_conn()

    def _events(self, answer: Any, kind: Kind, namespace: str) -> Iterator[Event]:
        pending = b""
        for piece in answer.stream(amt=None, decode_content=False):
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                if not line.strip():
                    continue
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"].get("code")
                    self._check(status or 500, json.dumps(event["object"]), kind, namespace)
                yield Event(event["type"], event["object"])

    def _call(self, kind: Kind, namespace: str) -> Callable[..., Any]:
        """Return the client's function that lists the kind; it takes options alone."""
        if kind is Kind.NODES:
            return self._core.list_node
        if kind is Kind.LEADER_WORKER_SETS:
            group, version, plural = _GROUP
            if namespace:

                def listed(**options: Any) -> Any:
                    return self._custom.list_namespaced_custom_object(
                        group, version, namespace, plural, **options
                    )
            else:

                def listed(**options: Any) -> Any:
                    return self._custom.list_cluster_custom_object(
                        group, version, plural, **options
                    )

            return listed
        names = {
            Kind.DEPLOYMENTS: (self._apps, "deployment"),
            Kind.STATEFUL_SETS: (self._apps, "stateful_set"),
            Kind.PODS: (self._core, "pod"),
        }
        api, name = names[kind]
        if not namespace:
            everywhere: Callable[..., Any] = getattr(api, f"list_{name}_for_all_namespaces")
            return everywhere
        within = getattr(api, f"list_namespaced_{name}")

        def namespaced(**options: Any) -> Any:
            return within(namespace, **options)

        return namespaced

    def _told(self, kind: Kind, namespace: str) -> _Told:
        return _Told(self.address, f"{kind.value} {_where(namespace)}")

    def _check(self, status: int, data: bytes | str, kind: Kind, namespace: str) -> None:
        if status < 400:
            return
        raise refusal(status, data, f"list {kind.value} {_where(namespace)}")


class _Told:
    """Turns the client's errors into those of this module, as a context manager."""

    def __init__(self, address: str, what: str) -> None:
        self._address = address
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import kubernetes
        import urllib3

        if isinstance(error, kubernetes.client.ApiException):
            raise refusal(error.status or 500, error.body or b"", f"list {self._what}") from error
        if isinstance(error, (urllib3.exceptions.HTTPError, OSError, ValueError)):
            raise ClusterError(
                f"{self._address}: no answer to a list of {self._what} ({type(error).__name__}: "
                f"{' '.join(str(error).split())[:200]})"
            ) from error


def refusal(status: int, data: bytes | str, what: str) -> ClusterError:
    """Return the error for a refusal of the API server, with its own words."""
    try:
        words = str(json.loads(data).get("message") or "")
    except (ValueError, AttributeError):
        words = ""
    remedy = ""
    if status == 401:
        remedy = "; the token or certificate was not accepted"
    elif status == 403:
        remedy = "; grant it, as deploy/rbac.yaml does"
    return ClusterError(f"may not {what}: {words or f'HTTP status {status}'}{remedy}", status)


def _where(namespace: str) -> str:
    return f"in namespace {namespace}" if namespace else "in the cluster"
