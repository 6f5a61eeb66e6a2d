"""What `stoker profile run` is asked for, as settings of the harness, or what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInputError, Problem, StokerError

if TYPE_CHECKING:
    from profiler.harness.execution import Execution
    from profiler.harness.precision import Activation, WeightFormat
    from profiler.harness.settings import HarnessSettings
    from profiler.harness.shape import Shape

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_GB = 1e9
_CPU_KV_GB = 0.25

_DIMENSIONS = (
    "layers",
    "hidden",
    "query-heads",
    "kv-heads",
    "head-size",
    "intermediate",
    "vocabulary",
    "context",
)
_EXPERTS = {
    "experts": "experts",
    "experts-per-token": "experts_per_token",
    "expert-intermediate": "intermediate_size",
    "shared-experts": "shared_experts",
    "dense-layers": "dense_layers",
}


class HarnessMissingError(StokerError):
    """The harness cannot run, as torch is not installed."""


def require_torch() -> None:
    """Check that torch is there.

    Raises:
        HarnessMissingError: It is not; the message says how to get it.
    """
    try:
        import profiler.harness.tiny  # noqa: F401
        from profiler.harness import precision  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise HarnessMissingError(
            "stoker profile run computes with torch, which is not installed here "
            "(pip install 'stoker[profile]', or the build of torch for your GPU)"
        ) from error


@dataclass(frozen=True, slots=True)
class Asked:
    """Options of the command as they were given.

    Attributes:
        model: Name of a model.
        dimensions: Its dimensions, where it is none of the catalogue.
        device: `auto`, `cpu` or `cuda`.
        precision: Format of activations; empty for what suits the device.
        weights: Format of weights; empty for that of activations.
        attention: Kernel; `auto` for the fastest.
        cache: Layout of the KV cache.
        execution: How iterations run; `auto` for what suits the device.
        layers: Numbers of layers to time, separated by commas; empty for all.
        tensor_parallel: Devices that share each layer.
        max_batch: Most decoding sequences.
        max_context: Longest context; None for the model's, or what suits the device.
        max_prefill: Most prompt tokens of an iteration.
        kv_memory_gb: Largest KV cache.
        seed: Seed of everything random.
        threads: Threads of a CPU.
        tolerance: Doubt at which a time is known well enough.
    """

    model: str
    dimensions: str
    device: str
    precision: str
    weights: str
    attention: str
    cache: str
    execution: str
    layers: str
    tensor_parallel: int
    max_batch: int
    max_context: int | None
    max_prefill: int
    kv_memory_gb: float | None
    seed: int
    threads: int
    tolerance: float


def seconds(text: str, option: str = "--budget") -> float:
    """Return a time such as ``300s``, ``10m`` or ``2h`` in seconds.

    Raises:
        InvalidInputError: It is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _SECONDS or float(match[1]) <= 0:
        message = f"{text!r} is not a time"
        raise InvalidInputError([Problem(option, message, "a number above 0 with s, m or h")])
    return float(match[1]) * _SECONDS[match[2]]


def settings_of(asked: Asked) -> HarnessSettings:
    """Return the settings of the harness.

    Raises:
        InvalidInputError: Something that cannot be timed is asked for.
    """
    from profiler.harness.attention import AttentionPath
    from profiler.harness.build import check_shared
    from profiler.harness.run import best_device, devices_there
    from profiler.harness.settings import CacheLayout, HarnessSettings
    from profiler.harness.shape import UnbuildableError

    device = best_device() if asked.device == "auto" else asked.device
    there = devices_there(device)
    if asked.tensor_parallel > there:
        option = "--device" if there == 0 else "--tensor-parallel"
        message = f"{asked.tensor_parallel} of {device} are asked for, {there} are there"
        allowed = f"up to {there}" if there else "cpu, or a machine with a GPU"
        raise InvalidInputError([Problem(option, message, allowed)])
    shape = _shape(asked)
    try:
        check_shared(shape, asked.tensor_parallel)
    except UnbuildableError as error:
        raise InvalidInputError([Problem("--tensor-parallel", str(error))]) from error
    precision, weights = _formats(asked, device)
    _check_weights(weights, precision, device)
    longest = shape.max_context_tokens
    kv_limit = asked.kv_memory_gb
    if kv_limit is None and device == "cpu":
        kv_limit = _CPU_KV_GB
    return HarnessSettings(
        shape=shape,
        counts=_counts(asked.layers, shape),
        device=device,
        precision=precision,
        weights=weights,
        attention=None if asked.attention == "auto" else AttentionPath(asked.attention),
        layout=CacheLayout(asked.cache),
        execution=_execution(asked.execution, device),
        tensor_parallel=asked.tensor_parallel,
        max_batch=asked.max_batch,
        max_context=min(longest, asked.max_context or longest),
        max_prefill=min(longest, asked.max_prefill),
        kv_limit_bytes=None if kv_limit is None else int(kv_limit * _GB),
        seed=asked.seed,
        threads=asked.threads,
        tolerance=asked.tolerance,
    )


