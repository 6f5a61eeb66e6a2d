"""Iterations of a model timed on a device: what a harness measured, case by case."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IterationKind(StrEnum):
    """What an iteration computes."""

    PREFILL = "prefill"
    """Prompt tokens alone, the first of their prompt or a later chunk."""
    DECODE = "decode"
    """One token for each of the decoding sequences."""
    MIXED = "mixed"
    """Both in one iteration."""


class CaseStatus(StrEnum):
    """How the timing of a case ended."""

    OK = "ok"
    OUT_OF_MEMORY = "out-of-memory"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, order=True)
class IterationCase:
    """One iteration to time.

    Attributes:
        prefill_tokens: Prompt tokens that the iteration computes; 0 in one that decodes alone.
        prefix_tokens: Tokens of that prompt that the KV cache holds already (chunked prefill).
        decode_batch: Sequences that decode a token each; 0 in one of prompts alone.
        context_tokens: Tokens that each of these has in the KV cache.
    """

    prefill_tokens: int
    prefix_tokens: int
    decode_batch: int
    context_tokens: int

    @property
    def kind(self) -> IterationKind:
        """What the iteration computes."""
        if not self.prefill_tokens:
            return IterationKind.DECODE
        return IterationKind.MIXED if self.decode_batch else IterationKind.PREFILL


@dataclass(frozen=True, slots=True)
class CaseTiming:
    """What came of one case. A case that could not run is a result too.

    Attributes:
        case: The iteration.
        status: How its timing ended.
        samples_ms: Times of single iterations after warm-up, in the order in which they ran.
        outliers: Positions in `samples_ms` of times that stand apart; kept, not used in the median.
        median_ms: Median of the other samples; None where there are none.
        spread_ms: Their interquartile range; None where there are none.
        reason: Why the case did not end well, in words; empty where it did.
        clock_mhz: Clock of the device while it ran; None where unknown.
        temperature_c: Temperature of the device; None where unknown.
        power_w: Power of the device while it ran; None where unknown.
        memory_bytes: Most memory of the device in use; None where unknown.
    """

    case: IterationCase
    status: CaseStatus
    samples_ms: tuple[float, ...] = ()
    outliers: tuple[int, ...] = ()
    median_ms: float | None = None
    spread_ms: float | None = None
    reason: str = ""
    clock_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class TimedModel:
    """The model whose iterations were timed.

    Attributes:
        name: Name of the architecture.
        layers: Layers of the whole model.
        layers_timed: Numbers of layers that were built and timed, ascending: one number where the
            whole was, two or more where the whole is scaled up from them.
        precision: Type of activations and KV cache (`bf16`, ...).
        weight_precision: Type of the weights (`bf16`, `int8`, `int4`, `fp8`, ...).
        attention: Attention path that ran (name of the kernel family).
        cache: Layout of the KV cache: `contiguous` or `paged`.
        execution: `eager`, `compile` or `cuda-graph`.
        tensor_parallel: Devices that shared each layer.
    """

    name: str
    layers: int
    layers_timed: tuple[int, ...]
    precision: str
    weight_precision: str
    attention: str
    cache: str
    execution: str
    tensor_parallel: int = 1

    @property
    def whole(self) -> bool:
        """Whether the whole model was timed, not scaled up from fewer layers."""
        return self.layers_timed == (self.layers,)


@dataclass(frozen=True, slots=True)
class TimedDevice:
    """The device that timed it.

    Attributes:
        name: Name of the device as its driver tells it.
        accelerator: Name of the accelerator in the catalogue; empty where it is none of them.
        count: Devices used.
        memory_bytes: Memory of each; None where unknown.
        driver: Version of the driver; empty where there is none.
        runtime: Versions of what computed (torch, CUDA, Python), in words.
        idle_power_w: Power before the run; None where unknown.
    """

    name: str
    accelerator: str
    count: int
    memory_bytes: int | None
    driver: str
    runtime: str
    idle_power_w: float | None = None


@dataclass(frozen=True, slots=True)
class TimedMemory:
    """What the timed model takes of the memory of one device, scaled up to the whole model.

    Attributes:
        weight_bytes: Weights.
        kv_bytes_per_token: KV cache for a token of context.
        largest_batches: (context tokens, largest decode batch that ran) pairs; empty where none
            was looked for.
    """

    weight_bytes: int
    kv_bytes_per_token: int
    largest_batches: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TimingRun:
    """All that one run of the harness measured, with where and how.

    Attributes:
        model: What was timed.
        device: On what.
        memory: What it takes.
        timings: One result a case; times are those of the whole model, scaled up where fewer
            layers were built.
        code: Hash of the code that measured.
        started_at: When it began, as ISO 8601 text in UTC.
        seed: Seed of the order of cases and of the weights.
    """

    model: TimedModel
    device: TimedDevice
    memory: TimedMemory
    timings: tuple[CaseTiming, ...]
    code: str
    started_at: str
    seed: int
