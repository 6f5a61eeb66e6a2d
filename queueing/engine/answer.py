"""From the states that requests meet to the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.correction import Corrector
from queueing.engine.decoding import Decoding, decoding
from queueing.engine.first_token import mean_delay_ms, ttft_mixture, wait_mixture
from queueing.engine.mixtures import Mixture
from queueing.engine.point import EnginePoint, Latency
from queueing.engine.scene import Scene
from queueing.engine.tokens import e2e_mixture, itl_mixture, token_itl_mixture

_SLOWEST = 1e-15
"""Departures per millisecond of a replica that serves nobody: the fewest that `full` tells."""


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
    bad = np.where(stable, 0.0, np.inf)
    none = np.where(requests.steps > 1e-9, bad, np.nan)
    first = ttft_mixture(scene)
    decode = decoding(scene)
    wait = latency(wait_mixture(scene), percentiles, bad)
    e2e = latency(e2e_mixture(scene, decode, first), percentiles, bad)
    blocking = np.where(stable, scene.blocking, 0.0)
    throughput = np.where(stable, offered_rps * (1.0 - blocking), saturated)
    per_ms = throughput / 1e3
    # Whose tokens are on their way is not in the engine.
    inside = e2e.mean_ms - mean_delay_ms(scene)
    busy = np.where(stable, inside - wait.mean_ms, np.inf)
    in_service = np.minimum(per_ms * busy, top.slots)
    point = EnginePoint(
        percentiles=percentiles,
        arrival_rate_rps=offered_rps,
        throughput_rps=throughput,
        saturation_rps=saturated,
        blocking=blocking,
        wait=wait,
        ttft=latency(first, percentiles, bad),
        itl=latency(itl_mixture(decode), percentiles, none),
        token_itl=latency(token_itl_mixture(scene, decode), percentiles, none),
        e2e=e2e,
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
    return _corrected(point, scene, first, decode) if corrected else point


def _corrected(point: EnginePoint, scene: Scene, first: Mixture, decode: Decoding) -> EnginePoint:
    """Return the answer with its latencies corrected; the wait takes up what TTFT gains."""
    known = Corrector(scene)
    percentiles = point.percentiles
    ttft = known.ttft(first).correct(point.ttft, percentiles)
    itl = known.itl(itl_mixture(decode), decode)
    gaps = known.token_itl(token_itl_mixture(scene, decode), decode)
    e2e = known.e2e(e2e_mixture(scene, decode, first), decode)
    gain = ttft.mean_ms - point.ttft.mean_ms
    waits = point.wait.mean_ms
    share = np.where(waits > 0.0, np.clip(1.0 + gain / waits, 0.2, 5.0), 1.0)
    share = np.where(np.isfinite(share), share, 1.0)
    return replace(
        point,
        wait=Latency(waits * share, point.wait.at_ms * share),
        ttft=ttft,
        itl=itl.correct(point.itl, percentiles),
        token_itl=gaps.correct(point.token_itl, percentiles),
        e2e=e2e.correct(point.e2e, percentiles),
    )