def _execution(name: str, device: str) -> Execution:
    from profiler.harness.execution import Execution

    if name == "auto":
        return Execution.CUDA_GRAPH if device == "cuda" else Execution.EAGER
    execution = Execution(name)
    if execution.recorded and device != "cuda":
        message = f"{name} is for GPUs, and the device is {device}"
        raise InvalidInputError([Problem("--execution", message, "eager, compile")])
    return execution


def _formats(asked: Asked, device: str) -> tuple[Activation, WeightFormat]:
    from profiler.harness.precision import Activation, WeightFormat

    precision = Activation(asked.precision or ("bf16" if device == "cuda" else "fp32"))
    weights = WeightFormat(asked.weights or precision.value)
    if weights.plain and weights.value != precision.value:
        message = f"weights in {weights.value} go with activations in {weights.value}"
        allowed = f"{precision.value}, fp8, int8, int4"
        raise InvalidInputError([Problem("--weights", message, allowed)])
    return precision, weights


def _check_weights(weights: WeightFormat, precision: Activation, device: str) -> None:
    """Refuse 8-bit floats on a GPU that would compute them otherwise: it would tell nothing."""
    import profiler.harness.kernels as kernels
    from profiler.harness.precision import WeightFormat
    from profiler.harness.run import first_device

    if weights is not WeightFormat.FP8 or device != "cuda":
        return
    if not kernels.computes_in_fp8(first_device(device), precision.dtype):
        message = "this GPU does not multiply 8-bit floats"
        raise InvalidInputError([Problem("--weights", message, "bf16, fp16, fp32, int8, int4")])


def _counts(text: str, shape: Shape) -> tuple[int, ...]:
    """Return the numbers of layers to time."""
    if not text.strip():
        return (shape.layers,)
    words = [word.strip() for word in text.split(",")]
    numbers = [int(word) for word in words if word.isascii() and word.isdecimal()]
    allowed = (
        f"two or more numbers from {shape.fewest_layers} to {shape.layers}, ascending, or "
        f"{shape.layers} alone"
    )
    whole = numbers == [shape.layers]
    ascending = sorted(set(numbers)) == numbers
    within = all(shape.fewest_layers <= number <= shape.layers for number in numbers)
    if len(numbers) != len(words) or not ascending or not within or len(numbers) < 2 - whole:
        message = f"{text!r} is not what the time of all layers can be told from"
        raise InvalidInputError([Problem("--layers", message, allowed)])
    return tuple(numbers)


def _shape(asked: Asked) -> Shape:
    from data.catalogue import load_catalogue
    from profiler.harness.shape import UnbuildableError, shape_of
    from profiler.harness.tiny import TINY

    try:
        if asked.dimensions:
            return _given_shape(asked.model, asked.dimensions)
        if asked.model.lower() == TINY.name:
            return TINY
        return shape_of(load_catalogue().model(asked.model))
    except UnbuildableError as error:
        option = "--dimensions" if asked.dimensions else "MODEL"
        raise InvalidInputError([Problem(option, str(error))]) from error


def _given_shape(name: str, text: str) -> Shape:
    from profiler.harness.shape import ExpertShape, Shape

    given: dict[str, int] = {}
    known = (*_DIMENSIONS, *_EXPERTS)
    for part in text.split(","):
        key, _, value = (word.strip() for word in part.partition("="))
        if key not in known or key in given:
            message = f"{key!r} stands there twice" if key in given else f"{key!r} is unknown"
            raise InvalidInputError([Problem("--dimensions", message, ", ".join(known))])
        if not (value.isascii() and value.isdecimal()):
            message = f"{key} is {value!r}"
            raise InvalidInputError([Problem("--dimensions", message, "a whole number")])
        given[key] = int(value)
    experts = {field: given[key] for key, field in _EXPERTS.items() if key in given}
    needed = [key for key in _DIMENSIONS if key not in given]
    if experts:
        needed = [key for key in needed if key != "intermediate" or experts.get("dense_layers")]
        needed += [key for key in ("experts", "experts-per-token", "expert-intermediate")
                   if key not in given]  # fmt: skip
    if needed:
        message = f"{', '.join(needed)} {'is' if len(needed) == 1 else 'are'} missing"
        raise InvalidInputError([Problem("--dimensions", message, ", ".join(known))])
    return Shape(
        name=name,
        layers=given["layers"],
        hidden_size=given["hidden"],
        query_heads=given["query-heads"],
        kv_heads=given["kv-heads"],
        head_size=given["head-size"],
        intermediate_size=given.get("intermediate", 0),
        vocabulary_size=given["vocabulary"],
        max_context_tokens=given["context"],
        experts=ExpertShape(**experts) if experts else None,
    )
