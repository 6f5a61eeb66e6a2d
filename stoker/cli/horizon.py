"""`stoker horizon`: plan hours or weeks ahead, with commitments, on-demand and spot cards."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.figures import count_of
from stoker.cli.options import FleetArgument, OutputOption, examples, not_negative, positive
from stoker.cli.output import (
    check_output_directory,
    check_output_file,
    json_text,
    plain_text,
    progress,
    show,
    show_notes,
    write_text,
)
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.horizon import Missing
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import Analysis

if TYPE_CHECKING:
    from stoker.domain.fleet import Fleet
    from stoker.domain.horizon import HorizonPlan, HourlyDemand

EPILOG = (
    examples(
        "stoker horizon small --demand day.csv --reserved 0.6 --start-up-hours 1",
        "stoker horizon small --demand weeks.csv --weekly --quantile 0.95 --reserved 0.6",
        "stoker horizon small --demand day.csv --spot 0.35 --spot-interruptions 0.05 --format csv",
    )
    + """

**Exit codes**

0: every server has a schedule. 2: bad input. 3: some server has none; the others' are printed all
the same. 4: the time limit passed before any plan was found."""
)


class HorizonFormat(StrEnum):
    """Formats of a plan of a horizon."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def horizon(
    fleet: FleetArgument,
    demand: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="CSV or JSON with `hour`, `server`, `arrival_rate_rps`, and where they differ "
            "from the fleet's `input_tokens`, `output_tokens`; a forecast also has `quantile`.",
            show_default=False,
        ),
    ],
    trace_server: Annotated[
        str | None,
        typer.Option(
            metavar="SERVER",
            help="The file is a trace of requests to it: `arrival_s,in_tokens,out_tokens`.",
            show_default=False,
        ),
    ] = None,
    weekly: Annotated[
        bool,
        typer.Option("--weekly", help="The file is history: plan a week, by hour of the week."),
    ] = False,
    quantile: Annotated[
        float | None,
        typer.Option(
            metavar="Q",
            help="Quantile of the weeks, or of the forecast, that the plan is for.",
            show_default=False,
        ),
    ] = None,
    missing: Annotated[
        Missing,
        typer.Option(
            help="What an hour without a row means: an `error`, the `previous` known hour, or the "
            "`largest` known one. Never zero.",
            case_sensitive=False,
        ),
    ] = Missing.ERROR,
    reserved: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TYPE=]FACTOR",
            help="Price of a card committed for the horizon, over its price on demand; for a type "
            "of card or for all. May be repeated.",
            show_default=False,
        ),
    ] = None,
    reserved_term_hours: Annotated[
        int | None,
        typer.Option(
            metavar="H",
            min=1,
            help="Commitments are paid for multiples of this; without it the horizon stands for "
            "the term.",
            show_default=False,
        ),
    ] = None,
    spot: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TYPE=]FACTOR",
            help="Price of a spot card, over its price on demand. May be repeated.",
            show_default=False,
        ),
    ] = None,
    spot_interruptions: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Interruptions of a spot replica per hour, with --spot.",
            show_default="0.05",
        ),
    ] = None,
    spot_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Largest share of a server's replicas on spot cards, with --spot.",
            show_default="0.5",
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Probability, in each hour, that as many spot replicas are up as are counted on.",
        ),
    ] = 0.999,
    start_up_hours: Annotated[
        int,
        typer.Option(metavar="H", min=0, help="Hours that a replica is paid before it serves."),
    ] = 0,
    min_up_hours: Annotated[
        int,
        typer.Option(metavar="H", min=1, help="Hours that a started replica runs at least."),
    ] = 1,
    switch_cost: Annotated[
        float | None,
        typer.Option(
            metavar="COST",
            help="Let servers move between accelerators, at this cost each time; without it each "
            "keeps one.",
            callback=not_negative,
            show_default=False,
        ),
    ] = None,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="Ignore how many cards the fleet has.")
    ] = False,
    analysis: Annotated[
        Analysis | None,
        typer.Option(help="Performance model; the fleet's own by default.", show_default=False),
    ] = None,
    gap: Annotated[
        float, typer.Option(metavar="GAP", help="Relative gap to prove.", callback=not_negative)
    ] = 0.01,
    time_limit: Annotated[
        float,
        typer.Option(
            metavar="S", help="Stop after this many seconds with the best plan.", callback=positive
        ),
    ] = 60.0,
    output_format: Annotated[
        HorizonFormat,
        typer.Option(
            "--format",
            help="A table to read, JSON, or replicas by hour as CSV.",
            case_sensitive=False,
        ),
    ] = HorizonFormat.TABLE,
    output: OutputOption = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw cards and costs into it.", show_default=False),
    ] = None,
) -> None:
    """Plan a horizon: cards to commit, on-demand and spot cards and replicas by hour.

    The cheapest schedule that keeps every promise in every hour of the demand, with the hours that
    replicas take to start and the hours that they have to stay.
    """
    from data.fleets import read_fleet
    from optimizer.horizon.plan import plan_horizon
    from stoker.cli.horizon_terms import Offered, horizon_terms
    from stoker.domain.horizon import HorizonTerms

    check_output_file(output)
    check_output_directory(plots, "--plots")
    known = read_fleet(fleet)
    if trace_server is not None:
        known = _alone(known, trace_server)
    told = _demand(known, demand, trace_server, weekly, quantile, missing)
    terms = horizon_terms(
        Offered(reserved or [], spot or [], reserved_term_hours, spot_interruptions, spot_share),
        HorizonTerms(
            start_up_hours=start_up_hours,
            min_up_hours=min_up_hours,
            switch_cost=switch_cost,
            confidence=confidence,
            unlimited=unlimited,
        ),
    )
    message = f"Planning {count_of(told.hours, 'hour')} of {count_of(len(told.servers), 'server')}"
    with progress(message, f"up to {time_limit:g} s"):
        plan = plan_horizon(known, told, terms, analysis=analysis, gap=gap, time_limit_s=time_limit)
    show_notes(plan.notes)
    _write(plan, output_format, output)
    if plots is not None:
        from stoker.cli.plots import write_figure
        from stoker.cli.plots.horizon import horizon_figure

        path = write_figure(horizon_figure(plan), plots / "horizon.png")
        show_notes([f"wrote {path}"])
    if plan.status is PlanStatus.TIME_LIMIT:
        raise typer.Exit(ExitCode.TIME_LIMIT)
    raise typer.Exit(ExitCode.NOT_SERVED if plan.unscheduled else ExitCode.DONE)


