"""Signals, read from a real Prometheus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.prometheus.matching import ServerSeries
from collector.prometheus.reader import read_servers
from collector.prometheus.source import PrometheusSource, SourceError
from stoker.domain.control.choices import EngineKind
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import Signal, SignalName, SignalState
from tests.collector.conftest import SETTINGS, Observed
from tests.support.emulated_pods import CARRIED_RPS, OFFERED_RPS
from tests.support.metric_pods import SERIES

# Scrapes jitter by some hundredths of a second in a window of eight.
CLOSE = 0.1


def signal(observed: Observed, server: str, name: SignalName) -> Signal:
    return observed.reading.servers[server].signal(name)


def value(observed: Observed, server: str, name: SignalName) -> float:
    found = signal(observed, server, name)
    assert found.state is SignalState.KNOWN, found
    assert found.value is not None
    return found.value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (SignalName.ARRIVAL_RATE, 4.0),
        (SignalName.COMPLETION_RATE, 4.0),
        (SignalName.INPUT_TOKENS, 100.0),
        (SignalName.OUTPUT_TOKENS, 50.0),
        (SignalName.TTFT_MEAN, 150.0),
        (SignalName.TTFT_P50, 100.0),
        (SignalName.TTFT_P95, 300.0),
        (SignalName.ITL_MEAN, 20.0),
        (SignalName.RUNNING, 3.0),
        (SignalName.WAITING, 0.0),
        (SignalName.KV_USE, 0.25),
        (SignalName.KV_TOKENS, 16_000.0),
        (SignalName.PREFIX_HIT_RATE, 0.25),
        (SignalName.REPORTING, 1.0),
    ],
)
def test_a_vllm_pod_scraped_twice_counts_once(
    observed: Observed, name: SignalName, expected: float
) -> None:
    assert value(observed, "plain", name) == pytest.approx(expected, rel=CLOSE, abs=1e-9)


def test_a_known_signal_tells_its_query_and_age(observed: Observed) -> None:
    found = signal(observed, "plain", SignalName.TTFT_MEAN)
    assert "vllm:time_to_first_token_seconds_sum" in found.source
    assert found.age_s is not None
    assert 0 <= found.age_s < SETTINGS.stale_s
    assert observed.reading.servers["plain"].engine == "vllm"


def test_spread_of_tokens_is_that_of_their_histogram(observed: Observed) -> None:
    # Even over (50, 150]: standard deviation 100 / sqrt(12), mean 100.
    assert value(observed, "plain", SignalName.INPUT_TOKENS_CV) == pytest.approx(0.2887, rel=0.02)
    histogram = observed.reading.servers["plain"].input_tokens
    assert histogram is not None
    assert histogram.bounds[-1] == 256.0
    assert sum(histogram.counts) == pytest.approx(4.0 * SETTINGS.window_s, rel=CLOSE)
    by_bound = dict(zip(histogram.bounds, histogram.counts, strict=True))
    assert by_bound[64.0] / sum(histogram.counts) == pytest.approx(0.14, rel=0.02)
    assert by_bound[32.0] == 0


def test_pods_add_up(observed: Observed) -> None:
    assert value(observed, "pair", SignalName.ARRIVAL_RATE) == pytest.approx(5.0, rel=CLOSE)
    assert value(observed, "pair", SignalName.REPORTING) == 2.0
    assert value(observed, "pair", SignalName.KV_USE) == pytest.approx(0.25)


def test_a_saturated_server_shows_what_is_offered_not_what_it_completes(
    observed: Observed,
) -> None:
    assert value(observed, "saturated", SignalName.COMPLETION_RATE) == pytest.approx(2, rel=CLOSE)
    assert value(observed, "saturated", SignalName.ARRIVAL_RATE) == pytest.approx(5, rel=CLOSE)


def test_a_saturated_sglang_server_shows_what_is_offered_too(observed: Observed) -> None:
    # Two are done, three more gather, and one gives up in the queue. A fifth of a request is broken
    # off while it is served, which SGLang does not tell apart from the queue: it counts twice.
    assert value(observed, "sg-saturated", SignalName.COMPLETION_RATE) == pytest.approx(
        2, rel=CLOSE
    )
    assert value(observed, "sg-saturated", SignalName.ARRIVAL_RATE) == pytest.approx(6.2, rel=CLOSE)


@pytest.mark.parametrize("server", ["sg-emulated", "vllm-emulated"])
def test_an_emulated_server_shows_more_than_it_carries(observed: Observed, server: str) -> None:
    carried = value(observed, server, SignalName.COMPLETION_RATE)
    assert carried == pytest.approx(CARRIED_RPS, rel=0.2)
    # Requests come by chance, a thousand in a window.
    assert value(observed, server, SignalName.ARRIVAL_RATE) == pytest.approx(OFFERED_RPS, rel=0.2)


def test_an_sglang_server_that_never_had_a_request_has_no_load(observed: Observed) -> None:
    assert value(observed, "sg-idle", SignalName.ARRIVAL_RATE) == 0.0


def test_sglang_tells_tokens_without_its_histograms(observed: Observed) -> None:
    assert value(observed, "sg-bare", SignalName.INPUT_TOKENS) == pytest.approx(200, rel=CLOSE)
    assert value(observed, "sg-bare", SignalName.OUTPUT_TOKENS) == pytest.approx(80, rel=CLOSE)


def test_counters_that_start_again_do_not_disturb(observed: Observed) -> None:
    assert value(observed, "restarting", SignalName.COMPLETION_RATE) == pytest.approx(4.0, rel=0.35)


def test_no_traffic_is_a_known_zero_and_its_means_are_unknown(observed: Observed) -> None:
    assert value(observed, "idle", SignalName.ARRIVAL_RATE) == 0.0
    for name in (SignalName.INPUT_TOKENS, SignalName.TTFT_MEAN, SignalName.TTFT_P95):
        found = signal(observed, "idle", name)
        assert found.state is SignalState.UNKNOWN
        assert found.value is None
        assert "no requests" in found.reason


def test_older_names_answer_where_newer_ones_do_not(observed: Observed) -> None:
    assert value(observed, "old", SignalName.KV_USE) == pytest.approx(0.5)
    assert value(observed, "old", SignalName.ITL_MEAN) == pytest.approx(30.0, rel=CLOSE)
    source = signal(observed, "old", SignalName.KV_USE).source
    assert "gpu_cache_usage_perc" in source


def test_sglang(observed: Observed) -> None:
    expected = {
        # Half a request a second is broken off, which counts as done and, where others wait, again.
        SignalName.ARRIVAL_RATE: 5.5,
        SignalName.INPUT_TOKENS: 200.0,
        SignalName.OUTPUT_TOKENS: 80.0,
        SignalName.TTFT_MEAN: 300.0,
        SignalName.ITL_MEAN: 30.0,
        SignalName.RUNNING: 4.0,
        SignalName.WAITING: 2.0,
        SignalName.KV_USE: 0.75,
        SignalName.KV_TOKENS: 50_000.0,
        SignalName.PREFIX_HIT_RATE: 0.05,
    }
    for name, figure in expected.items():
        assert value(observed, "sg", name) == pytest.approx(figure, rel=CLOSE), name
    assert observed.reading.servers["sg"].engine == "sglang"


def test_a_gateway_is_asked_before_the_engines(observed: Observed) -> None:
    assert value(observed, "behind-gateway", SignalName.ARRIVAL_RATE) == pytest.approx(
        7.0, rel=CLOSE
    )
    assert value(observed, "behind-gateway", SignalName.COMPLETION_RATE) == pytest.approx(
        3.0, rel=CLOSE
    )


@pytest.mark.parametrize("name", [SignalName.RUNNING, SignalName.REPORTING])
def test_a_pod_that_is_gone_is_unknown_not_zero(observed: Observed, name: SignalName) -> None:
    found = signal(observed, "ended", name)
    assert found.state is SignalState.UNKNOWN
    assert found.usable is None


@pytest.mark.parametrize("name", [SignalName.ARRIVAL_RATE, SignalName.RUNNING])
def test_figures_that_stopped_coming_are_stale_and_not_used(
    observed: Observed, name: SignalName
) -> None:
    found = signal(observed, "frozen", name)
    assert found.state in (SignalState.STALE, SignalState.UNKNOWN)
    assert found.usable is None
    if found.state is SignalState.STALE:
        assert found.age_s is None or found.age_s > SETTINGS.stale_s


def test_a_model_without_series_says_so(observed: Observed) -> None:
    found = signal(observed, "absent", SignalName.ARRIVAL_RATE)
    assert found == Signal.unknown("no series with model='absent'")


def test_labels_tell_servers_of_one_model_apart(observed: Observed) -> None:
    assert value(observed, "in-east", SignalName.ARRIVAL_RATE) == pytest.approx(2.0, rel=CLOSE)
    assert value(observed, "in-west", SignalName.ARRIVAL_RATE) == pytest.approx(6.0, rel=CLOSE)


def test_a_server_whose_series_are_others_too_is_unknown(observed: Observed) -> None:
    found = signal(observed, "anywhere", SignalName.ARRIVAL_RATE)
    assert found.state is SignalState.UNKNOWN
    assert "in-east, in-west" in found.reason
    assert "match" in found.reason
    assert found.reason in observed.reading.problems


def read(observed: Observed, server: ServerSeries, **settings: Any) -> float:
    """The arrival rate of a server, with other settings."""
    source = PrometheusSource(MetricSettings(prometheus_url=observed.prometheus.url))
    reading = read_servers(source, [server], replace(SETTINGS, **settings), lambda: 60.0)
    found = reading.servers[server.name].usable(SignalName.ARRIVAL_RATE)
    assert found is not None
    return found


def test_a_pod_that_two_prometheus_servers_tell_of_counts_once(observed: Observed) -> None:
    assert value(observed, "thanos", SignalName.ARRIVAL_RATE) == pytest.approx(4, rel=CLOSE)
    assert value(observed, "thanos", SignalName.RUNNING) == 3.0
    assert value(observed, "thanos", SignalName.REPORTING) == 1.0


def test_labels_of_duplicates_may_be_named_or_taken_back(observed: Observed) -> None:
    scraped, ray = ServerSeries("s", "scraped"), ServerSeries("r", "ray")
    assert read(observed, scraped) == pytest.approx(8, rel=0.2)
    assert read(observed, scraped, duplicate_labels=("scraped_by",)) == pytest.approx(4, rel=0.2)
    assert read(observed, ray) == pytest.approx(4, rel=0.2)
    assert read(observed, ray, distinct_labels=("replica",)) == pytest.approx(6, rel=0.2)


def test_servers_may_be_told_apart_by_a_label_of_duplicates(observed: Observed) -> None:
    for replica, rate in (("0", 2), ("1", 4)):
        server = ServerSeries("one", "ray", {"replica": replica})
        assert read(observed, server) == pytest.approx(rate, rel=0.2)


def test_another_engine_than_asked_for_does_not_answer(observed: Observed) -> None:
    source = PrometheusSource(MetricSettings(prometheus_url=observed.prometheus.url))
    server = ServerSeries("plain", "plain", engine=EngineKind.SGLANG)
    reading = read_servers(source, [server], SETTINGS, lambda: 60.0)
    assert reading.servers["plain"].signal(SignalName.RUNNING).state is SignalState.UNKNOWN


def test_queries_do_not_grow_with_servers(observed: Observed) -> None:
    # Two groups of labels and one of another engine, whatever the number of servers in each.
    assert observed.reading.queries < 150


def test_a_source_that_does_not_answer_leaves_everything_unknown() -> None:
    source = PrometheusSource(MetricSettings(prometheus_url="http://127.0.0.1:9"))
    reading = read_servers(source, SERIES[:2], SETTINGS, lambda: 5.0)
    assert reading.queries == 1
    assert len(reading.problems) == 1
    assert "cannot be reached" in reading.problems[0]
    for server in SERIES[:2]:
        found = reading.servers[server.name].signal(SignalName.ARRIVAL_RATE)
        assert found.state is SignalState.UNKNOWN
        assert found.reason == reading.problems[0]


def test_no_time_left_asks_nothing(observed: Observed) -> None:
    source = PrometheusSource(MetricSettings(prometheus_url=observed.prometheus.url))
    reading = read_servers(source, SERIES[:2], SETTINGS, lambda: 0.0)
    assert reading.queries == 0
    assert "the time of the cycle was up" in reading.problems[0]


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "token"
    source = PrometheusSource(
        MetricSettings(prometheus_url="http://127.0.0.1:9", bearer_token_file=str(missing))
    )
    with pytest.raises(SourceError, match="bearer_token_file"):
        source.query("up", 1.0)
