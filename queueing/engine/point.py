"""The answer of the analysis of the engine: what replicas do at an operating point."""

from __future__ import annotations

from dataclasses import dataclass

from queueing.arrays import BoolArray, FloatArray

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
