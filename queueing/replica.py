"""Analysis of replicas at given arrival rates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, IntArray, RowSelector, columns
from queueing.block import LOG_PER_MS, BlockPoint, ReplicaBlock
from queueing.cases import ReplicaCases
from queueing.chain import blocks

__all__ = ["OperatingPoint", "ReplicaCases", "analyze", "state_distribution"]

_LOG_FAINTEST_LOAD = -500.0


@dataclass(frozen=True, slots=True, eq=False)
class OperatingPoint:
    """Mean figures of replicas at their arrival rates: arrays (cases,), NaN where not valid.

    Attributes:
        arrival_rate_rps: requests offered per second.
        throughput_rps: requests completed per second.
        blocking: share of the offered requests that find the queue full and are lost.
        response_ms: arrival to last output token; wait_ms and service_ms are its two parts.
        mean_in_system: requests waiting or in service; mean_in_queue and mean_in_service its parts.
        utilization: mean_in_service over the batch limit.
        prefill_ms, itl_ms, ttft_ms: mean latencies as the service-time model defines them.
        empty_probability: share of time with no request at all.
        max_rate_rps: 0.999·μ(N), the largest rate that sizing considers.
        valid: the case makes sense and all figures are finite.
    """

    arrival_rate_rps: FloatArray
    throughput_rps: FloatArray
    blocking: FloatArray
    response_ms: FloatArray
    wait_ms: FloatArray
    service_ms: FloatArray
    mean_in_system: FloatArray
    mean_in_service: FloatArray
    mean_in_queue: FloatArray
    utilization: FloatArray
    prefill_ms: FloatArray
    itl_ms: FloatArray
    ttft_ms: FloatArray
    empty_probability: FloatArray
    max_rate_rps: FloatArray
    valid: BoolArray

    @classmethod
    def unknown(cls, count: int) -> Self:
        """Return points of which nothing is known, to be filled in."""
        figures = {field.name: np.full(count, np.nan) for field in fields(cls)}
        return cls(**(figures | {"valid": np.zeros(count, dtype=np.bool_)}))

    def __len__(self) -> int:
        return len(self.valid)

    def take(self, rows: RowSelector) -> Self:
        """Return the selected cases, in that order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    def fill(self, rows: IntArray, block: ReplicaBlock, log_rate: FloatArray) -> None:
        """Solve a block at log λ (per ms) and write its figures at these rows."""
        point = block.at(log_rate)
        for name, values in _figures(point, block, log_rate).items():
            getattr(self, name)[rows] = values
        self.valid[rows] = (
            np.isfinite(point.latencies.ttft_ms)
            & np.isfinite(point.latencies.itl_ms)
            & np.isfinite(point.wait_ms)
            & np.isfinite(point.service_ms)
            & np.isfinite(point.means.blocking)
        )


def analyze(cases: ReplicaCases, arrival_rate_rps: npt.ArrayLike) -> OperatingPoint:
    """Return the mean figures of each case at its arrival rate, requests per second.

    Rates above capacity are answered too: the queue is finite. A rate that is not finite and
    positive, and a case that makes no sense (`ReplicaCases.usable`), give ``valid`` false.

    Raises:
        ValueError: the number of rates is neither one nor that of the cases.
    """
    (rates, _) = columns(arrival_rate_rps, np.zeros(len(cases)))
    if len(rates) != len(cases):
        raise ValueError(f"{len(rates)} rates for {len(cases)} cases: give one for each, or one")
    result = OperatingPoint.unknown(len(cases))
    result.arrival_rate_rps[:] = rates
    with np.errstate(all="ignore"):
        usable = cases.usable()
        result.max_rate_rps[usable] = _largest_rate_rps(cases.take(usable))
        offered = np.log(rates * 0.001) + np.log(cases.service_time_ms(np.ones(len(cases))))
        answerable = usable & np.isfinite(offered) & (offered > _LOG_FAINTEST_LOAD)
        rows = np.flatnonzero(answerable)
        selected = cases.take(rows)
        log_rate = np.log(rates[rows]) - LOG_PER_MS
        for part in blocks(selected.batch_limits()):
            block = ReplicaBlock.of(selected.take(part))
            result.fill(rows[part], block, log_rate[part])
    result.arrival_rate_rps[:] = rates
    return result


def state_distribution(cases: ReplicaCases, row: int, arrival_rate_rps: float) -> FloatArray:
    """Return the probabilities of 0, 1, ..., N+Q requests in the system of one case.

    For plots and checks: its length is N + Q + 1, so the queue limit must be one that fits in
    memory. All NaN where the case or the rate makes no sense.

    Raises:
        ValueError: the queue is longer than ten million.
    """
    case = cases.take(slice(row, row + 1))
    if not (case.usable().all() and np.isfinite(arrival_rate_rps) and arrival_rate_rps > 0.0):
        return np.array([np.nan])
    if case.max_queue[0] > 1e7:
        raise ValueError(f"max_queue {case.max_queue[0]:g}: at most 10,000,000 states are listed")
    limit, queue = int(case.max_batch[0]), int(case.max_queue[0])
    states = np.arange(1.0, limit + 1.0)
    log_rates = np.log(states / case.service_time_ms(states[:, None])[:, 0])
    steps = (np.log(arrival_rate_rps) - LOG_PER_MS) - np.concatenate(
        [log_rates, np.full(queue, log_rates[-1])]
    )
    log_weights = np.concatenate([[0.0], np.cumsum(steps)])
    weights: FloatArray = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    return weights


def _largest_rate_rps(cases: ReplicaCases) -> FloatArray:
    top: FloatArray = 999.0 * cases.max_batch / cases.service_time_ms(cases.max_batch)
    return top


def _figures(point: BlockPoint, block: ReplicaBlock, log_rate: FloatArray) -> dict[str, FloatArray]:
    means = point.means
    return {
        "arrival_rate_rps": np.exp(log_rate + LOG_PER_MS),
        "throughput_rps": 1000.0 * means.throughput_per_ms,
        "blocking": means.blocking,
        "response_ms": point.wait_ms + point.service_ms,
        "wait_ms": point.wait_ms,
        "service_ms": point.service_ms,
        "mean_in_system": means.mean_in_service + means.mean_in_queue,
        "mean_in_service": means.mean_in_service,
        "mean_in_queue": means.mean_in_queue,
        "utilization": means.mean_in_service / block.cases.max_batch,
        "prefill_ms": point.latencies.prefill_ms,
        "itl_ms": point.latencies.itl_ms,
        "ttft_ms": point.latencies.ttft_ms,
        "empty_probability": means.empty_probability,
        "max_rate_rps": np.exp(block.log_largest_rate + LOG_PER_MS),
    }
