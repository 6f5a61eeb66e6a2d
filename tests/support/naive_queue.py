"""The replica analysis once more, the slow and obvious way: one case, plain floats, state by state.

Nothing here is shared with the package under test: chunk counts are counted up from one, the chain
is summed over every state, and sizing tries rates one after another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class NaiveService(Protocol):
    """Times of a request with n in service, and the latencies at an operating point."""

    def tau(self, n: int) -> float: ...

    def latencies(
        self, in_service: float, service: float, wait: float, limit: int
    ) -> tuple[float, float, float]: ...


@dataclass(frozen=True, slots=True)
class NaiveLinear:
    alpha: float
    beta: float
    gamma: float
    delta: float
    inputs: float
    outputs: float

    def _prefill(self, n: float) -> float:
        return self.gamma + self.delta * self.inputs * n if self.inputs > 0 else 0.0

    def _decode(self, n: float) -> float:
        return self.alpha + self.beta * n

    def tau(self, n: int) -> float:
        return self._prefill(n) + (self.outputs - 1) * self._decode(n)

    def latencies(
        self, in_service: float, service: float, wait: float, limit: int
    ) -> tuple[float, float, float]:
        low, high = 0.0, float(limit)
        if self.tau(limit) == self.tau(1):
            low = high = min(max(in_service, 1.0), limit)
        for _ in range(200):
            middle = (low + high) / 2
            below = self._prefill(middle) + (self.outputs - 1) * self._decode(middle) < service
            low, high = (middle, high) if below else (low, middle)
        prefill = self._prefill(high)
        return prefill, self._decode(high), wait + prefill


@dataclass(frozen=True, slots=True)
class NaiveTokenWork:
    alpha: float
    beta: float
    gamma: float
    inputs: float
    outputs: float
    budget: float = 8192.0

    def chunks(self, n: int) -> int:
        m = 1
        while n > math.floor(
            (m + self.outputs) * (self.budget - self.inputs / m) / (self.inputs + self.outputs)
        ):
            m += 1
        return m

    def _works(self, c: int) -> tuple[float, float]:
        L, K = self.inputs, self.outputs
        prefill = sum(self.beta * L / c + self.gamma * L * i / c for i in range(1, c + 1))
        decode = self.beta * K + self.gamma * (K * L + K * (K + 1) / 2)
        return prefill, (prefill + decode) / (c + K)

    def tau(self, n: int) -> float:
        c = self.chunks(n)
        return (c + self.outputs) * (self.alpha + n * self._works(c)[1])

    def latencies(
        self, in_service: float, service: float, wait: float, limit: int
    ) -> tuple[float, float, float]:
        c = self.chunks(min(max(math.floor(in_service + 0.5), 1), limit))
        prefill_work, work = self._works(c)
        prefill = c * max(self.alpha + (in_service - 1) * work, 0.0) + prefill_work
        itl = (service - prefill) / self.outputs
        return prefill, itl, wait + prefill + itl


@dataclass(frozen=True, slots=True)
class NaivePoint:
    probabilities: list[float]
    throughput_rps: float
    blocking: float
    wait_ms: float
    service_ms: float
    in_service: float
    in_queue: float
    prefill_ms: float
    itl_ms: float
    ttft_ms: float


def solve(service: NaiveService, limit: int, queue: int, rate_rps: float) -> NaivePoint:
    """Solve the chain at a rate by adding up every state."""
    rates = [n / service.tau(n) for n in range(1, limit + 1)]
    weights = [1.0]
    for n in range(1, limit + queue + 1):
        weights.append(weights[-1] * (rate_rps / 1000) / rates[min(n, limit) - 1])
        if weights[-1] > 1e200:
            weights = [weight * 1e-200 for weight in weights]
    total = math.fsum(weights)
    p = [weight / total for weight in weights]
    in_service = math.fsum(min(n, limit) * p[n] for n in range(len(p)))
    in_queue = math.fsum((n - limit) * p[n] for n in range(limit, len(p)))
    departures = math.fsum(rates[min(n, limit) - 1] * p[n] for n in range(1, len(p)))
    wait, in_replica = in_queue / departures, in_service / departures
    prefill, itl, ttft = service.latencies(in_service, in_replica, wait, limit)
    return NaivePoint(
        probabilities=p,
        throughput_rps=1000 * departures,
        blocking=p[-1],
        wait_ms=wait,
        service_ms=in_replica,
        in_service=in_service,
        in_queue=in_queue,
        prefill_ms=prefill,
        itl_ms=itl,
        ttft_ms=ttft,
    )


def rate_range(service: NaiveService, limit: int) -> tuple[float, float]:
    """Return the smallest and the largest rate considered in sizing, per second."""
    return 1.0 / service.tau(1), 999.0 * limit / service.tau(limit)


def keeps(point: NaivePoint, ttft_ms: float | None, itl_ms: float | None) -> bool:
    """Tell whether a point is within its targets, to nine digits."""
    slack = 1 + 1e-9
    return (ttft_ms is None or point.ttft_ms <= ttft_ms * slack) and (
        itl_ms is None or point.itl_ms <= itl_ms * slack
    )


def size(
    service: NaiveService,
    limit: int,
    queue: int,
    ttft_ms: float | None,
    itl_ms: float | None,
    scan: int = 1,
) -> float | None:
    """Return the largest rate within the targets, or None: try `scan` steps down, then bisect."""
    low, high = rate_range(service, limit)
    bad = high
    for step in range(scan + 1):
        good = high + (low - high) * step / scan
        if keeps(solve(service, limit, queue, good), ttft_ms, itl_ms):
            break
        bad = good
    else:
        return None
    while bad - good > 1e-9 * bad:
        middle = (good + bad) / 2
        if keeps(solve(service, limit, queue, middle), ttft_ms, itl_ms):
            good = middle
        else:
            bad = middle
    return good
