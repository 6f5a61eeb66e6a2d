"""`stoker profile run`: the iterations of a model timed on the device that is there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

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
from stoker.cli.profile_run_options import (
    AcceleratorOption,
    AttentionOption,
    BudgetOption,
    CacheOption,
    Device,
    DeviceOption,
    DimensionsOption,
    ExecutionOption,
    JournalOption,
    Kernel,
    KvMemoryOption,
    LayersOption,
    Layout,
    MaxBatchOption,
    MaxContextOption,
    MaxPrefillOption,
    ModelArgument,
    OutputOption,
    OutputTokensOption,
    PlotsOption,
    PrecisionOption,
    RestartOption,
    Running,
    SeedOption,
    TensorParallelOption,
    ThreadsOption,
    ToleranceOption,
    WeightsOption,
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


def run(
    model: ModelArgument,
    budget: BudgetOption = "300s",
    device: DeviceOption = Device.AUTO,
    precision: PrecisionOption = None,
    weights: WeightsOption = None,
    attention: AttentionOption = Kernel.AUTO,
    cache: CacheOption = Layout.CONTIGUOUS,
    execution: ExecutionOption = Running.AUTO,
    layers: LayersOption = "",
    dimensions: DimensionsOption = "",
    tensor_parallel: TensorParallelOption = 1,
    max_batch: MaxBatchOption = 512,
    max_context: MaxContextOption = None,
    max_prefill: MaxPrefillOption = 16384,
    kv_memory: KvMemoryOption = None,
    output_tokens: OutputTokensOption = 256,
    accelerator: AcceleratorOption = "",
    tolerance: ToleranceOption = 0.01,
    seed: SeedOption = 0,
    threads: ThreadsOption = 1,
    journal: JournalOption = None,
    restart: RestartOption = False,
    output: OutputOption = None,
    plots: PlotsOption = None,
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
