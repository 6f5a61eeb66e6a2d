"""Prometheus and the signals of every server: what answered, how old, and is it plausible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from collector.prometheus.matching import ServerSeries
from collector.prometheus.reader import read_servers
from collector.prometheus.source import Source, SourceError
from stoker.domain.control.diagnosis import Finding, Level
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import Signal, SignalName, SignalState

_MOST_SKEW_S = 5.0
_NEEDED = (SignalName.ARRIVAL_RATE, SignalName.INPUT_TOKENS, SignalName.OUTPUT_TOKENS)
_OF_TRAFFIC = (
    SignalName.INPUT_TOKENS,
    SignalName.OUTPUT_TOKENS,
    SignalName.TTFT_MEAN,
    SignalName.ITL_MEAN,
)
_WANTED = (
    SignalName.TTFT_MEAN,
    SignalName.ITL_MEAN,
    SignalName.RUNNING,
    SignalName.WAITING,
    SignalName.KV_USE,
)

# What a value must lie in to be of the unit that it is said to have.
_PLAUSIBLE: dict[SignalName, tuple[float, float, str]] = {
    SignalName.ARRIVAL_RATE: (0.0, 1e5, "requests per second"),
    SignalName.INPUT_TOKENS: (1.0, 2e6, "tokens a request"),
    SignalName.OUTPUT_TOKENS: (1.0, 2e5, "tokens a request"),
    SignalName.TTFT_MEAN: (1.0, 600_000.0, "ms"),
    SignalName.ITL_MEAN: (0.5, 10_000.0, "ms"),
    SignalName.KV_USE: (0.0, 1.0, "share of the memory, from 0 to 1"),
    SignalName.PREFIX_HIT_RATE: (0.0, 1.0, "share of the tokens, from 0 to 1"),
    SignalName.ERROR_RATE: (0.0, 1.0, "share of the requests, from 0 to 1"),
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
    skew_s = samples[0].value - now()
    if abs(skew_s) > _MOST_SKEW_S:
        yield Finding(
            "clock",
            settings.prometheus_url,
            Level.WARNING,
            f"its clock differs from this machine's by {skew_s:.0f} s",
            "synchronize the clocks (chrony, ntpd)",
        )


def examine_signals(
    source: Source,
    servers: Sequence[ServerSeries],
    settings: MetricSettings,
    time_left_s: Callable[[], float],
) -> Iterator[Finding]:
    """Yield what every signal of every server is worth."""
    reading = read_servers(source, servers, settings, time_left_s)
    for problem in reading.problems:
        yield Finding("signals", "", Level.ERROR, problem, "see docs/control.md, What is measured")
    for server in servers:
        yield from _examine(server, reading.servers[server.name], settings)


def _examine(
    server: ServerSeries, seen: ServerObservation, settings: MetricSettings
) -> Iterator[Finding]:
    rate = seen.signal(SignalName.ARRIVAL_RATE)
    idle = rate.usable == 0
    for name in (*_NEEDED, *_WANTED):
        signal = seen.signal(name)
        if signal.state is SignalState.KNOWN:
            yield _known(server.name, name, signal)
            continue
        if idle and name in _OF_TRAFFIC:
            yield Finding(
                "signals", f"{server.name} {name.value}", Level.FINE, "no requests to tell it of"
            )
            continue
        yield Finding(
            "signals",
            f"{server.name} {name.value}",
            Level.ERROR if name in _NEEDED else Level.WARNING,
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
            "the query of the offered load misses some: check the gateway's series, or `queries`",
        )


def _known(server: str, name: SignalName, signal: Signal) -> Finding:
    subject = f"{server} {name.value}"
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
                f"check the unit of the query: {name.value} is in {unit}",
            )
    return Finding("signals", subject, Level.FINE, told)


def _remedy(
    server: ServerSeries, name: SignalName, signal: Signal, settings: MetricSettings
) -> str:
    if signal.state is SignalState.STALE:
        return "check that Prometheus still scrapes the server's pods (Status, Targets)"
    if name.value in server.queries:
        return f"mend servers[].queries.{name.value} in the control document"
    if "no series with" in signal.reason:
        return (
            f"check that Prometheus scrapes the pods, and that their label {settings.model_label} "
            f"is {server.model!r}; or tell `match` or `queries` for the server"
        )
    return f"tell a query: servers[].queries.{name.value}"
