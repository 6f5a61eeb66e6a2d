"""Clocks that differ: ages are told by Prometheus's own clock, and doubt never makes smaller."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

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
from stoker.domain.control.settings import ControlSettings, MetricSettings
from stoker.domain.control.signals import Signal, SignalName, SignalState
from stoker.domain.server import Server
from tests.collector.conftest import SETTINGS, Observed
from tests.support.controlled_fleets import controlled_fleet

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
