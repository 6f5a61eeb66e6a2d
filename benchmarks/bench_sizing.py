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

from queueing.cases import ReplicaCases
from queueing.service import TokenWorkService
from queueing.sizing import size
from queueing.targets import LatencyTargets
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


# Synthetic fleet: the shape of the built-in large one (9 models, 21 accelerator configurations,
# 3 classes) from scaling rules. Time of an iteration relative to one A100, and memory in GB.
_CARDS = {
    "AIU2": (10.0, 128),
    "L4": (6.7, 24),
    "L40S": (2.3, 48),
    "MI210": (1.22, 64),
    "A100": (1.0, 80),
    "G2": (0.83, 96),
    "MI250": (0.63, 128),
    "H100": (0.6, 80),
    "MI300X": (0.38, 192),
}
_PAIRED = tuple(name for name in _CARDS if name not in ("L4", "L40S"))
_CONFIGURATIONS = [
    *((time_factor, memory, 1) for time_factor, memory in _CARDS.values()),
    *((*_CARDS[name], 2) for name in _PAIRED),
    *((*_CARDS[name], 4) for name in _PAIRED if name not in ("H100", "MI300X")),
]
# Model: α and β on one A100 in ms, sequences of 512 tokens for each 80 GB.
_MODELS = [
    (11.0, 0.06, 50),
    (20.0, 0.09, 32),
    (13.0, 0.06, 32),
    (27.0, 0.71, 10),
    (12.0, 0.04, 128),
    (21.0, 0.04, 64),
    (30.0, 0.05, 24),
    (26.0, 0.25, 16),
    (30.0, 0.60, 16),
]
_CLASSES = [(1000.0, 60.0), (2000.0, 120.0), (4000.0, 240.0)]  # TTFT and ITL targets, ms


def synthetic_pairs(servers: int, queue_limit: int) -> Pairs:
    """Return all pairs of a synthetic fleet; lengths vary by half around 128 in and 1024 out."""
    draw = np.random.default_rng(servers)
    input_tokens = np.repeat(np.round(128 * draw.uniform(0.5, 1.5, servers)), len(_CONFIGURATIONS))
    output_tokens = np.repeat(
        np.round(1024 * draw.uniform(0.5, 1.5, servers)), len(_CONFIGURATIONS)
    )
    alpha, beta, sequences = (
        np.repeat(np.resize(values, servers), len(_CONFIGURATIONS))
        for values in np.array(_MODELS).T
    )
    ttft, itl = (
        np.repeat(np.resize(np.repeat(values, len(_MODELS)), servers), len(_CONFIGURATIONS))
        for values in np.array(_CLASSES).T
    )
    time_factor, memory, cards = (
        np.tile(values, servers) for values in np.array(_CONFIGURATIONS).T
    )
    factor = time_factor / np.sqrt(cards)
    cases = ReplicaCases.of(
        TokenWorkService.of(alpha * factor, beta * factor, beta * factor / 32),
        input_tokens,
        output_tokens,
        np.maximum(1.0, np.floor(sequences * memory / 80 * 512 / output_tokens)),
        queue_limit,
    )
    return cases, LatencyTargets.of(len(cases), ttft_ms=ttft, itl_ms=itl)


def main() -> None:
    """Measure and print every fleet size and queue limit."""
    for line in table(
        measure(synthetic_pairs, servers, queue) for servers in SERVERS for queue in QUEUE_LIMITS
    ):
        print(line)


if __name__ == "__main__":
    main()
