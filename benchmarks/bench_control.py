"""Whole cycles of the control loop over hundreds of servers, on the real API server and Prometheus.

`python -m benchmarks.bench_control` starts etcd, the API server, controller manager, scheduler and
Prometheus on this machine, deploys 500 servers with one replica each, has Prometheus scrape what
their pods would report, and runs `stoker control run` in mode `act`, with the roles of
`deploy/rbac.yaml`, as a process of its own. Its first cycle brings most servers to more replicas;
later ones find nothing to do. It prints what each cycle took and what it asked for: requests to the
API server by its own audit log, queries by Prometheus's own count, processor time by the kernel's.

Everything shares the cores that the benchmark is given (`--cores`, 2 where there are as many).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes
import urllib3
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.control_fleet import (
    ScaledServer,
    deployments,
    fleet_document,
    metrics_page,
    nodes,
    scaled_servers,
)
from demos.cluster.assets import kubernetes_folder, prometheus_program
from demos.cluster.control_plane import ClusterUser, ControlPlane
from demos.cluster.nodes import Kubelet
from demos.cluster.prometheus import Prometheus, ScrapeTarget
from tests.support.metrics_pages import MetricsPages

SERVERS = 500
CYCLES = 5
PERIOD_S = 30.0
WINDOW_S = 60.0
SCRAPE_S = 15.0
NAMESPACE = "models"
ACCOUNT = ClusterUser("system:serviceaccount:stoker:stoker")
RBAC = Path(__file__).resolve().parents[1] / "deploy" / "rbac.yaml"

_READS = ("get", "list", "watch")
_PATIENCE_S = 600.0
_POLL_S = 0.5
_QUIET_S = 3.0
"""Time without a write after which a cycle has written all."""


@dataclass(frozen=True, slots=True)
class CycleFigures:
    """What one cycle took and asked for.

    Attributes:
        document: Its record.
        cpu_s: Processor time of the loop's process, this cycle and the wait before it.
        writes: Requests to the API server that change something, by verb and resource.
        reads: Its other requests.
        queries: Queries to Prometheus.
        record_bytes: Size of the record.
    """

    document: Mapping[str, Any]
    cpu_s: float
    writes: Counter[str]
    reads: Counter[str]
    queries: float
    record_bytes: int


class Audit:
    """Reads the audit log of the API server from where it was read to last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def fresh(self) -> tuple[Counter[str], Counter[str]]:
        """Return the writes and the reads since the last call, as `verb resource`."""
        writes: Counter[str] = Counter()
        reads: Counter[str] = Counter()
        with self._path.open(encoding="utf-8") as log:
            log.seek(self._offset)
            for line in log:
                item = json.loads(line)
                of = item["objectRef"]
                name = "/".join(x for x in (of["resource"], of.get("subresource")) if x)
                (reads if item["verb"] in _READS else writes)[f"{item['verb']} {name}"] += 1
            self._offset = log.tell()
        return writes, reads


def control_document(kubeconfig: Path, prometheus: str, method: str) -> dict[str, Any]:
    """Return the control document: defaults, but for the window and what is here."""
    return {
        "version": 1,
        "kind": "control",
        "fleet": "fleet.json",
        "loop": {"mode": "act", "period_s": PERIOD_S, "deadline_s": 28},
        "metrics": {"prometheus_url": prometheus, "window_s": WINDOW_S},
        "forecast": {"method": method},
        "cluster": {"namespaces": [NAMESPACE], "kubeconfig": str(kubeconfig)},
        # A loop that is elected begins its next cycle at once: figures of two would mix.
        "lease": {"enabled": False},
    }


@contextlib.contextmanager
def world(found: tuple[ScaledServer, ...], folder: Path) -> Iterator[tuple[ControlPlane, str]]:
    """Yield a control plane with all servers running, and the address of their Prometheus."""
    page = metrics_page(found)
    with contextlib.ExitStack() as stack:
        pages = stack.enter_context(MetricsPages({"/metrics": page}))
        prometheus = Prometheus(folder / "prometheus", scrape_interval_s=SCRAPE_S)
        prometheus.set_targets([ScrapeTarget(pages.address)])
        stack.enter_context(prometheus)
        plane = stack.enter_context(
            ControlPlane(folder / "cluster", [ACCOUNT], audited=[ACCOUNT.name])
        )
        kubelet = stack.enter_context(Kubelet(plane, nodes(len(found))))
        del kubelet
        admin = plane.client()
        create: Any = kubernetes.utils.create_from_dict
        for document in yaml.safe_load_all(RBAC.read_text()):
            create(admin, document)
        core: Any = kubernetes.client.CoreV1Api(admin)
        apps: Any = kubernetes.client.AppsV1Api(admin)
        core.create_namespace({"metadata": {"name": NAMESPACE}})
        for manifest in deployments(found):
            apps.create_namespaced_deployment(NAMESPACE, manifest)
        eventually(lambda: ready_pods(core) >= len(found))
        # Wait until the window is full: loads are then what they stay.
        offered = sum(server.rate_rps for server in found)
        measured = f"sum(rate(vllm:request_success_total[{WINDOW_S:g}s]))"
        eventually(lambda: abs(asked(prometheus.url, measured) - offered) < 0.005 * offered)
        yield plane, prometheus.url


