"""`stoker solve`: plan a fleet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stoker.cli.exits import exit_code
from stoker.cli.explain import (
    Asked,
    ErrorOption,
    ShadowOption,
    TimeOption,
    explained,
    profile_error_of,
)
from stoker.cli.figures import count_of
from stoker.cli.given_profiles import Instead, on_given_profiles
from stoker.cli.inferno_plans import refuse_untold
from stoker.cli.options import FleetArgument, OutputOption, examples, not_negative, positive
from stoker.cli.output import (
    check_output_directory,
    check_output_file,
    progress,
    show_notes,
)
from stoker.cli.plan_output import PlanFormat, draw_plan, write_plan
from stoker.cli.settings import SolveFlags, chosen_settings, idle_flags, solving_words
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.explanation import ShadowMethod
from stoker.domain.profile import EstimateKind
from stoker.domain.scaling import LARGEST_SCALE, scale_capacity
from stoker.domain.settings import Analysis, SaturationPolicy, SolverKind

if TYPE_CHECKING:
    from optimizer.preparation import Prepared
    from stoker.domain.fleet import Fleet
    from stoker.domain.plan import Plan

_PLACEMENT = "How to plan (what is not given is as the fleet's own settings say)"
_SATURATION = "When the cards do not suffice (likewise)"
_INPUT = "What to plan from"


EPILOG = (
    examples(
        "stoker solve large",
        "stoker solve large --capacity-scale 0.5 --saturation-policy PriorityRoundRobin",
        "stoker solve small --heterogeneous --format json --output plan.json",
        "stoker solve small --unlimited --format csv",
        "stoker solve fleet.yaml --solver greedy --plots plots/",
        "stoker solve small --explain --profile-error 10%",
        "stoker solve fleet.yaml --profiles profile.yaml --minimum-kind estimated",
    )
    + """

**JSON**

`{"status", "objective", "bound", "gap", "cost_per_hour", "currency", "allocations": {server:
{"accelerator", "replicas", "max_batch", "cost_per_hour", "ttft_ms", "itl_ms", "utilization",
"blocking", "max_rate_rps", ...}}, "unplaced": {server: {"reason", "detail", "remedy"}}, "usage":
{type: {"used", "available"}}, "timings_ms": {...}}`; an allocation over several accelerators
lists its parts under `"mix"`. `null` means not known.

**Exit codes**

