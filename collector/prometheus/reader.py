"""All signals of all servers, with as few queries as there are signals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from collector.prometheus import promql
from collector.prometheus.asking import Asker
from collector.prometheus.candidates import Candidate, candidates_for, token_histograms
from collector.prometheus.histograms import in_powers_of_two, spread_of
from collector.prometheus.matching import Matched, ServerSeries, groups_of
from collector.prometheus.source import Source
from stoker.domain.control.observation import ServerObservation, TokenHistogram
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import Signal, SignalName

_KV_INFO = "vllm:cache_config_info"
_KV_BESIDE = "vllm:num_requests_running"
_REPORTING = ("vllm:num_requests_running", "sglang:num_running_reqs")
_CV_OF = {
    SignalName.INPUT_TOKENS: SignalName.INPUT_TOKENS_CV,
    SignalName.OUTPUT_TOKENS: SignalName.OUTPUT_TOKENS_CV,
}
_CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one round of queries brought.

    Attributes:
        servers: Observations by name of the server; every server asked for is there.
        problems: What did not work, in words with a remedy.
        queries: Queries that were sent.
    """

    servers: Mapping[str, ServerObservation]
    problems: tuple[str, ...]
    queries: int


def read_servers(
    source: Source,
    servers: Sequence[ServerSeries],
    settings: MetricSettings,
    time_left_s: Callable[[], float],
) -> Reading:
    """Return what Prometheus tells of each server.

    Nothing is raised because of the world: what cannot be read is unknown, with the reason.

    Args:
        source: Where to ask.
        servers: Whose signals, and what their series carry.
        settings: Windows and ages.
        time_left_s: Tells how many seconds are left for the round.
    """
    asker = Asker(source, settings, time_left_s)
    groups, ambiguous = groups_of(servers, settings)
    found = {server.name: _Found() for server in servers}
    for name, reason in ambiguous.items():
        found[name].reason = reason
        asker.problems.append(reason)
    there = asker.names_there()
    for group in groups:
        _read_group(asker, group, there, found, settings)
    for server in servers:
        if server.queries:
            _read_own(asker, server, found[server.name])
    return Reading(
        {server.name: _observation(server, found[server.name], asker) for server in servers},
        tuple(dict.fromkeys(asker.problems)),
        asker.sent,
    )


@dataclass(slots=True)
class _Found:
    """What has been found of one server so far."""

    signals: dict[SignalName, Signal] = field(default_factory=dict)
    histograms: dict[SignalName, TokenHistogram] = field(default_factory=dict)
    engine: str = ""
    reason: str = ""


def _read_group(
    asker: Asker,
    group: Matched,
    there: Mapping[str, float],
    found: Mapping[str, _Found],
    settings: MetricSettings,
) -> None:
    ages: dict[tuple[str, str], Mapping[str, float]] = {}

    def ages_of(metric: str, label: str) -> Mapping[str, float]:
        if (metric, label) not in ages:
            answer = asker.ask(promql.age(group.grouping(settings.window_s, label), metric))
            ages[metric, label] = group.by_server(answer, label)
        return ages[metric, label]

    for name in SignalName:
        for candidate in candidates_for(name, group.engine):
            missing = [server for server in group.names if name not in found[server].signals]
            if not missing:
                break
            if any(metric not in there for metric in candidate.needs):
                continue
            _read_candidate(asker, group, candidate, name, missing, found, settings, ages_of)
    _read_reporting(asker, group, there, found, settings)
    _read_histograms(asker, group, there, found, settings, ages_of)
    _read_kv_tokens(asker, group, there, found, settings, ages_of)


_Ages = Callable[[str, str], Mapping[str, float]]


def _read_candidate(
    asker: Asker,
    group: Matched,
    candidate: Candidate,
    name: SignalName,
    missing: Sequence[str],
    found: Mapping[str, _Found],
    settings: MetricSettings,
    ages_of: _Ages,
) -> None:
    label = candidate.model_label
    query = candidate.expression(group.grouping(settings.window_s, label))
    values = group.by_server(asker.ask(query), label)
    ages = ages_of(candidate.metric, label) if values else {}
    for server in missing:
        if server not in values:
            continue
        value = values[server] * candidate.scale
        if candidate.least is not None:
            value = max(value, candidate.least)
        own = candidate.expression(group.alone(server, settings.window_s, label))
        found[server].signals[name] = _aged(value, ages.get(server), own, settings)
        if not found[server].engine and candidate.engine in ("vllm", "sglang"):
            found[server].engine = candidate.engine


