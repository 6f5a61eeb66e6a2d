"""The plan that fits its nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optimizer.complete import with_best_effort
from optimizer.fitting.places import places_of
from optimizer.kept import kept_allocations
from optimizer.milp import place_milp
from optimizer.mixes import with_kept_targets
from optimizer.outcome import class_services
from optimizer.placement import Outcome, Placement
from optimizer.solver import default_backend
from optimizer.table import CandidateTable, IntArray
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import OptimizerSettings, SolverKind

_SETTING = "optimizer.placement"


def place_on_nodes(
    fleet: Fleet,
    table: CandidateTable,
    settings: OptimizerSettings,
    capacity: IntArray,
    clock: Callable[[], float],
) -> Outcome:
    """Return the best placement whose replicas all have a place on the fleet's nodes.

    Args:
        fleet: The fleet.
        table: Its candidates.
        settings: How to plan, nothing left open.
        capacity: Cards available by type, shape (types,).
        clock: Seconds, for deadline and timings.

    Raises:
        InvalidInputError: The fleet tells of no nodes, or is planned in a way that knows none.
        SolverUnavailableError: The solver asked for cannot be used.
    """
    refuse_without_places(fleet, settings)
    backend, _ = default_backend(settings.backend)
    places = places_of(fleet, table, kept_allocations(fleet), backend)
    outcome = place_milp(table, capacity, settings, places=places, clock=clock)
    if settings.heterogeneous:
        mended = with_kept_targets(fleet, table, outcome, capacity)
        if mended is not outcome and not places.hold(mended.placement):
            mended = _without_moves(table, outcome, mended)
        outcome = mended
    if not places.exact:
        outcome = unproven(outcome)
    outcome = with_best_effort(table, outcome, capacity, settings.saturation_policy, places)
    return replace(outcome, notes=outcome.notes + places.notes)


def refuse_without_places(fleet: Fleet, settings: OptimizerSettings) -> None:
    """Refuse to plan on nodes where there are none, or where the way of planning knows none.

    Raises:
        InvalidInputError: Naming everything that is in the way.
    """
    problems = []
    if not fleet.nodes:
        problems.append(
            Problem("nodes", f"is missing, though {_SETTING} is true", "the nodes of the fleet")
        )
    if settings.unlimited:
        problems.append(Problem(_SETTING, "true, in an unlimited plan", "false, or a limited plan"))
    elif settings.solver is SolverKind.GREEDY:
        problems.append(Problem(_SETTING, "true, with the greedy solver", "false, or solver milp"))
    if problems:
        raise InvalidInputError(problems)


def unproven(outcome: Outcome) -> Outcome:
    """Return an outcome of which nothing is proven, as more may fit than was counted with."""
    note = (
        "there are too many ways to fill a node: replicas were counted with rounded sizes, so that "
        "the plan fits, but a better one may fit, too"
    )
    optimal = outcome.status is PlanStatus.OPTIMAL
    return replace(
        outcome,
        status=PlanStatus.FEASIBLE if optimal else outcome.status,
        bound=None,
        gap=None,
        services=tuple(replace(item, bound=None) for item in outcome.services),
        notes=(*outcome.notes, note),
    )


def _without_moves(table: CandidateTable, before: Outcome, mended: Outcome) -> Outcome:
    """Return mended mixes whose new accelerators have no place: they keep the old as best effort.

    Args:
        table: Candidates.
        before: The outcome with mixes that miss a target.
        mended: The same, with other accelerators for some of them.
    """
    moved = np.zeros(len(table.servers), dtype=np.bool_)
    moved[table.server[np.setdiff1d(mended.placement.row, before.placement.row)]] = True
    served = mended.placement.served & ~moved
    old = before.placement
    return replace(
        mended,
        placement=Placement(old.row, old.replicas, served),
        services=class_services(table, served, proven=False),
    )
