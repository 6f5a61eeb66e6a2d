"""Timing one case. One that cannot run is a result too."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from profiler.harness.gauges import Reading
from profiler.harness.scaling import bend, scaled_samples
from profiler.harness.stability import SamplingRules, interquartile_range, outliers, sample
from stoker.domain.timing import CaseStatus, CaseTiming, IterationCase

_LONGEST_REASON = 300
_NO_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed", "not enough memory")


class DeviceLostError(RuntimeError):
    """The device does nothing any more until the process ends; the message says what it said."""


class Bench(Protocol):
    """A model on a device, ready to be timed."""

    @property
    def layers(self) -> int:
        """Layers of the whole model."""
        ...

    @property
    def counts(self) -> tuple[int, ...]:
        """Numbers of layers that are timed, ascending."""
        ...

    def prepare(self, case: IterationCase) -> Sequence[Callable[[], float]]:
        """Return what runs an iteration of each number of layers and returns its time in ms.

        Raises:
            RuntimeError: It cannot run; `torch.OutOfMemoryError` where memory lacks.
        """
        ...

    def read(self) -> Reading:
        """Return what the gauges of the device show."""
        ...

    def peak_bytes(self) -> int | None:
        """Return the most memory in use since the last case was prepared; None where unknown."""
        ...

    def release(self) -> None:
        """Free what the last case took.

        Raises:
            DeviceLostError: The device does not answer any more.
        """
        ...


def measure(
    bench: Bench, case: IterationCase, rules: SamplingRules, clock: Callable[[], float]
) -> tuple[CaseTiming, float | None]:
    """Return the result of a case, and how far its times are off a straight line over layers.

    Args:
        bench: What to time.
        case: The iteration.
        rules: How often it is run.
        clock: Monotonic seconds.

    Raises:
        DeviceLostError: The device does not answer any more; the case itself is no result then.
    """
    try:
        result = _timed(bench, case, rules, clock)
    except (RuntimeError, MemoryError, ValueError, TypeError, NotImplementedError) as error:
        if isinstance(error, DeviceLostError):
            raise
        result = _failed(case, error), None
    try:
        bench.release()
    except DeviceLostError as error:
        raise DeviceLostError(f"{result[0].reason} {error}".strip()) from error
    return result


def _timed(
    bench: Bench, case: IterationCase, rules: SamplingRules, clock: Callable[[], float]
) -> tuple[CaseTiming, float | None]:
    samples = sample(bench.prepare(case), rules, clock)
    reading = bench.read()
    times = scaled_samples(bench.counts, samples.series, bench.layers)
    apart = outliers(times)
    others = [time for position, time in enumerate(times) if position not in apart]
    median = statistics.median(others)
    if median <= 0:
        raise ValueError("times do not grow with layers: take more of them, or larger dimensions")
    timing = CaseTiming(
        case,
        CaseStatus.OK,
        times,
        apart,
        median,
        interquartile_range(others),
        "" if samples.stable else f"not stable after {samples.warm_up} runs of warm-up",
        reading.clock_mhz,
        reading.temperature_c,
        reading.power_w,
        bench.peak_bytes(),
    )
    return timing, bend(bench.counts, [statistics.median(one) for one in samples.series])


def _failed(case: IterationCase, error: Exception) -> CaseTiming:
    status = CaseStatus.OUT_OF_MEMORY if lacks_memory(error) else CaseStatus.FAILED
    words = " ".join(str(error).split()) or type(error).__name__
    return CaseTiming(case, status, reason=words[:_LONGEST_REASON])


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that memory lacks."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return any(words in text for words in _NO_MEMORY)
