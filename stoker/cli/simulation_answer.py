"""From a simulation case to a scenario, and from a run to the answer that is printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from data.replica_answers import AnswerDocument
from data.simulation_lines import SimulationCase, TraceRows
from stoker.domain.replica import ReplicaCase
from stoker.domain.replica_system import PoolSizes, RoutedReplicas

if TYPE_CHECKING:
    from simulator import (
        Arrivals,
        Disaggregated,
        LatencySummary,
        Pool,
        Run,
        Scenario,
        Summary,
    )


def scenario_of(asked: SimulationCase, trace: TraceRows | None = None) -> Scenario:
    """Return what to simulate: replicas under their load, or under a trace.

    Of two pools the sizes are told: cards are split before.
    """
    from simulator import (
        ClosedLoop,
        GammaArrivals,
        JointLengths,
        LognormalLength,
        Scenario,
        SeparateLengths,
        TraceArrivals,
    )

    case = asked.case
    system = _system(case)
    if trace is not None:
        return Scenario(
            TraceArrivals(trace.arrival_ms),
            JointLengths(trace.input_tokens, trace.output_tokens, in_order=True),
            system,
            len(trace.arrival_ms),
            asked.seed,
            case.prefix_hit_rate,
        )
    arrivals: Arrivals
    if case.concurrency is not None:
        arrivals = ClosedLoop(case.concurrency)
    else:
        assert case.arrival_rate_rps is not None, "parsing asks for a rate"
        arrivals = GammaArrivals(case.arrival_rate_rps, case.arrival_cv)
    lengths = SeparateLengths(
        LognormalLength(case.input_tokens, case.input_cv),
        LognormalLength(case.output_tokens, case.output_cv),
    )
    return Scenario(arrivals, lengths, system, asked.requests, asked.seed, case.prefix_hit_rate)


def _system(case: ReplicaCase) -> Pool | Disaggregated:
    """Return the replicas of a case."""
    from simulator import Disaggregated, Engine, Pool

    engine = Engine(
        case.parameters,
        case.max_batch,
        max_queue=case.max_queue,
        token_budget=case.token_budget,
        kv_tokens=case.kv_tokens,
    )
    system = case.system
    if isinstance(system, RoutedReplicas):
        return Pool(engine, system.replicas, system.router)
    assert isinstance(system.sizes, PoolSizes), "cards are split before"
    first = system.prefill
    prefill = Engine(
        first.parameters,
        first.max_batch,
        max_queue=case.max_queue,
        token_budget=first.token_budget,
        kv_tokens=first.kv_tokens,
    )
    return Disaggregated(
        Pool(prefill, system.sizes.prefill, system.prefill_router),
        Pool(engine, system.sizes.decode, system.decode_router),
        system.transfer_ms,
        system.transfer_ms_per_token,
    )


def answer_document(run: Run, summary: Summary) -> AnswerDocument:
    """Return an answer in the field names of the replica-analysis JSON and its own.

    What a simulation does not know, such as the largest rate, is null.
    """
    done = summary.ttft_ms.mean.value
    status = "infeasible" if math.isnan(done) else "ok"
    message = "no request was completed" if math.isnan(done) else ""
    return {
        "offeredRPS": _known(summary.offered_rps),
        "throughput": _known(summary.throughput_rps.value),
        "avgRespTime": _known(summary.e2e_ms.mean.value),
        "avgWaitTime": _known(summary.wait_ms.mean.value),
        "avgNumInServ": _known(summary.mean_batch),
        "avgTTFT": _known(done),
        "avgITL": _known(summary.itl_ms.mean.value),
        "maxRPS": None,
        "RPSTargetTTFT": 0.0,
        "RPSTargetITL": 0.0,
        "utilization": _known(summary.utilization),
        "blocking": _known(summary.blocking),
        "status": status,
        "message": message,
        "ttft_ms": _latency(summary.ttft_ms),
        "itl_ms": _latency(summary.itl_ms),
        "token_itl_ms": _latency(summary.token_itl_ms),
        "e2e_ms": _latency(summary.e2e_ms),
        "wait_ms": _latency(summary.wait_ms),
        "throughput_ci95": _known(summary.throughput_rps.ci95),
        "outputTokensPerSecond": _known(summary.output_tokens_per_s),
        "busy": _known(summary.busy),
        "avgNumWaiting": _known(summary.mean_waiting),
        "tooLarge": _known(summary.too_large),
        "preemptionsPerRequest": _known(summary.preemptions_per_request),
        "kvUse": _known(summary.kv_use),
        "peakKvUse": _known(summary.peak_kv_use),
        "requests": len(run.records),
        "measuredRequests": summary.requests,
        "seed": run.scenario.seed,
        **_pools(run, summary),
    }


def _pools(run: Run, summary: Summary) -> AnswerDocument:
    """Return what is told of each of two pools; nothing where there are none."""
    from simulator import Pool

    system, first = run.scenario.system, summary.mean_prefill_batch
    if isinstance(system, Pool) or first is None:
        return {}

    def of(pool: Pool, in_service: float) -> Mapping[str, float | int | None]:
        places = pool.replicas * min(pool.engine.max_batch, pool.engine.token_budget)
        return {
            "replicas": pool.replicas,
            "load": None,
            "utilization": _known(in_service / places),
            "avgNumInServ": _known(in_service),
        }

    return {
        "prefill": of(system.prefill, first),
        "decode": of(system.decode, summary.mean_batch - first),
        "bottleneck": None,
    }


def _latency(summary: LatencySummary) -> Mapping[str, float | Mapping[str, float | None] | None]:
    figures = {"mean": summary.mean} | {
        f"p{percent:g}": estimate for percent, estimate in summary.percentiles.items()
    }
    values: dict[str, float | Mapping[str, float | None] | None] = {
        name: _known(estimate.value) for name, estimate in figures.items()
    }
    values["ci95"] = {name: _known(estimate.ci95) for name, estimate in figures.items()}
    return values


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
