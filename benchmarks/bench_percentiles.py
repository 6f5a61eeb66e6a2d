"""Time of sizing to percentile targets by the analysis of the engine, against one pair at a time.

`python -m benchmarks.bench_percentiles` prints one row for each fleet size: every server on every
accelerator, sized to p95 of TTFT and of ITL at the targets of the fleet, lengths of prompts and
answers varying by a coefficient of 0.8. The baseline sizes a sample of the same pairs one by one,
in the same run, and its answers are compared. Times are processor time of this one thread.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.bench_sizing import large_fleet_pairs
from queueing.engine import (
    EngineCases,
    EngineTargets,
    LatencyTarget,
    TokenWorkTimes,
    size_engine,
)
from queueing.service import TokenWorkService

SERVERS = (27, 100, 1000, 5000)
PERCENTILE = 95.0
LENGTH_CV = 0.8


@dataclass(frozen=True, slots=True)
class PercentileTime:
    """One measurement; `pair_us` and `single_us` are microseconds for one pair."""

    servers: int
    pairs: int
    seconds: float
    single_us: float
    largest_difference: float

    @property
    def pair_us(self) -> float:
        """Return the time for one pair when all are sized together."""
        return 1e6 * self.seconds / self.pairs


def engine_pairs(servers: int) -> tuple[EngineCases, EngineTargets]:
    """Return all pairs of the built-in large fleet, scaled to that many servers."""
    cases, targets = large_fleet_pairs(servers, 0)
    service = cases.service
    if not isinstance(service, TokenWorkService):
        raise TypeError("the sample fleet has token-work parameters")
    engines = EngineCases.of(
        TokenWorkTimes.of(service.alpha_ms, service.beta_ms, service.gamma_ms),
        cases.input_tokens,
        cases.output_tokens,
        cases.max_batch,
        input_cv=LENGTH_CV,
        output_cv=LENGTH_CV,
    )
    count = len(engines)
    return engines, EngineTargets.of(
        count,
        ttft=(LatencyTarget.of(count, targets.ttft_ms, PERCENTILE),),
        itl=(LatencyTarget.of(count, targets.itl_ms, PERCENTILE),),
    )


def measure(servers: int, *, sample: int = 40, repeats: int = 2) -> PercentileTime:
    """Time sizing all pairs (best of the repeats), and a sample of them one by one."""
    cases, targets = engine_pairs(servers)
    elapsed = math.inf
    for _ in range(repeats):
        started = time.process_time()
        sized = size_engine(cases, targets)
        elapsed = min(elapsed, time.process_time() - started)
    rows = np.random.default_rng(0).choice(len(cases), min(sample, len(cases)), replace=False)
    started = time.process_time()
    singles = np.array(
        [
            size_engine(cases.take(np.array([row])), targets.take(np.array([row]))).rate_rps[0]
            for row in rows
        ]
    )
    single = time.process_time() - started
    together = sized.rate_rps[rows]
    if not np.array_equal(singles > 0.0, together > 0.0):
        raise AssertionError("pairs are feasible together that are not alone, or the reverse")
    difference = np.abs(together - singles) / np.maximum(singles, 1e-300)
    return PercentileTime(
        servers, len(cases), elapsed, 1e6 * single / len(rows), float(np.max(difference))
    )


def table(times: Iterable[PercentileTime]) -> list[str]:
    """Return the lines of the printed table."""
    lines = ["servers    pairs        s  us/pair  us/pair alone  ratio  largest difference"]
    lines += [
        f"{row.servers:7d} {row.pairs:8d} {row.seconds:8.2f} {row.pair_us:8.1f} "
        f"{row.single_us:14,.0f} {row.single_us / row.pair_us:6,.0f}  "
        f"{row.largest_difference:18.1e}"
        for row in times
    ]
    return lines


def main() -> None:
    """Measure and print every fleet size."""
    for line in table(measure(servers) for servers in SERVERS):
        print(line)


if __name__ == "__main__":
    main()
