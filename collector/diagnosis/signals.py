"""Prometheus and the signals of every server: what answered, how old, and is it plausible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from collector.diagnosis.clocks import compare_clocks
from collector.diagnosis.wanted import Need, needs_of
from collector.prometheus.matching import ServerSeries
from collector.prometheus.reader import read_servers
from collector.prometheus.source import Source, SourceError
from stoker.domain.control.diagnosis import Finding, Level
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import ControlSettings, MetricSettings
from stoker.domain.control.signals import Signal, SignalName, SignalState
from stoker.domain.fleet import Fleet

_OF_LOAD = (
    SignalName.ARRIVAL_RATE,
    SignalName.COMPLETION_RATE,
    SignalName.RUNNING,
    SignalName.WAITING,
    SignalName.KV_USE,
    SignalName.KV_TOKENS,
    SignalName.REPORTING,
)
"""Signals that a server tells without requests too; all others are told of requests."""

_MS = (0.5, 600_000.0, "ms")
_RATE = (0.0, 1e5, "requests per second")
_SPREAD = (0.0, 100.0, "standard deviations over means")
_COUNT = (0.0, 1e6, "requests")

# What a value must lie in to be of the unit that it is said to have.
_PLAUSIBLE: dict[SignalName, tuple[float, float, str]] = {
    SignalName.ARRIVAL_RATE: _RATE,
    SignalName.COMPLETION_RATE: _RATE,
    SignalName.INPUT_TOKENS: (1.0, 2e6, "tokens a request"),
    SignalName.OUTPUT_TOKENS: (1.0, 2e5, "tokens a request"),
    SignalName.INPUT_TOKENS_CV: _SPREAD,
    SignalName.OUTPUT_TOKENS_CV: _SPREAD,
    SignalName.TTFT_MEAN: (1.0, 600_000.0, "ms"),
    SignalName.TTFT_P50: _MS,
    SignalName.TTFT_P95: (1.0, 600_000.0, "ms"),
    SignalName.TTFT_P99: (1.0, 600_000.0, "ms"),
    SignalName.ITL_MEAN: (0.5, 10_000.0, "ms"),
    SignalName.ITL_P50: (0.1, 10_000.0, "ms"),
    SignalName.ITL_P95: (0.5, 10_000.0, "ms"),
    SignalName.ITL_P99: (0.5, 10_000.0, "ms"),
    SignalName.RUNNING: _COUNT,
    SignalName.WAITING: _COUNT,
    SignalName.KV_USE: (0.0, 1.0, "share of the memory, from 0 to 1"),
    SignalName.KV_TOKENS: (1000.0, 1e9, "tokens a replica"),
    SignalName.PREFIX_HIT_RATE: (0.0, 1.0, "share of the tokens, from 0 to 1"),
    SignalName.ERROR_RATE: (0.0, 1.0, "share of the requests, from 0 to 1"),
    SignalName.REPORTING: (0.0, 1e5, "replicas"),
}


def examine_prometheus(
    source: Source | None, settings: MetricSettings, now: Callable[[], float]
) -> Iterator[Finding]:
    """Yield whether Prometheus answers, and whether its clock is ours."""
    if source is None:
        yield Finding(
            "prometheus",
            "",
            Level.ERROR,
            "metrics.prometheus_url is not set: no load is ever known",
            "set metrics.prometheus_url in the control document",
        )
        return
    asked_at = now()
    try:
        samples = source.query("time()", settings.timeout_s)
    except SourceError as error:
        yield Finding(
            "prometheus",
            settings.prometheus_url,
            Level.ERROR,
            str(error),
            "check metrics.prometheus_url, bearer_token_file and ca_file; try "
            f"curl {settings.prometheus_url}/-/ready",
        )
        return
    if not samples:
        yield Finding(
            "prometheus",
            settings.prometheus_url,
            Level.ERROR,
            "does not answer as Prometheus does",
            "check metrics.prometheus_url",
        )
        return
    yield Finding("prometheus", settings.prometheus_url, Level.FINE, "answers")
    yield compare_clocks(
        "Prometheus",
        settings.prometheus_url,
        samples[0].value,
        asked_at,
        now(),
        "times of its pictures beside those of records",
    )


def examine_signals(
    source: Source,
    servers: Sequence[ServerSeries],
    fleet: Fleet,
    control: ControlSettings,
    time_left_s: Callable[[], float],
) -> Iterator[Finding]:
    """Yield what every signal of every server is worth."""
    settings = control.metrics
    reading = read_servers(source, servers, settings, time_left_s)
    for problem in reading.problems:
        yield Finding("signals", "", Level.ERROR, problem, _remedy_of(problem, settings))
    for server in servers:
        needs = needs_of(server.name, fleet, control)
        yield from _examine(server, reading.servers[server.name], needs, settings)


def _examine(
    server: ServerSeries,
    seen: ServerObservation,
    needs: Mapping[SignalName, Need],
    settings: MetricSettings,
) -> Iterator[Finding]:
    rate = seen.signal(SignalName.ARRIVAL_RATE)
    idle = rate.usable == 0
    for name, need in needs.items():
        signal = seen.signal(name)
        subject = f"{server.name} {name.value}"
        if signal.state is SignalState.KNOWN and not _of_none(signal, idle=idle, name=name):
            yield _known(server, name, signal)
        elif idle and name not in _OF_LOAD:
            yield Finding("signals", subject, Level.FINE, "no requests to tell it of")
        elif need is Need.TOLD and signal.state is SignalState.UNKNOWN and not _own(server, name):
            words = f"not told ({signal.reason}), and nothing rests on it"
            yield Finding("signals", subject, Level.FINE, words)
        else:
            yield Finding(
                "signals",
                subject,
                Level.ERROR if need is Need.NEEDED else Level.WARNING,
                f"{signal.state.value}: {signal.reason}",
                _remedy(server, name, signal, settings),
            )
    completed = seen.usable(SignalName.COMPLETION_RATE)
    if rate.usable is not None and completed is not None and completed > 1.5 * rate.usable + 0.1:
        yield Finding(
            "signals",
            f"{server.name} {SignalName.ARRIVAL_RATE.value}",
            Level.WARNING,
            f"{completed:.3g} requests/s complete, but only {rate.usable:.3g} are offered",
            "the query of the offered load misses some: set "
            f"servers[].queries.arrival_rate_rps of {server.name} to one that counts all of them",
        )


def _own(server: ServerSeries, name: SignalName) -> bool:
    """Return whether the user gave a query for it: one that answers nothing is always wrong."""
    return name.value in server.queries


def _of_none(signal: Signal, *, idle: bool, name: SignalName) -> bool:
    """Return whether a figure is the zero, or no number, that an engine tells of no requests."""
    value = signal.value
    return idle and name not in _OF_LOAD and (value is None or not value > 0)


def _known(server: ServerSeries, name: SignalName, signal: Signal) -> Finding:
    subject = f"{server.name} {name.value}"
    value = signal.value or 0.0
    age = "" if signal.age_s is None else f", {signal.age_s:.0f} s old"
    told = f"{value:.4g}{age}, by {signal.source}"
    bounds = _PLAUSIBLE.get(name)
    if bounds is not None:
        low, high, unit = bounds
        if not low <= value <= high:
            return Finding(
                "signals",
                subject,
                Level.WARNING,
                f"{told}: not plausible in {unit}",
                _remedy_of_unit(server, name, unit),
            )
    return Finding("signals", subject, Level.FINE, told)


def _remedy(
    server: ServerSeries, name: SignalName, signal: Signal, settings: MetricSettings
) -> str:
    if signal.state is SignalState.STALE:
        return (
            f"open {settings.prometheus_url}/targets: Prometheus has to scrape the pods of "
            f"{server.name}"
        )
    if name.value in server.queries:
        return (
            f"try {server.queries[name.value]!r} in Prometheus (/graph) until it answers one "
            f"series, and set servers[].queries.{name.value} of {server.name} to that"
        )
    query = f"set servers[].queries.{name.value} of {server.name} to a query that tells it"
    if name in (SignalName.INPUT_TOKENS_CV, SignalName.OUTPUT_TOKENS_CV):
        return (
            f"{query}, or load.{name.value} of {server.name} in the fleet document; until then "
            "requests of one length are planned for, which need fewer replicas than others"
        )
    if "no series with" in signal.reason:
        return (
            f"check that Prometheus scrapes the pods, and that their label {settings.model_label} "
            f"is {server.model!r}; or tell `match` or `queries` for the server"
        )
    return query


def _remedy_of_unit(server: ServerSeries, name: SignalName, unit: str) -> str:
    if name.value in server.queries:
        return (
            f"set servers[].queries.{name.value} of {server.name} to a query in {unit}: of "
            "seconds, times 1000; of percent, over 100"
        )
    return f"compare with the engine's own figure; {name.value} is in {unit}"


def _remedy_of(problem: str, settings: MetricSettings) -> str:
    """Return what to do about a problem of reading, beside what its own words say."""
    if "own labels" in problem:
        return "set servers[].match of each, such as match: {namespace: chat}"
    return (
        f"try the query at {settings.prometheus_url}/graph, and set servers[].queries to one that "
        "answers one series"
    )
