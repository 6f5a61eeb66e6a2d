"""A closed loop on real programs whose world can be broken: two servers, one of which suffers."""

from __future__ import annotations

import contextlib
import copy
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kubernetes
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from collector.prometheus.source import PrometheusSource, SourceError
from controller.loop import Loop
from controller.metrics import ControlMetrics
from demos.cluster.closed_loop import NAMESPACE, Deployed
from demos.cluster.control_plane import ClusterUser, ControlPlane
from demos.cluster.emulated import EmulatedWorkloads
from demos.cluster.nodes import GpuNode, Kubelet
from demos.cluster.prometheus import Prometheus
from stoker.cli.control_wiring import wired
from stoker.domain.control.settings import MetricSettings
from tests.support.broken_fleet import (
    CARDS,
    PACE_S,
    PATIENCE_S,
    PRODUCTS,
    REPLICAS,
    SCRAPE_S,
    WINDOW_S,
    control_document,
    fleet_document,
    workload,
)
from tests.support.cli import stoker
from tests.support.detour import Detour
from tests.support.real_cluster import eventually

ACCOUNT = ClusterUser("system:serviceaccount:stoker:stoker")
_ROLES = Path(__file__).resolve().parents[2] / "deploy" / "rbac.yaml"


@dataclass
class BrokenWorld:
    """The programs, the documents, and the loop while one runs in this process.

    Attributes:
        folder: Where the documents are.
        fleet: The fleet as it is while nothing is wrong.
        control: The control document likewise.
        records: The cycles of the loop that runs, or ran last.
        crashes: Cycles that ended by an exception.
        spoil_fleet: What is wrong with the fleet document.
        spoil_control: What is wrong with the control document.
    """

    folder: Path
    plane: ControlPlane
    prometheus: Prometheus
    emulated: EmulatedWorkloads
    detour: Detour
    fleet: dict[str, Any]
    control: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)
    crashes: int = 0
    spoil_fleet: Callable[[dict[str, Any]], None] = lambda _: None
    spoil_control: Callable[[dict[str, Any]], None] = lambda _: None
    loop: Loop | None = None
    _metrics: ControlMetrics = field(default_factory=ControlMetrics)

    def __post_init__(self) -> None:
        admin = self.plane.client()
        self.core: Any = kubernetes.client.CoreV1Api(admin)
        self.apps: Any = kubernetes.client.AppsV1Api(admin)
        self.rbac: Any = kubernetes.client.RbacAuthorizationV1Api(admin)
        self.leases: Any = kubernetes.client.CoordinationV1Api(admin)
        self.admin = admin

    # Documents

    @property
    def document(self) -> Path:
        return self.folder / "control.yaml"

    def write(
        self,
        least: int,
        name: str = "control",
    ) -> Path:
        """Write the documents, with the fewest replicas that the suffering server may have."""
        told, rules = copy.deepcopy(self.fleet), copy.deepcopy(self.control)
        rules["servers"][0]["min_replicas"] = least
        rules["fleet"] = f"{name}-fleet.yaml"
        rules["records"] = {"folder": f"{name}-records"}
        self.spoil_fleet(told)
        self.spoil_control(rules)
        self._put(rules["fleet"], told)
        return self._put(f"{name}.yaml", rules)

    def _put(self, name: str, document: Mapping[str, Any]) -> Path:
        path = self.folder / name
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document), encoding="utf-8")
        return fresh.replace(path)

    # The loop

    @contextlib.contextmanager
    def looping(self) -> Iterator[None]:
        """Have a loop whose cycles `cycle` runs."""
        self.records, self.crashes = [], 0
        self._metrics = ControlMetrics()
        with wired(self.document, None, self._metrics.told) as running:
            self.loop = running.loop
            try:
                yield
            finally:
                self.loop = None

    def cycle(self, pace_s: float = PACE_S) -> dict[str, Any]:
        """Run a cycle, and rest for what is left of its time; return its record."""
        assert self.loop is not None
        began = time.monotonic()
        try:
            self.records.append(self.loop.cycle().document)
        except Exception:
            self.crashes += 1
            raise
        time.sleep(max(0.0, pace_s - (time.monotonic() - began)))
        return self.records[-1]

    def until(
        self, holds: Callable[[dict[str, Any]], bool], pace_s: float = PACE_S
    ) -> list[dict[str, Any]]:
        """Run cycles until something holds of one; return them all, that one last."""
        seen: list[dict[str, Any]] = []

        def found() -> bool:
            seen.append(self.cycle(pace_s))
            return holds(seen[-1])

        try:
            eventually(found, PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last cycle: {told_of(seen[-1])}") from error
        return seen

    def for_a_while(self, seconds: float) -> list[dict[str, Any]]:
        """Run cycles for so long."""
        end = time.monotonic() + seconds
        return self.until(lambda _: time.monotonic() >= end)

    # What the cluster holds

    def replicas(self, server: str) -> int:
        return int(self.apps.read_namespaced_deployment(server, NAMESPACE).spec.replicas)

    def scale(self, server: str, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        self.apps.patch_namespaced_deployment_scale(server, NAMESPACE, body)

    def holder(self) -> str:
        """Who holds the Lease; empty for nobody."""
        try:
            found = self.leases.read_namespaced_lease("stoker", "stoker")
        except kubernetes.client.ApiException:
            return ""
        return str(found.spec.holder_identity or "")

    def events(self, server: str, since: float) -> list[str]:
        """What the loop's events say of a server, as `reason: message`."""
        selector = f"involvedObject.name={server}"
        found = self.core.list_namespaced_event(NAMESPACE, field_selector=selector).items
        return [
            f"{each.reason}: {each.message}"
            for each in found
            if each.source.component == "stoker" and each.last_timestamp.timestamp() >= since - 1
        ]

    def pods(self, server: str) -> list[str]:
        """The pods of a server that serve."""
        return [
            pod.name
            for pod in self.emulated.pods
            if pod.workload == server and pod.stopping_s is None and pod.gone_s is None
        ]

    # What is told

    def status(self, document: Path | None = None) -> list[str]:
        """The lines that `stoker control status` prints, of the loop of this process if of none."""
        result = stoker("control", "status", document or self.document, columns=400)
        assert result.exit_code == 0, result.output
        return [" ".join(line.split()) for line in result.output.splitlines()]

    def metrics(self) -> list[str]:
        """The lines of the loop's metrics page."""
        registry = CollectorRegistry()
        registry.register(self._metrics)
        return generate_latest(registry).decode().splitlines()

    def scraped_whole(self, servers: Collection[str] = tuple(PRODUCTS), for_s: float = 0.0) -> bool:
        """Whether Prometheus holds a whole window of every pod, by its own count of scrapes.

        Args:
            servers: Whose pods.
            for_s: For how long it has held one.
        """
        whole_s = WINDOW_S + for_s
        found = self._asked(f"sum_over_time(up[{round(whole_s + 2 * SCRAPE_S)}s])")
        pods = [name for server in servers for name in self.pods(server)]
        return all(found.get(name, 0.0) > whole_s / SCRAPE_S for name in pods)

    def silent(self, server: str) -> int:
        """How many pods of a server did not answer when Prometheus last asked them."""
        found = self._asked("up")
        return sum(found.get(name) == 0.0 for name in self.pods(server))

    def _asked(self, query: str) -> dict[str, float]:
        """What Prometheus answers by pod; nothing where it does not answer."""
        source = PrometheusSource(MetricSettings(prometheus_url=self.prometheus.url))
        try:
            found = source.query(query, 10.0)
        except SourceError:
            return {}
        return {each.labels.get("pod", ""): each.value for each in found}


def told_of(record: Mapping[str, Any]) -> str:
    """A record in a line, for messages."""
    servers = {
        name: (
            each["load"] and each["load"]["arrival_rate_rps"],
            each["load_reason"],
            each["decision"],
        )
        for name, each in record["servers"].items()
    }
    replicas = [
        {key: each[key] for key in ("server", "replicas_wanted", "ready", "pending", "terminating")}
        for each in (record["cluster"] or {}).get("workloads", ())
    ]
    return (
        f"{servers} {replicas} {record['problems']} {record['changes']} "
        f"leader {record['leader']}, {record['took_s']} s"
    )


@contextlib.contextmanager
def broken_world(folder: Path) -> Iterator[BrokenWorld]:
    """Yield the world in order: all replicas ready, and Prometheus knows them for a window."""
    users = (ACCOUNT,)
    deployed = [
        Deployed(server, card, product, REPLICAS[server], workload(server))
        for server, (card, product) in PRODUCTS.items()
    ]
    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(folder / "cluster", users))
        prometheus = Prometheus(folder / "prometheus", SCRAPE_S)  # late: its port is free now
        stack.enter_context(prometheus)
        emulated = stack.enter_context(
            EmulatedWorkloads([each.workload for each in deployed], prometheus.set_targets)
        )
        nodes = [
            GpuNode(f"node-{card.lower()}", product, CARDS) for card, product in PRODUCTS.values()
        ]
        stack.enter_context(Kubelet(plane, nodes, 0.3, emulated.events))
        detour = stack.enter_context(Detour(plane.port))
        world = BrokenWorld(
            folder, plane, prometheus, emulated, detour, fleet_document(), control_document()
        )
        world.control["metrics"]["prometheus_url"] = prometheus.url
        world.control["cluster"] = {
            "namespaces": [NAMESPACE],
            "kubeconfig": str(_by_the_detour(plane, detour, folder)),
        }
        create: Any = kubernetes.utils.create_from_dict
        for role in yaml.safe_load_all(_ROLES.read_text(encoding="utf-8")):
            create(world.admin, role)
        world.core.create_namespace({"metadata": {"name": NAMESPACE}})
        for each in deployed:
            world.apps.create_namespaced_deployment(NAMESPACE, each.manifest())
        eventually(
            lambda: all(emulated.ready(server) == count for server, count in REPLICAS.items()),
            PATIENCE_S,
        )
        emulated.begin()
        eventually(world.scraped_whole, PATIENCE_S)
        yield world


def _by_the_detour(plane: ControlPlane, detour: Detour, folder: Path) -> Path:
    """Write the account's configuration with the address of the detour."""
    told = plane.kubeconfig(ACCOUNT).read_text(encoding="utf-8")
    path = folder / "kubeconfig"
    path.write_text(told.replace(f":{plane.port}", f":{detour.port}"), encoding="utf-8")
    return path
