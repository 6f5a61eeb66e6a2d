"""What the analysis of the engine says of one replica, as an answer; and why it says nothing."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from queueing.engine import EnginePoint, Latency
from queueing.engine.cases import LARGEST_BATCH, LARGEST_CV
from stoker.domain.curve import IterationTable
from stoker.domain.latency import LatencyStatistics
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import EngineFigures, ReplicaAnswer
from stoker.domain.settings import Analysis

_SMALLEST, _LARGEST = 1e-12, 1e12
"""Range of parameters, rates and targets other than 0 that the analysis takes."""


def answer_at(
    question: ReplicaQuestion, case: ReplicaCase, point: EnginePoint, row: int
) -> ReplicaAnswer:
    """Return the figures of a case at its operating point.

    Args:
        question: What was asked.
        case: The case.
        point: Operating points of several cases.
        row: Which of them is that of the case.
    """
    if not np.isfinite(point.ttft.mean_ms[row]):
        return invalid(question, nonsense(case))
    throughput = float(point.throughput_rps[row])
    figures = EngineFigures(
        ttft=_latency(point.ttft, point.percentiles, row),
        itl=_latency(point.itl, point.percentiles, row),
        token_itl=_latency(point.token_itl, point.percentiles, row),
        e2e=_latency(point.e2e, point.percentiles, row),
        wait=_latency(point.wait, point.percentiles, row),
        mean_waiting=max(float(point.mean_in_system[row] - point.mean_in_service[row]), 0.0),
        output_tokens_per_s=throughput * case.output_tokens,
        kv_use=None if case.kv_tokens is None else float(point.kv_use[row]),
        preemptions_per_request=float(point.preemption_rate[row]),
        extrapolated=bool(point.extrapolated[row]),
    )
    return ReplicaAnswer(
        question=question,
        status=AnswerStatus.OK,
        arrival_rate_rps=float(point.arrival_rate_rps[row]),
        throughput_rps=throughput,
        response_ms=figures.e2e.mean_ms,
        wait_ms=figures.wait.mean_ms,
        mean_in_service=float(point.mean_in_service[row]),
        ttft_ms=figures.ttft.mean_ms,
        itl_ms=figures.itl.mean_ms,
        utilization=float(point.utilization[row]),
        blocking=float(point.blocking[row]),
        max_rate_rps=float(point.saturation_rps[row]),
        engine=figures,
    )


def invalid(question: ReplicaQuestion, reason: str) -> ReplicaAnswer:
    """Return the answer to a case that makes no sense."""
    return ReplicaAnswer(question, AnswerStatus.INVALID, reason)


def infeasible(question: ReplicaQuestion, reason: str, max_batch: float) -> ReplicaAnswer:
    """Return the answer to a case whose targets cannot be kept with a batch limit."""
    return ReplicaAnswer(
        question,
        AnswerStatus.INFEASIBLE,
        f"{reason}, with a batch limit of {max_batch:.0f}",
        arrival_rate_rps=0.0,
        throughput_rps=0.0,
    )


def nonsense(case: ReplicaCase) -> str:
    """Say why the analysis cannot take a case."""
    if case.max_batch > LARGEST_BATCH:
        return f"maxBatchSize is {case.max_batch} (allowed: 1 to {LARGEST_BATCH} in analysis full)"
    variations = (case.arrival_cv, case.input_cv, case.output_cv)
    if max(variations) > LARGEST_CV:
        allowed = f"0 to {LARGEST_CV:g} in the analysis {Analysis.FULL.value}"
        return f"a coefficient of variation is {max(variations):g} (allowed: {allowed})"
    return (
        f"{case} cannot be computed by the analysis {Analysis.FULL.value}: parameters, rates "
        "and lengths are astronomical or vanishing (allowed: 0, or "
        f"{_SMALLEST:g} to {_LARGEST:g})"
    )


def computable(case: ReplicaCase) -> bool:
    """Tell whether figures stay within what can be computed to all digits."""
    figures = [case.arrival_rate_rps, case.ttft_ms, case.itl_ms]
    if not isinstance(case.parameters, IterationTable):
        figures += asdict(case.parameters).values()
    return all(value is None or value == 0.0 or _SMALLEST <= value <= _LARGEST for value in figures)


def _latency(latency: Latency, percentiles: tuple[float, ...], row: int) -> LatencyStatistics:
    return LatencyStatistics(
        float(latency.mean_ms[row]),
        {
            percentile: float(latency.at_ms[index, row])
            for index, percentile in enumerate(percentiles)
        },
    )
