"""A model on a device, ready to be timed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch

from profiler.harness.cache import Cache
from profiler.harness.clocks import Run, StopWatch
from profiler.harness.execution import Recorded
from profiler.harness.gauges import Gauges, Reading
from profiler.harness.measure import DeviceLostError
from profiler.harness.model import Decoding, Iteration, Prompting
from stoker.domain.timing import IterationCase, IterationKind

_SEED = 11


class Stepping(Protocol):
    """A model that computes iterations."""

    def step(self, iteration: Iteration, layers: int | None = None) -> object:
        """Compute an iteration of so many layers, all unless given."""
        ...


class ModelBench:
    """Times iterations of a model with the KV cache that goes with it."""

    def __init__(
        self,
        model: Stepping,
        cache: Cache,
        counts: tuple[int, ...],
        layers: int,
        vocabulary: int,
        device: torch.device,
        watch: StopWatch,
        gauges: Gauges,
        *,
        recorded: bool,
    ) -> None:
        """Take what is timed and what it is timed with.

        Args:
            model: The model, of the largest number of layers timed.
            cache: Its KV cache.
            counts: Numbers of layers timed, ascending.
            layers: Layers of the whole model.
            vocabulary: Tokens that it knows.
            device: Where it is.
            watch: Measures an iteration.
            gauges: Read the device.
            recorded: Replay decodes as CUDA graphs.
        """
        self.model, self.cache, self.counts, self.layers = model, cache, counts, layers
        self._vocabulary, self._device = vocabulary, device
        self._watch, self._gauges, self._recorded = watch, gauges, recorded
        self._graphs: list[Recorded] = []

    def prepare(self, case: IterationCase) -> Sequence[Callable[[], float]]:
        """Return what runs and times an iteration (see `Bench`)."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        return [partial(self._watch.time_ms, run) for run in self.runs(case)]

    def runs(self, case: IterationCase) -> list[Run]:
        """Return an iteration of each number of layers."""
        iteration = self.iteration(case)
        runs: list[Run] = [partial(self.model.step, iteration, count) for count in self.counts]
        if not (self._recorded and case.kind is IterationKind.DECODE):
            return runs
        for run in runs:
            self._graphs.append(Recorded(run))
        return list(self._graphs)

    def iteration(self, case: IterationCase) -> Iteration:
        """Return the iteration of a case, with random tokens and what the cache holds.

        Raises:
            torch.OutOfMemoryError: The cache does not hold it.
        """
        decoding, prompting, start = None, None, 0
        if case.decode_batch:
            capacity = case.context_tokens + 1
            window = self.cache.window(0, case.decode_batch, capacity)
            decoding = Decoding(window, case.decode_batch, case.context_tokens)
            start = self.cache.room(case.decode_batch, capacity)
        if case.prefill_tokens:
            capacity = case.prefix_tokens + case.prefill_tokens
            window = self.cache.window(start, 1, capacity)
            prompting = Prompting(window, 0, case.prefill_tokens, case.prefix_tokens)
        positions = torch.cat(
            [
                torch.full((case.decode_batch,), case.context_tokens),
                torch.arange(case.prefix_tokens, case.prefix_tokens + case.prefill_tokens),
            ]
        ).to(self._device)
        generator = torch.Generator().manual_seed(_SEED)
        tokens = torch.randint(0, self._vocabulary, positions.shape, generator=generator)
        return Iteration(tokens.to(self._device), positions, decoding, prompting)

    def read(self) -> Reading:
        """Return what the gauges show."""
        return self._gauges.read()

    def peak_bytes(self) -> int | None:
        """Return the most memory in use since a case was prepared; None on a CPU."""
        if self._device.type != "cuda":
            return None
        return int(torch.cuda.max_memory_allocated(self._device))

    def release(self) -> None:
        """Free what the last case took (see `Bench`)."""
        try:
            for graph in self._graphs:
                graph.forget()
            self._graphs.clear()
            if self._device.type == "cuda":
                gc.collect()
                torch.cuda.synchronize(self._device)
                torch.cuda.empty_cache()
        except RuntimeError as error:
            raise DeviceLostError(" ".join(str(error).split())) from error
