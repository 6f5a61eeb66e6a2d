"""`stoker trace`: the smallest fleet that keeps its targets for the requests of a trace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.figures import count_of
from stoker.cli.options import OutputOption, examples
from stoker.cli.output import (
    check_output_directory,
    check_output_file,
    show_notes,
)
from stoker.cli.progress_bar import steps_bar
from stoker.cli.row_format import RowFormat
from stoker.cli.trace_options import (
    BEST_ROUTER,
    ROUTERS,
    AttainmentOption,
    BatchOption,
    E2eOption,
    FirstOption,
    FleetOption,
    FormatOption,
    ItlOption,
    SpeedOption,
    TraceArgument,
    TtftOption,
    question_of,
    router_of,
)

if TYPE_CHECKING:
    from studies.traces.study import TraceStudy

EPILOG = (
    examples(
        "stoker trace trace.csv --fleet small --model llama_13b --ttft 1000 --itl 80",
        "stoker trace trace.csv --fleet large --model llama3_8b --accelerator H100 "
        "--accelerator A100 --ttft 1000 --itl 80 --speed 10",
        "stoker trace trace.csv --fleet small --e2e 60000 --attainment 99 --format csv",
        "stoker trace trace.csv --fleet small --model llama_13b --ttft 1000 --router best",
    )
    + """

**Exit codes**

0: every model has a fleet that keeps the targets. 2: bad input. 3: some model has none; the
reason stands beside it."""
)


def trace(
    file: TraceArgument,
    fleet: FleetOption,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Model to serve; may be given several times, for an answer each.",
            show_default="all with a profile",
        ),
    ] = None,
    accelerator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Accelerator to try; may be given several times.",
            show_default="all with a profile",
        ),
    ] = None,
    ttft: TtftOption = None,
    itl: ItlOption = None,
    e2e: E2eOption = None,
    attainment: AttainmentOption = 95.0,
    speed: SpeedOption = 1.0,
    first: FirstOption = None,
    router: Annotated[
        str,
        typer.Option(
            metavar="ROUTER",
            help=f"How a request finds its replica: {', '.join(ROUTERS)}; or {BEST_ROUTER}: "
            "whichever of them takes the fewest replicas, random left out.",
        ),
    ] = "shortest-queue",
    max_batch: BatchOption = None,
    most_replicas: Annotated[
        int, typer.Option("--max-replicas", metavar="N", min=1, help="Replicas to try at most.")
    ] = 10_000,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=1000,
            help="Runs with the router `random`; the targets have to hold in each.",
        ),
    ] = 3,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="Processes that search.",
            show_default="one a core",
        ),
    ] = None,
    output_format: FormatOption = RowFormat.TABLE,
    output: OutputOption = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw the load, and attainment over replicas, into this directory.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Find the smallest fleet for a trace of requests.

    For each model and accelerator: the fewest replicas with which enough requests keep all their
    targets, when the simulator plays the very requests of the trace. With one replica less they do
    not, nor with any smaller number; and bounds tell what no other router could go below.
    """
    check_output_file(output)
    check_output_directory(plots, "--plots")
    asked = question_of(file, speed, first, ttft, itl, e2e, attainment)
    chosen = None if router == BEST_ROUTER else router_of(router, BEST_ROUTER)
    requests, goal = asked.trace, asked.goal

    from data.fleets import read_fleet
    from studies.traces.options import replica_options
    from studies.traces.search import SearchSettings
    from studies.traces.study import search_fleets

    offered = read_fleet(fleet)
    options = replica_options(
        offered,
        float(requests.output_tokens.mean()),
        models=tuple(model or ()),
        accelerators=tuple(accelerator or ()),
        max_batch=max_batch,
    )
    message = f"Sizing {count_of(len(options), 'fleet')} for {count_of(len(requests), 'request')}"
    with steps_bar(message, len(options)) as report:
        study = search_fleets(
            options,
            requests,
            goal,
            SearchSettings(chosen, tuple(range(seeds)), most_replicas),
            currency=offered.currency,
            jobs=jobs or os.cpu_count() or 1,
            report=report,
        )
    _write(study, output_format, output)
    if plots is not None:
        _draw(study, plots)
    served = all(study.best(name) is not None for name in study.models)
    raise typer.Exit(ExitCode.DONE if served else ExitCode.NOT_SERVED)


def _write(study: TraceStudy, output_format: RowFormat, output: Path | None) -> None:
    from stoker.cli.trace_output import study_csv, study_document, study_report, write_answer

    write_answer(
        output_format,
        output,
        document=lambda: study_document(study),
        rows=lambda: study_csv(study),
        report=lambda: study_report(study),
    )


def _draw(study: TraceStudy, directory: Path) -> None:
    from stoker.cli.plots import write_figure
    from stoker.cli.plots.trace import attainment_figure, trace_load_figure

    written = [write_figure(trace_load_figure(study.trace), directory / "load.png")]
    written += [
        write_figure(attainment_figure(study, model), directory / f"attainment-{number}.png")
        for number, model in enumerate(study.models, start=1)
    ]
    show_notes(f"wrote {path}" for path in written)
