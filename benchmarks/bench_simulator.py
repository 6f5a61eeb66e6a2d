"""The simulator against one that plays every iteration in plain Python, on one core.

`python -m benchmarks.bench_simulator` prints, for several loads of a replica with a batch limit of
64 and requests of 200 output tokens, the requests simulated per second of machine time, figures
and percentiles included, and the ratio to the naive simulator of the tests in the same run. KV
blocks are counted throughout; in the last rows they run out.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.table import Table

from simulator import (
    Engine,
    FixedLength,
    LognormalLength,
    PoissonArrivals,
    Pool,
    Scenario,
    SeparateLengths,
    simulate,
    summarize,
)
from stoker.domain.profile import TokenWorkParameters
from tests.support.naive_simulator import naive_simulate

REQUESTS = 500_000
NAIVE_REQUESTS = 300
ROOMY, TIGHT = 64 * 1024, 20_000


def scenario(requests: int, rate_rps: float, length_cv: float, kv_tokens: int) -> Scenario:
    """Return a replica of batch 64 under requests of 512 input and 200 output tokens."""
    lengths = (
        SeparateLengths(LognormalLength(512, length_cv), LognormalLength(200, length_cv))
        if length_cv
        else SeparateLengths(FixedLength(512), FixedLength(200))
    )
    engine = Engine(TokenWorkParameters(6.0, 0.02, 2e-5), 64, kv_tokens=kv_tokens)
    return Scenario(PoissonArrivals(rate_rps), lengths, Pool(engine), requests, seed=1)


def main() -> None:
    """Print one row for each load."""
    started = time.perf_counter()
    simulate(scenario(10, 10.0, 0.0, ROOMY))
    loaded_s = time.perf_counter() - started
    table = Table(title=f"Batch 64, 200 output tokens; code compiled or loaded in {loaded_s:.1f} s")
    headers = ("req/s", "length CV", "KV tokens", "mean batch", "preempted", "simulated/s")
    for header in (*headers, "naive/s", "ratio"):
        table.add_column(header, justify="right", no_wrap=True)
    for rate_rps, length_cv, kv_tokens in (
        (10.0, 0.0, ROOMY),
        (20.0, 0.0, ROOMY),
        (27.0, 0.0, ROOMY),
        (40.0, 0.0, ROOMY),
        (20.0, 1.0, ROOMY),
        (40.0, 0.0, TIGHT),
        (40.0, 1.0, TIGHT),
    ):
        started = time.perf_counter()
        summary = summarize(simulate(scenario(REQUESTS, rate_rps, length_cv, kv_tokens)))
        fast = REQUESTS / (time.perf_counter() - started)
        started = time.perf_counter()
        naive_simulate(scenario(NAIVE_REQUESTS, rate_rps, length_cv, kv_tokens))
        naive = NAIVE_REQUESTS / (time.perf_counter() - started)
        table.add_row(
            f"{rate_rps:g}",
            f"{length_cv:g}",
            f"{kv_tokens:,}",
            f"{summary.mean_batch:.1f}",
            f"{summary.preemptions_per_request:.2f}",
            f"{fast:,.0f}",
            f"{naive:,.0f}",
            f"{fast / naive:,.0f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
