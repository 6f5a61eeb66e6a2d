"""The analysis of replicas under an arrival rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, columns
from queueing.engine.cases import EngineCases
from queueing.engine.decoding import decoding
from queueing.engine.first_token import mean_delay_ms, ttft_mixture, wait_mixture
from queueing.engine.mixtures import Mixture
from queueing.engine.point import PERCENTILES, EnginePoint, Latency, scattered
from queueing.engine.saturation import saturation
from queueing.engine.scene import scene_at
from queueing.engine.states import full
from queueing.engine.tokens import e2e_mixture, itl_mixture, token_itl_mixture


def analyze_engine(
    cases: EngineCases,
    arrival_rate_rps: npt.ArrayLike,
    percentiles: tuple[float, ...] = PERCENTILES,
) -> EnginePoint:
    """Return what replicas do at arrival rates (requests per second).

    Cases that make no sense come back as NaN, not stable; requests that memory could never hold
    have a saturation of 0.
    """
    offered, _ = columns(arrival_rate_rps, np.zeros(len(cases)))
    good = cases.usable() & np.isfinite(offered) & (offered >= 0.0)
    if not np.all(good):
        rows = np.flatnonzero(good)
        return scattered(_analyze(cases.take(rows), offered[rows], percentiles), rows, len(cases))
    return _analyze(cases, offered, percentiles)


def _analyze(
    cases: EngineCases, offered: FloatArray, percentiles: tuple[float, ...]
) -> EnginePoint:
    """Return what replicas that all make sense do."""
    with np.errstate(all="ignore"):
        most = saturation(cases)
        requests = most.memory.requests
        top = full(cases, requests, most)
        served = most.throughput_rps > 0.0
        rate = np.maximum(offered, 1e-12) / 1e3
        scene = scene_at(cases, requests, top, rate)
        states = scene.states
        stable = served & ((states.load < 1.0) | np.isfinite(cases.max_queue))
        blocking = scene.blocking
        ttft = ttft_mixture(scene)
        decode = decoding(scene)
        itl = itl_mixture(decode)
        e2e = e2e_mixture(scene, decode, ttft)
        wait = wait_mixture(scene)
        gaps = token_itl_mixture(scene, decode)

        def latency(mixture: Mixture) -> Latency:
            return Latency(
                np.where(stable, mixture.average(), np.inf),
                np.where(stable, mixture.percentiles(percentiles), np.inf),
            )

        none = np.where(requests.steps > 1e-9, 0.0, np.nan)
        blocking = np.where(stable, blocking, 0.0)
        throughput = np.where(stable, offered * (1.0 - blocking), most.throughput_rps)
        answers = [latency(m) for m in (wait, ttft, itl, gaps, e2e)]
        for index in (2, 3):
            answers[index] = Latency(answers[index].mean_ms + none, answers[index].at_ms + none)
        per_ms = throughput / 1e3
        # Whose tokens are on their way is not in the engine.
        inside = answers[4].mean_ms - mean_delay_ms(scene)
        in_system = per_ms * inside
        busy = np.where(stable, inside - answers[0].mean_ms, np.inf)
        in_service = np.minimum(per_ms * busy, top.slots)
        return EnginePoint(
            percentiles,
            offered,
            throughput,
            most.throughput_rps,
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
            cases.times.extrapolates(
                in_service, requests.context, np.minimum(requests.computed, cases.token_budget)
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class InService:
    """How many requests are present, below the limit: over time.

    Attributes:
        number: numbers of requests, array (numbers, cases), the first of them 0.
        probability: the probability of each of them, not of those between, alike; 0 outside of
            what matters.
        full: probability that every slot is taken, array (cases,).
    """

    number: FloatArray
    probability: FloatArray
    full: FloatArray


def in_service(cases: EngineCases, arrival_rate_rps: npt.ArrayLike) -> InService:
    """Return the probabilities of the number of requests present at arrival rates."""
    offered, _ = columns(arrival_rate_rps, np.zeros(len(cases)))
    with np.errstate(all="ignore"):
        most = saturation(cases)
        top = full(cases, most.memory.requests, most)
        rate = np.maximum(offered, 1e-12) / 1e3
        states = scene_at(cases, most.memory.requests, top, rate).states
    none = np.zeros((1, len(cases)))
    return InService(
        np.concatenate([none, states.fine]),
        np.concatenate([states.in_time[:1], states.density]),
        states.full_in_time,
    )
