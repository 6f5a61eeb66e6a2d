"""`stoker backtest`: replay a trace with a plan for every interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.figures import count_of
from stoker.cli.options import OutputOption, examples, not_negative, positive
from stoker.cli.output import (
    check_output_directory,
    check_output_file,
    progress,
    show_notes,
)
from stoker.cli.row_format import RowFormat
from stoker.cli.trace_options import (
    AttainmentOption,
    BatchOption,
    E2eOption,
    FirstOption,
    FleetOption,
    FormatOption,
    ItlOption,
    RouterOption,
    SpeedOption,
    TraceArgument,
    TtftOption,
    question_of,
    router_of,
)
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studies.traces.backtest import Backtest
    from studies.traces.replica import ReplicaOption

FORECASTS = ("last", "peak", "trend")

EPILOG = (
    examples(
        "stoker backtest trace.csv --fleet small --model llama_13b --accelerator A100 "
        "--ttft 1000 --itl 80 --interval 60",
        "stoker backtest trace.csv --fleet large --model llama3_8b --accelerator H100 "
        "--ttft 1000 --itl 80 --startup 300 --forecast peak --headroom 1.2 --format json",
    )
    + """

**Exit codes**

0: planning keeps the targets. 2: bad input. 3: it does not."""
)


def backtest(
    file: TraceArgument,
    fleet: FleetOption,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Model to serve.", show_default=False)
    ],
    accelerator: Annotated[
        str, typer.Option(metavar="NAME", help="Accelerator to serve it on.", show_default=False)
    ],
    configuration: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Configuration of the model there, where it has several.",
            show_default=False,
        ),
    ] = None,
    ttft: TtftOption = None,
    itl: ItlOption = None,
    e2e: E2eOption = None,
    attainment: AttainmentOption = 95.0,
    interval: Annotated[
        float, typer.Option(metavar="S", help="Seconds between plans.", callback=positive)
    ] = 300.0,
    startup: Annotated[
        float,
        typer.Option(
            metavar="S",
            help="Seconds from a plan until a new replica takes requests.",
            callback=not_negative,
        ),
    ] = 120.0,
    forecast: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="What the next interval's load is taken for: `last`: that of the last one; "
            "`peak`: the largest rate of the last three; `trend`: the last rate, and again what "
            "it rose by.",
        ),
    ] = "last",
    headroom: Annotated[
        float, typer.Option(metavar="X", help="Plan for so many times the rate.", callback=positive)
    ] = 1.0,
    speed: SpeedOption = 1.0,
    first: FirstOption = None,
    router: RouterOption = "shortest-queue",
    max_batch: BatchOption = None,
    output_format: FormatOption = RowFormat.TABLE,
    output: OutputOption = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw load, replicas and cost into this directory.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Replay a trace with a plan for every interval.

    Each plan sees the load of the intervals before, and new replicas take their time to start.
    Attainment and cost stand beside those of the best replicas found in hindsight (by a search that
    knows every interval and starts them in time), of the smallest fleet that is never changed, and
    of a proven lower bound that no way to provide replicas goes below.
    """
    check_output_file(output)
    check_output_directory(plots, "--plots")
    asked = question_of(file, speed, first, ttft, itl, e2e, attainment)
    requests, goal = asked.trace, asked.goal
    chosen = router_of(router)
    if forecast not in FORECASTS:
        message = f'no forecast is called "{forecast}"'
        raise InvalidInputError([Problem("--forecast", message, ", ".join(FORECASTS))])

    from data.fleets import read_fleet
    from studies.traces.backtest import MOST_INTERVALS, BacktestSettings, Forecast
    from studies.traces.backtest import backtest as replay
    from studies.traces.options import replica_options

    intervals = int(requests.span_ms // (1000 * interval)) + 1
    if intervals > MOST_INTERVALS:
        message = f"{interval:g} s make {intervals:,} intervals of the trace"
        raise InvalidInputError([Problem("--interval", message, f"at most {MOST_INTERVALS:,}")])
    offered = read_fleet(fleet)
    options = replica_options(
        offered,
        float(requests.output_tokens.mean()),
        models=(model,),
        accelerators=(accelerator,),
        max_batch=max_batch,
    )
    option = _configured(options, configuration)
    message = f"Replaying {count_of(len(requests), 'request')} in {count_of(intervals, 'interval')}"
    with progress(
        message, "the search in hindsight plays the trace for every replica that it takes away"
    ):
        found = replay(
            option,
            requests,
            goal,
            BacktestSettings(1000 * interval, 1000 * startup, Forecast(forecast), headroom, chosen),
        )
    _write(found, offered.currency, output_format, output)
    if plots is not None:
        _draw(found, offered.currency, plots)
    kept = found.planned.attainment >= goal.share - 1e-12
    raise typer.Exit(ExitCode.DONE if kept else ExitCode.NOT_SERVED)


def _configured(options: Sequence[ReplicaOption], name: str | None) -> ReplicaOption:
    """Return the one of several configurations that is meant.

    Raises:
        InvalidInputError: There are several and none is named, or none is called so.
    """
    meant = [item for item in options if name is None or item.profile.configuration == name]
    if len(meant) == 1:
        return meant[0]
    names = [item.profile.configuration for item in options]
    where = f"{options[0].profile.model} on {options[0].accelerator.name}"
    message = f"{where} has {len(names)} configurations"
    if name is not None:
        message = f'{where} has no configuration "{name}"'
    allowed = ", ".join(each or '""' for each in names)
    raise InvalidInputError([Problem("--configuration", message, allowed)])


def _write(found: Backtest, currency: str, output_format: RowFormat, output: Path | None) -> None:
    from stoker.cli.backtest_output import backtest_csv, backtest_document, backtest_report
    from stoker.cli.trace_output import write_answer

    write_answer(
        output_format,
        output,
        document=lambda: backtest_document(found, currency),
        rows=lambda: backtest_csv(found),
        report=lambda: backtest_report(found, currency),
    )


def _draw(found: Backtest, currency: str, directory: Path) -> None:
    from stoker.cli.plots import write_figure
    from stoker.cli.plots.backtest import cost_figure, replicas_figure

    written = [
        write_figure(replicas_figure(found), directory / "replicas.png"),
        write_figure(cost_figure(found, currency), directory / "cost.png"),
    ]
    show_notes(f"wrote {path}" for path in written)
