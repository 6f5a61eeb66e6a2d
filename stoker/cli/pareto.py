"""`stoker pareto`: what it costs to serve more, or to promise less time."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.options import FleetArgument, OutputOption, examples, positive
from stoker.cli.output import (
    check_output_directory,
    check_output_file,
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
    from collections.abc import Mapping

    from stoker.domain.fleet import Fleet
    from studies.sweeping.pareto import ParetoResults

_POINTS = 50
_SCALES = "0.5:2:0.1"
_TIME_LIMIT_S = 60.0


class Against(StrEnum):
    """What cost is weighed against."""

    SERVERS = "servers"
    LOAD = "load"
    PRIORITIES = "priorities"
    LATENCY = "latency"


EPILOG = (
    examples(
        "stoker pareto small",
        "stoker pareto small --against load --points 10 --format csv",
        "stoker pareto small --against priorities --points 100",
        "stoker pareto small --against latency --scales 0.5,1,2",
    )
    + """

**What is exact**

`servers` and `load`: every plan listed costs the least for what it serves, by proof; with no more
points than `--points` it is the whole frontier, and says so. `priorities`: every plan listed
serves what its cost can, the highest priority first; again, with no more points than `--points`
it is the whole frontier. Pools and limits are heeded; objectives and the pools that servers
prefer are not, the aims being cost and what is served. `latency`: every plan listed is the
optimizer's own at that scale of all latency targets.

**Exit codes**

0: done. 2: bad input. 3: some scale has no plan; its row says why."""
)


def pareto(
    fleet: FleetArgument,
    against: Annotated[
        Against,
        typer.Option(
            help="`servers` or `load`: the share served within all targets, whatever its priority; "
            "`priorities`: the servers served, the highest priority first; `latency`: how tight "
            "the targets are.",
            case_sensitive=False,
        ),
    ] = Against.SERVERS,
    points: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            max=1000,
            help="Most points (but with `latency`).",
            show_default=f"{_POINTS}",
        ),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES",
            help="Factors on all latency targets (with `latency`), as `stoker sweep` takes them.",
            show_default=_SCALES,
        ),
    ] = None,
    unlimited: Annotated[
        bool,
        typer.Option("--unlimited", help="Ignore how many cards there are."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            help="Processes that plan (with `latency`).",
            show_default="one a core",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Plan on the Dask cluster of this scheduler (with `latency`).",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep every scale that is planned in this directory, and go on from those that "
            "it holds (with `latency`).",
            show_default=False,
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Stop each solve after this many seconds, with its gap (but with `latency`).",
            callback=positive,
            show_default=f"{_TIME_LIMIT_S:g}",
        ),
    ] = None,
    output_format: Annotated[
        RowFormat,
        typer.Option("--format", help="What to print.", case_sensitive=False),
    ] = RowFormat.TABLE,
    output: OutputOption = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw the frontier into this directory.", show_default=False
        ),
    ] = None,
) -> None:
    """Find the frontier of cost against attainment or latency.

    What is the least cost of serving so many servers, so much load, or all of them faster? Plans
    that another one beats are dropped from the frontier, and marked.
    """
    check_output_file(output)
    check_output_directory(plots, "--plots")
    check_output_directory(resume, "--resume")
    if against is Against.LATENCY:
        _refuse_but_with_latency({"--points": points, "--time-limit": time_limit})
    else:
        _refuse_for_latency_alone(
            {"--scales": scales, "--jobs": jobs, "--scheduler": scheduler, "--resume": resume}
        )
    planned = _read(fleet, unlimited)
    if against is Against.LATENCY:
        chosen = _SCALES if scales is None else scales
        results = _scales(planned, chosen, jobs, scheduler, resume)
    else:
        results = _frontier(planned, against, points or _POINTS, time_limit or _TIME_LIMIT_S)
    _write(results, output_format, output)
    if plots is not None:
        from stoker.cli.plots import write_figure
        from stoker.cli.plots.pareto import pareto_figure

        path = write_figure(pareto_figure(results), plots / "pareto.png")
        show_notes([f"wrote {path}"])
    from stoker.cli.sweep_table import failed_words

    failed = failed_words(results.rows)
    show_notes([failed] if failed else [])
    raise typer.Exit(ExitCode.NOT_SERVED if failed else ExitCode.DONE)


def _read(source: str, unlimited: bool) -> Fleet:
    from dataclasses import replace

    from data.fleets import read_fleet

    fleet = read_fleet(source)
    if not unlimited:
        return fleet
    return replace(fleet, settings=replace(fleet.settings, unlimited=True))


def _refuse_for_latency_alone(given: Mapping[str, object]) -> None:
    """Refuse options that the other frontiers, one solve after the other, make no use of.

    Raises:
        InvalidInputError: One is given.
    """
    _refuse(given, "is for --against latency alone", "--against latency, or without it")


def _refuse_but_with_latency(given: Mapping[str, object]) -> None:
    """Refuse options that a plan for each scale makes no use of.

    Raises:
        InvalidInputError: One is given.
    """
    message = "has no effect with --against latency"
    _refuse(given, message, "--scales; each is planned within the fleet's own time limit")


def _refuse(given: Mapping[str, object], message: str, allowed: str) -> None:
    problems = [
        Problem(option, message, allowed) for option, value in given.items() if value is not None
    ]
    if problems:
        raise InvalidInputError(problems)


def _frontier(fleet: Fleet, against: Against, points: int, time_limit_s: float) -> ParetoResults:
    from stoker.cli.sweep_bar import remaining_bar
    from studies.sweeping.attainment import Measure
    from studies.sweeping.pareto import pareto_attainment, pareto_priorities

    with remaining_bar("Finding the frontier", points) as report:
        if against is Against.PRIORITIES:
            return pareto_priorities(fleet, points, time_limit_s=time_limit_s, report=report)
        measure = Measure(against.value)
        return pareto_attainment(fleet, measure, points, time_limit_s=time_limit_s, report=report)


def _scales(
    fleet: Fleet, scales: str, jobs: int | None, scheduler: str | None, folder: Path | None
) -> ParetoResults:
    from stoker.cli.sweep_bar import remaining_bar
    from studies.sweeping.pareto import pareto_latency
    from studies.sweeping.pool import usable_cores
    from studies.sweeping.values import GRAMMAR, parse_values

    try:
        count = len(parse_values(scales))
    except ValueError as error:
        raise InvalidInputError([Problem("--scales", str(error), GRAMMAR)]) from error
    with remaining_bar("Planning each scale", count) as report:
        return pareto_latency(
            fleet,
            scales,
            jobs=jobs or usable_cores(),
            scheduler=scheduler,
            folder=folder,
            report=report,
        )


def _write(results: ParetoResults, output_format: RowFormat, output: Path | None) -> None:
    if output_format is RowFormat.CSV:
        from studies.sweeping.tables import to_csv

        write_text(to_csv(results.columns, results.rows), output)
    elif output_format is RowFormat.JSON:
        document = rows_document(results.columns, results.rows)
        write_text(json_text({"claim": results.claim, **document}), output)
    else:
        from stoker.cli.sweep_table import pareto_report

        report = pareto_report(results)
        if output is None:
            show(report, output_width())
        else:
            write_text(plain_text(report), output)
