"""`stoker sweep`: plan a fleet at many points of what may vary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.figures import count_of
from stoker.cli.options import FleetArgument, examples
from stoker.cli.output import (
    check_output_directory,
    json_text,
    output_width,
    plain_text,
    show,
    show_notes,
    write_text,
)
from stoker.cli.row_format import RowFormat, rows_document
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from studies.sweeping.grid import Study
    from studies.sweeping.sweep import SweepResults

INTERRUPTED = 130
"""Exit code after an interrupt, as shells have it."""

EPILOG = (
    examples(
        "stoker sweep small --vary load=0.5:2:0.5",
        "stoker sweep small --vary cards=x0.05,x0.1,x1 --vary solver=milp,greedy --format csv",
        "stoker sweep small --vary price.A100=0.2,0.4 --vary cards.G2=0,512 --zip --jobs 1",
    )
    + """

**What may vary**

`load`, `targets`, `speed`: factors. `rate`, `input_tokens`, `output_tokens`, `arrival_cv`,
`price`, `cards`, `target...ttft_ms` (`itl_ms`, `e2e_ms`, `tps`; `ttft_ms.p95`): figures, and
`x0.5` for half of the fleet's own. Behind a dot stands what is meant: `load.Premium`,
`rate.chat`, `target.Premium.ttft_ms`, `speed.llama_13b/A100`. Settings by their names: `solver`,
`saturation_policy`, `analysis`, `unlimited`, `max_blocking`, ...

**Values**

Lists `1,2,4`; ranges `0.5:2:0.25` (the end included) and `1:64:*2`; words.

**Exit codes**

0: every point has a plan. 2: bad input. 3: some point failed; its row says why. 130:
interrupted; with --output the same command goes on."""
)


def sweep(
    fleet: FleetArgument,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="What varies; may be given several times, for every combination.",
            show_default=False,
        ),
    ] = None,
    in_step: Annotated[
        bool,
        typer.Option("--zip", help="Let the lists go in step: first with first, and so on."),
    ] = False,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take the points from a file instead: CSV with a column for each NAME, or a JSON "
            "list of objects.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="Processes that plan.",
            show_default="one a core",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Plan on the Dask cluster of this scheduler, such as `tcp://10.0.0.1:8786`.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        RowFormat,
        typer.Option("--format", help="What to print.", case_sensitive=False),
    ] = RowFormat.TABLE,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Keep what is done in this folder, and write `results.csv` and `results.parquet` "
            "there. The same command goes on where an earlier one was cut off.",
            show_default=False,
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw the results into this directory.", show_default=False
        ),
    ] = None,
) -> None:
    """Plan a fleet at many points.

    Loads, targets, prices, cards, speeds and settings vary; every combination is planned, and each
    gives a row: cost, proven gap, who is served, replicas, cards, and the tightest margin to a
    target.
    """
    check_output_directory(output, "--output")
    check_output_directory(plots, "--plots")
    study = _study(fleet, vary or [], in_step, points)
    results = _run(study, jobs, scheduler, output)
    _write(results, output_format)
    show_notes(f"wrote {path}" for path in results.written)
    if plots is not None:
        from stoker.cli.plots import write_figure
        from stoker.cli.plots.sweep import sweep_figure

        path = write_figure(sweep_figure(results.columns, results.rows), plots / "sweep.png")
        show_notes([f"wrote {path}"])
    from stoker.cli.sweep_table import failed_words

    failed = failed_words(results.rows)
    show_notes([failed] if failed else [])
    raise typer.Exit(ExitCode.NOT_SERVED if failed else ExitCode.DONE)


def _study(source: str, vary: list[str], in_step: bool, points: Path | None) -> Study:
    from data.fleets import read_fleet
    from studies.sweeping.grid import grid_study, listed_study
    from studies.sweeping.points_file import read_points

    if bool(vary) == (points is not None):
        message = "both were given" if vary else "nothing varies"
        allowed = "either --vary NAME=VALUES or --points FILE"
        raise InvalidInputError([Problem("--vary", message, allowed)])
    if in_step and points is not None:
        message = "has no effect on the points of a file"
        raise InvalidInputError([Problem("--zip", message, "--zip with --vary")])
    fleet = read_fleet(source)
    if points is not None:
        return listed_study(fleet, read_points(points), str(points))
    return grid_study(fleet, vary, in_step=in_step)


def _run(
    study: Study, jobs: int | None, scheduler: str | None, folder: Path | None
) -> SweepResults:
    from stoker.cli.sweep_bar import remaining_bar
    from studies.sweeping.pool import usable_cores
    from studies.sweeping.sweep import done_before, run_sweep

    count, done = len(study.points), done_before(study, folder)
    if done:
        show_notes([f"{done:,} of {count_of(count, 'point')} were done before"])
    reached = done

    try:
        with remaining_bar(f"Planning {count_of(count, 'point')}", count, done) as bar:

            def report(number: int) -> None:
                nonlocal reached
                reached = number
                bar(number)

            return run_sweep(
                study,
                jobs=jobs or usable_cores(),
                scheduler=scheduler,
                folder=folder,
                report=report,
            )
    except KeyboardInterrupt:
        kept = "nothing was kept: give --output to be able to go on"
        if folder is not None:
            kept = f"they are kept in {folder}; the same command goes on"
        show_notes([f"interrupted after {reached:,} of {count_of(count, 'point')}; {kept}"])
        raise typer.Exit(INTERRUPTED) from None


def _write(results: SweepResults, output_format: RowFormat) -> None:
    if output_format is RowFormat.CSV:
        from studies.sweeping.tables import to_csv

        write_text(to_csv(results.columns, results.rows))
    elif output_format is RowFormat.JSON:
        write_text(json_text(rows_document(results.columns, results.rows)))
    else:
        from stoker.cli.output import terminal
        from stoker.cli.sweep_table import sweep_report

        report = sweep_report(results.columns, results.rows)
        if terminal() is None:
            write_text(plain_text(report, output_width()))
        else:
            show(report)
