"""The figures of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.records import RequestStatus
from simulator.run import Run
from simulator.scenario import Disaggregated
from simulator.statistics import (
    BATCHES,
    Estimate,
    LatencySummary,
    half_width,
    summarize_latency,
)

DEFAULT_PERCENTS = (50.0, 90.0, 95.0, 99.0)


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures over the measured period of a run.

    Latencies are over requests that were completed. Rates and means over time are over the
    period from the first measured arrival to the last one. All replicas count together.

    Attributes:
        ttft_ms: Arrival to first output token.
        itl_ms: Mean time between the tokens of a request, a value for each request of two
            tokens or more.
        token_itl_ms: Time between two consecutive tokens of a request, a value for each token;
            without confidence intervals.
        e2e_ms: Arrival to last output token.
        wait_ms: Arrival to the iteration that first serves the request.
        offered_rps: Requests that arrived, per second.
        throughput_rps: Requests completed per second, with its 95% half-width.
        output_tokens_per_s: Output tokens per second.
        blocking: Share of the requests turned away for a full replica.
        too_large: Share of the requests that KV memory could never hold.
        preemptions_per_request: Preemptions over requests completed.
        mean_batch: Mean number of requests in service.
        mean_prefill_batch: Of those in service, the mean number in the prefill pool; None where
            there are no two pools.
        mean_waiting: Mean number of requests waiting.
        utilization: Mean share of the batch limits in use.
        busy: Share of the time in which a replica runs iterations.
        mean_kv_blocks: Mean number of KV blocks in use.
        kv_use: Mean share of the KV blocks in use; None without a limit.
        peak_kv_use: Largest share in use in one replica; None without a limit.
        requests: Requests measured.
    """

    ttft_ms: LatencySummary
    itl_ms: LatencySummary
    token_itl_ms: LatencySummary
    e2e_ms: LatencySummary
    wait_ms: LatencySummary
    offered_rps: float
    throughput_rps: Estimate
    output_tokens_per_s: float
    blocking: float
    too_large: float
    preemptions_per_request: float
    mean_batch: float
    mean_prefill_batch: float | None
    mean_waiting: float
    utilization: float
    busy: float
    mean_kv_blocks: float
    kv_use: float | None
    peak_kv_use: float | None
    requests: int


def summarize(run: Run, percents: Sequence[float] = DEFAULT_PERCENTS) -> Summary:
    """Return the figures of a run.

    A figure that the run does not tell, such as a rate from a single arrival, is NaN.

    Args:
        run: A finished simulation.
        percents: Which percentiles of the latencies, from 0 to 100.
    """
    records, part = run.records, run.measured
    status = records.status[part]
    served = status == RequestStatus.DONE
    done = int(served.sum())
    period = _Period.of(run)
    return Summary(
        ttft_ms=summarize_latency(records.ttft_ms[part][served], percents),
        itl_ms=summarize_latency(records.itl_ms[part][served], percents),
        token_itl_ms=_token_gaps(run, percents),
        e2e_ms=summarize_latency(records.e2e_ms[part][served], percents),
        wait_ms=summarize_latency(records.wait_ms[part][served], percents),
        offered_rps=period.offered_rps,
        throughput_rps=period.throughput_rps,
        output_tokens_per_s=period.output_tokens_per_s,
        blocking=_ratio(int((status == RequestStatus.TURNED_AWAY).sum()), len(status)),
        too_large=_ratio(int((status == RequestStatus.TOO_LARGE).sum()), len(status)),
        preemptions_per_request=_ratio(int(records.preemptions[part][served].sum()), done),
        mean_batch=period.mean_batch,
        mean_prefill_batch=_prefill_batch(run, period.offered_rps),
        mean_waiting=period.mean_waiting,
        utilization=period.mean_batch / _places(run),
        busy=period.busy,
        mean_kv_blocks=period.mean_kv_blocks,
        kv_use=_kv_use(run, period.mean_kv_blocks),
        peak_kv_use=_ratio(run.peak_kv_blocks, run.kv_blocks) if run.kv_blocks else None,
        requests=len(status),
    )


@dataclass(frozen=True, slots=True)
class _Period:
    """Means over time, between the snapshots of the first and of the last measured arrival."""

    offered_rps: float
    throughput_rps: Estimate
    output_tokens_per_s: float
    mean_batch: float
    mean_waiting: float
    mean_kv_blocks: float
    busy: float

    @classmethod
    def of(cls, run: Run) -> _Period:
        series, count = run.series, len(run.records)
        points = len(series.at_ms)
        stride = -(-count // points)
        first = min(-(-run.measured.start // stride), points - 1)
        last = max(min((run.measured.stop - 1) // stride, points - 1), first)
        span_ms = float(series.at_ms[last] - series.at_ms[first])

        def gained(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
            return float(values[last] - values[first])

        if span_ms <= 0:
            nan = float("nan")
            return cls(nan, Estimate(nan, nan), nan, nan, nan, nan, nan)
        edges = np.linspace(first, last, BATCHES + 1).astype(np.int64)
        width = float("nan")
        if last - first >= BATCHES:
            times = np.diff(series.at_ms[edges])
            if (times > 0).all():
                width = half_width(1000 * np.diff(series.completed[edges]) / times)
        system = run.scenario.system
        replicas = (
            system.prefill.replicas + system.decode.replicas
            if isinstance(system, Disaggregated)
            else system.replicas
        )
        return cls(
            offered_rps=1000 * (last - first) * stride / span_ms,
            throughput_rps=Estimate(1000 * gained(series.completed) / span_ms, width),
            output_tokens_per_s=1000 * gained(series.output_tokens) / span_ms,
            mean_batch=gained(series.batch_ms) / span_ms,
            mean_waiting=gained(series.waiting_ms) / span_ms,
            mean_kv_blocks=gained(series.kv_block_ms) / span_ms,
            busy=gained(series.busy_ms) / span_ms / replicas,
        )


def _token_gaps(run: Run, percents: Sequence[float]) -> LatencySummary:
    unknown = float("nan")
    gaps = run.token_gaps
    return LatencySummary(
        Estimate(gaps.mean_ms, unknown),
        {percent: Estimate(gaps.percentile_ms(percent), unknown) for percent in percents},
    )


def _prefill_batch(run: Run, offered_rps: float) -> float | None:
    """Return the mean number in service in the prefill pool, by Little's law."""
    if not isinstance(run.scenario.system, Disaggregated):
        return None
    records, part = run.records, run.measured
    served = records.status[part] == RequestStatus.DONE
    if not served.any():
        return float("nan")
    stay_ms = (records.first_token_ms[part] - records.admitted_ms[part])[served]
    return offered_rps * float(served.mean()) * float(stay_ms.mean()) / 1000


def _places(run: Run) -> int:
    system = run.scenario.system
    pools = [system.prefill, system.decode] if isinstance(system, Disaggregated) else [system]
    return sum(
        pool.replicas * min(pool.engine.max_batch, pool.engine.token_budget) for pool in pools
    )


def _kv_use(run: Run, mean_blocks: float) -> float | None:
    system = run.scenario.system
    if run.kv_blocks is None or isinstance(system, Disaggregated):
        return None  # the blocks of two kinds of replicas have no common share
    return mean_blocks / (run.kv_blocks * system.replicas)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
