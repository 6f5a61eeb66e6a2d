"""The eyes of the control loop: signals and cluster together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from collector.expecting import Expectations
from collector.kubernetes.api import Kind
from collector.kubernetes.mirror import Mirror
from collector.kubernetes.state import cluster_state
from collector.lengths import OutputLengths
from collector.prometheus.matching import ServerSeries
from collector.prometheus.reader import read_servers
from collector.prometheus.source import Source
from collector.prometheus.workloads import WorkloadSeries, read_workloads
from stoker.domain.control.cluster import ClusterState, ReplicaPhase, WorkloadRef
from stoker.domain.control.observation import Observation, ServerObservation
from stoker.domain.control.settings import ControlSettings, ServerControl
from stoker.domain.fleet import Fleet

_MOST_WORKLOADS = 16
"""Workloads that are asked about one by one in a cycle, at most."""
_STALE_NODES = 3
"""Periods after which what nodes told is too old to act on."""


class FleetObserver:
    """Looks at a running fleet through Prometheus and the Kubernetes API.

    Args:
        source: Prometheus; None where none is set.
        mirror: Copies of the cluster's objects; None where none is looked at.
        settings: How to read both.
        now: The time of day, in seconds since the epoch.
        monotonic: A clock that never goes back, in seconds.
    """

    def __init__(
        self,
        source: Source | None,
        mirror: Mirror | None,
        settings: ControlSettings,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._source = source
        self._mirror = mirror
        self._settings = settings
        self._now = now
        self._monotonic = monotonic
        self._expectations = Expectations(OutputLengths(), settings.metrics.window_s)

    def observe(self, fleet: Fleet, deadline: float) -> Observation:
        """Return what can be seen until `deadline` (monotonic); what cannot is unknown in it."""
        at = self._now()
        problems: list[str] = []
        servers: Mapping[str, ServerObservation] = {}
        if self._source is None:
            problems.append("metrics.prometheus_url is not set: no signal is known")
        else:
            reading = read_servers(
                self._source,
                [series_of(fleet, self._settings, server.name) for server in fleet.servers],
                self._settings.metrics,
                lambda: deadline - self._monotonic(),
            )
            servers = self._expectations.told(reading.servers, fleet, at)
            problems += reading.problems
        cluster = None
        if self._mirror is not None:
            cluster = cluster_state(
                self._mirror, fleet, self._settings.cluster, self._settings.servers, at
            )
            if cluster is None:
                problems.append("the cluster did not tell its workloads and pods yet")
            else:
                problems += cluster.problems
                cluster, late = self._with_fresh_cards(cluster, self._mirror)
                problems += late
        workloads = self._workloads(fleet, cluster, deadline)
        return Observation(at, servers, cluster, tuple(dict.fromkeys(problems)), workloads)

    def _with_fresh_cards(
        self, cluster: ClusterState, mirror: Mirror
    ) -> tuple[ClusterState, list[str]]:
        """Return the state without its cards where what tells of them is too old to act on."""
        told = {"nodes": mirror.copies(Kind.NODES)}
        if not self._settings.cluster.sole_tenant:
            told["pods of other namespaces"] = mirror.others()
        late = [
            f"{name} were last confirmed {copies.age_s:.0f} s ago: cards are unknown"
            for name, copies in told.items()
            if copies.age_s is not None
            and copies.age_s > _STALE_NODES * self._settings.loop.period_s
        ]
        if late:
            cluster = replace(cluster, cards=None, cards_problem="; ".join(late))
        return cluster, late

    def _workloads(
        self, fleet: Fleet, cluster: ClusterState | None, deadline: float
    ) -> Mapping[WorkloadRef, ServerObservation]:
        """Return how single workloads of servers do that have ready replicas on several."""
        if self._source is None or cluster is None:
            return {}
        pods: dict[str, dict[WorkloadRef, tuple[str, ...]]] = defaultdict(dict)
        for variant in cluster.variants:
            ready = tuple(
                each.name for each in variant.replicas if each.phase is ReplicaPhase.READY
            )
            if variant.server and ready:
                pods[variant.server][variant.ref] = ready
        known = {server.name for server in fleet.servers}
        wanted = [
            WorkloadSeries(ref, series_of(fleet, self._settings, server), names)
            for server, of_server in sorted(pods.items())
            for ref, names in sorted(of_server.items())
            if server in known and len(of_server) > 1
        ]
        now = self._monotonic()
        end = now + max(0.0, deadline - now) / 2  # the plan and its writes need time, too
        return read_workloads(
            self._source,
            wanted[:_MOST_WORKLOADS],
            self._settings.metrics,
            lambda: end - self._monotonic(),
        )


def series_of(fleet: Fleet, settings: ControlSettings, name: str) -> ServerSeries:
    """Return what the series of a server carry."""
    model = next(server.model for server in fleet.servers if server.name == name)
    control = settings.servers.get(name) or ServerControl(name)
    return ServerSeries(name, model, control.match, control.engine, control.queries, control.ages)
