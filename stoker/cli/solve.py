"""`stoker solve`: plan a fleet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stoker.cli.exits import exit_code
from stoker.cli.explain import explained
from stoker.cli.explanation_options import (
    Asked,
    ErrorOption,
    ShadowOption,
    TimeOption,
    profile_error_of,
)
from stoker.cli.figures import count_of
from stoker.cli.given_profiles import Instead, candidates_of, on_given_profiles
from stoker.cli.inferno_plans import refuse_untold
from stoker.cli.limit_flags import LimitFlags
from stoker.cli.limit_options import (
    BudgetOption,
    MaxChangesOption,
    ObjectiveOption,
    PowerOption,
    SurgeOption,
    SurviveOption,
)
from stoker.cli.model_file import (
    ModelFileOption,
    check_model_file,
    refuse_other_models,
    write_model_of,
)
from stoker.cli.options import FleetArgument, OutputOption, examples
from stoker.cli.output import (
    check_output_directory,
    check_output_file,
    progress,
    show_notes,
)
from stoker.cli.plan_output import PlanFormat, draw_plan, write_plan
from stoker.cli.settings import SolveFlags, chosen_settings, idle_flags, solving_words
from stoker.cli.settings_note import note_of
from stoker.cli.solve_options import (
    AnalysisOption,
    BackendOption,
    CandidatesOption,
    CapacityScaleOption,
    DelayedOption,
    GapOption,
    HeterogeneousOption,
    MinimumKindOption,
    PlacementOption,
    ProfilesOption,
    SaturationOption,
    SolverOption,
    TimeLimitOption,
    UnlimitedOption,
)
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.explanation import ShadowMethod
from stoker.domain.scaling import scale_capacity

if TYPE_CHECKING:
    from optimizer.preparation import Prepared
    from stoker.domain.fleet import Fleet
    from stoker.domain.plan import Plan

EPILOG = (
    examples(
        "stoker solve large",
        "stoker solve large --capacity-scale 0.5 --saturation-policy PriorityRoundRobin",
        "stoker solve small --heterogeneous --format json --output plan.json",
        "stoker solve small --unlimited --format csv",
        "stoker solve fleet.yaml --solver greedy --plots plots/",
        "stoker solve small --explain --profile-error 10%",
        "stoker solve small --budget 250 --surge 1.1 --objective energy,cost",
        "stoker solve small --write-model plan.lp",
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
    unlimited: UnlimitedOption = None,
    solver: SolverOption = None,
    backend: BackendOption = None,
    heterogeneous: HeterogeneousOption = None,
    placement: PlacementOption = None,
    saturation_policy: SaturationOption = None,
    delayed_best_effort: DelayedOption = None,
    time_limit: TimeLimitOption = None,
    gap: GapOption = None,
    analysis: AnalysisOption = None,
    budget: BudgetOption = None,
    power: PowerOption = None,
    survive: SurviveOption = None,
    surge: SurgeOption = None,
    max_changes: MaxChangesOption = None,
    objective: ObjectiveOption = None,
    capacity_scale: CapacityScaleOption = None,
    candidates: CandidatesOption = None,
    minimum_kind: MinimumKindOption = None,
    profiles: ProfilesOption = None,
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
    write_model: ModelFileOption = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw the plan into this directory, and with `--explain` why it is so.",
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
    check_model_file(write_model)
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
    limits = LimitFlags(budget, power, survive, surge, max_changes, objective)
    check = None if write_model is None else refuse_other_models
    planned = _plan(fleet, flags, limits, capacity_scale, instead, output_format, check)
    asked = Asked(error, explain_time, shadow)
    why = explained(planned.prepared, planned.plan, asked) if explain else None
    if write_model is not None:
        write_model_of(planned.prepared, planned.plan, write_model)
    write_plan(planned.fleet, planned.plan, why, output_format, output)
    if plots is not None:
        draw_plan(planned.fleet, planned.plan, why, plots)
    raise typer.Exit(exit_code(planned.plan))


class _Planned(NamedTuple):
    """A plan and what it was made from."""

    fleet: Fleet
    plan: Plan
    prepared: Prepared


def _plan(
    source: str,
    flags: SolveFlags,
    limits: LimitFlags,
    capacity_scale: float | None,
    instead: Instead,
    output_format: PlanFormat,
    check: Callable[[Prepared], None] | None,
) -> _Planned:
    """Return a plan of a fleet, made after what it is made from was checked."""
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
    limits.refuse_beside(settings)
    fleet = limits.over(fleet)
    show_notes(idle_flags(flags, settings))
    if capacity_scale is not None:
        if settings.unlimited:
            show_notes(["--capacity-scale has no effect on an unlimited plan"])
        title = f"{fleet.name} (capacity × {capacity_scale:g})"
        fleet = replace(scale_capacity(fleet, capacity_scale), name=title)
    estimates = candidates_of(instead)
    message = f"Planning {count_of(len(fleet.servers), 'server')}"
    with progress(message, solving_words(settings)):
        prepared = prepare(fleet, settings, estimates=estimates)
        if check is not None:
            check(prepared)
        plan = plan_prepared(prepared)
    notes = (limits.note(), note_of(flags, instead, settings, fleet.settings))
    plan = replace(plan, notes=(*filter(None, notes), *plan.notes))
    return _Planned(fleet, plan, prepared)
