"""What plans whose servers may share replicas cannot be combined with."""

from __future__ import annotations

from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.settings import Analysis, OptimizerSettings, SolverKind


def refuse_sharing(fleet: Fleet, settings: OptimizerSettings, *, own_predictions: bool) -> None:
    """Refuse what a plan with sharing does not know; nothing where the fleet has none.

    Args:
        fleet: The fleet.
        settings: How to plan, nothing left open.
        own_predictions: Whether the predictions are Stoker's own.

    Raises:
        InvalidInputError: Naming all of it.
    """
    if not fleet.sharing:
        return
    words = "where servers may share replicas"
    problems = [
        Problem(field, f"{value}, {words}", allowed)
        for field, value, allowed, given in (
            (
                "analysis",
                Analysis.REFERENCE.value,
                f"{Analysis.FULL.value} (--analysis full)",
                settings.analysis is Analysis.REFERENCE,
            ),
            (
                "optimizer.solver",
                SolverKind.GREEDY.value,
                SolverKind.MILP.value,
                settings.solver is SolverKind.GREEDY,
            ),
            (
                "optimizer.heterogeneous",
                "true: replicas that are shared are of one accelerator",
                "false (--no-heterogeneous)",
                settings.heterogeneous,
            ),
            ("candidates", "predictions of somebody else", "Stoker's own", not own_predictions),
        )
        if given
    ]
    problems += [
        Problem(
            f"accelerators.{item.name}.slice",
            f"slices of cards, {words} and nothing else is asked",
            "whole cards; or a fleet with pools, limits or objectives",
        )
        for item in fleet.accelerators
        if item.slice is not None and fleet.is_plain
    ]
    if problems:
        raise InvalidInputError(problems)


def refuse_shared(fleet: Fleet, what: str) -> None:
    """Refuse a fleet whose servers may share replicas, for what plans each server alone.

    Raises:
        InvalidInputError: The fleet has the section `sharing`.
    """
    if fleet.sharing:
        raise InvalidInputError(
            [
                Problem(
                    "sharing",
                    f"is beyond {what}, where every server has replicas of its own",
                    "a fleet without sharing",
                )
            ]
        )
