"""The kubelet that pretends to run the pods of nodes that are objects alone."""

from __future__ import annotations

import heapq
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import urllib3

from demos.cluster.control_plane import ADMIN, ControlPlane
from demos.cluster.gpu_node import GPU_RESOURCE, PRODUCT_LABEL, GpuNode, moment
from demos.cluster.pod_events import Pod, PodEvents

__all__ = [
    "GPU_RESOURCE",
    "PRODUCT_LABEL",
    "STARTUP_ANNOTATION",
    "GpuNode",
    "Kubelet",
    "Pod",
    "PodEvents",
]

STARTUP_ANNOTATION = "emulated/startup-seconds"
"""Seconds that a pod with this annotation takes from its start to ready."""

_WATCH_S = 60
_RETRY_S = 0.2
_POD_IP = "127.0.0.1"


class Kubelet:
    """Runs the pods of all pretended nodes, as a context manager with two threads of its own.

    A pod bound to a node starts at once and is ready after its start-up time; a pod that is
    deleted ends after what it still needs, at most its grace period.

    Args:
        control_plane: A running control plane.
        nodes: The nodes to pretend.
        startup_s: Start-up time of pods that do not tell one by `STARTUP_ANNOTATION`.
        events: Who wants to hear of pods.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        nodes: Sequence[GpuNode],
        startup_s: float = 0.0,
        events: PodEvents | None = None,
    ) -> None:
        self._plane = control_plane
        self._nodes = tuple(nodes)
        self._names = {node.name for node in nodes}
        self.startup_s = startup_s
        self._events = events or PodEvents()
        self._pool = urllib3.PoolManager(
            ca_certs=str(control_plane.certificate), maxsize=4, retries=False
        )
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._known: dict[str, str] = {}  # uid of a pod: starting, ready or stopping
        self._pods: dict[str, Pod] = {}  # the same pods, as they were last seen
        self._frozen: set[str] = set()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, name="kubelet-watch", daemon=True),
            threading.Thread(target=self._work, name="kubelet-work", daemon=True),
        ]

    def __enter__(self) -> Kubelet:
        for node in self._nodes:
            self.add_node(node)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)
        self._pool.clear()

    def add_node(self, node: GpuNode) -> None:
        """Add a node to the cluster."""
        self._names.add(node.name)
        manifest = node.manifest()
        self._request("POST", "/api/v1/nodes", manifest)
        self._request("PATCH", f"/api/v1/nodes/{node.name}/status", {"status": manifest["status"]})

    def remove_node(self, name: str) -> None:
        """Take a node out of the cluster; its pods are left to the control plane."""
        self._names.discard(name)
        self._request("DELETE", f"/api/v1/nodes/{name}")

    def fail(self, namespace: str, name: str) -> None:
        """Declare a pod not ready, as a failing probe would, and leave it so."""
        self._frozen.add(f"{namespace}/{name}")
        self._request(
            "PATCH",
            f"/api/v1/namespaces/{namespace}/pods/{name}/status",
            {"status": {"conditions": _conditions(ready=False)}},
        )

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                listed = self._request("GET", "/api/v1/pods")
                there = {pod["metadata"]["uid"] for pod in listed["items"]}
                for uid in self._pods.keys() - there:
                    self._forget(self._pods[uid])  # it went while nobody watched
                for pod in listed["items"]:
                    self._see(pod)
                self._follow(listed["metadata"]["resourceVersion"])
            except (urllib3.exceptions.HTTPError, OSError, KeyError, ValueError):
                self._ended.wait(_RETRY_S)  # the server is away: list again when it is back

    def _follow(self, version: str) -> None:
        path = f"/api/v1/pods?watch=1&resourceVersion={version}&timeoutSeconds={_WATCH_S}"
        for event in self._lines(path):
            if self._ended.is_set() or event.get("type") == "ERROR":
                return
            if event["type"] == "DELETED":
                self._forget(event["object"])
            else:
                self._see(event["object"])

    def _lines(self, path: str) -> Iterator[dict[str, Any]]:
        response = self._pool.request(
            "GET",
            self._plane.url + path,
            headers=_headers(),
            preload_content=False,
            timeout=urllib3.Timeout(connect=5, read=1.0),
        )
        pending = b""
        try:
            while not self._ended.is_set():
                try:
                    piece = response.read1(65536)
                except urllib3.exceptions.ReadTimeoutError:
                    continue
                if not piece:
                    return
                *lines, pending = (pending + piece).split(b"\n")
                for line in lines:
                    if line:
                        yield json.loads(line)
        finally:
            response.close()

    def _see(self, pod: Pod) -> None:
        if pod["spec"].get("nodeName") not in self._names:
            return
        uid = pod["metadata"]["uid"]
        self._pods[uid] = pod
        state = self._known.get(uid)
        if pod["metadata"].get("deletionTimestamp"):
            if state != "stopping":
                self._known[uid] = "stopping"
                grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
                self._later(min(self._events.stopping(pod), grace), lambda: self._remove(pod))
        elif state is None:
            self._known[uid] = "starting"
            self._later(0.0, lambda: self._start(pod))

    def _forget(self, pod: Pod) -> None:
        self._pods.pop(pod["metadata"]["uid"], None)
        if self._known.pop(pod["metadata"]["uid"], None) is not None:
            self._events.gone(pod)

    def _start(self, pod: Pod) -> None:
        annotations = pod["metadata"].get("annotations") or {}
        wait = float(annotations.get(STARTUP_ANNOTATION, self.startup_s))
        self._patch_status(pod, ready=False)
        self._events.started(pod)
        self._later(wait, lambda: self._declare_ready(pod))

    def _declare_ready(self, pod: Pod) -> None:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        if self._known.get(pod["metadata"]["uid"]) != "starting" or name in self._frozen:
            return
        self._known[pod["metadata"]["uid"]] = "ready"
        self._patch_status(pod, ready=True)
        self._events.ready(pod)

    def _remove(self, pod: Pod) -> None:
        meta = pod["metadata"]
        self._request(
            "DELETE",
            f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}",
            {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}},
        )

    def _patch_status(self, pod: Pod, *, ready: bool) -> None:
        meta = pod["metadata"]
        running = {"running": {"startedAt": moment()}}
        self._request(
            "PATCH",
            f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status",
            {
                "status": {
                    "phase": "Running",
                    "podIP": _POD_IP,
                    "podIPs": [{"ip": _POD_IP}],
                    "hostIP": _POD_IP,
                    "startTime": moment(),
                    "conditions": _conditions(ready=ready),
                    "containerStatuses": [
                        {
                            "name": container["name"],
                            "image": container["image"],
                            "imageID": "",
                            "ready": ready,
                            "started": True,
                            "restartCount": 0,
                            "state": running,
                        }
                        for container in pod["spec"]["containers"]
                    ],
                }
            },
        )

    def _later(self, wait_s: float, action: Callable[[], None]) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + wait_s, next(self._order), action))
            self._changed.notify()

    def _work(self) -> None:
        while not self._ended.is_set():
            with self._changed:
                if not self._due:
                    self._changed.wait(1.0)
                    continue
                wait = self._due[0][0] - time.monotonic()
                if wait > 0:
                    self._changed.wait(min(wait, 1.0))
                    continue
                action = heapq.heappop(self._due)[2]
            try:
                action()
            except (urllib3.exceptions.HTTPError, OSError):
                self._later(_RETRY_S, action)

    def _request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send a request; objects that are there already or gone already are no mistake.

        Raises:
            OSError: The server refused, with its words.
        """
        response = self._pool.request(
            method,
            self._plane.url + path,
            headers=_headers(method),
            body=None if body is None else json.dumps(body),
            timeout=10.0,
        )
        if response.status >= 400 and response.status not in {404, 409}:
            raise OSError(f"{method} {path}: {response.status} {response.data[:500]!r}")
        answer: dict[str, Any] = json.loads(response.data)
        return answer


def _headers(method: str = "GET") -> dict[str, str]:
    kind = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
    return {"Authorization": f"Bearer {ADMIN.token}", "Content-Type": kind}


def _conditions(*, ready: bool) -> list[dict[str, str]]:
    state = "True" if ready else "False"
    return [
        {"type": kind, "status": status, "lastTransitionTime": moment()}
        for kind, status in (
            ("PodScheduled", "True"),
            ("Initialized", "True"),
            ("ContainersReady", state),
            ("Ready", state),
        )
    ]
