"""Opening a run: the model built, the kernels chosen, the memory set aside."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from profiler.harness import choose, memory
from profiler.harness.bench import ModelBench
from profiler.harness.build import build, building, kv_heads_of
from profiler.harness.cache import Cache, ContiguousCache, PagedCache
from profiler.harness.cases import Limits
from profiler.harness.clocks import stop_watch
from profiler.harness.communicator import Communicator
from profiler.harness.execution import Execution, Recorded, pieces_of
from profiler.harness.gauges import Gauges, NoGauges
from profiler.harness.model import Decoder
from profiler.harness.projection import Projection
from profiler.harness.settings import CacheLayout, HarnessSettings
from profiler.harness.source import RandomWeights
from stoker.domain.timing import IterationCase, TimedModel

_TRIED = IterationCase(0, 0, 2, 15)
"""A small decode, to see whether it can be recorded."""


_COMPILED = (IterationCase(1, 0, 0, 0), IterationCase(2, 0, 0, 0), IterationCase(5, 2, 3, 1))
"""What compilers tell apart: one token, more of them, and other numbers of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A run that is ready to time cases.

    Attributes:
        bench: The model on its device.
        limits: How far cases go.
        model: What is timed, in the words of a profile.
        memory: What the model takes.
        kv_tokens: Tokens of the whole model's KV cache that there is room for; None where all its
            layers do not fit.
        notes: What a reader of the times should know.
    """

    bench: ModelBench
    limits: Limits
    model: TimedModel
    memory: memory.ModelMemory
    kv_tokens: int | None
    notes: tuple[str, ...]


def open_run(
    settings: HarnessSettings,
    device: torch.device,
    communicator: Communicator,
    gauges: Gauges,
    clock: Callable[[], float] = time.perf_counter,
) -> Opened:
    """Return a run that is ready to time cases.

    Args:
        settings: What to time, and how.
        device: Where.
        communicator: The devices that share the model.
        gauges: Read the device.
        clock: Counts seconds; what times iterations on a CPU.

    Raises:
        UnbuildableError: The model cannot be built, or devices do not share it evenly.
        torch.OutOfMemoryError: Memory does not hold it.
    """
    shape, dtype = settings.built, settings.precision.dtype
    watch = stop_watch(device, clock)
    if settings.attention is None:
        tokens = min(1024, settings.max_context)
        chosen = choose.fastest(shape, dtype, device, watch, communicator.size, tokens)
    else:
        chosen = choose.fixed(settings.attention)
    how = building(
        settings.weights,
        dtype,
        device,
        chosen.attention,
        communicator,
        pieces_of(settings.execution),
    )
    model = build(shape, how, RandomWeights(settings.seed, device, dtype))
    sizes = memory.model_memory(model, shape, settings.shape.layers, dtype)
    _compile_ahead(model, settings, device)
    working = _working_bytes(model, settings, device)
    limits, kv_tokens, notes = _limits(settings, sizes, working, device, communicator)
    cache = _cache(settings, limits.kv_tokens, device, communicator.size)
    execution, remark = _possible(settings.execution, model, settings, device)
    bench = ModelBench(
        model,
        cache,
        settings.counts,
        settings.shape.layers,
        shape.vocabulary_size,
        device,
        watch,
        gauges,
        recorded=execution.recorded,
    )
    kernels = sorted(_kernels(model))
    told = (*notes, *remark, *(f"products with packed weights: {name}" for name in kernels))
    timed = TimedModel(
        name=shape.name,
        layers=settings.shape.layers,
        layers_timed=settings.counts,
        precision=settings.precision.value,
        weight_precision=settings.weights.value,
        attention=chosen.name,
        cache=settings.layout.value,
        execution=execution.value,
        tensor_parallel=communicator.size,
    )
    return Opened(bench, limits, timed, sizes, kv_tokens, told)


def _limits(
    settings: HarnessSettings,
    sizes: memory.ModelMemory,
    working: int,
    device: torch.device,
    communicator: Communicator,
) -> tuple[Limits, int | None, list[str]]:
    """Return how far cases go, as far as the whole model leaves room for it; and that room."""
    room = memory.room_bytes(device, working, settings.kv_limit_bytes)
    # Devices of a group run the same cases, so that the fullest one decides.
    there = communicator.least(room // sizes.kv_bytes_per_token_built)
    whole, notes = there, []
    if settings.counts[-1] < settings.shape.layers:
        whole = room // sizes.kv_bytes_per_token
        if device.type == "cuda":
            total = int(torch.cuda.get_device_properties(device).total_memory)
            whole = memory.whole_kv_tokens(total, sizes, working)
        whole = communicator.least(whole)
        if not whole:
            notes.append(
                f"all {settings.shape.layers} layers do not fit into the memory of this device: "
                "times are those of a device of its speed with more memory"
            )
    tokens = min(there, whole or there)
    wanted = settings.max_batch * (settings.max_context + 1)
    limits = Limits(
        max_batch=settings.max_batch,
        max_context=min(settings.max_context, tokens),
        max_prefill=settings.max_prefill,
        kv_tokens=min(tokens, wanted + settings.max_prefill),
    )
    return limits, whole or None, notes


def _cache(settings: HarnessSettings, tokens: int, device: torch.device, devices: int) -> Cache:
    shape = settings.built
    kind = ContiguousCache if settings.layout is CacheLayout.CONTIGUOUS else PagedCache
    heads = kv_heads_of(shape, devices)
    return kind(shape.layers, tokens, heads, shape.head_size, settings.precision.dtype, device)


def _working_bytes(model: Decoder, settings: HarnessSettings, device: torch.device) -> int:
    """Return what the largest prompt that can run takes beside weights and cache, on a GPU."""
    if device.type != "cuda":
        return 0
    tokens = min(settings.max_prefill, settings.max_context)
    while tokens > 1:
        try:
            return _working_bytes_of(tokens, model, settings, device)
        except torch.OutOfMemoryError:
            tokens //= 2  # the case itself will be a result without memory
        torch.cuda.empty_cache()
    return 0


def _working_bytes_of(
    tokens: int, model: Decoder, settings: HarnessSettings, device: torch.device
) -> int:
    devices = model.communicator.size
    bench = _bare_bench(model, settings, _cache(settings, tokens, device, devices), device)
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    bench.runs(IterationCase(tokens, 0, 0, 0))[-1]()
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device)
    del bench
    torch.cuda.empty_cache()
    return int(peak - before)


def _compile_ahead(model: Decoder, settings: HarnessSettings, device: torch.device) -> None:
    """Run what is compiled once, for one token and for more, so that no case pays for it."""
    if not settings.execution.compiled:
        return
    cache = _cache(settings, 256, device, model.communicator.size)
    bench = _bare_bench(model, settings, cache, device)
    for case in _COMPILED:
        for run in bench.runs(case):
            run()


def _possible(
    wanted: Execution, model: Decoder, settings: HarnessSettings, device: torch.device
) -> tuple[Execution, tuple[str, ...]]:
    """Return how iterations can be run, and a remark where it is not as wanted."""
    if not wanted.recorded:
        return wanted, ()
    devices = model.communicator.size
    bench = _bare_bench(model, settings, _cache(settings, 64, device, devices), device)
    try:
        for run in bench.runs(_TRIED):
            recorded = Recorded(run)
            recorded()
            torch.cuda.synchronize(device)
            recorded.forget()
    except (RuntimeError, NotImplementedError) as error:
        words = " ".join(str(error).split())[:200]
        plain = Execution.COMPILE if wanted.compiled else Execution.EAGER
        return plain, (f"decodes cannot be recorded as CUDA graphs here: {words}",)
    return wanted, ()


def _bare_bench(
    model: Decoder, settings: HarnessSettings, cache: Cache, device: torch.device
) -> ModelBench:
    return ModelBench(
        model,
        cache,
        settings.counts,
        settings.shape.layers,
        settings.shape.vocabulary_size,
        device,
        stop_watch(device),
        NoGauges(),
        recorded=False,
    )


def _kernels(model: Decoder) -> set[str]:
    """Return the names of the kernels of packed weights in a model."""
    parts = (part for part in model.modules() if isinstance(part, Projection))
    return {part.kernel.name for part in parts if part.kernel is not None}
