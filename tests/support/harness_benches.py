"""Benches whose time is made up: a law instead of a device, on a clock of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from profiler.harness.gauges import Reading
from profiler.harness.measure import Bench, DeviceLostError
from stoker.domain.timing import IterationCase

Law = Callable[[IterationCase, int], float]
"""Milliseconds of an iteration of a number of layers."""


class FakeClock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_ms(self, time_ms: float) -> None:
        self.now += time_ms / 1000.0


class LawBench:
    """A device on which iterations take what a law says."""

    def __init__(
        self,
        law: Law,
        clock: FakeClock,
        counts: tuple[int, ...] = (4,),
        layers: int = 4,
        noise: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.law, self.clock, self.noise = law, clock, noise
        self.counts, self.layers = counts, layers
        self.prepared: list[IterationCase] = []

    def prepare(self, case: IterationCase) -> Sequence[Callable[[], float]]:
        self.prepared.append(case)
        return [partial(self._run, case, count) for count in self.counts]

    def _run(self, case: IterationCase, count: int) -> float:
        time_ms = self.law(case, count) * self.noise()
        self.clock.pass_ms(time_ms)
        return time_ms

    def read(self) -> Reading:
        return Reading(1500.0, 40.0, 300.0)

    def peak_bytes(self) -> int | None:
        return 1000

    def release(self) -> None:
        return


class FaultyBench(LawBench):
    """One that fails at some cases."""

    def __init__(
        self, law: Law, clock: FakeClock, fails: Callable[[IterationCase], Exception | None]
    ) -> None:
        super().__init__(law, clock)
        self.fails = fails
        self.lost = ""

    def prepare(self, case: IterationCase) -> Sequence[Callable[[], float]]:
        error = self.fails(case)
        if isinstance(error, DeviceLostError):
            self.lost = str(error)
            raise RuntimeError("an illegal memory access")
        if error is not None:
            raise error
        return super().prepare(case)

    def release(self) -> None:
        if self.lost:
            raise DeviceLostError(self.lost)


class SlowedBench:
    """A real bench with a planted slowdown: each iteration takes longer by a law.

    Its own time is hidden, so that the law is all there is to find.
    """

    def __init__(self, inner: Bench, law: Law) -> None:
        self.inner, self.law = inner, law
        self.layers, self.counts = inner.layers, inner.counts
        self.ran = 0

    def prepare(self, case: IterationCase) -> Sequence[Callable[[], float]]:
        runs = self.inner.prepare(case)
        return [
            partial(self._run, run, self.law(case, count))
            for run, count in zip(runs, self.counts, strict=True)
        ]

    def _run(self, run: Callable[[], float], planted_ms: float) -> float:
        run()
        self.ran += 1
        return planted_ms

    def read(self) -> Reading:
        return self.inner.read()

    def peak_bytes(self) -> int | None:
        return self.inner.peak_bytes()

    def release(self) -> None:
        self.inner.release()


def no_memory() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
