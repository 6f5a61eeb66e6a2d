"""From the states that requests meet to the answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import BoolArray, FloatArray
from queueing.engine.correction import Corrector
from queueing.engine.decoding import decoding
from queueing.engine.first_token import mean_delay_ms, ttft_mixture, wait_mixture
from queueing.engine.mixtures import Mixture
from queueing.engine.point import EnginePoint, Latency
from queueing.engine.scene import Scene
from queueing.engine.tokens import e2e_mixture, itl_mixture, token_itl_mixture

_SLOWEST = 1e-15
"""Departures per millisecond of a replica that serves nobody: the fewest that `full` tells."""
_LEAST_SHARE, _MOST_SHARE = 0.2, 5.0
"""What a wait is multiplied by at least and at most for the correction of its TTFT."""


def latency(mixture: Mixture, percentiles: tuple[float, ...], there: FloatArray) -> Latency:
    """Return mean and percentiles of a latency.

    Args:
        mixture: its distribution.
        percentiles: which ones.
        there: 0 where the latency has a value; else infinity or NaN, which stand for it.
    """
    given = np.isfinite(there)
    return Latency(
        np.where(given, mixture.average(), there),
        np.where(given, mixture.percentiles(percentiles), there),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Latencies:
    """All latencies of an answer."""

    wait: Latency
    ttft: Latency
    itl: Latency
    token_itl: Latency
    e2e: Latency


def engine_point(
    scene: Scene,
    offered_rps: FloatArray,
    percentiles: tuple[float, ...],
    corrected: bool = False,
) -> EnginePoint:
    """Return what replicas do that requests meet in these states, offered these rates.

    Args:
        scene: the states.
        offered_rps: requests offered per second, array (cases,).
        percentiles: of latencies, 0 to 100.
        corrected: whether latencies are corrected (`queueing.engine.correction`).
    """
    cases, requests, states, top = scene.cases, scene.requests, scene.states, scene.top
    saturated = np.where(top.rate > _SLOWEST, top.rate * 1e3, 0.0)
    stable = (saturated > 0.0) & ((states.load < 1.0) | np.isfinite(cases.max_queue))
    told = _latencies(scene, percentiles, stable, corrected)
    blocking = np.where(stable, scene.blocking, 0.0)
    throughput = np.where(stable, offered_rps * (1.0 - blocking), saturated)
    per_ms = throughput / 1e3
    # Whose tokens are on their way is not in the engine.
    inside = told.e2e.mean_ms - mean_delay_ms(scene)
    busy = np.where(stable, inside - told.wait.mean_ms, np.inf)
    in_service = np.minimum(per_ms * busy, top.slots)
    return EnginePoint(
        percentiles=percentiles,
        arrival_rate_rps=offered_rps,
        throughput_rps=throughput,
        saturation_rps=saturated,
        blocking=blocking,
        wait=told.wait,
        ttft=told.ttft,
        itl=told.itl,
        token_itl=told.token_itl,
        e2e=told.e2e,
        mean_in_service=in_service,
        mean_in_system=per_ms * inside,
        utilization=in_service / cases.max_batch,
        kv_use=top.memory.kv_use(in_service),
        preemption_rate=top.memory.preemptions_per_request(in_service),
        stable=stable,
        extrapolated=cases.times.extrapolates(
            in_service, requests.context, np.minimum(requests.computed, cases.token_budget)
        ),
    )


def _latencies(
    scene: Scene, percentiles: tuple[float, ...], stable: BoolArray, corrected: bool
) -> _Latencies:
    several = scene.requests.steps > 1e-9
    bad = np.where(stable, 0.0, np.inf)
    none = np.where(several, bad, np.nan)
    first, decode = ttft_mixture(scene), decoding(scene)
    gaps, token_gaps = itl_mixture(decode), token_itl_mixture(scene, decode)
    whole = e2e_mixture(scene, decode, first)
    plain = _Latencies(
        wait=latency(wait_mixture(scene), percentiles, bad),
        ttft=latency(first, percentiles, bad),
        itl=latency(gaps, percentiles, none),
        token_itl=latency(token_gaps, percentiles, none),
        e2e=latency(whole, percentiles, bad),
    )
    if not corrected:
        return plain
    known = Corrector(scene)
    ttft = known.ttft(first).correct(plain.ttft, percentiles)
    e2e = known.e2e(whole, decode).correct(plain.e2e, percentiles)
    return _Latencies(
        wait=_shortened(plain, ttft),
        ttft=ttft,
        itl=known.itl(gaps, decode).correct(plain.itl, percentiles),
        token_itl=known.token_itl(token_gaps, decode).correct(plain.token_itl, percentiles),
        e2e=_last_after_first(e2e, ttft, several),
    )


def _shortened(plain: _Latencies, ttft: Latency) -> Latency:
    """Return the wait with what its TTFT was corrected by, no longer than that."""
    waits, at = plain.wait.mean_ms, plain.wait.at_ms
    gain = ttft.mean_ms - plain.ttft.mean_ms
    share = np.where(waits > 0.0, np.clip(1.0 + gain / waits, _LEAST_SHARE, _MOST_SHARE), 1.0)
    share = np.where(np.isfinite(share), share, 1.0)
    return Latency(np.minimum(waits * share, ttft.mean_ms), np.minimum(at * share, ttft.at_ms))


def _last_after_first(e2e: Latency, ttft: Latency, several: BoolArray) -> Latency:
    """Return E2E, which is never below TTFT, and is TTFT where there is no other token.

    Each of them is corrected by itself, so that nothing else keeps them in order.
    """
    return Latency(
        np.where(several, np.maximum(e2e.mean_ms, ttft.mean_ms), ttft.mean_ms),
        np.where(several, np.maximum(e2e.at_ms, ttft.at_ms), ttft.at_ms),
    )
