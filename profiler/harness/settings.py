"""What is to be timed, and how: all that tells one run from another."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from profiler.harness.attention import AttentionPath
from profiler.harness.execution import Execution
from profiler.harness.precision import Activation, WeightFormat
from profiler.harness.shape import Shape


class CacheLayout(StrEnum):
    """Layouts of the KV cache."""

    CONTIGUOUS = "contiguous"
    PAGED = "paged"


@dataclass(frozen=True, slots=True)
class HarnessSettings:
    """What is to be timed, and how.

    Attributes:
        shape: Dimensions of the whole model.
        counts: Numbers of layers to build and time, ascending; that of the model alone for all.
        device: `cpu` or `cuda`.
        precision: Format of activations and KV cache.
        weights: Format of the weights.
        attention: Kernel of attention; None for the fastest one there.
        layout: Layout of the KV cache.
        execution: How iterations are run.
        tensor_parallel: Devices that share each layer.
        max_batch: Most decoding sequences.
        max_context: Longest context.
        max_prefill: Most prompt tokens of an iteration.
        kv_limit_bytes: Largest KV cache, on one device; None for what a GPU has room for.
        seed: Of weights, tokens and the order of cases.
        threads: Threads of a CPU.
        tolerance: Doubt at which a time is known well enough (see `Chooser`).
    """

    shape: Shape
    counts: tuple[int, ...]
    device: str
    precision: Activation
    weights: WeightFormat
    attention: AttentionPath | None
    layout: CacheLayout
    execution: Execution
    tensor_parallel: int
    max_batch: int
    max_context: int
    max_prefill: int
    kv_limit_bytes: int | None
    seed: int
    threads: int
    tolerance: float = 0.01

    @property
    def built(self) -> Shape:
        """Dimensions of what is built."""
        return self.shape.with_layers(self.counts[-1])

    def header(self, code: str, device: str, runtime: str) -> dict[str, object]:
        """Return what a journal says of the run, so that no other one goes on with it.

        Args:
            code: Hash of the code that measures.
            device: Name of the device.
            runtime: Versions of what computes.
        """
        return asdict(self) | {"code": code, "device_name": device, "runtime": runtime}
