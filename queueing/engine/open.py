"""The analysis of replicas under an arrival rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, columns
from queueing.engine.cases import EngineCases
from queueing.engine.latencies import (
    Scene,
    decoding,
    e2e_mixture,
    itl_mixture,
    token_itl_mixture,
    ttft_mixture,
    wait_mixture,
)
from queueing.engine.mixtures import Mixture
from queueing.engine.point import PERCENTILES, EnginePoint, Latency
from queueing.engine.requests import Requests
from queueing.engine.saturation import saturation
from queueing.engine.states import Full, full, solve_states
from queueing.engine.wait import line


def scene_at(cases: EngineCases, requests: Requests, top: Full, rate: FloatArray) -> Scene:
    """Return what the latencies at a rate (per ms) follow from."""
    behind = line(cases, top.slots, rate, top.rate, top.spread)
    states, prompts = solve_states(cases, requests, rate, top, behind)
    accepted_full = states.full_met * (1.0 - behind.lost)
    kept = states.met.sum(axis=0) + accepted_full
    return Scene(
        cases,
        requests,
        rate,
        states,
        prompts,
        top,
        behind,
        accepted_full / kept,
        states.met / kept,
    )


def analyze_engine(
    cases: EngineCases,
    arrival_rate_rps: npt.ArrayLike,
    percentiles: tuple[float, ...] = PERCENTILES,
) -> EnginePoint:
    """Return what replicas do at arrival rates (requests per second)."""
    offered, _ = columns(arrival_rate_rps, np.zeros(len(cases)))
    with np.errstate(all="ignore"):
        most = saturation(cases)
        requests = most.memory.requests
        top = full(cases, requests, most)
        rate = np.maximum(offered, 1e-12) / 1e3
        scene = scene_at(cases, requests, top, rate)
        states = scene.states
        stable = (states.load < 1.0) | np.isfinite(cases.max_queue)
        blocking = states.full_met * scene.line.lost
        ttft = ttft_mixture(scene)
        decode = decoding(scene)
        itl = itl_mixture(decode)
        e2e = e2e_mixture(scene, decode, ttft)
        wait = wait_mixture(scene)
        gaps = token_itl_mixture(scene, decode)

        def latency(mixture: Mixture) -> Latency:
            bad = np.where(stable, 0.0, np.inf)
            return Latency(mixture.average() + bad, mixture.percentiles(percentiles) + bad)

        none = np.where(requests.steps > 1e-9, 0.0, np.nan)
        throughput = offered * (1.0 - blocking)
        answers = [latency(m) for m in (wait, ttft, itl, gaps, e2e)]
        for index in (2, 3):
            answers[index] = Latency(answers[index].mean_ms + none, answers[index].at_ms + none)
        per_ms = throughput / 1e3
        in_system = per_ms * answers[4].mean_ms
        in_service = np.minimum(per_ms * (answers[4].mean_ms - answers[0].mean_ms), top.slots)
        return EnginePoint(
            percentiles,
            offered,
            throughput,
            top.rate * 1e3,
            blocking,
            answers[0],
            answers[1],
            answers[2],
            answers[3],
            answers[4],
            in_service,
            in_system,
            in_service / cases.max_batch,
            most.memory.kv_use(in_service),
            most.memory.preemptions_per_request(in_service),
            stable,
            np.zeros(len(cases), dtype=np.bool_),
        )
