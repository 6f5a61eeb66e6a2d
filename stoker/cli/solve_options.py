"""Options of `stoker solve` about how to plan, and from what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stoker.cli.options import not_negative, positive
from stoker.domain.profile import EstimateKind
from stoker.domain.scaling import LARGEST_SCALE
from stoker.domain.settings import Analysis, SaturationPolicy, SolverKind

_PLACEMENT = "How to plan (what is not given is as the fleet's own settings say)"
_SATURATION = "When the cards do not suffice (likewise)"
_INPUT = "What to plan from"


UnlimitedOption = Annotated[
    bool | None,
    typer.Option(
        "--unlimited/--no-unlimited",
        help="Ignore how many cards there are.",
        show_default=False,
        rich_help_panel=_PLACEMENT,
    ),
]

SolverOption = Annotated[
    SolverKind | None,
    typer.Option(
        metavar="SOLVER",
        help="`milp` (default) or `greedy`: how to plan within the cards there are.",
        show_default=False,
        case_sensitive=False,
        rich_help_panel=_PLACEMENT,
    ),
]

BackendOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Library for the MILP: `highs` (default) or `cbc`, which are there, or any "
        "other installed solver by its PuLP name.",
        show_default=False,
        rich_help_panel=_PLACEMENT,
    ),
]

HeterogeneousOption = Annotated[
    bool | None,
    typer.Option(
        "--heterogeneous/--no-heterogeneous",
        help="Let a server mix accelerators (MILP only).",
        show_default=False,
        rich_help_panel=_PLACEMENT,
    ),
]

PlacementOption = Annotated[
    bool | None,
    typer.Option(
        "--placement/--no-placement",
        help="Plan only what has a place on the fleet's nodes (MILP only).",
        show_default=False,
        rich_help_panel=_PLACEMENT,
    ),
]

SaturationOption = Annotated[
    SaturationPolicy | None,
    typer.Option(
        metavar="P",
        help="Who gets the cards left over when not every server can be served in full: "
        "`None` (default), `PriorityExhaustive`, `PriorityRoundRobin` or `RoundRobin`.",
        show_default=False,
        case_sensitive=False,
        rich_help_panel=_SATURATION,
    ),
]

DelayedOption = Annotated[
    bool | None,
    typer.Option(
        "--delayed-best-effort/--no-delayed-best-effort",
        metavar=" ",
        help="Give out the cards left over after all priorities, not after each.",
        show_default=False,
        rich_help_panel=_SATURATION,
    ),
]

TimeLimitOption = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Stop solving after this many seconds (default 120), with the best plan found and "
        "its gap.",
        callback=positive,
        show_default=False,
        rich_help_panel=_PLACEMENT,
    ),
]

GapOption = Annotated[
    float | None,
    typer.Option(
        metavar="G",
        help="Relative gap at which a plan counts as optimal (default 1e-6, and 1e-3 above the "
        "exact limit: 100 servers, or the fleet's `exact_servers`).",
        callback=not_negative,
        show_default=False,
        rich_help_panel=_PLACEMENT,
    ),
]

AnalysisOption = Annotated[
    Analysis | None,
    typer.Option(
        metavar="MODEL",
        help="Performance model behind the predictions: `full` (default), the engine as it "
        "is, with percentiles; or `reference` (default of fleets in Inferno format), on means.",
        show_default=False,
        case_sensitive=False,
        rich_help_panel=_PLACEMENT,
    ),
]

CapacityScaleOption = Annotated[
    float | None,
    typer.Option(
        metavar="F",
        help="Multiply all card counts; the results are rounded down.",
        max=LARGEST_SCALE,
        callback=not_negative,
        show_default=False,
        rich_help_panel=_INPUT,
    ),
]

CandidatesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Plan from a table of somebody else's predictions (JSON) in place of Stoker's.",
        show_default=False,
        rich_help_panel=_INPUT,
    ),
]

MinimumKindOption = Annotated[
    EstimateKind | None,
    typer.Option(
        metavar="KIND",
        help="Plan only with profiles that are at least `measured`, `fitted` or `estimated`.",
        show_default=False,
        case_sensitive=False,
        rich_help_panel=_INPUT,
    ),
]

ProfilesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--profiles",
        metavar="PROFILE",
        help="Profiles to plan with, in place of the fleet's own of the same model and "
        "accelerator: a file, or the name of a shipped one. May be repeated.",
        show_default=False,
        rich_help_panel=_INPUT,
    ),
]
