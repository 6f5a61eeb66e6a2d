"""A query that Prometheus refuses is unknown alone: the round goes on."""

from __future__ import annotations

import pytest

from collector.prometheus.matching import ServerSeries
from collector.prometheus.reader import Reading, read_servers
from collector.prometheus.source import (
    PrometheusSource,
    QueryRefusedError,
    Sample,
    Source,
    SourceError,
)
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import SignalName, SignalState
from tests.collector.conftest import SETTINGS, Observed

PLAIN = ServerSeries("plain", "plain")
SGLANG = ServerSeries("sg", "sg")
OWN = ServerSeries("own", "own", queries={"arrival_rate_rps": "vector(3)"})


def asked(observed: Observed) -> PrometheusSource:
    return PrometheusSource(MetricSettings(prometheus_url=observed.prometheus.url))


def read(source: Source, *servers: ServerSeries) -> Reading:
    return read_servers(source, servers, SETTINGS, lambda: 60.0)


def known(seen: ServerObservation) -> set[SignalName]:
    return {name for name in SignalName if seen.usable(name) is not None}


class Refusing:
    """A Prometheus that refuses the queries with a text, or fails over them."""

    def __init__(self, observed: Observed, text: str, error: type[SourceError]) -> None:
        self._source = asked(observed)
        self._text = text
        self._error = error

    def query(self, promql: str, timeout_s: float) -> tuple[Sample, ...]:
        if self._text in promql:
            raise self._error("too many samples")
        return self._source.query(promql, timeout_s)


def test_a_join_that_finds_two_servers_on_one_instance_silences_nothing_else(
    observed: Observed,
) -> None:
    """Two jobs scrape one pod, and each is a server: who failed over HTTP cannot be told."""
    jobs = [ServerSeries(job, "plain", {"job": job}) for job in ("pods", "services")]
    reading = read(asked(observed), *jobs, ServerSeries("mover", "mover"))
    for server in (reading.servers[job.name] for job in jobs):
        failed = server.signal(SignalName.ERROR_RATE)
        assert failed.state is SignalState.UNKNOWN
        assert "refused the query" in failed.reason
        assert "422" in failed.reason
        assert failed.reason in reading.problems
        for name in (
            SignalName.ARRIVAL_RATE,
            SignalName.REPORTING,
            SignalName.INPUT_TOKENS_CV,
            SignalName.OUTPUT_TOKENS_CV,
        ):
            assert server.usable(name) is not None, server.signal(name)
        assert server.input_tokens is not None
    assert reading.servers["mover"].usable(SignalName.ERROR_RATE) is not None


@pytest.mark.parametrize("query", ["sum(", "up * on (job) up"])
def test_refusals_are_told_from_a_prometheus_that_is_gone(observed: Observed, query: str) -> None:
    with pytest.raises(QueryRefusedError, match="refused the query"):
        asked(observed).query(query, SETTINGS.timeout_s)
    gone = PrometheusSource(MetricSettings(prometheus_url="http://127.0.0.1:9"))
    with pytest.raises(SourceError) as caught:
        gone.query(query, SETTINGS.timeout_s)
    assert not isinstance(caught.value, QueryRefusedError)


def test_a_failure_ends_the_round(observed: Observed) -> None:
    reading = read(Refusing(observed, "vllm:num_requests_running", SourceError), PLAIN)
    assert reading.problems == ("too many samples",)
    assert reading.servers["plain"].signal(SignalName.REPORTING).reason == "too many samples"
    assert reading.queries < 5


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("count_over_time", SignalName.REPORTING),
        ("vllm:request_prompt_tokens_bucket", SignalName.INPUT_TOKENS_CV),
        ("vllm:cache_config_info", SignalName.KV_TOKENS),
        ("vllm:request_prompt_tokens_sum", SignalName.INPUT_TOKENS),
    ],
)
def test_what_is_refused_says_so_and_nothing_else_is_unknown(
    observed: Observed, text: str, name: SignalName
) -> None:
    reading = read(Refusing(observed, text, QueryRefusedError), PLAIN)
    found = reading.servers["plain"]
    assert found.signal(name).reason == "too many samples"
    told = known(observed.reading.servers["plain"])
    assert name in told
    assert known(found) == told - {name}


def test_no_engine_answers_for_a_gateway_that_may_count_more(observed: Observed) -> None:
    source = Refusing(observed, "inference_extension_scheduler_attempts_total", QueryRefusedError)
    reading = read(source, ServerSeries("behind-gateway", "behind-gateway"), PLAIN)
    for server in reading.servers.values():
        rate = server.signal(SignalName.ARRIVAL_RATE)
        assert (rate.state, rate.reason) == (SignalState.UNKNOWN, "too many samples")
        assert server.usable(SignalName.COMPLETION_RATE) is not None


def test_servers_of_other_engines_go_on(observed: Observed) -> None:
    source = Refusing(observed, "vllm:request_success_total", QueryRefusedError)
    servers = read(source, PLAIN, SGLANG).servers
    assert servers["plain"].signal(SignalName.ARRIVAL_RATE).reason == "too many samples"
    for name in (SignalName.ARRIVAL_RATE, SignalName.COMPLETION_RATE, SignalName.REPORTING):
        assert servers["sg"].usable(name) is not None


def test_own_queries_are_asked_though_nobody_tells_which_series_there_are(
    observed: Observed,
) -> None:
    source = Refusing(observed, "count by (__name__)", QueryRefusedError)
    reading = read(source, PLAIN, OWN)
    assert reading.problems == ("too many samples",)  # and not that there are no series
    assert reading.servers["plain"].signal(SignalName.RUNNING).reason == "too many samples"
    assert reading.servers["own"].usable(SignalName.ARRIVAL_RATE) == 3.0
