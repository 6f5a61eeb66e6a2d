"""How single workloads do, and how many requests fail, on a real Prometheus."""

from __future__ import annotations

import pytest

from collector.prometheus.matching import ServerSeries
from collector.prometheus.source import PrometheusSource
from collector.prometheus.workloads import HEALTH, WorkloadSeries, read_workloads
from stoker.domain.control.cluster import WorkloadRef
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import SignalName
from tests.collector.conftest import SETTINGS, Observed

OLD, NEW = WorkloadRef("models", "mover-old"), WorkloadRef("models", "mover-new")
MOVER = ServerSeries("mover", "mover")
IN_WEST = ServerSeries("mover", "mover", {"namespace": "west"})
IN_EAST = ServerSeries("mover", "mover", {"namespace": "east"})


@pytest.mark.parametrize("series", [MOVER, IN_WEST], ids=["by-model", "by-match"])
def test_new_replicas_are_told_apart_from_old_ones(
    observed: Observed, series: ServerSeries
) -> None:
    source = PrometheusSource(MetricSettings(prometheus_url=observed.prometheus.url))
    found = read_workloads(
        source,
        [
            WorkloadSeries(OLD, series, ("mover-old-1", "mover-old-2")),
            WorkloadSeries(NEW, series, ("mover-new-1",)),
        ],
        SETTINGS,
        lambda: 60.0,
    )
    assert found[OLD].usable(SignalName.TTFT_MEAN) == pytest.approx(150.0)
    assert found[NEW].usable(SignalName.TTFT_MEAN) == pytest.approx(600.0)
    assert found[OLD].usable(SignalName.ERROR_RATE) == 0.0
    assert found[NEW].usable(SignalName.ERROR_RATE) == pytest.approx(0.2, rel=0.05)
    # Over both, 1 of 21 requests fails, and the mean hides what the new ones take.
    both = observed.reading.servers["mover"]
    assert both.usable(SignalName.ERROR_RATE) == pytest.approx(1 / 21, rel=0.15)
    assert both.usable(SignalName.TTFT_MEAN) == pytest.approx(240.0, rel=0.1)


def test_pods_that_carry_other_labels_tell_nothing(observed: Observed) -> None:
    source = PrometheusSource(MetricSettings(prometheus_url=observed.prometheus.url))
    wanted = [
        WorkloadSeries(OLD, IN_EAST, ("mover-old-1",)),
        WorkloadSeries(NEW, MOVER, ("another.pod", "mover-new-.")),
    ]
    found = read_workloads(source, wanted, SETTINGS, lambda: 60.0)
    for seen in found.values():
        assert all(seen.usable(name) is None for name in HEALTH)
    assert read_workloads(source, (), SETTINGS, lambda: 60.0) == {}
    late = read_workloads(source, wanted, SETTINGS, lambda: 0.0)
    assert all(not seen.signals for seen in late.values())


def test_failures_by_what_tells_them(observed: Observed) -> None:
    servers = observed.reading.servers
    assert servers["behind-gateway"].usable(SignalName.ERROR_RATE) == pytest.approx(1 / 8, rel=0.05)
    assert servers["sg"].usable(SignalName.ERROR_RATE) == pytest.approx(1 / 11, rel=0.05)
    assert servers["sg-failing"].usable(SignalName.ERROR_RATE) == pytest.approx(0.5, rel=0.2)
    assert servers["sg-emulated"].usable(SignalName.ERROR_RATE) == 0.0
    assert servers["vllm-emulated"].usable(SignalName.ERROR_RATE) == 0.0
    assert servers["plain"].usable(SignalName.ERROR_RATE) is None  # nobody counts them
