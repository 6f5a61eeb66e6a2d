"""Options of `stoker solve` about limits and objectives, by the names of the fleet document."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from stoker.cli.limit_flags import Survived
from stoker.cli.options import not_negative

_PANEL = "Limits and objectives (in place of those of the fleet)"


def _surge(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and 1 <= value <= 1000):
        raise typer.BadParameter(f"{value:g} is not a number from 1 to 1000")
    return value


BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        metavar="C",
        help="Largest cost of the plan per hour, in the fleet's currency.",
        callback=not_negative,
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]

PowerOption = Annotated[
    float | None,
    typer.Option(
        "--power",
        metavar="W",
        help="Largest power of all replicas at their planned utilization, in W.",
        callback=not_negative,
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]

SurviveOption = Annotated[
    Survived | None,
    typer.Option(
        "--survive",
        metavar="LOSS",
        help="Plan so that any one `replica`, `node` or `zone` may be lost; or `none`.",
        show_default=False,
        case_sensitive=False,
        rich_help_panel=_PANEL,
    ),
]

SurgeOption = Annotated[
    float | None,
    typer.Option(
        "--surge",
        metavar="F",
        help="Plan for the load times this, such as 1.2.",
        callback=_surge,
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]

MaxChangesOption = Annotated[
    int | None,
    typer.Option(
        "--max-changes",
        metavar="N",
        help="Largest number of servers for which anything else runs than now.",
        min=0,
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]

ObjectiveOption = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="NAMES",
        help="What is minimized, in order: `cost`, `energy`, `slo_slack`, `changes`, `fairness`, "
        "such as `energy,cost`; or weighed, such as `cost=1,energy=0.005`.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
