"""What the analysis of the engine says of a case, as an answer; and why it says nothing."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from optimizer.engine_systems import SystemPoint
from optimizer.table import FloatArray
from queueing.engine import EnginePoint, Latency
from queueing.engine.cases import LARGEST_BATCH, LARGEST_CV
from queueing.engine.disaggregated import DisaggregatedPoint
from stoker.domain.curve import IterationTable
from stoker.domain.latency import LatencyStatistics
from stoker.domain.profile import ServiceParameters
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import (
    EngineFigures,
    PoolFigures,
    ReplicaAnswer,
    TwoPoolsFigures,
)
from stoker.domain.replica_system import CardsToSplit, PoolSizes, RoutedReplicas, TwoPools
from stoker.domain.settings import Analysis

_SMALLEST, _LARGEST = 1e-12, 1e12
"""Range of parameters, rates and targets other than 0 that the analysis takes."""


def answer_at(
    question: ReplicaQuestion, case: ReplicaCase, point: SystemPoint, row: int
) -> ReplicaAnswer:
    """Return the figures of a case at its operating point.

    Args:
        question: What was asked.
        case: The case.
        point: Operating points of several cases.
        row: Which of them is that of the case.
    """
    whole, pools = point.whole, _pools(point, case, row)
    if whole.saturation_rps[row] == 0.0:
        return infeasible(question, serves_nobody(case), case)
    if not np.isfinite(whole.ttft.mean_ms[row]):
        return invalid(question, nonsense(case))
    if pools is not None and point.pools is not None and not whole.stable[row]:
        return _overloaded(question, point.pools, pools, row)
    throughput = float(whole.throughput_rps[row])
    known_use = case.kv_tokens is not None and pools is None
    figures = EngineFigures(
        ttft=_latency(whole.ttft, whole.percentiles, row),
        itl=_latency(whole.itl, whole.percentiles, row),
        token_itl=_latency(whole.token_itl, whole.percentiles, row),
        e2e=_latency(whole.e2e, whole.percentiles, row),
        wait=_latency(whole.wait, whole.percentiles, row),
        mean_waiting=max(float(whole.mean_in_system[row] - whole.mean_in_service[row]), 0.0),
        output_tokens_per_s=throughput * case.output_tokens,
        kv_use=float(whole.kv_use[row]) if known_use else None,
        preemptions_per_request=float(whole.preemption_rate[row]),
        extrapolated=bool(whole.extrapolated[row]),
    )
    return ReplicaAnswer(
        question=question,
        status=AnswerStatus.OK,
        arrival_rate_rps=float(whole.arrival_rate_rps[row]),
        throughput_rps=throughput,
        response_ms=figures.e2e.mean_ms,
        wait_ms=figures.wait.mean_ms,
        mean_in_service=float(whole.mean_in_service[row]),
        ttft_ms=figures.ttft.mean_ms,
        itl_ms=figures.itl.mean_ms,
        utilization=float(whole.utilization[row]),
        blocking=float(whole.blocking[row]),
        max_rate_rps=float(whole.saturation_rps[row]),
        engine=figures,
        pools=pools,
    )


def invalid(question: ReplicaQuestion, reason: str) -> ReplicaAnswer:
    """Return the answer to a case that makes no sense."""
    return ReplicaAnswer(question, AnswerStatus.INVALID, reason)


def infeasible(question: ReplicaQuestion, reason: str, case: ReplicaCase) -> ReplicaAnswer:
    """Return the answer to a case whose targets cannot be kept."""
    return ReplicaAnswer(
        question,
        AnswerStatus.INFEASIBLE,
        f"{reason}, with {_size(case)}",
        arrival_rate_rps=0.0,
        throughput_rps=0.0,
    )


def serves_nobody(case: ReplicaCase) -> str:
    """Say why a case has a largest rate of 0."""
    capacity = {"kvTokens": case.kv_tokens}
    if isinstance(case.system, TwoPools) and case.system.prefill.kv_tokens != case.kv_tokens:
        capacity["prefillKvTokens"] = case.system.prefill.kv_tokens
    given = " and ".join(f"{name} is {value}" for name, value in capacity.items() if value)
    whole = case.input_tokens + case.output_tokens
    allowed = f"room for a request, of {whole:g} tokens in the mean"
    return f"no request can be served: {given or 'times are too long'} (allowed: {allowed})"


def unsupported(question: ReplicaQuestion, case: ReplicaCase) -> str | None:
    """Say why the question cannot be asked of several replicas; None where it can."""
    if isinstance(case.system, RoutedReplicas) and case.system.replicas == 1:
        return None
    given = _given(case.system)
    if question is ReplicaQuestion.CONCURRENCY:
        one = f"one replica in the question {question.value}, which chooses its batch limit"
        return f"{given} (allowed: {one})"
    if question is ReplicaQuestion.SOLVE and case.concurrency is not None:
        return (
            f"concurrency is {case.concurrency} where {given} (allowed: RPS, or one replica: a "
            "closed loop of several can be simulated only)"
        )
    return None


def nonsense(case: ReplicaCase) -> str:
    """Say why the analysis cannot take a case."""
    if case.max_batch > LARGEST_BATCH:
        return f"maxBatchSize is {case.max_batch} (allowed: 1 to {LARGEST_BATCH} in analysis full)"
    if isinstance(case.system, TwoPools) and case.system.prefill.max_batch > LARGEST_BATCH:
        found, allowed = case.system.prefill.max_batch, f"1 to {LARGEST_BATCH} in analysis full"
        return f"prefillMaxBatchSize is {found} (allowed: {allowed})"
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
    figures = [case.arrival_rate_rps, case.ttft_ms, case.itl_ms, *_parameters(case.parameters)]
    if isinstance(case.system, TwoPools):
        figures += _parameters(case.system.prefill.parameters)
        figures += (case.system.transfer_ms, case.system.transfer_ms_per_token)
    return all(value is None or value == 0.0 or _SMALLEST <= value <= _LARGEST for value in figures)


def _parameters(parameters: ServiceParameters) -> tuple[float, ...]:
    """Return the parameters as numbers; a curve has none."""
    return () if isinstance(parameters, IterationTable) else astuple(parameters)


def _size(case: ReplicaCase) -> str:
    """Say how many replicas a case is about, and of which batch limit."""
    system = case.system
    if isinstance(system, RoutedReplicas):
        batch = f"a batch limit of {case.max_batch}"
        return batch if system.replicas == 1 else f"{system.replicas} replicas of {batch}"
    if isinstance(system.sizes, CardsToSplit):
        return f"{system.sizes.cards} cards to split"
    return f"{system.sizes.prefill} + {system.sizes.decode} replicas for prefill and decode"


def _given(system: RoutedReplicas | TwoPools) -> str:
    """Name the fields that say how many replicas there are, with their values."""
    if isinstance(system, RoutedReplicas):
        return f"replicas is {system.replicas}"
    if isinstance(system.sizes, CardsToSplit):
        return f"cards is {system.sizes.cards}"
    return f"prefillReplicas is {system.sizes.prefill} and decodeReplicas {system.sizes.decode}"


def _overloaded(
    question: ReplicaQuestion, point: DisaggregatedPoint, pools: TwoPoolsFigures, row: int
) -> ReplicaAnswer:
    """Return the answer about pools of which one, without a limit of its queue, is overloaded."""
    offered, most = float(point.arrival_rate_rps[row]), float(point.saturation_rps[row])
    overloaded = "decode" if point.prefill.stable[row] else "prefill"
    return ReplicaAnswer(
        question,
        AnswerStatus.INFEASIBLE,
        f"the {overloaded} pool is overloaded: RPS is {offered:g} (allowed: below "
        f"{most:.6g}, the most that both pools complete)",
        arrival_rate_rps=offered,
        throughput_rps=most,
        max_rate_rps=most,
        pools=pools,
    )


def _latency(latency: Latency, percentiles: tuple[float, ...], row: int) -> LatencyStatistics:
    return LatencyStatistics(
        float(latency.mean_ms[row]),
        {
            percentile: float(latency.at_ms[index, row])
            for index, percentile in enumerate(percentiles)
        },
    )


def _pools(point: SystemPoint, case: ReplicaCase, row: int) -> TwoPoolsFigures | None:
    """Return what is told of each of two pools; None where there are none."""
    pools, system = point.pools, case.system
    if pools is None or not isinstance(system, TwoPools):
        return None
    sizes = system.sizes
    assert isinstance(sizes, PoolSizes), "cards are split before"
    return TwoPoolsFigures(
        _pool(pools.prefill, pools.prefill_load, sizes.prefill, system.prefill.kv_tokens, row),
        _pool(pools.decode, pools.decode_load, sizes.decode, case.kv_tokens, row),
        str(pools.bottleneck[row]),
    )


def _pool(
    point: EnginePoint, load: FloatArray, replicas: int, kv_tokens: int | None, row: int
) -> PoolFigures:
    return PoolFigures(
        replicas=replicas,
        load=float(load[row]),
        mean_in_service=float(point.mean_in_service[row]),
        mean_waiting=max(float(point.mean_in_system[row] - point.mean_in_service[row]), 0.0),
        utilization=float(point.utilization[row]),
        kv_use=None if kv_tokens is None else float(point.kv_use[row]),
    )
