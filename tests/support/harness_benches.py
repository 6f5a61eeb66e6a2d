"""Benches whose time is made up: a law instead of a device, on a clock of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from profiler.harness.bench import ModelBench
from profiler.harness.gauges import Reading
from profiler.harness.measure import Bench, DeviceLostError
from profiler.harness.model import Decoder, Iteration
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


class SlowedModel:
    """A planted slowdown: each step of a real model sleeps longer by a law.

    It sleeps on a clock on which nothing else takes time, so that the law is all there is to find.
    """

    def __init__(self, model: Decoder, law: Law, sleep_ms: Callable[[float], None]) -> None:
        self.model, self.law, self.sleep_ms = model, law, sleep_ms
        self.steps = 0

    def step(self, iteration: Iteration, layers: int | None = None) -> torch.Tensor:
        tokens = self.model.step(iteration, layers)
        decoding, prompting = iteration.decoding, iteration.prompting
        case = IterationCase(
            0 if prompting is None else prompting.tokens,
            0 if prompting is None else prompting.prefix,
            0 if decoding is None else decoding.sequences,
            0 if decoding is None else decoding.context,
        )
        self.sleep_ms(self.law(case, len(self.model.stack) if layers is None else layers))
        self.steps += 1
        return tokens


def slowed(bench: Bench, law: Law, sleep_ms: Callable[[float], None]) -> SlowedModel:
    """Plant a slowdown into the model of a bench."""
    assert isinstance(bench, ModelBench)
    assert isinstance(bench.model, Decoder)
    planted = SlowedModel(bench.model, law, sleep_ms)
    bench.model = planted
    return planted


def no_memory() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