def _read_reporting(
    asker: Asker,
    group: Matched,
    there: Mapping[str, float],
    found: Mapping[str, _Found],
    settings: MetricSettings,
) -> None:
    for metric in _REPORTING:
        if metric not in there:
            continue
        query = promql.reporting(group.grouping(settings.window_s), metric, settings.stale_s)
        for server, count in group.by_server(asker.ask(query)).items():
            own = promql.reporting(group.alone(server, settings.window_s), metric, settings.stale_s)
            found[server].signals.setdefault(SignalName.REPORTING, Signal.known(count, 0.0, own))


def _read_histograms(
    asker: Asker,
    group: Matched,
    there: Mapping[str, float],
    found: Mapping[str, _Found],
    settings: MetricSettings,
    ages_of: _Ages,
) -> None:
    for name, _, metric in token_histograms(group.engine):
        if f"{metric}_bucket" not in there:
            continue
        query = promql.buckets(group.grouping(settings.window_s), metric)
        cumulative: dict[str, dict[float, float]] = defaultdict(dict)
        for server, sample in group.rows(asker.ask(query)):
            bound = float(sample.labels.get("le", "nan").replace("+Inf", "inf"))
            cumulative[server][bound] = sample.value
        for server, rates in cumulative.items():
            mean = found[server].signals.get(name)
            spread = spread_of(rates, None if mean is None else mean.value)
            if spread is None or _CV_OF[name] in found[server].signals:
                continue
            age = ages_of(f"{metric}_count", "").get(server)
            own = promql.buckets(group.alone(server, settings.window_s), metric)
            found[server].signals[_CV_OF[name]] = _aged(spread.cv, age, own, settings)
            histogram = in_powers_of_two(rates, settings.window_s)
            if histogram is not None:
                found[server].histograms[name] = histogram


def _read_kv_tokens(
    asker: Asker,
    group: Matched,
    there: Mapping[str, float],
    found: Mapping[str, _Found],
    settings: MetricSettings,
    ages_of: _Ages,
) -> None:
    if _KV_INFO not in there or _KV_BESIDE not in there:
        return
    query = promql.kv_tokens(group.grouping(settings.window_s), _KV_INFO, _KV_BESIDE)
    for server, sample in group.rows(asker.ask(query)):
        try:
            tokens = float(sample.labels["num_gpu_blocks"]) * float(sample.labels["block_size"])
        except (KeyError, ValueError):
            continue  # the engine has not measured its memory yet
        before = found[server].signals.get(SignalName.KV_TOKENS)
        if before is None or before.value is None or tokens < before.value:
            age = ages_of(_KV_BESIDE, "").get(server)
            alone = group.alone(server, settings.window_s)
            own = promql.kv_tokens(alone, _KV_INFO, _KV_BESIDE)
            found[server].signals[SignalName.KV_TOKENS] = _aged(tokens, age, own, settings)


def _read_own(asker: Asker, server: ServerSeries, found: _Found) -> None:
    """Read the signals that the user gave queries for; they take the place of all others."""
    for text, query in server.queries.items():
        name = SignalName(text)
        samples, failure = asker.ask_own(query)
        if failure:
            signal = Signal.unknown(failure)
        elif not samples:
            signal = Signal.unknown(f"the query {query!r} answered nothing")
        elif len(samples) > 1:
            signal = Signal.unknown(
                f"the query {query!r} answered {len(samples)} series; aggregate them to one"
            )
        else:
            signal = Signal.known(samples[0].value, None, query)
            found.engine = found.engine or _CUSTOM
        if not signal.source:
            asker.problems.append(f"{server.name}: {text}: {signal.reason}")
        found.signals[name] = signal


def _aged(value: float, age_s: float | None, query: str, settings: MetricSettings) -> Signal:
    """Return the signal, stale where its newest sample is too old or its series has ended.

    A rate outlives its series by the window that it is taken over; an age does not.
    """
    if age_s is None:
        return Signal.stale(value, None, query, "its series has ended: nobody is scraped any more")
    if age_s > settings.stale_s:
        return Signal.stale(
            value,
            age_s,
            query,
            f"the newest sample is {age_s:.0f} s old; more than {settings.stale_s:g} s is stale",
        )
    return Signal.known(value, max(0.0, age_s), query)


def _observation(server: ServerSeries, found: _Found, asker: Asker) -> ServerObservation:
    seen = SignalName.REPORTING in found.signals
    signals = dict(found.signals)
    for name in SignalName:
        if name in signals:
            continue
        if found.reason:
            reason = found.reason
        elif asker.failure:
            reason = asker.failure
        elif seen:
            reason = "no metric for it, or no requests within the window"
        else:
            reason = f"no series with {server.described}"
        signals[name] = Signal.unknown(reason)
    return ServerObservation(
        server.name,
        signals,
        found.histograms.get(SignalName.INPUT_TOKENS),
        found.histograms.get(SignalName.OUTPUT_TOKENS),
        found.engine,
    )
