"""One Prometheus for all tests of signals, scraping pages that play pods in all conditions."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from collector.prometheus.reader import Reading, read_servers
from collector.prometheus.source import PrometheusSource
from demos.cluster.assets import prometheus_program
from demos.cluster.prometheus import Prometheus, ScrapeTarget
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import SignalName, SignalState
from tests.support.metric_pods import PAGES, SERIES, targets
from tests.support.metrics_pages import MetricsPages

SETTINGS = MetricSettings(window_s=8.0, stale_s=6.0, timeout_s=20.0)
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Observed:
    """What was read of all servers, and where from."""

    reading: Reading
    prometheus: Prometheus


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    if prometheus_program() is None:
        message = "prometheus is not installed"
        if os.environ.get("STOKER_REQUIRE_CLUSTER"):
            pytest.fail(message)
        pytest.skip(message)
    with MetricsPages(PAGES) as pages:
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), scrape_interval_s=0.5)
        prometheus.set_targets(
            [ScrapeTarget(pages.address, labels, path) for path, labels in targets()]
        )
        with prometheus:
            source = PrometheusSource(MetricSettings(prometheus_url=prometheus.url))
            yield Observed(
                _settled(lambda: read_servers(source, SERIES, SETTINGS, lambda: 60.0)), prometheus
            )


def _settled(read: Callable[[], Reading]) -> Reading:
    """Read once the windows are full and what goes silent has been so for long enough."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        time.sleep(1.0)
        frozen = read().servers["frozen"].signal(SignalName.RUNNING)
        if frozen.state is SignalState.STALE:
            break
    time.sleep(2.0)
    return read()
