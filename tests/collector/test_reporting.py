"""Pods that report are those whose rate can be told, by Prometheus's own samples."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import urllib3

from collector.prometheus.promql import Grouping, reporting
from demos.cluster.prometheus import Prometheus, ScrapeTarget
from tests.support.metrics_pages import MetricsPages, line
from tests.support.real_cluster import eventually

METRIC = "vllm:num_requests_running"
WINDOW_S, STALE_S = 4.0, 30.0
GROUP = Grouping(("model_name",), WINDOW_S)
SCRAPE_S = 0.5
PODS = 3
HOLE = 6.0, 9.5
"""Seconds in which the second pod's page cannot be read."""
LATE_S = 8.0
"""Second from which there is a third pod."""
LONG_S = 18.0


def page(pod: int, at: float) -> str:
    gone = (pod == 1 and HOLE[0] <= at < HOLE[1]) or (pod == 2 and at < LATE_S)
    engines = 2 if pod == 0 else 1  # of data parallelism: the pod counts once all the same
    lines = (
        line(METRIC, 1.0, model_name="m", pod=f"p{pod}", engine=str(k)) for k in range(engines)
    )
    return "" if gone else "".join(lines)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, float]]:
    """Prometheus after a while of all that, and when it began."""
    pages = {f"/{pod}": lambda at, pod=pod: page(pod, at) for pod in range(PODS)}
    with MetricsPages(pages) as served:
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), scrape_interval_s=SCRAPE_S)
        targets = [ScrapeTarget(served.address, path=f"/{pod}") for pod in range(PODS)]
        prometheus.set_targets(targets)
        with prometheus:
            served.began = time.monotonic() + 1e6  # nothing happens until scrapes are under way
            eventually(lambda: settled(prometheus, time.time()), 120.0)
            began = time.time()
            served.began = time.monotonic()
            eventually(lambda: time.time() > began + LONG_S, 120.0)
            yield prometheus, began


def asked(prometheus: Prometheus, query: str, at: float) -> list[dict[str, object]]:
    text = urlencode({"query": query, "time": f"{at:.3f}"})
    answer = urllib3.request("GET", f"{prometheus.url}/api/v1/query?{text}")
    found: list[dict[str, object]] = json.loads(answer.data)["data"]["result"]
    return found


def counted(prometheus: Prometheus, at: float) -> int:
    return len(asked(prometheus, reporting(GROUP, METRIC, STALE_S), at))


def settled(prometheus: Prometheus, at: float) -> bool:
    """Whether two windows of the first two pods were scraped whole."""
    held = asked(prometheus, f'{{__name__="{METRIC}"}}[{round(2 * WINDOW_S)}s]', at)
    lengths = [len(each["values"]) for each in held]  # type: ignore[arg-type]
    series = 3  # two engines of the first pod, and the second pod
    return len(lengths) == series and min(lengths) >= 2 * WINDOW_S / SCRAPE_S - 1


Series = tuple[str, str]


def by_series(found: list[dict[str, object]]) -> dict[Series, dict[str, object]]:
    labels = [(each["metric"]["pod"], each["metric"]["engine"], each) for each in found]  # type: ignore[index]
    return {(pod, engine): each for pod, engine, each in labels}


def naive(prometheus: Prometheus, at: float) -> int:
    """The same from what Prometheus holds, in a loop."""
    there = by_series(asked(prometheus, f'{{__name__="{METRIC}"}}', at))
    held = asked(prometheus, f'{{__name__="{METRIC}"}}[{round(2 * WINDOW_S)}s]', at)
    times = {
        series: [float(t) for t, _ in each["values"]]  # type: ignore[attr-defined]
        for series, each in by_series(held).items()
    }
    newest = max((times[series][-1] for series in there), default=0.0)
    pods = set()
    for series in there:
        now = [t for t in times[series] if t > at - WINDOW_S]
        before = [t for t in times[series] if t <= at - WINDOW_S]
        many = len(now) >= 2 and len(now) >= len(before) / 2
        if many and times[series][-1] >= newest - WINDOW_S / 2:
            pods.add(series[0])
    return len(pods)


def test_pods_count_while_their_rates_can_be_told(prometheus: tuple[Prometheus, float]) -> None:
    server, began = prometheus
    moments = [began + 2.0 + k * 0.37 for k in range(int((LONG_S - 2.5) / 0.37))]
    told = [counted(server, at) for at in moments]
    assert told == [naive(server, at) for at in moments]
    assert {1, 2, 3} <= set(told)


def test_a_pod_back_from_a_hole_is_counted_later_than_it_is_seen(
    prometheus: tuple[Prometheus, float],
) -> None:
    server, began = prometheus
    moments = [began + HOLE[1] + k * 0.1 for k in range(60)]

    def seen(at: float) -> int:
        return len({pod for pod, _ in by_series(asked(server, f'{{__name__="{METRIC}"}}', at))})

    short = [at for at in moments if seen(at) == PODS and counted(server, at) < PODS]
    assert short
    # Some scrapes later it counts again: how soon is what the other test tells, by the samples.
    eventually(lambda: counted(server, time.time()) == PODS, 60.0)
