"""Which latencies of a server tell something about its profile, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controller.correction.prediction import RunningReplicas, batch_of
from controller.load import MeasuredLoad
from controller.memory import ServerMemory
from stoker.domain.control.cluster import ReplicaPhase, VariantState
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.signals import SignalName
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Server
from stoker.domain.serving import Serving

_MS = 1000.0
_FEWEST_REQUESTS = 5.0
_WAITING_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a server's replicas did lately, told well enough to learn from.

    Attributes:
        running: The replicas and their load; the profile is that of the document.
        itl_ms: Mean time between tokens; None where unknown.
        ttft_ms: Mean TTFT; None where unknown, or where it tells of a queue and not of prompts.
        window_s: Time over which they were measured.
        rate_sd: Standard deviation of the log of the rate within the window.
        silent: Why the TTFT is left out, in words; empty where it is not.
    """

    running: RunningReplicas
    itl_ms: float | None
    ttft_ms: float | None
    window_s: float
    rate_sd: float
    silent: str = ""


def evidence_of(
    fleet: Fleet,
    server: Server,
    seen: ServerObservation,
    measured: MeasuredLoad,
    variants: Sequence[VariantState],
    memory: ServerMemory,
    window_s: float,
    at: float,
) -> Evidence | str:
    """Return what can be learned from a server now, or why nothing can, in words.

    Figures are those of all its replicas together over a window: they tell of one profile where
    one workload served all the time, with the same replicas.

    Args:
        fleet: The document.
        server: The server.
        seen: What was measured of it.
        measured: Its load.
        variants: Its workloads.
        memory: What is remembered of it.
        window_s: Time over which rates and latencies are measured.
        at: Now, in seconds since the epoch.
    """
    load = measured.load
    if load is None or measured.partial:
        return f"load not known in full: {measured.reason}"
    if any(
        seen.usable(each) is None for each in (SignalName.INPUT_TOKENS, SignalName.OUTPUT_TOKENS)
    ):
        return "token counts unknown"
    variant = serving_variant(variants)
    profile = running_profile(fleet, server, variants)
    if variant is None or profile is None:
        return "not one workload serves" if variant is None else f"no profile of {variant.ref}"
    unsettled = _unsettled(variant, memory, window_s, at)
    if unsettled:
        return unsettled
    if server.serving != (Serving.AGGREGATED,):
        return "it may be served by two pools"
    requests = load.arrival_rate_rps * window_s
    if requests < _FEWEST_REQUESTS:
        return f"too few requests to tell: {requests:.1f} in {window_s:.0f} s"
    running = RunningReplicas(
        profile,
        load,
        variant.count(ReplicaPhase.READY),
        batch_of(server, profile, load, variant.max_batch),
        server,
        fleet,
    )
    itl_ms = _latency(seen, SignalName.ITL_MEAN) if load.output_tokens > 1 else None
    ttft_ms = _latency(seen, SignalName.TTFT_MEAN)
    silent = "" if ttft_ms is None else _tells_of_queue(seen, load.arrival_rate_rps, ttft_ms)
    if itl_ms is None and (ttft_ms is None or silent):
        return silent or "latencies unknown"
    return Evidence(
        running,
        itl_ms,
        None if silent else ttft_ms,
        window_s,
        _rate_sd(memory, requests, window_s, at),
        silent,
    )


def serving_variant(variants: Sequence[VariantState]) -> VariantState | None:
    """Return the one workload that serves; None where none or several do."""
    phases = (ReplicaPhase.READY, ReplicaPhase.TERMINATING)
    serving = [
        each for each in variants if any(replica.phase in phases for replica in each.replicas)
    ]
    return serving[0] if len(serving) == 1 else None


def running_profile(
    fleet: Fleet, server: Server, variants: Sequence[VariantState]
) -> ModelProfile | None:
    """Return the profile of what serves; None for none, or several that cannot be told apart."""
    variant = serving_variant(variants)
    found = [
        each
        for each in fleet.profiles
        if variant is not None
        and each.model == server.model
        and each.accelerator == variant.accelerator
        and (not variant.configuration or each.configuration == variant.configuration)
    ]
    return found[0] if len(found) == 1 else None


def _unsettled(variant: VariantState, memory: ServerMemory, window_s: float, at: float) -> str:
    """Return how its replicas changed within the window; empty where they did not."""
    if variant.count(ReplicaPhase.TERMINATING):
        return "replicas are leaving"
    ready_at = [each.ready_at for each in variant.replicas if each.phase is ReplicaPhase.READY]
    if any(each is not None and at - each < window_s for each in ready_at):
        return "replicas got ready within the window"
    if memory.changed_at is not None and at - memory.changed_at < window_s:
        return "it was changed within the window"
    return ""


def _latency(seen: ServerObservation, name: SignalName) -> float | None:
    value = seen.usable(name)
    return value if value is not None and math.isfinite(value) and value > 0 else None


def _tells_of_queue(seen: ServerObservation, rate_rps: float, ttft_ms: float) -> str:
    """Return why a TTFT is that of a queue; empty where it is that of prompts.

    By Little's law those who wait do so for their number over the rate.
    """
    waiting = seen.usable(SignalName.WAITING)
    if waiting is None:
        return "whether requests wait is unknown: TTFT left out"
    wait_ms = waiting / rate_rps * _MS
    if wait_ms > _WAITING_SHARE * ttft_ms:
        return f"requests wait {wait_ms:.0f} ms of a TTFT of {ttft_ms:.0f} ms: TTFT left out"
    return ""


def _rate_sd(memory: ServerMemory, requests: float, window_s: float, at: float) -> float:
    """Return how well the rate in the window is known: by its requests, and as it moved lately."""
    rates = [
        each.arrival_rate_rps
        for each in memory.history.samples[-16:]
        if at - each.at <= 2 * window_s and each.arrival_rate_rps > 0
    ]
    moved = math.log(max(rates) / min(rates)) / 2 if rates else 0.0
    return math.hypot(1 / math.sqrt(requests), moved)
