"""All signals of all servers, with as few queries as there are signals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from collector.prometheus import promql
from collector.prometheus.ages import aged
from collector.prometheus.asking import Asker
from collector.prometheus.candidates import GATEWAY, Candidate, candidates_for, token_histograms
from collector.prometheus.histograms import in_powers_of_two, spread_of
from collector.prometheus.matching import Matched, ServerSeries, groups_of
from collector.prometheus.own import read_own
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
            _read_own(asker, server, found[server.name], settings)
    return Reading(
        {server.name: _observation(server, found[server.name], asker) for server in servers},
        tuple(dict.fromkeys(asker.problems)),
        asker.sent,
    )


@dataclass(slots=True)
class _Found:
    """What has been found of one server so far.

    `unanswered` tells by signal why a query for it had no answer.
    """

    signals: dict[SignalName, Signal] = field(default_factory=dict)
    histograms: dict[SignalName, TokenHistogram] = field(default_factory=dict)
    engine: str = ""
    reason: str = ""
    reporting_pods: frozenset[str] = frozenset()
    unanswered: dict[SignalName, str] = field(default_factory=dict)


def _read_group(
    asker: Asker,
    group: Matched,
    there: Mapping[str, float],
    found: Mapping[str, _Found],
    settings: MetricSettings,
) -> None:
    ages: dict[tuple[str, str], tuple[Mapping[str, float], str]] = {}

    def ages_of(metric: str, label: str) -> tuple[Mapping[str, float], str]:
        if (metric, label) not in ages:
            query = promql.age(group.grouping(settings.window_s, label), metric)
            answer, why = asker.answer(query)
            ages[metric, label] = group.by_server(answer, label), why
        return ages[metric, label]

    for name in SignalName:
        silent: set[str] = set()
        for candidate in candidates_for(name, group.engine):
            missing = [server for server in group.names if name not in found[server].signals]
            if not missing:
                break
            if any(metric not in there for metric in candidate.needs):
                continue
            if _stands_in(candidate.engine, silent):
                continue
            why = _read_candidate(asker, group, candidate, name, missing, found, settings, ages_of)
            if why:
                silent.add(candidate.engine)
                _unanswered(missing, found, name, why)
    _read_reporting(asker, group, there, found, settings)
    _read_histograms(asker, group, there, found, settings, ages_of)
    _read_kv_tokens(asker, group, there, found, settings, ages_of)


_Ages = Callable[[str, str], tuple[Mapping[str, float], str]]
"""Ages by server of a metric with a model's label, and why they are not known, in words."""


def _stands_in(engine: str, silent: Set[str]) -> bool:
    """Return whether an engine would answer in place of others whose queries had no answer.

    What the first candidate of a server would have told is then not known, and the next one may
    tell less: an engine does not see what a gateway keeps waiting. Servers of another engine are
    none of those that the query was for.
    """
    return bool(silent) and (engine in silent or GATEWAY in silent or engine == GATEWAY)


def _unanswered(
    servers: Iterable[str], found: Mapping[str, _Found], name: SignalName, why: str
) -> None:
    for server in servers:
        found[server].unanswered.setdefault(name, why)


def _read_candidate(
    asker: Asker,
    group: Matched,
    candidate: Candidate,
    name: SignalName,
    missing: Sequence[str],
    found: Mapping[str, _Found],
    settings: MetricSettings,
    ages_of: _Ages,
) -> str:
    """Read a signal one way; return why there is no answer, in words, where there is none."""
    label = candidate.model_label
    answer, why = asker.answer(candidate.expression(group.grouping(settings.window_s, label)))
    values = group.by_server(answer, label)
    ages: Mapping[str, float] = {}
    if values:
        ages, why = ages_of(candidate.metric, label)
    if why:
        return why
    for server in missing:
        if server not in values:
            continue
        value = values[server] * candidate.scale
        if candidate.least is not None:
            value = max(value, candidate.least)
        own = candidate.expression(group.alone(server, settings.window_s, label))
        found[server].signals[name] = aged(value, ages.get(server), own, settings)
        if not found[server].engine and candidate.engine in ("vllm", "sglang"):
            found[server].engine = candidate.engine
    return ""


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
        answer, why = asker.answer(query)
        if why:
            _unanswered(group.names, found, SignalName.REPORTING, why)
        pods: dict[str, list[str]] = {}
        for server, sample in group.rows(answer):
            pods.setdefault(server, []).append(sample.labels.get("pod", ""))
        for server, names in pods.items():
            if SignalName.REPORTING in found[server].signals:
                continue
            own = promql.reporting(group.alone(server, settings.window_s), metric, settings.stale_s)
            found[server].signals[SignalName.REPORTING] = Signal.known(len(names), 0.0, own)
            found[server].reporting_pods = frozenset(names) - {""}


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
        answer, why = asker.answer(query)
        cumulative: dict[str, dict[float, float]] = defaultdict(dict)
        for server, sample in group.rows(answer):
            bound = float(sample.labels.get("le", "nan").replace("+Inf", "inf"))
            cumulative[server][bound] = sample.value
        ages: Mapping[str, float] = {}
        if cumulative:
            ages, why = ages_of(f"{metric}_count", "")
        if why:
            _unanswered(group.names, found, _CV_OF[name], why)
            continue
        for server, rates in cumulative.items():
            mean = found[server].signals.get(name)
            spread = spread_of(rates, None if mean is None else mean.value)
            if spread is None or _CV_OF[name] in found[server].signals:
                continue
            own = promql.buckets(group.alone(server, settings.window_s), metric)
            found[server].signals[_CV_OF[name]] = aged(spread.cv, ages.get(server), own, settings)
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
    answer, why = asker.answer(query)
    ages: Mapping[str, float] = {}
    if answer:
        ages, why = ages_of(_KV_BESIDE, "")
    if why:
        _unanswered(group.names, found, SignalName.KV_TOKENS, why)
        return
    for server, sample in group.rows(answer):
        try:
            tokens = float(sample.labels["num_gpu_blocks"]) * float(sample.labels["block_size"])
        except (KeyError, ValueError):
            continue  # the engine has not measured its memory yet
        before = found[server].signals.get(SignalName.KV_TOKENS)
        if before is None or before.value is None or tokens < before.value:
            alone = group.alone(server, settings.window_s)
            own = promql.kv_tokens(alone, _KV_INFO, _KV_BESIDE)
            found[server].signals[SignalName.KV_TOKENS] = aged(
                tokens, ages.get(server), own, settings
            )


def _read_own(asker: Asker, server: ServerSeries, found: _Found, settings: MetricSettings) -> None:
    """Read the signals that the user gave queries for; they take the place of all others."""
    for text, query in server.queries.items():
        name = SignalName(text)
        signal, problem = read_own(asker, query, server.ages.get(text, ""), settings)
        if signal.source:
            found.engine = found.engine or _CUSTOM
        if problem:
            asker.problems.append(f"{server.name}: {text}: {problem}")
        found.signals[name] = signal


def _observation(server: ServerSeries, found: _Found, asker: Asker) -> ServerObservation:
    seen = SignalName.REPORTING in found.signals or SignalName.REPORTING in found.unanswered
    signals = dict(found.signals)
    for name in SignalName:
        if name in signals:
            continue
        if found.reason:
            reason = found.reason
        elif name in found.unanswered:
            reason = found.unanswered[name]
        elif asker.failure or asker.unnamed:
            reason = asker.failure or asker.unnamed
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
        reporting_pods=found.reporting_pods,
    )
