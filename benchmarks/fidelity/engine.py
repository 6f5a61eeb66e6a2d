"""The analysis of the engine, asked about operating points and promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.fidelity.case import Replica
from benchmarks.fidelity.predicted import (
    SATURATION,
    THROUGHPUT,
    Collected,
    Predictions,
)
from benchmarks.fidelity.simulated import LATENCIES, PERCENTS
from benchmarks.fidelity.sizing import Promise
from queueing.arrays import FloatArray
from queueing.engine import (
    EngineCases,
    EngineTargets,
    IterationTimes,
    LatencyTarget,
    LinearTimes,
    TokenWorkTimes,
    analyze_engine,
    size_engine,
)
from queueing.engine.open import scene_at
from queueing.engine.saturation import saturation
from queueing.engine.states import NODES
from queueing.engine.states import full as full_replica
from stoker.domain.profile import LinearParameters, TokenWorkParameters


def full(replicas: Sequence[Replica], rates_rps: FloatArray) -> Predictions:
    """Return what analysis `full` says of replicas at these rates."""
    collected = Collected(len(replicas))
    for rows, cases in _by_model(replicas):
        point = analyze_engine(cases, rates_rps[rows], PERCENTS)
        for name in LATENCIES:
            latency = getattr(point, name)
            collected.put((name, "mean"), rows, latency.mean_ms)
            for percent, values in zip(PERCENTS, latency.at_ms, strict=True):
                collected.put((name, f"p{percent:g}"), rows, values)
        collected.put(THROUGHPUT, rows, point.throughput_rps)
        collected.put(SATURATION, rows, point.saturation_rps)
        collected.put(("service", "mean number"), rows, point.mean_in_service)
        collected.put(("preemptions", "mean"), rows, point.preemption_rate)
    return collected.predictions()


def size(promises: Sequence[Promise]) -> FloatArray:
    """Return the largest rates at which replicas keep their p95 targets; 0 where none does."""
    rates = np.zeros(len(promises))
    for rows, cases in _by_model([promise.replica for promise in promises]):
        targets = EngineTargets.of(
            len(rows),
            ttft=(LatencyTarget.of(len(rows), [promises[row].ttft_ms for row in rows], 95.0),),
            itl=(LatencyTarget.of(len(rows), [promises[row].itl_ms for row in rows], 95.0),),
        )
        rates[rows] = size_engine(cases, targets).rate_rps
    return rates


def in_service(replica: Replica, rate_rps: float) -> FloatArray:
    """Return the probability of 0, 1, ... requests in service, up to the batch limit.

    Args:
        replica: One whose batch limit is within the states that the analysis lists one by one.
        rate_rps: Requests per second.

    Raises:
        ValueError: The analysis spaces the states of so large a batch.
    """
    ((_, cases),) = _by_model([replica])
    if replica.max_batch > NODES:
        raise ValueError(f"max_batch is {replica.max_batch} (allowed: {NODES} or less)")
    most = saturation(cases)
    top = full_replica(cases, most.memory.requests, most)
    scene = scene_at(cases, most.memory.requests, top, np.array([rate_rps / 1000]))
    below = scene.states.in_time[: replica.max_batch, 0]
    return np.append(below, scene.states.full_in_time[0])


def _by_model(replicas: Sequence[Replica]) -> Iterator[tuple[list[int], EngineCases]]:
    """Yield the rows of each kind of parameters, and their cases."""
    for kind, times in _TIMES.items():
        rows = [row for row, item in enumerate(replicas) if isinstance(item.parameters, kind)]
        if rows:
            chosen = [replicas[row] for row in rows]
            yield rows, _cases(times(chosen), chosen)


def _cases(times: IterationTimes, replicas: Sequence[Replica]) -> EngineCases:
    return EngineCases.of(
        times,
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


def _token_work(replicas: Sequence[Replica]) -> IterationTimes:
    parameters = [item.parameters for item in replicas]
    rows = [
        (item.alpha_ms, item.beta_ms, item.gamma_ms)
        for item in parameters
        if isinstance(item, TokenWorkParameters)
    ]
    return TokenWorkTimes.of(*np.array(rows).T)


def _linear(replicas: Sequence[Replica]) -> IterationTimes:
    parameters = [item.parameters for item in replicas]
    rows = [
        (item.alpha_ms, item.beta_ms, item.gamma_ms, item.delta_ms)
        for item in parameters
        if isinstance(item, LinearParameters)
    ]
    return LinearTimes.of(*np.array(rows).T)


_TIMES: dict[type, Callable[[Sequence[Replica]], IterationTimes]] = {
    TokenWorkParameters: _token_work,
    LinearParameters: _linear,
}