def ready_pods(core: Any) -> int:
    """Return how many pods are ready."""
    answer = core.list_namespaced_pod(NAMESPACE, _preload_content=False)
    return sum(
        any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in pod["status"].get("conditions", ())
        )
        for pod in json.loads(answer.data)["items"]
    )


def asked(url: str, query: str) -> float:
    """Return the first figure of an answer of Prometheus; 0 for none."""
    answer = urllib3.request("POST", f"{url}/api/v1/query", fields={"query": query}, timeout=60.0)
    result = answer.json().get("data", {}).get("result", [])
    return float(result[0]["value"][1]) if result else 0.0


def queries_sent(url: str) -> float:
    """Return how many queries Prometheus has answered."""
    text = urllib3.request("GET", f"{url}/metrics", timeout=60.0).data.decode()
    name = 'prometheus_http_requests_total{code="200",handler="/api/v1/query"}'
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)), 0)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: It never does.
    """
    end = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the cluster did not come to the state to measure in")
        time.sleep(_POLL_S)


def written(folder: Path, fleet: dict[str, Any], control: dict[str, Any]) -> Path:
    """Write the documents, and return the path of the control document."""
    (folder / "fleet.json").write_text(json.dumps(fleet), encoding="utf-8")
    path = folder / "control.json"
    path.write_text(json.dumps(control), encoding="utf-8")
    return path


def cycles(
    plane: ControlPlane, prometheus: str, control: Path, count: int
) -> Iterator[CycleFigures]:
    """Run `stoker control run` for so many cycles, and yield the figures of each."""
    command = [sys.executable, "-m", "stoker.cli.main", "control", "run", str(control)]
    command += ["--cycles", str(count), "--format", "json"]
    audit, queries, cpu_s = Audit(plane.audit_log), queries_sent(prometheus), 0.0
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            writes, reads = settled(audit)
            sent, used_s = queries_sent(prometheus), processor_s(process.pid)
            yield CycleFigures(
                json.loads(line), used_s - cpu_s, writes, reads, sent - queries, len(line)
            )
            queries, cpu_s = sent, used_s
    finally:
        process.terminate()
        process.wait(60)


def settled(audit: Audit) -> tuple[Counter[str], Counter[str]]:
    """Return the writes and reads of a cycle: its events are written after its record."""
    writes, reads = audit.fresh()
    while True:
        time.sleep(_QUIET_S)
        more = audit.fresh()
        if not more[0]:
            return writes, reads + more[1]
        writes, reads = writes + more[0], reads + more[1]


def processor_s(pid: int) -> float:
    """Return the processor time of a process so far, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(servers: int, figures: CycleFigures) -> list[str]:
    """Return the row of a cycle."""
    stages = figures.document["stages_s"]
    changes = Counter(each["outcome"] for each in figures.document["changes"])
    return [
        str(servers),
        str(figures.document["cycle"]),
        *(f"{stages.get(name, 0.0):.1f}" for name in ("observe", "plan", "act")),
        f"{figures.document['took_s']:.1f}",
        f"{figures.cpu_s:.1f}",
        ", ".join(f"{count} {name}" for name, count in sorted(changes.items())) or "none",
        str(sum(figures.writes.values())),
        str(sum(figures.reads.values())),
        f"{figures.queries:.0f}",
        f"{figures.record_bytes / 1e6:.2f}",
    ]


def main() -> None:
    """Print a row for each cycle of each fleet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, nargs="*", default=[SERVERS])
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--forecast", default="linear", choices=["last", "linear", "holt-winters"])
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    table = Table(title=f"Cycles of the loop on {options.cores} cores, seconds")
    for header in ("servers", "cycle", "observe", "plan", "act", "whole", "processor", "changes"):
        table.add_column(header, justify="right")
    for header in ("API writes", "API reads", "queries", "record MB"):
        table.add_column(header, justify="right")
    console = Console(width=140)
    if kubernetes_folder() is None or prometheus_program() is None:
        console.print("no cycles measured: needs tools/build_kubernetes.sh, and prometheus")
        return
    for servers in options.servers:
        found = scaled_servers(servers)
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            with world(found, folder) as (plane, prometheus):
                kubeconfig = plane.kubeconfig(ACCOUNT)
                document = control_document(kubeconfig, prometheus, options.forecast)
                control = written(folder, fleet_document(servers), document)
                for figures in cycles(plane, prometheus, control, options.cycles):
                    table.add_row(*row(servers, figures))
                    for problem in figures.document["problems"]:
                        console.print(problem[:300], highlight=False, markup=False)
    console.print(table)


if __name__ == "__main__":
    main()
