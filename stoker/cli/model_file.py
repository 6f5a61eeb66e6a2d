"""`stoker solve --write-model`: the model of a plan in a file for people and other solvers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.output import check_output_file
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from optimizer.preparation import Prepared
    from stoker.domain.plan import Plan

_FLAG = "--write-model"
_KINDS = (".lp", ".mps")

ModelFileOption = Annotated[
    Path | None,
    typer.Option(
        _FLAG,
        metavar="FILE",
        help="Write a model of the fleet with names one can read into this file, `.lp` or `.mps`: "
        "the plan of least value that serves as many servers of each priority as the plan does. "
        "For plans by cards of each type.",
        show_default=False,
    ),
]


def check_model_file(path: Path | None) -> None:
    """Check before planning that the file can be written.

    Raises:
        InvalidInputError: It cannot, or its name tells no format of models.
    """
    if path is not None and path.suffix.lower() not in _KINDS:
        raise InvalidInputError([Problem(_FLAG, f"{path.name!r} names no format", ".lp or .mps")])
    check_output_file(path)


def refuse_other_models(prepared: Prepared) -> None:
    """Refuse, before planning, what is not planned by the model of whole cards by type.

    Raises:
        InvalidInputError: It is not.
    """
    if told := _beyond(prepared):
        problem = f"the model of {told} cannot be written"
        raise InvalidInputError([Problem(_FLAG, problem, "plans by cards of each type")])


def write_model_of(prepared: Prepared, plan: Plan, path: Path) -> None:
    """Write the model of a plan, which `refuse_other_models` did not refuse."""
    from optimizer.kept import kept_cards
    from optimizer.planner import capacity_left
    from optimizer.readable import readable_model, write_model

    capacity = capacity_left(prepared.fleet, prepared.table, kept_cards(prepared.kept))
    served = {service.priority: service.served for service in plan.services}
    write_model(readable_model(prepared.table, capacity, served), path)


def _beyond(prepared: Prepared) -> str:
    """Return what a plan is that no such model is of; empty where there is one."""
    from stoker.domain.settings import SolverKind

    fleet, settings = prepared.fleet, prepared.settings
    reasons = {
        "a fleet whose servers may share replicas": bool(fleet.sharing),
        "a fleet with pools, limits or objectives": not fleet.is_plain,
        "a plan with places on nodes": settings.placement,
        "an unlimited plan": settings.unlimited,
        "the greedy method": settings.solver is SolverKind.GREEDY,
        "servers that mix accelerators": settings.heterogeneous,
        "slices of cards": bool(prepared.table.slices),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
