"""The analysis of the engine, asked about operating points and promises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.fidelity.case import Replica
from benchmarks.fidelity.predicted import (
    SATURATION,
    THROUGHPUT,
    Figure,
    Predictions,
)
from benchmarks.fidelity.simulated import LATENCIES, PERCENTS
from benchmarks.fidelity.sizing import Promise
from queueing.arrays import FloatArray
from queueing.engine import (
    EngineCases,
    EnginePoint,
    EngineTargets,
    LatencyTarget,
    analyze_engine,
    size_engine,
)
from queueing.engine.build import iteration_times
from queueing.engine.open import in_service as probabilities


def full(replicas: Sequence[Replica], rates_rps: FloatArray) -> Predictions:
    """Return what analysis `full` says of replicas at these rates."""
    return _predictions(analyze_engine(cases_of(replicas), rates_rps, PERCENTS))


def formulas(replicas: Sequence[Replica], rates_rps: FloatArray) -> Predictions:
    """Return what it says without its correction."""
    return _predictions(analyze_engine(cases_of(replicas), rates_rps, PERCENTS, corrected=False))


def _predictions(point: EnginePoint) -> Predictions:
    figures: dict[Figure, FloatArray] = {
        THROUGHPUT: point.throughput_rps,
        SATURATION: point.saturation_rps,
    }
    for name in LATENCIES:
        latency = getattr(point, name)
        figures[name, "mean"] = latency.mean_ms
        for percent, values in zip(PERCENTS, latency.at_ms, strict=True):
            figures[name, f"p{percent:g}"] = values
    return Predictions(figures)


def size(promises: Sequence[Promise]) -> FloatArray:
    """Return the largest rates at which replicas keep their p95 targets; 0 where none does."""
    count = len(promises)
    targets = EngineTargets.of(
        count,
        ttft=(LatencyTarget.of(count, [promise.ttft_ms for promise in promises], 95.0),),
        itl=(LatencyTarget.of(count, [promise.itl_ms for promise in promises], 95.0),),
    )
    return size_engine(cases_of([promise.replica for promise in promises]), targets).rate_rps


def in_service(replica: Replica, rate_rps: float) -> FloatArray:
    """Return the probability of 0, 1, ... requests in service, up to the batch limit.

    Between the states that the analysis looks at, where the batch is large, the probabilities are
    interpolated.

    Args:
        replica: One whose memory does not bind.
        rate_rps: Requests per second.
    """
    found = probabilities(cases_of([replica]), rate_rps)
    number, shares = found.number[:, 0], found.probability[:, 0]
    known = shares > 0
    every = np.arange(replica.max_batch)
    below = np.interp(every, number[known], shares[known], left=0.0, right=0.0)
    below *= (1 - found.full[0]) / max(below.sum(), 1e-300)
    return np.append(below, found.full[0])


def cases_of(replicas: Sequence[Replica]) -> EngineCases:
    """Return replicas as the analysis takes them."""
    return EngineCases.of(
        iteration_times([item.parameters for item in replicas]),
        [item.input_tokens for item in replicas],
        [item.output_tokens for item in replicas],
        [float(item.max_batch) for item in replicas],
        input_cv=[item.input_cv for item in replicas],
        output_cv=[item.output_cv for item in replicas],
        arrival_cv=[item.arrival_cv for item in replicas],
        token_budget=[float(item.token_budget) for item in replicas],
        kv_tokens=[
            np.inf if item.kv_tokens is None else float(item.kv_tokens) for item in replicas
        ],
        prefix_hit_rate=[item.prefix_hit_rate for item in replicas],
    )
