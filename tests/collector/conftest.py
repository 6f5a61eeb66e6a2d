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
PATIENCE_S = 180.0
SCRAPE_INTERVAL_S = 1.0
LATEST_S = 0.2
"""Longest time that a scrape may take: what a page tells is of the moment that it is made at."""
SILENT = ("ended", "frozen", "own")
"""Servers with signals that are to be stale."""
_SCRAPES = (
    f'min(sum_over_time(up{{pod!="ended"}}[{SETTINGS.window_s:g}s])) and on () '
    f'(max(max_over_time(scrape_duration_seconds{{pod!="ended"}}[{SETTINGS.window_s:g}s])) '
    f"<= {LATEST_S:g})"
)
"""Scrapes of the window that succeeded, of the pod with the fewest; nothing where one was slow."""


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

    A busy machine may scrape too late, or miss a scrape. Rates over a window with gaps, or whose
    first sample came late, are lower than the truth, and a series without its last scrape has
    ended: that is Prometheus's doing, not the reader's.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        time.sleep(1.0)
        before = scraped()
        reading = read()
        silent = reading.servers["frozen"].signal(SignalName.RUNNING).state is SignalState.STALE
        whole = min(before, scraped()) >= SETTINGS.window_s / SCRAPE_INTERVAL_S
        there = not any(
            signal.state is SignalState.STALE
            for name, server in reading.servers.items()
            if name not in SILENT
            for signal in server.signals.values()
        )
        if (silent and whole and there) or time.monotonic() > end:
            return reading
