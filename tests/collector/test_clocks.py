"""Clocks that differ: ages are told by Prometheus's own clock, and doubt never makes smaller."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from collector.kubernetes.api import ApiServer
from collector.kubernetes.mirror import Mirror
from collector.kubernetes.state import KINDS
from collector.observer import FleetObserver
from collector.prometheus.source import PrometheusSource
from controller.history import LoadHistory
from controller.load import measured_load
from stoker.domain.control.cluster import (
    ReplicaPhase,
    ReplicaState,
    VariantState,
    WorkloadRef,
)
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import ClusterSettings, ControlSettings, MetricSettings
from stoker.domain.control.signals import Signal, SignalName, SignalState
from stoker.domain.server import Server
from tests.collector.conftest import SETTINGS, Observed
from tests.support.controlled_fleets import controlled_fleet
from tests.support.real_cluster import L4, RealCluster
from tests.support.real_cluster import eventually as within

HOUR_S = 3600.0
NOW = 1_000_000.0


@pytest.mark.parametrize("off_s", [-HOUR_S, 0.0, HOUR_S])
def test_ages_do_not_depend_on_the_clock_of_the_loop(observed: Observed, off_s: float) -> None:
    metrics = replace(SETTINGS, prometheus_url=observed.prometheus.url)
    names = ("plain", "frozen")
    fleet = replace(
        controlled_fleet(), servers=tuple(Server(name, "interactive", name) for name in names)
    )
    observer = FleetObserver(
        PrometheusSource(metrics),
        None,
        ControlSettings(metrics=metrics),
        lambda: time.time() + off_s,
        time.monotonic,
    )
    seen = observer.observe(fleet, time.monotonic() + 60.0)
    age_s = seen.server("plain").signal(SignalName.RUNNING).age_s
    assert age_s is not None
    assert 0 <= age_s < HOUR_S / 2
    frozen = seen.server("frozen").signal(SignalName.RUNNING)
    assert frozen.state is not SignalState.KNOWN


def replica(name: str, ready_s_ago: float) -> ReplicaState:
    return ReplicaState(name, ReplicaPhase.READY, "node", ready_at=NOW - ready_s_ago)


def partial(reporting: float, *ready_s_ago: float) -> bool:
    """Whether a load is told in part, with so many pods reporting and these ready since then."""
    source = "sum(rate(vllm:request_success_total[60s]))"
    values = {
        SignalName.ARRIVAL_RATE: 10.0,
        SignalName.INPUT_TOKENS: 100.0,
        SignalName.OUTPUT_TOKENS: 100.0,
        SignalName.REPORTING: reporting,
    }
    seen = ServerObservation(
        "chat", {name: Signal.known(value, 1.0, source) for name, value in values.items()}
    )
    replicas = tuple(replica(f"pod-{n}", since) for n, since in enumerate(ready_s_ago))
    variant = VariantState(WorkloadRef("models", "chat"), "chat", "H100", len(replicas), replicas)
    return measured_load(seen, (variant,), LoadHistory(), MetricSettings(), NOW).partial


@pytest.mark.parametrize("off_s", [-HOUR_S, HOUR_S])
def test_a_clock_that_is_off_keeps_from_nothing_when_all_report(off_s: float) -> None:
    assert not partial(3, *(300.0 + off_s,) * 3)


@pytest.mark.parametrize("off_s", [-HOUR_S, 0.0, HOUR_S])
def test_a_fresh_pod_that_does_not_report_keeps_the_load_in_part(off_s: float) -> None:
    # However old the clock makes pods: what one of them serves looks lost.
    assert partial(1, 300.0 + off_s, 5.0 + off_s)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait as long as a cluster takes that has only just started, on a busy machine."""
    within(holds, 240.0)


def shift_clocks_of_nodes(cluster: RealCluster, namespace: str, off_s: float) -> None:
    """Have pods be ready since the moment that a node's clock tells which is off so much."""
    moment = (datetime.now(UTC) + timedelta(seconds=off_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": moment}
    for pod in cluster.core.list_namespaced_pod(namespace).items:
        body = {"status": {"conditions": [ready]}}
        cluster.core.patch_namespaced_pod_status(pod.metadata.name, namespace, body)


@pytest.mark.parametrize("off_s", [-HOUR_S, HOUR_S])
def test_nodes_whose_clocks_are_off_do_not_change_what_is_known_of_the_load(
    observed: Observed, real_cluster: RealCluster, off_s: float
) -> None:
    namespace = real_cluster.namespace()
    labels = {
        "stoker.dev/managed": "true",
        "stoker.dev/server": "pair",
        "stoker.dev/accelerator": "L4",
    }
    # Its pods bear the names that series carry: pair-0, pair-1.
    real_cluster.deploy_set(namespace, "pair", replicas=2, gpus=0, product=L4, labels=labels)
    metrics = replace(SETTINGS, prometheus_url=observed.prometheus.url)
    settings = ControlSettings(metrics=metrics, cluster=ClusterSettings(namespaces=(namespace,)))
    fleet = replace(controlled_fleet(), servers=(Server("pair", "interactive", "pair"),))
    source = PrometheusSource(metrics)
    with Mirror(ApiServer(real_cluster.admin), KINDS, [namespace], time.monotonic) as mirror:
        assert mirror.wait_listed(60)
        observer = FleetObserver(source, mirror, settings, time.time, time.monotonic)

        def seen(ready: int) -> tuple[Sequence[float | None], bool] | None:
            """When replicas got ready, and whether their load is told in part."""
            found = observer.observe(fleet, time.monotonic() + 60.0)
            assert found.cluster is not None
            variants = found.cluster.variants
            load = measured_load(found.server("pair"), variants, LoadHistory(), metrics, found.at)
            told = sum(each.count(ReplicaPhase.READY) for each in variants)
            if told != ready or load.load is None:
                return None
            moments = [each.ready_at for one in variants for each in one.replicas]
            return moments, load.partial

        def off(told: Sequence[float | None]) -> bool:
            now = time.time()
            return all(at is not None and abs(at - now - off_s) < HOUR_S / 2 for at in told)

        # Both of its pods report: nothing is missing, whatever the clocks of their nodes say.
        eventually(lambda: seen(2) is not None)
        shift_clocks_of_nodes(real_cluster, namespace, off_s)
        eventually(lambda: (now := seen(2)) is not None and off(now[0]) and not now[1])
        # A third one does not report. Neither is it thought fresh for ever, nor is it forgotten.
        scale = {"spec": {"replicas": 3}}
        real_cluster.apps.patch_namespaced_stateful_set_scale("pair", namespace, scale)
        eventually(lambda: seen(3) is not None)
        shift_clocks_of_nodes(real_cluster, namespace, off_s)
        eventually(lambda: (now := seen(3)) is not None and off(now[0]) and now[1])
