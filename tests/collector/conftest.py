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
SCRAPE_INTERVAL_S = 0.5
FULL = 0.9
"""Share of the scrapes of a window that must have succeeded."""
_SCRAPES = f'min(sum_over_time(up{{pod!="ended"}}[{SETTINGS.window_s:g}s]))'


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
        folder = tmp_path_factory.mktemp("prometheus")
        prometheus = Prometheus(folder, scrape_interval_s=SCRAPE_INTERVAL_S)
        prometheus.set_targets(
            [ScrapeTarget(pages.address, labels, path) for path, labels in targets()]
        )
        with prometheus:
            source = PrometheusSource(MetricSettings(prometheus_url=prometheus.url))

            def scraped() -> float:
                found = source.query(_SCRAPES, SETTINGS.timeout_s)
                return found[0].value if found else 0.0

            def read() -> Reading:
                return read_servers(source, SERIES, SETTINGS, lambda: 60.0)

            yield Observed(_settled(read, scraped), prometheus)


def _settled(read: Callable[[], Reading], scraped: Callable[[], float]) -> Reading:
    """Read once what goes silent has been so for long enough and no scrape is missing.

    A busy machine may scrape too late. Rates over a window with gaps are lower than the truth, and
    that is Prometheus's doing, not the reader's.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        time.sleep(1.0)
        before = scraped()
        reading = read()
        silent = reading.servers["frozen"].signal(SignalName.RUNNING).state is SignalState.STALE
        whole = min(before, scraped()) >= FULL * SETTINGS.window_s / SCRAPE_INTERVAL_S
        if (silent and whole) or time.monotonic() > end:
            return reading
