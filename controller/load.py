"""The load of a server, from what was measured: told, told in part, or not told at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controller.history import LoadHistory, LoadSample
from controller.load_sizes import sizes_of, spreads_of
from stoker.domain.control.cluster import ReplicaPhase, ReplicaState, VariantState
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.workload import Load

_POD_SOURCES = ("vllm:", "sglang:")
_MISMATCH = 1.5
_SURE = 3.0
"""Deviations of a count of requests by which it must exceed what is expected to be told."""
_MS = 1000.0


_WHOLE_WINDOWS = 1.5
"""Windows after which the rate of a new replica is whole: it has to be found and scraped first, and
what it did before its first sample is in no rate."""


@dataclass(frozen=True, slots=True)
class MeasuredLoad:
    """What is known of the load of a server now.

    Attributes:
        load: The load; None where it is unknown.
        partial: Whether replicas are missing from it, or the sizes of its requests are not measured
            now: it may not make anything smaller.
        reason: Why it is unknown or partial, in words; empty where it is neither.
        pending_rate_rps: Rate by Little's law from what is in the system and how long it stays
            there; None where that is unknown.
        warning: What contradicts it, in words; empty for nothing.
        inside: Requests that wait or are served now; None where unknown.
        waiting: Requests that wait now; None where unknown.
        outlasts_pods: Whether requests would be seen if it had no replica: a gateway, or the
            user's own query, tells of them.
        demand: Whether requests are known to come, though the load is unknown for their size.
        silent: Whether replicas that have served for a while do not report.
        young: Whether replicas began to serve so lately that what they did before their first
            samples may be missing from the rate.
        unsized: Whether it is told in part for the sizes of its requests alone, which are those
            measured last: its rate is told in full.
    """

    load: Load | None
    partial: bool = False
    reason: str = ""
    pending_rate_rps: float | None = None
    warning: str = ""
    inside: float | None = None
    waiting: float | None = None
    outlasts_pods: bool = False
    demand: bool = False
    silent: bool = False
    young: bool = False
    unsized: bool = False

    @property
    def sample(self) -> tuple[float, float, float] | None:
        """Rate, input and output tokens; None where the load is unknown."""
        if self.load is None:
            return None
        return self.load.arrival_rate_rps, self.load.input_tokens, self.load.output_tokens


def measured_load(
    seen: ServerObservation,
    variants: Sequence[VariantState],
    history: LoadHistory,
    settings: MetricSettings,
    at: float,
    *,
    document: Load | None = None,
    filling: bool = False,
) -> MeasuredLoad:
    """Return the load of a server as it was seen.

    Token counts outlast the requests they were told of: those told last are taken where none are
    told now. Before any were told, those of the document are taken. Output tokens that no request
    tells just now are those to expect of requests with as many input tokens. While requests come,
    none of these makes a server smaller. Spread that is unknown is that of the document, and no
    prefix hits are known where nobody tells of any. Figures that pods tell count in full only
    when enough of the pods that should tell do; figures of a gateway, or of the user's own query,
    do not depend on pods. While no replica is ready, requests that wait (at a gateway) are load
    too.

    Args:
        seen: What was measured.
        variants: The server's workloads; empty where they are unknown.
        history: What was measured before.
        settings: Which share of replicas must report, and from when on.
        at: Now, in seconds since the epoch.
        document: Its load as the fleet document tells it; None for unknown.
        filling: Whether its rate is younger than the window over which rates are taken.
    """
    outlasts = _outlasts_pods(seen)
    inside = _inside(seen)
    rate = seen.signal(SignalName.ARRIVAL_RATE)
    queued = 0.0 if _any_ready(variants) else seen.usable(SignalName.WAITING) or 0.0
    if rate.usable is None and not queued:
        reason = f"its arrival rate is {rate.state.value}: {rate.reason}"
        return MeasuredLoad(None, reason=reason, inside=inside, outlasts_pods=outlasts)
    offered = max(rate.usable or 0.0, queued / max(1.0, settings.window_s))
    reasons = []
    if queued:
        reasons.append(f"{queued:.0f} requests wait, and no replica is ready")
    if rate.usable is not None and filling:
        reasons.append(f"its rate is younger than the {settings.window_s:g} s it is taken over")
    sizes = sizes_of(seen, history.last_tokens(), document, offered)
    if isinstance(sizes, str):
        return MeasuredLoad(None, reason=sizes, inside=inside, outlasts_pods=outlasts, demand=True)
    input_cv, output_cv = spreads_of(seen, document)
    load = Load(
        offered,
        sizes.inputs,
        sizes.outputs,
        throughput_rps=seen.usable(SignalName.COMPLETION_RATE),
        input_tokens_cv=input_cv,
        output_tokens_cv=output_cv,
        prefix_hit_rate=min(1.0, seen.usable(SignalName.PREFIX_HIT_RATE) or 0.0),
    )
    silent = False
    if _from_pods(rate):
        missing_reports, silent = _missing_reports(seen, variants, settings, at)
        reasons += [missing_reports] if missing_reports else []
    unsized = sizes.as_before and not reasons
    reasons += [sizes.reason] if sizes.reason else []
    pending = pending_rate(seen, load)
    return MeasuredLoad(
        load,
        bool(reasons),
        "; ".join(reasons),
        pending,
        _contradicted(pending, load, inside),
        inside,
        seen.usable(SignalName.WAITING),
        outlasts,
        silent=silent,
        unsized=unsized,
        young=_from_pods(rate) and _any_young(variants, settings, at),
    )


def _contradicted(pending: float | None, load: Load, inside: float | None) -> str:
    """Return how what is in the system contradicts the rate, in words; empty where it does not.

    Few requests are more or fewer by chance: what is there must exceed what the rate explains by
    several deviations of a count, too.
    """
    if pending is None or inside is None or pending <= _MISMATCH * load.arrival_rate_rps:
        return ""
    explained = inside * load.arrival_rate_rps / pending
    if inside - explained <= _SURE * math.sqrt(max(explained, 1.0)):
        return ""
    return (
        f"{pending:.3g} requests/s by what is in the system (Little's law), but "
        f"{load.arrival_rate_rps:.3g} measured: the rate may miss some"
    )


def _from_pods(signal: Signal) -> bool:
    return any(name in signal.source for name in _POD_SOURCES)


def _outlasts_pods(seen: ServerObservation) -> bool:
    """Return whether anybody but the pods tells of requests."""
    told = (seen.signal(name) for name in (SignalName.ARRIVAL_RATE, SignalName.WAITING))
    return any(each.usable is not None and not _from_pods(each) for each in told)


def _inside(seen: ServerObservation) -> float | None:
    """Return the requests that wait or are served; None where either is unknown."""
    running, waiting = (seen.usable(name) for name in (SignalName.RUNNING, SignalName.WAITING))
    return None if running is None or waiting is None else running + waiting


def _any_young(variants: Sequence[VariantState], settings: MetricSettings, at: float) -> bool:
    """Return whether a replica began to serve too lately for its part of the rate to be whole."""
    whole_s = _WHOLE_WINDOWS * settings.window_s
    return any(
        replica.phase is ReplicaPhase.READY
        and replica.ready_at is not None
        and at - replica.ready_at < whole_s
        for variant in variants
        for replica in variant.replicas
    )


def _any_ready(variants: Sequence[VariantState]) -> bool:
    """Return whether a replica is ready, or nobody knows what runs."""
    return not variants or any(each.count(ReplicaPhase.READY) for each in variants)


def pending_rate(seen: ServerObservation, load: Load) -> float | None:
    """Return the requests in the system over the time that each stays there (Little's law).

    None where a part of it is unknown, or nothing is in the system.
    """
    parts = [
        seen.usable(name)
        for name in (
            SignalName.RUNNING,
            SignalName.WAITING,
            SignalName.TTFT_MEAN,
            SignalName.ITL_MEAN,
        )
    ]
    if any(part is None for part in parts):
        return None
    running, waiting, ttft_ms, itl_ms = (part or 0.0 for part in parts)
    stay_s = (ttft_ms + max(0.0, load.output_tokens - 1) * itl_ms) / _MS
    inside = running + waiting
    return inside / stay_s if inside > 0 and stay_s > 0 else None


def sample_of(measured: MeasuredLoad, seen: ServerObservation, at: float) -> LoadSample | None:
    """Return what is remembered of a load; None where its rate is unknown or told in part."""
    if measured.load is None or (measured.partial and not measured.unsized):
        return None
    return LoadSample(
        at,
        measured.load.arrival_rate_rps,
        seen.usable(SignalName.INPUT_TOKENS),
        seen.usable(SignalName.OUTPUT_TOKENS),
    )


def _reporting(
    seen: ServerObservation, variants: Sequence[VariantState], ready: Sequence[ReplicaState]
) -> float | None:
    """Return how many of the ready replicas report.

    By name, where series carry the names of pods: one that ends and still reports does not stand
    for one that has only begun.
    """
    count = seen.usable(SignalName.REPORTING)
    if count is None:
        return None
    beginnings = tuple(f"{variant.ref.name}-" for variant in variants)
    if any(name.startswith(beginnings) for name in seen.reporting_pods):
        return float(sum(replica.name in seen.reporting_pods for replica in ready))
    return count


def _missing_reports(
    seen: ServerObservation,
    variants: Sequence[VariantState],
    settings: MetricSettings,
    at: float,
) -> tuple[str, bool]:
    """Return why the figures of pods are not those of all of them; empty where they are.

    Beside it, whether replicas are silent that have served for a while. Those that got ready a
    moment ago need not report yet: while they do not, the load that they took from the others would
    look lost.
    """
    ready = [
        replica
        for variant in variants
        for replica in variant.replicas
        if replica.phase is ReplicaPhase.READY
    ]
    settled = [
        replica
        for replica in ready
        if replica.ready_at is None or at - replica.ready_at >= settings.fresh_replica_s
    ]
    reporting = _reporting(seen, variants, ready)
    if reporting is None:
        return ("no replica reports" if settled else ""), bool(settled)
    if reporting < settings.reporting_share * len(settled):
        return f"{reporting:.0f} of {len(settled)} replicas report", True
    if reporting < len(ready) and len(ready) > len(settled):
        return f"{reporting:.0f} of {len(ready)} replicas report; the others are fresh", False
    return "", False
