"""The control loop on a cluster of this machine: all of it real but the GPUs and the servers.

etcd, API server, controller manager, scheduler and Prometheus are the real programs, the loop is
the one of `stoker control run`, in mode `act`. Nodes and model servers are emulated.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kubernetes

from controller.record import CycleRecord
from demos.cluster.assets import kubernetes_folder, prometheus_program
from demos.cluster.control_plane import ControlPlane
from demos.cluster.emulated import APP_LABEL, EmulatedWorkload, EmulatedWorkloads, PodLife
from demos.cluster.nodes import GPU_RESOURCE, PRODUCT_LABEL, GpuNode, Kubelet
from demos.cluster.prometheus import Prometheus
from emulator.virtual_load import Served
from stoker.cli.control_wiring import wired
from stoker.domain.errors import StokerError

NAMESPACE = "models"
_PATIENCE_S = 180.0
_POLL_S = 0.2

Document = dict[str, Any]
"""A fleet or control document, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A server of the fleet as it is deployed.

    Attributes:
        server: Name in the fleet, and of its Deployment.
        accelerator: What it runs on.
        product: Product label of the nodes that it goes to.
        replicas: Replicas to begin with.
        workload: What its pods are, and the load on them.
    """

    server: str
    accelerator: str
    product: str
    replicas: int
    workload: EmulatedWorkload

    def manifest(self) -> Document:
        """Return its Deployment."""
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": self.workload.name,
                "labels": {
                    "stoker.dev/managed": "true",
                    "stoker.dev/server": self.server,
                    "stoker.dev/accelerator": self.accelerator,
                },
            },
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {APP_LABEL: self.workload.name}},
                "template": {
                    "metadata": {"labels": {APP_LABEL: self.workload.name}},
                    "spec": {
                        "nodeSelector": {PRODUCT_LABEL: self.product},
                        "terminationGracePeriodSeconds": 30,
                        "containers": [
                            {
                                "name": "server",
                                "image": "example.com/server:1",
                                "resources": {"limits": {GPU_RESOURCE: "1"}},
                            }
                        ],
                    },
                },
            },
        }


@dataclass(frozen=True, slots=True)
class Setup:
    """What is set up.

    Attributes:
        fleet: The fleet document.
        control: The control document, without the addresses and folders that are made here.
        nodes: The nodes.
        deployed: The servers.
        startup_s: Time that a pod takes to be ready.
        scrape_s: Time between two scrapes.
    """

    fleet: Document
    control: Document
    nodes: tuple[GpuNode, ...]
    deployed: tuple[Deployed, ...]
    startup_s: float
    scrape_s: float


@dataclass(slots=True)
class ClosedLoop:
    """A loop that runs, and what is watched of it; times in seconds since the load began.

    Attributes:
        setup: What was set up.
        plane: The control plane.
        prometheus: Prometheus.
        kubelet: The pretended kubelet.
        emulated: The servers.
        document: The control document.
        began_s: When the load began, on the clock of `emulated`.
        began_at: The same as a time of day.
        records: Every cycle so far.
    """

    setup: Setup
    plane: ControlPlane
    prometheus: Prometheus
    kubelet: Kubelet
    emulated: EmulatedWorkloads
    document: Path
    began_s: float = 0.0
    began_at: float = 0.0
    records: list[CycleRecord] = field(default_factory=list)

    def seconds(self) -> float:
        """Return the time since the load began."""
        return self.emulated.seconds() - self.began_s

    def replicas(self, server: str) -> int:
        """Return the replicas that a server's Deployment asks for."""
        apps: Any = kubernetes.client.AppsV1Api(self.plane.client())
        return int(apps.read_namespaced_deployment(server, NAMESPACE).spec.replicas)

    def served(self, server: str) -> list[Served]:
        """Return the requests of a server that have ended."""
        return self.emulated.answered(server)

    def sent_s(self, request: Served) -> float:
        """Return when a request was sent, since the load began."""
        return request.sent_ms / 1000.0 - self.began_s

    def pods(self, server: str) -> list[PodLife]:
        """Return all pods that a server ever had."""
        return [pod for pod in self.emulated.pods if pod.workload == server]

    def since_began(self, seconds: float) -> float:
        """Return a time of `PodLife` as seconds since the load began."""
        return seconds - self.began_s

    def cycles(self) -> list[tuple[float, Mapping[str, Any]]]:
        """Return the time of every cycle, and its record."""
        return [(each.at - self.began_at, each.document) for each in self.records]


