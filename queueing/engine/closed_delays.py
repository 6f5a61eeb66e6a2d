"""Closed loops whose clients have tokens later than the engine makes them."""

from __future__ import annotations

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.point import EnginePoint, Latency
from queueing.engine.requests import Requests

LOCKSTEP_CV = 0.02
"""Below this spread of output lengths clients take hundreds of requests to lose step."""


def later(latency: Latency, time: FloatArray) -> Latency:
    """Return a latency with a time added."""
    return Latency(latency.mean_ms + time, latency.at_ms + time)


def outside_ms(
    cases: EngineCases, clients: FloatArray, point: EnginePoint
) -> tuple[FloatArray, FloatArray]:
    """Return the delay of tokens outside the engine, and the wait that it brings about.

    A client whose tokens come at once sends its next request as an iteration ends. With a delay
    it comes in the middle of one that others are in, unless clients are in lockstep or in line.
    """
    requests = Requests.of(cases)
    decode_ms = np.maximum(point.e2e.mean_ms - point.ttft.mean_ms, 0.0)
    decoding = 1e-3 * point.throughput_rps * decode_ms * (clients - 1.0) / clients
    delay = cases.times.first_token_delay_ms(decoding, requests.output)
    away = delay / (point.e2e.mean_ms + delay)
    in_line = point.mean_in_system - point.mean_in_service
    meets = (1.0 - away ** (clients - 1.0)) * np.clip(1.0 - in_line, 0.0, 1.0)
    apart = (delay > 0.0) & (cases.output_cv >= LOCKSTEP_CV) & (requests.steps > 1e-9)
    return delay, np.where(apart, 0.5 * meets * np.nan_to_num(point.token_itl.mean_ms), 0.0)
