"""Time of sizing one candidate pair (server, accelerator), against a naive scalar solver.

`python -m benchmarks.bench_sizing` prints one row for each fleet size and queue limit. The naive
solver bisects the rate with a chain summed state by state, one pair after another; it is timed on
a sample of the same pairs in the same run, and its answers are compared. Times are processor time
of this one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# One thread: set before numpy loads its linear algebra, though sizing hardly uses it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.fleets import scaled_large
from queueing.cases import ReplicaCases
from queueing.service import TokenWorkService
from queueing.sizing import size
from queueing.targets import LatencyTargets
from stoker.domain.profile import TokenWorkParameters
from tests.support import naive_queue

SERVERS = (27, 100, 1000, 5000)
QUEUE_LIMITS = (0, 200)

Pairs = tuple[ReplicaCases, LatencyTargets]
PairSource = Callable[[int, int], Pairs]
"""Takes a number of servers and a queue limit; returns all their candidate pairs."""


@dataclass(frozen=True, slots=True)
class SizingTime:
    """One measurement; times in microseconds for one pair."""

    servers: int
    pairs: int
    queue_limit: int
    vectorized_us: float
    naive_us: float
    largest_difference: float

    @property
    def ratio(self) -> float:
        """Return how many times faster the vectorized solver is."""
        return self.naive_us / self.vectorized_us


def measure(
    source: PairSource, servers: int, queue_limit: int, *, sample: int = 40, repeats: int = 3
) -> SizingTime:
    """Time sizing all pairs (best of the repeats) and the naive solver on a sample of them."""
    cases, targets = source(servers, queue_limit)
    elapsed = math.inf
    for _ in range(repeats):
        started = time.process_time()
        sized = size(cases, targets)
        elapsed = min(elapsed, time.process_time() - started)

    rows = np.random.default_rng(0).choice(len(cases), min(sample, len(cases)), replace=False)
    started = time.process_time()
    naive = [_naive_rate(cases, targets, int(row)) for row in rows]
    naive_elapsed = time.process_time() - started
    expected = np.array([math.nan if rate is None else rate for rate in naive])
    if not np.array_equal(np.isnan(expected), ~sized.feasible[rows]):
        raise AssertionError("the solvers disagree on which pairs are feasible")
    difference = np.abs(sized.arrival_rate_rps[rows] / expected - 1.0)
    return SizingTime(
        servers=servers,
        pairs=len(cases),
        queue_limit=queue_limit,
        vectorized_us=1e6 * elapsed / len(cases),
        naive_us=1e6 * naive_elapsed / len(rows),
        largest_difference=float(np.nanmax(difference, initial=0.0)),
    )


def table(times: Iterable[SizingTime]) -> list[str]:
    """Return the lines of the printed table."""
    lines = ["servers    pairs  queue  us/pair  naive us/pair   ratio  largest difference"]
    lines += [
        f"{row.servers:7d} {row.pairs:8d} {row.queue_limit:6d} {row.vectorized_us:8.2f} "
        f"{row.naive_us:14,.0f} {row.ratio:7,.0f}  {row.largest_difference:18.1e}"
        for row in times
    ]
    return lines


def _naive_rate(cases: ReplicaCases, targets: LatencyTargets, row: int) -> float | None:
    service = cases.service
    if not isinstance(service, TokenWorkService):
        raise TypeError("the sample fleet has token-work parameters")
    naive = naive_queue.NaiveTokenWork(
        float(service.alpha_ms[row]),
        float(service.beta_ms[row]),
        float(service.gamma_ms[row]),
        float(cases.input_tokens[row]),
        float(cases.output_tokens[row]),
        float(service.token_budget[row]),
    )
    return naive_queue.size(
        naive,
        int(cases.max_batch[row]),
        int(cases.max_queue[row]),
        float(targets.ttft_ms[row]),
        float(targets.itl_ms[row]),
    )


def large_fleet_pairs(servers: int, queue_limit: int) -> Pairs:
    """Return all pairs of the built-in large fleet, scaled to that many servers."""
    fleet = scaled_large(servers, queue_limit)
    profiles = {(item.model, item.accelerator): item for item in fleet.profiles}
    targets = {
        (group.name, target.model): target
        for group in fleet.service_classes
        for target in group.targets
    }
    rows = []
    for server in fleet.servers:
        load, target = server.load, targets[server.service_class, server.model]
        if load is None:
            continue
        for accelerator in fleet.accelerators:
            profile = profiles[server.model, accelerator.name]
            parameters = profile.parameters
            if not isinstance(parameters, TokenWorkParameters):
                raise TypeError("the large fleet has token-work parameters")
            rows.append(
                (
                    *(parameters.alpha_ms, parameters.beta_ms, parameters.gamma_ms),
                    *(load.input_tokens, load.output_tokens),
                    profile.batch_limit(load.output_tokens),
                    math.nan if target.ttft_ms is None else target.ttft_ms,
                    math.nan if target.itl_ms is None else target.itl_ms,
                )
            )
    alpha, beta, gamma, inputs, outputs, batch, ttft, itl = np.array(rows).T
    cases = ReplicaCases.of(
        TokenWorkService.of(alpha, beta, gamma), inputs, outputs, batch, queue_limit
    )
    return cases, LatencyTargets.of(len(cases), ttft_ms=ttft, itl_ms=itl)


def main() -> None:
    """Measure and print every fleet size and queue limit."""
    for line in table(
        measure(large_fleet_pairs, servers, queue) for servers in SERVERS for queue in QUEUE_LIMITS
    ):
        print(line)


if __name__ == "__main__":
    main()