def missing_programs() -> str:
    """Return what this machine lacks to run a cluster, in words; empty for nothing."""
    words = []
    if kubernetes_folder() is None:
        words.append("the Kubernetes programs (run tools/build_kubernetes.sh)")
    if prometheus_program() is None:
        words.append("prometheus (on Debian: apt install prometheus)")
    if shutil.which("openssl") is None:
        words.append("openssl (on Debian: apt install openssl)")
    return " and ".join(words)


@contextlib.contextmanager
def cluster(setup: Setup, folder: Path) -> Iterator[ClosedLoop]:
    """Yield the cluster with its servers ready and their load begun; no loop runs yet.

    Args:
        setup: What to set up.
        folder: Empty folder for everything that is written.

    Raises:
        StokerError: Programs are missing, or the first replicas do not get ready.
    """
    missing = missing_programs()
    if missing:
        raise StokerError(f"a cluster on this machine needs {missing}")
    prometheus = Prometheus(folder / "prometheus", setup.scrape_s)
    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(folder / "cluster"))
        stack.enter_context(prometheus)
        emulated = stack.enter_context(
            EmulatedWorkloads([each.workload for each in setup.deployed], prometheus.set_targets)
        )
        kubelet = stack.enter_context(Kubelet(plane, setup.nodes, 0.0, emulated.events))
        document = _write_documents(setup, folder, plane, prometheus)
        _deploy(setup, plane)
        end = time.monotonic() + _PATIENCE_S
        while any(emulated.ready(each.workload.name) < each.replicas for each in setup.deployed):
            if time.monotonic() > end:
                raise StokerError(f"the first replicas were not ready after {_PATIENCE_S:g} s")
            time.sleep(_POLL_S)
        kubelet.startup_s = setup.startup_s  # those after the first ones take their time
        found = ClosedLoop(setup, plane, prometheus, kubelet, emulated, document)
        found.began_s = emulated.begin()
        found.began_at = time.time() - found.seconds()
        yield found


@contextlib.contextmanager
def looping(
    found: ClosedLoop, told: Callable[[CycleRecord], None] = lambda _: None
) -> Iterator[None]:
    """Run the loop on a cluster in a thread of its own, until the context ends."""

    def kept(record: CycleRecord) -> None:
        found.records.append(record)
        told(record)

    ended = threading.Event()
    with wired(found.document, None, kept) as running:
        thread = threading.Thread(
            target=running.loop.run, args=(ended.is_set,), name="control-loop", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            running.clock.wake()
            thread.join(timeout=60)


def wait_until(found: ClosedLoop, at_s: float, shown: Callable[[float], None]) -> None:
    """Wait until so long after the load began; `shown` is called every now and then."""
    while (left := at_s - found.seconds()) > 0:
        shown(found.seconds())
        time.sleep(min(left, 1.0))


def last_decisions(records: Sequence[CycleRecord], server: str) -> Mapping[str, Any]:
    """Return the newest decision for a server; empty where there is none."""
    if not records:
        return {}
    found: Mapping[str, Any] = records[-1].document["servers"][server]["decision"] or {}
    return found


def _write_documents(
    setup: Setup, folder: Path, plane: ControlPlane, prometheus: Prometheus
) -> Path:
    (folder / "fleet.yaml").write_text(json.dumps(setup.fleet), encoding="utf-8")
    control = {
        "version": 1,
        "kind": "control",
        "fleet": "fleet.yaml",
        **setup.control,
        "metrics": {"prometheus_url": prometheus.url, **setup.control.get("metrics", {})},
        "cluster": {
            "namespaces": [NAMESPACE],
            "kubeconfig": str(plane.kubeconfig()),
            **setup.control.get("cluster", {}),
        },
    }
    document = folder / "control.yaml"
    document.write_text(json.dumps(control), encoding="utf-8")  # JSON is YAML too
    return document


def _deploy(setup: Setup, plane: ControlPlane) -> None:
    client = plane.client()
    core: Any = kubernetes.client.CoreV1Api(client)
    apps: Any = kubernetes.client.AppsV1Api(client)
    core.create_namespace({"metadata": {"name": NAMESPACE}})
    for each in setup.deployed:
        apps.create_namespaced_deployment(NAMESPACE, each.manifest())
