"""Options of `stoker profile run`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Devices that iterations are timed on."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Formats(StrEnum):
    """Formats of activations and KV cache."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"


class Weights(StrEnum):
    """Formats of weights."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"


class Kernel(StrEnum):
    """Kernels of attention."""

    AUTO = "auto"
    FLASH = "flash"
    CUDNN = "cudnn"
    EFFICIENT = "efficient"
    MATH = "math"
    REFERENCE = "reference"


class Layout(StrEnum):
    """Layouts of the KV cache."""

    CONTIGUOUS = "contiguous"
    PAGED = "paged"


class Running(StrEnum):
    """Ways to run iterations."""

    AUTO = "auto"
    EAGER = "eager"
    COMPILE = "compile"
    CUDA_GRAPH = "cuda-graph"
    COMPILE_CUDA_GRAPH = "compile+cuda-graph"


def _at_least_one(value: int | None) -> int | None:
    if value is not None and value < 1:
        raise typer.BadParameter(f"{value} is not a whole number of 1 or more")
    return value


def _above_zero(value: float | None) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise typer.BadParameter(f"{value:g} is not a number above 0")
    return value


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Model of the catalogue, `tiny`, or any name with --dimensions.",
        show_default=False,
    ),
]

BudgetOption = Annotated[
    str, typer.Option(metavar="TIME", help="Time to spend on cases: 300s, 10m, 1h.")
]

DeviceOption = Annotated[
    Device, typer.Option(help="Where; auto: a GPU where there is one.", case_sensitive=False)
]

PrecisionOption = Annotated[
    Formats | None,
    typer.Option(
        "--dtype",
        help="Format of activations and KV cache.",
        case_sensitive=False,
        show_default="bf16 on a GPU, fp32 on a CPU",
    ),
]

WeightsOption = Annotated[
    Weights | None,
    typer.Option(
        "--weights",
        help="Format of the weights; int8 and int4 are unpacked as they are multiplied.",
        case_sensitive=False,
        show_default="that of activations",
    ),
]

AttentionOption = Annotated[
    Kernel,
    typer.Option(help="Kernel of attention; auto: the fastest there.", case_sensitive=False),
]

CacheOption = Annotated[Layout, typer.Option(help="Layout of the KV cache.", case_sensitive=False)]

ExecutionOption = Annotated[
    Running,
    typer.Option(
        help="How iterations run; auto: decodes as CUDA graphs on a GPU, else eager.",
        case_sensitive=False,
    ),
]

LayersOption = Annotated[
    str,
    typer.Option(
        metavar="N,N",
        help="Build that many layers instead of all and scale up to all of them, such as 4,8; "
        "a third number checks how straight the line is.",
        show_default="all",
    ),
]

DimensionsOption = Annotated[
    str,
    typer.Option(
        metavar="NAME=N,...",
        help="Dimensions of a model that the catalogue does not have: layers, hidden, "
        "query-heads, kv-heads, head-size, intermediate, vocabulary, context, and with experts "
        "experts, experts-per-token, expert-intermediate, shared-experts, dense-layers.",
        show_default=False,
    ),
]

TensorParallelOption = Annotated[
    int,
    typer.Option(
        "--tensor-parallel", callback=_at_least_one, help="Devices that share each layer."
    ),
]

MaxBatchOption = Annotated[
    int,
    typer.Option("--max-batch", callback=_at_least_one, help="Largest decode batch."),
]

MaxContextOption = Annotated[
    int | None,
    typer.Option(
        "--max-context",
        callback=_at_least_one,
        help="Longest context.",
        show_default="that of the model, as far as memory goes",
    ),
]

MaxPrefillOption = Annotated[
    int,
    typer.Option(
        "--max-prefill", callback=_at_least_one, help="Most prompt tokens of an iteration."
    ),
]

KvMemoryOption = Annotated[
    float | None,
    typer.Option(
        "--kv-memory-gb",
        callback=_above_zero,
        help="Largest KV cache on a device, in GB.",
        show_default="what a GPU has room for; 0.25 on a CPU",
    ),
]

OutputTokensOption = Annotated[
    int,
    typer.Option(
        "--output-tokens",
        callback=_at_least_one,
        help="Output tokens of a request at which the batch limit of the profile holds.",
    ),
]

AcceleratorOption = Annotated[
    str,
    typer.Option(
        help="Name of the accelerator in the profile.",
        show_default="the catalogue's name of the device; CPU",
    ),
]

ToleranceOption = Annotated[
    float,
    typer.Option(
        callback=_above_zero,
        help="Stop when every time is known to this standard deviation, as a share of it.",
    ),
]

SeedOption = Annotated[int, typer.Option(help="Seed of weights and of the order of cases.")]

ThreadsOption = Annotated[int, typer.Option(callback=_at_least_one, help="Threads of a CPU.")]

JournalOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where results are kept as they come, so that a run that was cut off goes on.",
        show_default="beside the output",
    ),
]

RestartOption = Annotated[
    bool, typer.Option("--restart", help="Forget what an earlier run has timed.")
]

OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PROFILE",
        help="Write the profile document to this file, YAML or (.json) JSON.",
        show_default=False,
    ),
]

PlotsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Draw times, throughput, residuals and the roofline into this directory.",
        show_default=False,
    ),
]