0: every server is served in full. 2: bad input. 3: infeasible, or a server is not served in
full; the plan is printed all the same. 4: the time limit passed before any plan was found."""
)


def solve(
    fleet: FleetArgument,
    unlimited: Annotated[
        bool | None,
        typer.Option(
            "--unlimited/--no-unlimited",
            help="Ignore how many cards there are.",
            show_default=False,
            rich_help_panel=_PLACEMENT,
        ),
    ] = None,
    solver: Annotated[
        SolverKind | None,
        typer.Option(
            metavar="SOLVER",
            help="`milp` (default) or `greedy`: how to plan within the cards there are.",
            show_default=False,
            case_sensitive=False,
            rich_help_panel=_PLACEMENT,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Library for the MILP: `highs` (default) or `cbc`, which are there, or any "
            "other installed solver by its PuLP name.",
            show_default=False,
            rich_help_panel=_PLACEMENT,
        ),
    ] = None,
    heterogeneous: Annotated[
        bool | None,
        typer.Option(
            "--heterogeneous/--no-heterogeneous",
            help="Let a server mix accelerators (MILP only).",
            show_default=False,
            rich_help_panel=_PLACEMENT,
        ),
    ] = None,
    placement: Annotated[
        bool | None,
        typer.Option(
            "--placement/--no-placement",
            help="Plan only what has a place on the fleet's nodes (MILP only).",
            show_default=False,
            rich_help_panel=_PLACEMENT,
        ),
    ] = None,
    saturation_policy: Annotated[
        SaturationPolicy | None,
        typer.Option(
            metavar="P",
            help="Who gets the cards left over when not every server can be served in full: "
            "`None` (default), `PriorityExhaustive`, `PriorityRoundRobin` or `RoundRobin`.",
            show_default=False,
            case_sensitive=False,
            rich_help_panel=_SATURATION,
        ),
    ] = None,
    delayed_best_effort: Annotated[
        bool | None,
        typer.Option(
            "--delayed-best-effort/--no-delayed-best-effort",
            metavar=" ",
            help="Give out the cards left over after all priorities, not after each.",
            show_default=False,
            rich_help_panel=_SATURATION,
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Stop solving after this many seconds (default 120), with the best plan found and "
            "its gap.",
            callback=positive,
            show_default=False,
            rich_help_panel=_PLACEMENT,
        ),
    ] = None,
    gap: Annotated[
        float | None,
        typer.Option(
            metavar="G",
            help="Relative gap at which a plan counts as optimal (default 1e-6, and 1e-3 above the "
            "exact limit: 100 servers, or the fleet's `exact_servers`).",
            callback=not_negative,
            show_default=False,
            rich_help_panel=_PLACEMENT,
        ),
    ] = None,
    analysis: Annotated[
        Analysis | None,
        typer.Option(
            metavar="MODEL",
            help="Performance model behind the predictions: `full` (default), the engine as it "
            "is, with percentiles; or `reference` (default of fleets in Inferno format), on means.",
            show_default=False,
            case_sensitive=False,
            rich_help_panel=_PLACEMENT,
        ),
    ] = None,
    capacity_scale: Annotated[
        float | None,
        typer.Option(
            metavar="F",
            help="Multiply all card counts; the results are rounded down.",
            max=LARGEST_SCALE,
            callback=not_negative,
            show_default=False,
            rich_help_panel=_INPUT,
        ),
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Plan from a table of somebody else's predictions (JSON) in place of Stoker's.",
            show_default=False,
            rich_help_panel=_INPUT,
        ),
    ] = None,
    minimum_kind: Annotated[
        EstimateKind | None,
        typer.Option(
            metavar="KIND",
            help="Plan only with profiles that are at least `measured`, `fitted` or `estimated`.",
            show_default=False,
            case_sensitive=False,
            rich_help_panel=_INPUT,
        ),
    ] = None,
    profiles: Annotated[
        list[str] | None,
        typer.Option(
            "--profiles",
            metavar="PROFILE",
            help="Profiles to plan with, in place of the fleet's own of the same model and "
            "accelerator: a file, or the name of a shipped one. May be repeated.",
            show_default=False,
            rich_help_panel=_INPUT,
        ),
    ] = None,
    output_format: Annotated[
        PlanFormat,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="`table`, `json`, `csv` or `inferno`, the reference optimizer's JSON.",
            case_sensitive=False,
        ),
    ] = PlanFormat.TABLE,
    output: OutputOption = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw the plan into this directory.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Explain the plan, too: below the table, or in JSON under `explanation`.",
        ),
    ] = False,
    profile_error: ErrorOption = None,
    explain_time: TimeOption = 60.0,
    shadow: ShadowOption = ShadowMethod.EXACT,
) -> None:
    """Plan a fleet.

    Which accelerator, how many replicas, what batch limit, at what cost: the plan keeps every
    server's latency targets at the least cost; where the cards do not suffice, servers of
    higher priority are served first.
    """
    check_output_file(output)
    check_output_directory(plots, "--plots")
    flags = SolveFlags(
        unlimited=unlimited,
        solver=solver,
        heterogeneous=heterogeneous,
        saturation_policy=saturation_policy,
        delayed_best_effort=delayed_best_effort,
        backend=backend,
        time_limit_s=time_limit,
        relative_gap=gap,
        analysis=analysis,
        placement=placement,
    )
    error = profile_error_of(profile_error)
    if explain and output_format not in (PlanFormat.TABLE, PlanFormat.JSON):
        message = f"{output_format.value} has no place for an explanation"
        raise InvalidInputError([Problem("--format", message, "table or json with --explain")])
    instead = Instead(candidates, tuple(profiles or ()), minimum_kind)
    planned = _plan(fleet, flags, capacity_scale, instead, output_format)
    asked = Asked(error, explain_time, shadow)
    why = explained(planned.prepared, planned.plan, asked) if explain else None
    write_plan(planned.fleet, planned.plan, why, output_format, output)
    if plots is not None:
        draw_plan(planned.fleet, planned.plan, plots)
    raise typer.Exit(exit_code(planned.plan))


class _Planned(NamedTuple):
    """A plan and what it was made from."""

    fleet: Fleet
    plan: Plan
    prepared: Prepared


def _plan(
    source: str,
    flags: SolveFlags,
    capacity_scale: float | None,
    instead: Instead,
    output_format: PlanFormat,
) -> _Planned:
    from data.candidates_file import read_candidates
    from data.fleets import read_fleet
    from optimizer.planner import plan_prepared
    from optimizer.preparation import prepare

    fleet = read_fleet(source)
    if not fleet.name:
        fleet = replace(fleet, name=Path(source).stem or source)
    fleet = on_given_profiles(fleet, instead)
    settings = chosen_settings(flags, fleet.settings)
    if output_format is PlanFormat.INFERNO:
        refuse_untold(fleet, settings)
    show_notes(idle_flags(flags, settings))
    if capacity_scale is not None:
        if settings.unlimited:
            show_notes(["--capacity-scale has no effect on an unlimited plan"])
        title = f"{fleet.name} (capacity × {capacity_scale:g})"
        fleet = replace(scale_capacity(fleet, capacity_scale), name=title)
    table = instead.candidates
    estimates = None if table is None else read_candidates(table)
    message = f"Planning {count_of(len(fleet.servers), 'server')}"
    with progress(message, solving_words(settings)):
        prepared = prepare(fleet, settings, estimates=estimates)
        plan = plan_prepared(prepared)
    return _Planned(fleet, plan, prepared)
