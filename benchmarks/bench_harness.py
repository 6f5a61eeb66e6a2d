"""Times a real model on the CPU with a planted slowdown, and fits the law of it back.

Run `python -m benchmarks.bench_harness [SECONDS]`. Every iteration of the model of `stoker profile
run tiny` is made longer by a known affine law, by waiting; what the fit finds beyond the fit to the
same iterations without it is compared with that law. The clock is the processor time of this
process, which others on the machine hardly disturb. Then the time of fitting all models is told.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from profiler.harness.attention import AttentionPath
from profiler.harness.execution import Execution
from profiler.harness.gauges import Reading
from profiler.harness.measure import Bench
from profiler.harness.precision import Activation, WeightFormat
from profiler.harness.run import HarnessRun, Ports, time_model
from profiler.harness.settings import CacheLayout, HarnessSettings
from profiler.harness.tiny import TINY
from profiler.iterations import fit_iterations
from stoker.domain.timing import IterationCase

LAW = {"alpha_ms": 40.0, "beta_ms": 0.8, "gamma_ms": 0.02}
"""The slowdown: an iteration, a token computed, a token read."""


def planted_ms(case: IterationCase) -> float:
    """Return what a case is made longer by."""
    computed = case.decode_batch + case.prefill_tokens
    read = case.decode_batch * case.context_tokens
    read += case.prefix_tokens + case.prefill_tokens if case.prefill_tokens else 0
    return LAW["alpha_ms"] + LAW["beta_ms"] * computed + LAW["gamma_ms"] * read


class Slowed:
    """A bench whose iterations wait until they have taken longer by the law."""

    def __init__(self, inner: Bench) -> None:
        """Take the real one."""
        self._inner = inner
        self.layers, self.counts = inner.layers, inner.counts

    def prepare(self, case: IterationCase) -> Sequence[Callable[[], float]]:
        """Return iterations that end later."""
        return [partial(self._run, run, planted_ms(case)) for run in self._inner.prepare(case)]

    def _run(self, run: Callable[[], float], planted: float) -> float:
        started = time.process_time()
        run()
        deadline = time.process_time() + planted / 1000.0
        # Sleeping would leave cold caches to the next iteration, which would take longer itself.
        while time.process_time() < deadline:
            pass
        return (time.process_time() - started) * 1000.0

    def read(self) -> Reading:
        """Return what the gauges show."""
        return self._inner.read()

    def peak_bytes(self) -> int | None:
        """Return the memory in use."""
        return self._inner.peak_bytes()

    def release(self) -> None:
        """Free what the last case took."""
        self._inner.release()


def settings() -> HarnessSettings:
    """Return what is timed: the tiny model."""
    return HarnessSettings(
        shape=TINY,
        counts=(TINY.layers,),
        device="cpu",
        precision=Activation.FP32,
        weights=WeightFormat.FP32,
        attention=AttentionPath.FLASH,
        layout=CacheLayout.CONTIGUOUS,
        execution=Execution.EAGER,
        tensor_parallel=1,
        max_batch=8,
        max_context=256,
        max_prefill=128,
        kv_limit_bytes=1 << 26,
        seed=0,
        threads=1,
    )


def timed(path: Path, budget_s: float, wrap: Callable[[Bench], Bench]) -> HarnessRun:
    """Return a run."""
    ports = Ports(time.process_time, wrap=wrap)
    return time_model(settings(), path, budget_s, "CPU", lambda _: None, ports)


def main() -> None:
    """Print the table."""
    budget_s = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with tempfile.TemporaryDirectory() as folder:
        plain = timed(Path(folder) / "plain", budget_s, lambda bench: bench)
        slowed = timed(Path(folder) / "slowed", budget_s, Slowed)
    started = time.perf_counter()
    [without] = fit_iterations(plain.run.timings, ["token-work"])
    [with_it] = fit_iterations(slowed.run.timings, ["token-work"])
    print(f"{len(slowed.run.timings)} iterations, mean error {with_it.error or 0.0:.2%}")
    for name, truth in LAW.items():
        found = with_it.values[name] - without.values.get(name, 0.0)
        print(f"{name:9} planted {truth:8.4g}  found {found:8.4g}  off {found / truth - 1:+.1%}")
    fit_iterations(slowed.run.timings)
    print(f"fits of all models: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
