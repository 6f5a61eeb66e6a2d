"""One replica computed state by state, one number at a time: the independent check.

Shares no code with `queueing`. Takes a case in the replica-analysis JSON, `token-work` or
`linear`, and gives the figures of an arrival rate under the names of that format.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

Case = Mapping[str, float]


def _chunks(case: Case, batch: int) -> int:
    inputs, outputs = case["avgInputTokens"], case["avgOutputTokens"]
    budget = case.get("maxNumTokens") or 8192
    count = 1
    while batch > math.floor((count + outputs) * (budget - inputs / count) / (inputs + outputs)):
        count += 1
    return count


def _token_work(case: Case, chunks: int) -> tuple[float, float]:
    """Prefill work of a request, and its mean work an iteration: ms."""
    inputs, outputs = case["avgInputTokens"], case["avgOutputTokens"]
    beta, gamma = case["beta"], case["gamma"]
    prefill = (beta + gamma * (chunks + 1) / 2) * inputs
    decode = beta * outputs + gamma * outputs * (inputs + (outputs + 1) / 2)
    return prefill, (prefill + decode) / (chunks + outputs)


def _service_ms(case: Case, batch: int) -> float:
    inputs, outputs = case["avgInputTokens"], case["avgOutputTokens"]
    if "delta" in case:
        prefill = case["gamma"] + case["delta"] * inputs * batch if inputs else 0.0
        return prefill + (outputs - 1) * (case["alpha"] + case["beta"] * batch)
    chunks = _chunks(case, batch)
    _, work = _token_work(case, chunks)
    return (chunks + outputs) * (case["alpha"] + batch * work)


def _latencies(
    case: Case, in_service: float, service_ms: float, wait_ms: float
) -> tuple[float, float]:
    """TTFT and ITL at an operating point."""
    inputs, outputs = case["avgInputTokens"], case["avgOutputTokens"]
    limit = case["maxBatchSize"]
    if "delta" in case:
        fixed = (case["gamma"] if inputs else 0.0) + case["alpha"] * (outputs - 1)
        slope = case["delta"] * inputs + case["beta"] * (outputs - 1)
        batch = min(max((service_ms - fixed) / slope, 0.0), limit)
        prefill = case["gamma"] + case["delta"] * inputs * batch if inputs else 0.0
        return wait_ms + prefill, case["alpha"] + case["beta"] * batch
    chunks = _chunks(case, min(max(math.floor(in_service + 0.5), 1), int(limit)))
    prefill_work, work = _token_work(case, chunks)
    prefill = chunks * max(case["alpha"] + (in_service - 1) * work, 0.0) + prefill_work
    itl = (service_ms - prefill) / outputs
    return wait_ms + prefill + itl, itl


def largest_rate_rps(case: Case) -> float:
    """Return 0.999 of the rate at which a full batch departs."""
    limit = int(case["maxBatchSize"])
    return 999.0 * limit / _service_ms(case, limit)


def solve(case: Case, rate_rps: float) -> dict[str, float]:
    """Return the figures at an arrival rate, from the probability of every state."""
    limit, last = int(case["maxBatchSize"]), int(case["maxBatchSize"] + case["maxQueueSize"])
    departures = [n / _service_ms(case, n) for n in range(1, limit + 1)]  # per ms
    logs = [0.0]
    for state in range(1, last + 1):
        step = math.log(rate_rps / 1000) - math.log(departures[min(state, limit) - 1])
        logs.append(logs[-1] + step)
    peak = max(logs)
    weights = [math.exp(max(log - peak, -745.0)) for log in logs]
    total = math.fsum(weights)
    busy = math.fsum(min(n, limit) * weight for n, weight in enumerate(weights)) / total
    queued = math.fsum(max(n - limit, 0) * weight for n, weight in enumerate(weights)) / total
    # What departs, state by state: exact in an overload, where 1 - blocking loses its digits.
    through = math.fsum(
        departures[min(n, limit) - 1] * weight for n, weight in enumerate(weights) if n
    )
    throughput = through / total
    wait, service = queued / throughput, busy / throughput
    ttft, itl = _latencies(case, busy, service, wait)
    return {
        "offeredRPS": rate_rps,
        "throughput": throughput * 1000,
        "avgRespTime": wait + service,
        "avgWaitTime": wait,
        "avgNumInServ": busy,
        "avgTTFT": ttft,
        "avgITL": itl,
        "maxRPS": largest_rate_rps(case),
        "utilization": busy / limit,
        "blocking": weights[-1] / total,
    }
