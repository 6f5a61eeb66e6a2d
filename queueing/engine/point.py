"""The answer of the analysis of the engine: what replicas do at an operating point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
"""Percentiles that an answer carries unless told otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Latency:
    """Mean and percentiles of a latency.

    Attributes:
        mean_ms: array (cases,).
        at_ms: array (percentiles, cases).
    """

    mean_ms: FloatArray
    at_ms: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class EnginePoint:
    """What replicas do at an operating point; arrays (cases,) unless said otherwise.

    Attributes:
        percentiles: the percentiles of all latencies, 0 to 100.
        arrival_rate_rps: requests offered per second.
        throughput_rps: requests completed per second.
        saturation_rps: largest throughput the replica could have.
        blocking: share of the offered requests that find the queue full.
        wait: time from arrival to the iteration that begins the prompt.
        ttft: time from arrival to first output token.
        itl: mean time between the output tokens of a request, by request.
        token_itl: time before an output token after the first, by token.
        e2e: time from arrival to last output token.
        mean_in_service: mean number of requests in service.
        mean_in_system: mean number of requests waiting and in service.
        utilization: mean share of the batch limit in use.
        kv_use: mean share of the KV capacity in use; 0 where there is no limit.
        preemption_rate: preemptions per completed request.
        stable: whether the load is below saturation (or a finite queue sheds the rest).
        extrapolated: whether service times beyond what was measured are used.
    """

    percentiles: tuple[float, ...]
    arrival_rate_rps: FloatArray
    throughput_rps: FloatArray
    saturation_rps: FloatArray
    blocking: FloatArray
    wait: Latency
    ttft: Latency
    itl: Latency
    token_itl: Latency
    e2e: Latency
    mean_in_service: FloatArray
    mean_in_system: FloatArray
    utilization: FloatArray
    kv_use: FloatArray
    preemption_rate: FloatArray
    stable: BoolArray
    extrapolated: BoolArray


def scattered(point: EnginePoint, rows: IntArray, count: int) -> EnginePoint:
    """Return the answer of some of `count` cases in its place, NaN and false elsewhere."""

    def spread(value: FloatArray) -> FloatArray:
        whole = np.full((*value.shape[:-1], count), np.nan)
        whole[..., rows] = value
        return whole

    def told(value: BoolArray) -> BoolArray:
        whole = np.zeros(count, dtype=np.bool_)
        whole[rows] = value
        return whole

    def latency(value: Latency) -> Latency:
        return Latency(spread(value.mean_ms), spread(value.at_ms))

    return EnginePoint(
        percentiles=point.percentiles,
        arrival_rate_rps=spread(point.arrival_rate_rps),
        throughput_rps=spread(point.throughput_rps),
        saturation_rps=spread(point.saturation_rps),
        blocking=spread(point.blocking),
        wait=latency(point.wait),
        ttft=latency(point.ttft),
        itl=latency(point.itl),
        token_itl=latency(point.token_itl),
        e2e=latency(point.e2e),
        mean_in_service=spread(point.mean_in_service),
        mean_in_system=spread(point.mean_in_system),
        utilization=spread(point.utilization),
        kv_use=spread(point.kv_use),
        preemption_rate=spread(point.preemption_rate),
        stable=told(point.stable),
        extrapolated=told(point.extrapolated),
    )
