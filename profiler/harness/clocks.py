"""Stop-watches: how long one iteration takes on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import torch

from stoker.domain.units import MS_PER_SECOND

Run = Callable[[], object]
"""One iteration."""


class StopWatch(Protocol):
    """Measures one iteration."""

    def time_ms(self, run: Run) -> float:
        """Run an iteration to its end and return the time it took, in milliseconds."""
        ...


class HostStopWatch:
    """Reads a clock of the host around an iteration that ends before its call does."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Take a clock that counts seconds."""
        self._clock = clock

    def time_ms(self, run: Run) -> float:
        """Return the time of one iteration (see `StopWatch`)."""
        started = self._clock()
        run()
        return (self._clock() - started) * MS_PER_SECOND


class CudaStopWatch:
    """Puts events into the stream before and after an iteration, and waits for the second one.

    The device is idle when the first is recorded, so that launching, where it is slower than
    computing, counts as it does in an engine.
    """

    def __init__(self) -> None:
        """Make the events, which are used again and again."""
        self._before, self._after = torch.cuda.Event(True), torch.cuda.Event(True)  # type: ignore[no-untyped-call]

    def time_ms(self, run: Run) -> float:
        """Return the time of one iteration (see `StopWatch`)."""
        torch.cuda.current_stream().synchronize()
        self._before.record()
        run()
        self._after.record()
        self._after.synchronize()
        return float(self._before.elapsed_time(self._after))


def stop_watch(device: torch.device, clock: Callable[[], float] = time.perf_counter) -> StopWatch:
    """Return the stop-watch for a device.

    Args:
        device: The device.
        clock: Counts seconds on the host; a GPU has its own.
    """
    return CudaStopWatch() if device.type == "cuda" else HostStopWatch(clock)
