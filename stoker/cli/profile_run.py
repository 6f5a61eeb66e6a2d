"""`stoker profile run`: the iterations of a model timed on the device that is there."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.options import FormatOption, examples
from stoker.cli.output import (
    TextFormat,
    check_output_directory,
    check_output_file,
    json_text,
    plain_text,
    show,
    show_notes,
    write_text,
)
from stoker.cli.profile_run_settings import Asked, require_torch, seconds, settings_of
from stoker.domain.errors import InvalidInputError, Problem, StokerError

if TYPE_CHECKING:
    from profiler.harness.run import HarnessRun
    from profiler.harness.settings import HarnessSettings
    from profiler.iterations import IterationFit

EPILOG = examples(
    "stoker profile run tiny --device cpu --budget 5s --max-batch 4 --max-context 128 "
    "--output tiny.yaml",
)


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


def run(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Model of the catalogue, `tiny`, or any name with --dimensions.",
            show_default=False,
        ),
    ],
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Time to spend on cases: 300s, 10m, 1h.")
    ] = "300s",
    device: Annotated[
        Device, typer.Option(help="Where; auto: a GPU where there is one.", case_sensitive=False)
    ] = Device.AUTO,
    precision: Annotated[
        Formats | None,
        typer.Option(
            "--dtype",
            help="Format of activations and KV cache.",
            case_sensitive=False,
            show_default="bf16 on a GPU, fp32 on a CPU",
        ),
    ] = None,
    weights: Annotated[
        Weights | None,
        typer.Option(
            "--weights",
            help="Format of the weights; int8 and int4 are unpacked as they are multiplied.",
            case_sensitive=False,
            show_default="that of activations",
        ),
    ] = None,
    attention: Annotated[
        Kernel,
        typer.Option(help="Kernel of attention; auto: the fastest there.", case_sensitive=False),
    ] = Kernel.AUTO,
    cache: Annotated[
        Layout, typer.Option(help="Layout of the KV cache.", case_sensitive=False)
    ] = Layout.CONTIGUOUS,
    execution: Annotated[
        Running,
        typer.Option(
            help="How iterations run; auto: decodes as CUDA graphs on a GPU, else eager.",
            case_sensitive=False,
        ),
    ] = Running.AUTO,
    layers: Annotated[
        str,
        typer.Option(
            metavar="N,N",
            help="Build that many layers instead of all and scale up to all of them, such as 4,8; "
            "a third number checks how straight the line is.",
            show_default="all",
        ),
    ] = "",
    dimensions: Annotated[
        str,
        typer.Option(
            metavar="NAME=N,...",
            help="Dimensions of a model that the catalogue does not have: layers, hidden, "
            "query-heads, kv-heads, head-size, intermediate, vocabulary, context, and with experts "
            "experts, experts-per-token, expert-intermediate, shared-experts, dense-layers.",
            show_default=False,
        ),
    ] = "",
    tensor_parallel: Annotated[
        int,
        typer.Option(
            "--tensor-parallel", callback=_at_least_one, help="Devices that share each layer."
        ),
    ] = 1,
    max_batch: Annotated[
        int,
        typer.Option("--max-batch", callback=_at_least_one, help="Largest decode batch."),
    ] = 512,
    max_context: Annotated[
        int | None,
        typer.Option(
            "--max-context",
            callback=_at_least_one,
            help="Longest context.",
            show_default="that of the model, as far as memory goes",
        ),
    ] = None,
    max_prefill: Annotated[
        int,
        typer.Option(
            "--max-prefill", callback=_at_least_one, help="Most prompt tokens of an iteration."
        ),
    ] = 16384,
    kv_memory: Annotated[
        float | None,
        typer.Option(
            "--kv-memory-gb",
            callback=_above_zero,
            help="Largest KV cache on a device, in GB.",
            show_default="what a GPU has room for; 0.25 on a CPU",
        ),
    ] = None,
    output_tokens: Annotated[
        int,
        typer.Option(
            "--output-tokens",
            callback=_at_least_one,
            help="Output tokens of a request at which the batch limit of the profile holds.",
        ),
    ] = 256,
    accelerator: Annotated[
        str,
        typer.Option(
            help="Name of the accelerator in the profile.",
            show_default="the catalogue's name of the device; CPU",
        ),
    ] = "",
    tolerance: Annotated[
        float,
        typer.Option(
            callback=_above_zero,
            help="Stop when every time is known to this standard deviation, as a share of it.",
        ),
    ] = 0.01,
    seed: Annotated[int, typer.Option(help="Seed of weights and of the order of cases.")] = 0,
    threads: Annotated[int, typer.Option(callback=_at_least_one, help="Threads of a CPU.")] = 1,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where results are kept as they come, so that a run that was cut off goes on.",
            show_default="beside the output",
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what an earlier run has timed.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PROFILE",
            help="Write the profile document to this file, YAML or (.json) JSON.",
            show_default=False,
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw times, throughput, residuals and the roofline into this directory.",
            show_default=False,
        ),
    ] = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Time the iterations of a model on this machine, with torch and random weights.

    Prefills, decodes and both at once, where the times are known least, until the budget is spent.
    A case that lacks memory or fails is a result too. The same command goes on with a run that was
    cut off. What is timed is the model alone: docs/profiling.md tells what an engine adds.
    """
    check_output_file(output)
    check_output_directory(plots, "--plots")
    budget_s = seconds(budget)
    require_torch()
    settings = settings_of(
        Asked(
            model=model,
            dimensions=dimensions,
            device=device.value,
            precision="" if precision is None else precision.value,
            weights="" if weights is None else weights.value,
            attention=attention.value,
            cache=cache.value,
            execution=execution.value,
            layers=layers,
            tensor_parallel=tensor_parallel,
            max_batch=max_batch,
            max_context=max_context,
            max_prefill=max_prefill,
            kv_memory_gb=kv_memory,
            seed=seed,
            threads=threads,
            tolerance=tolerance,
        )
    )
    in_catalogue, name = _accelerator(settings.device, accelerator)
    kept = journal or _journal_of(output, settings)
    check_output_file(kept, "--journal")
    harness = _timed(settings, kept, budget_s, in_catalogue or name, restart=restart)
    from profiler.iterations import best_fit, fit_iterations

    fits = fit_iterations(harness.run.timings)
    best = best_fit(fits)
    document = _document(harness, fits, best, name, output_tokens)
    if output is not None:
        from data.profile_document import document_text

        write_text(document_text(document, as_json=output.suffix == ".json"), output)
    if output_format is TextFormat.JSON:
        write_text(json_text(document))
    else:
        _show_tables(harness, fits, best)
    if plots is not None:
        _draw(harness, fits, plots, in_catalogue)
    if best is None:
        show_notes(["the iterations tell the parameters of no model: give it a larger --budget"])
        raise typer.Exit(ExitCode.NOT_IDENTIFIED)