def _alone(fleet: Fleet, name: str) -> Fleet:
    """Return a fleet with one of its servers.

    Raises:
        InvalidInputError: It has none of that name.
    """
    servers = tuple(server for server in fleet.servers if server.name == name)
    if not servers:
        names = ", ".join(server.name for server in fleet.servers[:5])
        message = f'"{name}" is no server of the fleet'
        raise InvalidInputError([Problem("--trace-server", message, names)])
    wishes = {server: told for server, told in fleet.wishes.items() if server == name}
    return replace(fleet, servers=servers, wishes=wishes, sharing=())


def _demand(
    fleet: Fleet,
    path: Path,
    trace_server: str | None,
    weekly: bool,
    quantile: float | None,
    missing: Missing,
) -> HourlyDemand:
    from data.demand_rows import read_demand_rows, read_trace_demand
    from data.hourly_demand import hourly_demand

    if quantile is not None and not 0.0 < quantile <= 1.0:
        raise InvalidInputError(
            [Problem("--quantile", f"{quantile:g} is out of bounds", "above 0, up to 1")]
        )
    told = read_demand_rows(path) if trace_server is None else read_trace_demand(path, trace_server)
    return hourly_demand(
        told, fleet.servers, quantile=quantile, weekly=weekly, missing=missing, file=str(path)
    )


def _write(plan: HorizonPlan, output_format: HorizonFormat, output: Path | None) -> None:
    if output_format is HorizonFormat.TABLE:
        from stoker.cli.horizon_table import horizon_report

        if output is None:
            show(horizon_report(plan))
        else:
            write_text(plain_text(horizon_report(plan)), output)
        return
    from data.horizon_format import horizon_to_csv, horizon_to_document

    if output_format is HorizonFormat.JSON:
        write_text(json_text(horizon_to_document(plan)), output)
    else:
        write_text(horizon_to_csv(plan), output)
