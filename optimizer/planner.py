"""One call from a fleet to its plan; what the command line and the service both make."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from optimizer.assemble import assemble_plan
from optimizer.check import check_plan
from optimizer.complete import completed, with_best_effort
from optimizer.fitting.plan import place_on_nodes
from optimizer.fitting.verify import with_places
from optimizer.greedy import place_greedy
from optimizer.kept import kept_allocations, kept_cards, kept_notes
from optimizer.milp_parts import place_in_parts
from optimizer.misses import missed_notes
from optimizer.mixes import with_kept_targets
from optimizer.placement import Outcome
from optimizer.pooled.assemble import with_pools
from optimizer.pooled.place import place_pooled
from optimizer.predictors import unheeded_notes
from optimizer.preparation import Clock, Prepared, prepare
from optimizer.sharing.allocations import shared_allocations, sharing_notes
from optimizer.sharing.barred import NOTHING_BARRED, Barred
from optimizer.sharing.check import check_sharing_of_plan
from optimizer.sharing.place import place_shared
from optimizer.table import CandidateTable, IntArray
from optimizer.unlimited import place_unlimited
from optimizer.usage import card_counts
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.settings import OptimizerSettings, SolverKind


def plan_fleet(
    fleet: Fleet,
    settings: OptimizerSettings | None = None,
    *,
    estimates: Sequence[CandidateEstimate] | None = None,
    clock: Clock = time.perf_counter,
) -> Plan:
    """Plan a fleet: candidates, placement, best effort, and a last check.

    What runs for a server of unknown load is kept as it is, and its cards are nobody else's.

    The same input gives the same plan, bit for bit, timings apart (and short of a time limit that
    strikes at another moment).

    Args:
        fleet: What to plan for.
        settings: How to plan; None for the fleet's own settings, which also name the analysis
            where these name none.
        estimates: Somebody else's predictions to plan from in place of Stoker's own.
        clock: Seconds, for timings and time limits.

    Raises:
        SolverUnavailableError: The MILP solver asked for cannot be used.
        InvalidInputError: The estimates do not fit the fleet, or a target, a router or the like is
            beyond the analysis or the way of planning.
        PlanCheckError: The plan broke its own rules, which is a bug.
    """
    return plan_prepared(prepare(fleet, settings, estimates=estimates, clock=clock), clock=clock)


def plan_prepared(prepared: Prepared, *, clock: Clock = time.perf_counter) -> Plan:
    """Place what is prepared, and return the plan, checked.

    Args:
        prepared: The fleet and its candidates.
        clock: Seconds, for timings and time limits.

    Raises:
        SolverUnavailableError: The MILP solver asked for cannot be used.
        PlanCheckError: The plan broke its own rules, which is a bug.
    """
    fleet, settings, table = prepared.fleet, prepared.settings, prepared.table
    start = clock()
    outcome = place(fleet, table, settings, kept_cards(prepared.kept), clock)
    placed = clock()
    plan = plan_of_outcome(prepared, outcome)
    end = clock()
    timings = {
        "candidates": prepared.prepared_ms,
        "place": _ms(start, placed),
        **outcome.timings_ms,
        "assemble": _ms(placed, end),
        "total": prepared.prepared_ms + _ms(start, end),
    }
    return replace(plan, timings_ms=timings)


def plan_of_outcome(prepared: Prepared, outcome: Outcome) -> Plan:
    """Return the plan that an outcome stands for, checked, without timings.

    Args:
        prepared: The fleet and its candidates.
        outcome: What was decided for them.

    Raises:
        PlanCheckError: The plan broke its own rules, which is a bug.
    """
    fleet, settings, table = prepared.fleet, prepared.settings, prepared.table
    plan = assemble_plan(
        fleet,
        table,
        outcome,
        analysis=prepared.analysis,
        unlimited=settings.unlimited,
        kept=(
            *prepared.kept,
            *_left_as_they_run(fleet, outcome),
            *shared_allocations(fleet, outcome.shared),
        ),
        notes=(*_notes(prepared), *sharing_notes(fleet, outcome.shared)),
    )
    plan = replace(with_pools(fleet, table, outcome, plan), surge=prepared.surge)
    if settings.placement:
        plan = with_places(fleet, table, plan)
    if not prepared.own_predictions:
        plan = replace(plan, notes=plan.notes + missed_notes(fleet, plan))
    check_plan(fleet, plan, unlimited=settings.unlimited, own_predictions=prepared.own_predictions)
    check_sharing_of_plan(fleet, plan)
    return plan


def place(
    fleet: Fleet,
    table: CandidateTable,
    settings: OptimizerSettings,
    taken: Mapping[str, int],
    clock: Clock,
    barred: Barred = NOTHING_BARRED,
) -> Outcome:
    """Return what each server gets, by the method that the settings name.

    A fleet with pools, limits or objectives is planned by its own model (`optimizer.pooled`), and
    so is another one whose replicas must have a place on its nodes (`optimizer.fitting`). Where
    servers may share replicas that must have a place, every card type is one pool of that model.

    Args:
        fleet: The fleet; its loads are taken as they are, whatever its surge (`surged`).
        table: Its candidates.
        settings: How to plan, nothing left open (`optimizer.preparation`).
        taken: Cards that are nobody's to give, by type.
        clock: Seconds, for timings and time limits.
        barred: Ways to share replicas that are not tried.
    """
    if fleet.sharing and (settings.placement or not fleet.is_plain):
        return completed(table, place_pooled(fleet, table, settings, taken, clock, barred))
    if fleet.sharing:
        capacity = capacity_left(fleet, table, taken)
        return place_shared(fleet, table, settings, capacity, clock, barred)
    if settings.placement and fleet.is_plain:
        capacity = capacity_left(fleet, table, taken)
        return completed(table, place_on_nodes(fleet, table, settings, capacity, clock))
    if not fleet.is_plain:
        return completed(table, place_pooled(fleet, table, settings, taken, clock, barred))
    if settings.unlimited:
        return completed(table, place_unlimited(table))
    capacity = capacity_left(fleet, table, taken)
    if settings.solver is SolverKind.GREEDY:
        return completed(table, place_greedy(table, capacity, settings))
    outcome = place_in_parts(table, capacity, settings, clock=clock)
    if settings.heterogeneous:
        outcome = with_kept_targets(fleet, table, outcome, capacity)
    return completed(table, with_best_effort(table, outcome, capacity, settings.saturation_policy))


def capacity_left(fleet: Fleet, table: CandidateTable, taken: Mapping[str, int]) -> IntArray:
    """Return the cards left to place by card type of the table, those taken beforehand off.

    A type without a count has none.
    """
    counts = card_counts(fleet)
    left = [max(0, counts.get(name, 0) - taken.get(name, 0)) for name in table.card_types]
    return np.array(left, dtype=np.int64)


def _notes(prepared: Prepared) -> tuple[str, ...]:
    """Return what a reader should know before how it was planned is told."""
    fleet, settings = prepared.fleet, prepared.settings
    counts = None if settings.unlimited else card_counts(fleet)
    return (
        *_unheeded_settings(settings),
        *_surge_notes(prepared.surge),
        *(unheeded_notes(fleet, prepared.analysis) if prepared.own_predictions else ()),
        *kept_notes(fleet, prepared.kept, counts),
    )


def _unheeded_settings(settings: OptimizerSettings) -> tuple[str, ...]:
    """Return what a reader should know of settings that this method does not heed."""
    if settings.heterogeneous and (settings.unlimited or settings.solver is SolverKind.GREEDY):
        method = "an unlimited plan" if settings.unlimited else "the greedy solver"
        return (f"heterogeneous was ignored: {method} gives each server one accelerator",)
    return ()


def _left_as_they_run(fleet: Fleet, outcome: Outcome) -> tuple[PlannedAllocation, ...]:
    """Return what runs for servers that are left so though it is no candidate: figures unknown."""
    if outcome.pooled is None or not outcome.pooled.stays:
        return ()
    left = tuple(
        replace(fleet.servers[server], load=None) for server in sorted(outcome.pooled.stays)
    )
    return kept_allocations(replace(fleet, servers=left))


def _surge_notes(surge: float) -> tuple[str, ...]:
    if surge == 1.0:
        return ()
    return (f"every load is planned at {surge:g} times its rate, and all figures are those there",)


def _ms(start: float, end: float) -> float:
    return (end - start) * 1e3