def _accelerator(device: str, asked: str) -> tuple[str, str]:
    """Return the catalogue's name of the device, or nothing, and the name for the profile."""
    from data.catalogue import UnknownNameError, load_catalogue
    from profiler.harness.run import name_of_device

    found = ""
    if device == "cuda":
        try:
            found = load_catalogue().accelerator(name_of_device(device)).name
        except UnknownNameError:
            found = ""
    return found, asked or found or ("CPU" if device == "cpu" else name_of_device(device))


def _journal_of(output: Path | None, settings: HarnessSettings) -> Path:
    """Return where results are kept: beside the output, or in the working directory."""
    if output is not None and str(output) != "-":
        return output.with_name(f"{output.name}.journal")
    stem = "".join(each if each.isalnum() else "-" for each in settings.shape.name.lower())
    return Path(f"{stem}.journal")


def _timed(
    settings: HarnessSettings, journal: Path, budget_s: float, accelerator: str, *, restart: bool
) -> HarnessRun:
    """Run the harness.

    Raises:
        StokerError: The journal is of another run, or the device has no room or is gone.
    """
    from profiler.harness.journal import JournalError
    from profiler.harness.measure import DeviceLostError, lacks_memory
    from profiler.harness.run import Ports, time_model
    from profiler.harness.shape import UnbuildableError
    from stoker.cli.profile_run_bar import budget_bar

    if restart:
        journal.unlink(missing_ok=True)
    title = f"Timing {settings.shape.name}"
    try:
        with budget_bar(title, budget_s) as report:
            ports = Ports(time.perf_counter)
            return time_model(settings, journal, budget_s, accelerator, report, ports)
    except JournalError as error:
        allowed = "--restart to begin anew, or another --journal"
        raise InvalidInputError([Problem("--journal", str(error), allowed)]) from error
    except UnbuildableError as error:
        raise InvalidInputError([Problem("MODEL", str(error))]) from error
    except DeviceLostError as error:
        raise StokerError(
            f"the device does not answer any more ({error}); what was timed is kept: the same "
            "command goes on"
        ) from error
    except (RuntimeError, MemoryError, ValueError) as error:
        if not lacks_memory(error):
            raise
        message = f"the weights of {settings.counts[-1]} layers do not fit into memory"
        allowed = "fewer --layers, --weights int8 or int4, or --tensor-parallel"
        raise InvalidInputError([Problem("MODEL", message, allowed)]) from error


def _document(
    harness: HarnessRun,
    fits: tuple[IterationFit, ...],
    best: IterationFit | None,
    accelerator: str,
    output_tokens: int,
) -> dict[str, object]:
    from data.profile_document import profile_document
    from stoker.cli.profile_run_document import document_fits, notes_of, profile_of

    profiles = []
    if best is not None:
        profiles.append(profile_of(harness, best, accelerator, output_tokens))
    return profile_document(
        profiles,
        run=harness.run,
        fits=document_fits(fits, best, accelerator, harness),
        name=f"{harness.run.model.name} on {accelerator}",
        notes=notes_of(harness),
    )


def _show_tables(
    harness: HarnessRun, fits: tuple[IterationFit, ...], best: IterationFit | None
) -> None:
    from stoker.cli.output import terminal
    from stoker.cli.profile_run_tables import run_tables

    for table in run_tables(harness, fits, best):
        if terminal() is None:
            write_text(plain_text(table))
        else:
            show(table)


def _draw(
    harness: HarnessRun, fits: tuple[IterationFit, ...], directory: Path, accelerator: str
) -> None:
    from stoker.cli.plots.profile_run import run_figures
    from stoker.cli.plots.write import write_figure

    for name, figure in run_figures(harness.run, fits, accelerator).items():
        path = write_figure(figure, directory / f"{name}.png")
        show_notes([f"wrote {path}"])
