"""Emulated model servers behind the pods of a pretended cluster, and the load on them.

For every pod that the pretended kubelet declares ready, a replica of the emulator serves; one that
is asked to end drains. All play in this process along the machine's clock, their load included:
what is late because the machine is busy is made up for, so that latencies are those of the model,
whatever else runs here. Their metrics are pages of one HTTP server, a path a pod.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from demos.cluster.nodes import Pod, PodEvents
from demos.cluster.prometheus import ScrapeTarget
from emulator.exposition import CONTENT_TYPE
from emulator.faults import FaultOrder
from emulator.fleet import EmulatedFleet
from emulator.load_phases import Load
from emulator.replica import ServedModel
from emulator.virtual_load import Served, VirtualLoad

APP_LABEL = "app"
"""Label of pods that names the workload they belong to."""

_REST_S = 0.1
_DRAIN_S = 6.0
"""Time that a pod needs to finish its requests; those that take longer end all the same."""


@dataclass(frozen=True, slots=True)
class EmulatedWorkload:
    """A workload whose pods serve a model, and the load that comes for it.

    Attributes:
        name: Value of `APP_LABEL` of its pods.
        served: What each pod serves.
        load: Requests that come, from `EmulatedWorkloads.begin` on.
        gateway: Whether the gateway before the pods tells what comes, too.
    """

    name: str
    served: ServedModel
    load: Load
    gateway: bool = False


@dataclass(slots=True)
class PodLife:
    """A pod and its times, in seconds of `EmulatedWorkloads.seconds`; None for not yet.

    Attributes:
        name: Name of the pod.
        workload: What it belongs to.
        started_s: Its container started: from here on it holds its cards.
        ready_s: It serves.
        stopping_s: It was asked to end.
        gone_s: It ended, and its cards are free.
    """

    name: str
    workload: str
    started_s: float
    ready_s: float | None = None
    stopping_s: float | None = None
    gone_s: float | None = None


@dataclass(slots=True)
class _Played:
    """A workload as it plays."""

    workload: EmulatedWorkload
    fleet: EmulatedFleet
    load: VirtualLoad | None = None
    answered: list[Served] = field(default_factory=list)

    def advance(self, now_ms: float) -> None:
        """Let time pass for the requests to come and the replicas."""
        if self.load is None:
            self.fleet.advance(now_ms)
        else:
            self.load.advance(now_ms)


class EmulatedWorkloads:
    """Plays the workloads of a pretended cluster, as a context manager with threads of its own.

    Args:
        workloads: What is played.
        publish: Takes what Prometheus is to scrape, each time that it changes.
    """

    def __init__(
        self,
        workloads: Sequence[EmulatedWorkload],
        publish: Callable[[Sequence[ScrapeTarget]], None] = lambda _: None,
    ) -> None:
        self._publish = publish
        self._played = {
            each.name: _Played(each, EmulatedFleet(each.served, seed=index))
            for index, each in enumerate(workloads)
        }
        self._pods: dict[str, PodLife] = {}
        self._targets: dict[str, ScrapeTarget] = {}
        self._start_s = time.monotonic()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._player = threading.Thread(target=self._play, name="emulated-time", daemon=True)
        self._server = _page_server(self._page)
        self._pages = threading.Thread(
            target=self._server.serve_forever, name="emulated-metrics", daemon=True
        )

    @property
    def events(self) -> PodEvents:
        """What the kubelet is to call."""
        return PodEvents(self._started, self._ready, self._stopping, self._gone)

    @property
    def pods(self) -> list[PodLife]:
        """All pods that ever were."""
        with self._lock:
            return list(self._pods.values())

    def __enter__(self) -> EmulatedWorkloads:
        self._player.start()
        self._pages.start()
        for name, played in self._played.items():
            if played.workload.gateway:
                self._targets[name] = self._target(name, {"instance": f"gateway-{name}"})
        self._publish(list(self._targets.values()))
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in (self._player, self._pages):
            thread.join(timeout=10)

    def seconds(self) -> float:
        """Return the time since this was made."""
        return time.monotonic() - self._start_s

    def begin(self) -> float:
        """Let the loads begin; return when, in `seconds`."""
        with self._lock:
            now_ms = self._now_ms()
            for played in self._played.values():
                played.advance(now_ms)
                played.load = VirtualLoad(
                    played.workload.load,
                    played.fleet,
                    start_ms=now_ms,
                    on_served=played.answered.append,
                )
        return now_ms / 1000.0

    def answered(self, workload: str) -> list[Served]:
        """Return the requests of a workload that have ended, with times in ms of `seconds`."""
        with self._lock:
            return list(self._played[workload].answered)

    def ready(self, workload: str) -> int:
        """Return how many replicas of a workload serve."""
        with self._lock:
            return self._played[workload].fleet.ready

    def order(self, workload: str, order: FaultOrder) -> list[str]:
        """Let something go wrong with replicas of a workload; return the names of those."""
        with self._lock:
            now_ms = self._now_ms()
            played = self._played[workload]
            played.advance(now_ms)
            return played.fleet.order(order, now_ms)

    def _now_ms(self) -> float:
        return self.seconds() * 1000.0

    def _play(self) -> None:
        while not self._ended.wait(_REST_S):
            with self._lock:
                now_ms = self._now_ms()
                for played in self._played.values():
                    played.advance(now_ms)

    def _target(self, name: str, labels: Mapping[str, str]) -> ScrapeTarget:
        host, port = self._server.server_address[:2]
        return ScrapeTarget(f"{host!s}:{port}", labels, f"/{name}/metrics")

    def _page(self, path: str) -> bytes | None:
        """Return the metrics of the pod or gateway of a path; None where it does not answer."""
        name = path.strip("/").partition("/")[0]
        with self._lock:
            if name in self._played:
                before = self._played[name]
                now_ms = self._now_ms()
                before.advance(now_ms)
                return before.fleet.gateway_metrics(now_ms)
            life = self._pods.get(name)
            if life is None:
                return None
            now_ms = self._now_ms()
            played = self._played[life.workload]
            played.advance(now_ms)
            replica = played.fleet.replica(name)
            return None if replica is None else replica.metrics(now_ms)

    def _started(self, pod: Pod) -> None:
        workload = (pod["metadata"].get("labels") or {}).get(APP_LABEL)
        if workload in self._played:
            name = pod["metadata"]["name"]
            with self._lock:
                self._pods.setdefault(name, PodLife(name, workload, self.seconds()))

    def _ready(self, pod: Pod) -> None:
        meta = pod["metadata"]
        with self._lock:
            life = self._pods.get(meta["name"])
            if life is None or life.stopping_s is not None or life.ready_s is not None:
                return
            now_ms = self._now_ms()
            life.ready_s = now_ms / 1000.0
            played = self._played[life.workload]
            played.advance(now_ms)
            played.fleet.add_replica(now_ms, life.name, startup_ms=0.0)
            labels = {"namespace": meta["namespace"], "pod": life.name, "instance": life.name}
            self._targets[life.name] = self._target(life.name, labels)
            self._publish(list(self._targets.values()))

    def _stopping(self, pod: Pod) -> float:
        with self._lock:
            life = self._pods.get(pod["metadata"]["name"])
            if life is None:
                return 0.0
            now_ms = self._now_ms()
            life.stopping_s = now_ms / 1000.0
            if life.ready_s is None:
                return 0.0
            played = self._played[life.workload]
            played.advance(now_ms)
            played.fleet.remove_replica(life.name, now_ms)
            return _DRAIN_S

    def _gone(self, pod: Pod) -> None:
        with self._lock:
            life = self._pods.get(pod["metadata"]["name"])
            if life is None:
                return
            now_ms = self._now_ms()
            life.gone_s = now_ms / 1000.0
            played = self._played[life.workload]
            played.advance(now_ms)
            if life.stopping_s is None:  # ended without being asked to
                played.fleet.remove_replica(life.name, now_ms)
            if self._targets.pop(life.name, None) is not None:
                self._publish(list(self._targets.values()))


class _QuietServer(ThreadingHTTPServer):
    """Says nothing about scrapes that were given up."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave it to Prometheus, which tells that a target does not answer."""


def _page_server(page: Callable[[str], bytes | None]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = page(self.path)
            self.send_response(200 if found is not None else 503)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: Prometheus asks every few seconds."""

    return _QuietServer(("127.0.0.1", 0), Handler)
