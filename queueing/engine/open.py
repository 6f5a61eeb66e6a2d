"""The analysis of replicas under an arrival rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, columns
from queueing.engine.answer import engine_point
from queueing.engine.cases import EngineCases
from queueing.engine.point import PERCENTILES, EnginePoint, scattered
from queueing.engine.saturation import saturation
from queueing.engine.scene import scene_at
from queueing.engine.states import full


def analyze_engine(
    cases: EngineCases,
    arrival_rate_rps: npt.ArrayLike,
    percentiles: tuple[float, ...] = PERCENTILES,
    *,
    corrected: bool = True,
) -> EnginePoint:
    """Return what replicas do at arrival rates (requests per second).

    Cases that make no sense come back as NaN, not stable; requests that memory could never hold
    have a saturation of 0.

    Args:
        cases: the replicas.
        arrival_rate_rps: one for each, or one for all.
        percentiles: of latencies, 0 to 100.
        corrected: whether to correct latencies by what simulation says that the analysis misses
            (`queueing.engine.correction`).
    """
    offered, _ = columns(arrival_rate_rps, np.zeros(len(cases)))
    good = cases.usable() & np.isfinite(offered) & (offered >= 0.0)
    if not np.all(good):
        rows = np.flatnonzero(good)
        return scattered(
            _analyze(cases.take(rows), offered[rows], percentiles, corrected), rows, len(cases)
        )
    return _analyze(cases, offered, percentiles, corrected)


def _analyze(
    cases: EngineCases, offered: FloatArray, percentiles: tuple[float, ...], corrected: bool
) -> EnginePoint:
    """Return what replicas that all make sense do."""
    with np.errstate(all="ignore"):
        most = saturation(cases)
        requests = most.memory.requests
        top = full(cases, requests, most)
        scene = scene_at(cases, requests, top, np.maximum(offered, 1e-12) / 1e3)
        return engine_point(scene, offered, percentiles, corrected)


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
