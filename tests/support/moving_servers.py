"""A server with two workloads whose pods are emulated servers: everything else of it is real."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demos.cluster.emulated import EmulatedWorkload, EmulatedWorkloads
from demos.cluster.nodes import GpuNode, Kubelet
from demos.cluster.prometheus import Prometheus
from emulator.faults import FaultOrder
from emulator.load_phases import Constant, Load
from emulator.replica import ServedModel
from simulator import Engine, FixedLength, SeparateLengths
from stoker.domain.profile import TokenWorkParameters
from tests.support.control_setup import MODEL, control_document, fleet_document
from tests.support.real_cluster import RealCluster, eventually

OLD, NEW = "moving-old", "moving-new"
BEFORE, WANTED = 2, 1
"""Replicas that run at first, and those that the load needs."""
_RATES = {OLD: 5.0, NEW: 2.0}
_DAY_S = 86_400.0
_ENGINE = Engine(TokenWorkParameters(12.0, 0.1, 0.0005), 64)
_LENGTHS = SeparateLengths(FixedLength(200), FixedLength(50))


@dataclass
class MovingServer:
    """A server that is to move to a cheaper accelerator.

    Attributes:
        cluster: The cluster.
        namespace: Where it runs.
        emulated: Its servers.
        document: The control document.
    """

    cluster: RealCluster
    namespace: str
    emulated: EmulatedWorkloads
    document: Path

    def sizes(self) -> tuple[int, int]:
        """Replicas that both workloads ask for."""
        old, new = (
            self.cluster.apps.read_namespaced_deployment(name, self.namespace).spec.replicas
            for name in (OLD, NEW)
        )
        return int(old), int(new)

    def serving(self) -> tuple[int, int]:
        """Replicas of both that serve."""
        return self.emulated.ready(OLD), self.emulated.ready(NEW)

    def spoil_new_ones(self, **faults: float) -> bool:
        """Let something go wrong with the new replicas that are there; return whether any is."""
        return bool(self.emulated.order(NEW, FaultOrder(faults)))


@contextlib.contextmanager
def moving_server(
    cluster: RealCluster, folder: Path, period_s: float, transition: dict[str, Any]
) -> Iterator[MovingServer]:
    """Yield a server that runs on dear cards, and that the plan would rather have on others."""
    namespace = cluster.namespace()
    products = {"H100": f"dear-of-{namespace}", "L4": f"cheap-of-{namespace}"}
    nodes = [GpuNode(f"{namespace}-{name.lower()}", products[name], 4) for name in products]
    prometheus = Prometheus(folder / "prometheus", scrape_interval_s=0.5)
    workloads = [
        EmulatedWorkload(
            name, ServedModel(MODEL, _ENGINE), Load((Constant(rate, _DAY_S),), _LENGTHS)
        )
        for name, rate in _RATES.items()
    ]
    with contextlib.ExitStack() as stack:
        stack.enter_context(prometheus)
        emulated = stack.enter_context(EmulatedWorkloads(workloads, prometheus.set_targets))
        kubelet = stack.enter_context(Kubelet(cluster.plane, nodes, 0.0, emulated.events))
        for each in nodes:
            stack.callback(kubelet.remove_node, each.name)
        stack.callback(cluster.vacate, namespace)
        for name, accelerator, replicas in ((OLD, "H100", BEFORE), (NEW, "L4", 0)):
            labels = {
                "stoker.dev/managed": "true",
                "stoker.dev/server": "chat",
                "stoker.dev/accelerator": accelerator,
            }
            product = products[accelerator]
            cluster.deploy(
                namespace, name, replicas=replicas, product=product, labels=labels, grace_s=60
            )
        found = MovingServer(cluster, namespace, emulated, folder / "control.yaml")
        _write(found, folder, prometheus.url, products, period_s, transition)
        eventually(lambda: found.serving() == (BEFORE, 0))
        emulated.begin()
        yield found


def _write(
    found: MovingServer,
    folder: Path,
    url: str,
    products: dict[str, str],
    period_s: float,
    transition: dict[str, Any],
) -> None:
    fleet = fleet_document()
    fleet["profiles"].append({**fleet["profiles"][0], "accelerator": "L4"})
    control = control_document(found.cluster, url, found.namespace)
    control["loop"] |= {"period_s": period_s, "deadline_s": period_s}
    control["metrics"] |= {"fresh_replica_s": 2, "window_s": 5}
    control["stability"] = {"scale_down_window_s": _DAY_S}  # moves alone take replicas
    control["cluster"]["product_labels"] = {label: name for name, label in products.items()}
    control["transition"] = transition
    (folder / "fleet.yaml").write_text(json.dumps(fleet), encoding="utf-8")
    found.document.write_text(json.dumps(control), encoding="utf-8")
