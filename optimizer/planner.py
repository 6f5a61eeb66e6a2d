"""One call from a fleet to its plan; what the command line and the service both make."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from optimizer.assemble import assemble_plan
from optimizer.candidates import build_candidates, table_from_estimates
from optimizer.check import check_plan
from optimizer.complete import completed, with_best_effort
from optimizer.greedy import place_greedy
from optimizer.kept import kept_allocations, kept_cards, kept_notes
from optimizer.milp import place_milp
from optimizer.misses import missed_notes
from optimizer.mixes import with_kept_targets
from optimizer.placement import Outcome
from optimizer.pooled.assemble import with_pools
from optimizer.pooled.place import place_pooled
from optimizer.pooled.surge import surged
from optimizer.predictors import refuse_mixing, unheeded_notes
from optimizer.table import CandidateTable, IntArray
from optimizer.transition import for_mixing
from optimizer.unlimited import place_unlimited
from optimizer.usage import card_counts
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlannedAllocation
from stoker.domain.settings import DEFAULT_ANALYSIS, Analysis, OptimizerSettings, SolverKind

Clock = Callable[[], float]


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
    chosen = effective_settings(settings or fleet.settings, fleet.settings.analysis)
    analysis = chosen.analysis or DEFAULT_ANALYSIS
    start = clock()
    surge = fleet.limits.headroom.surge
    if estimates is not None and surge != 1.0:
        raise InvalidInputError([_surged_estimates(surge)])
    fleet = surged(fleet)
    if estimates is None:
        refuse_mixing(fleet, chosen)
    table = (
        build_candidates(fleet, analysis)
        if estimates is None
        else table_from_estimates(fleet, estimates)
    )
    if chosen.heterogeneous and not chosen.unlimited and chosen.solver is SolverKind.MILP:
        table = for_mixing(table, _current_replicas(fleet))
    predicted = clock()
    kept = kept_allocations(fleet)
    outcome = place(fleet, table, chosen, kept_cards(kept), clock)
    placed = clock()
    stays = _left_as_they_run(fleet, outcome)
    plan = assemble_plan(
        fleet,
        table,
        outcome,
        analysis=analysis,
        unlimited=chosen.unlimited,
        kept=(*kept, *stays),
        notes=(
            *_notes(chosen),
            *_surge_notes(surge),
            *(unheeded_notes(fleet, analysis) if estimates is None else ()),
            *kept_notes(fleet, kept, None if chosen.unlimited else card_counts(fleet)),
        ),
    )
    plan = replace(with_pools(fleet, table, outcome, plan), surge=surge)
    if estimates is not None:
        plan = replace(plan, notes=plan.notes + missed_notes(fleet, plan))
    check_plan(fleet, plan, unlimited=chosen.unlimited, own_predictions=estimates is None)
    end = clock()
    timings = {
        "candidates": _ms(start, predicted),
        "place": _ms(predicted, placed),
        **outcome.timings_ms,
        "assemble": _ms(placed, end),
        "total": _ms(start, end),
    }
    return replace(plan, timings_ms=timings)


def effective_settings(
    settings: OptimizerSettings, analysis: Analysis | None = None
) -> OptimizerSettings:
    """Return settings with what is left open decided: MILP, and the analysis.

    Args:
        settings: The settings.
        analysis: Analysis where they name none; None for `DEFAULT_ANALYSIS`.
    """
    return replace(
        settings,
        solver=settings.solver or SolverKind.MILP,
        analysis=settings.analysis or analysis or DEFAULT_ANALYSIS,
    )


def place(
    fleet: Fleet,
    table: CandidateTable,
    settings: OptimizerSettings,
    taken: Mapping[str, int],
    clock: Clock,
) -> Outcome:
    """Return what each server gets, by the method that the settings name.

    A fleet with pools, limits or objectives is planned by its own model (`optimizer.pooled`).

    Args:
        fleet: The fleet; its loads are taken as they are, whatever its surge (`surged`).
        table: Its candidates.
        settings: How to plan, nothing left open (`effective_settings`).
        taken: Cards that are nobody's to give, by type.
        clock: Seconds, for timings and time limits.
    """
    if not fleet.is_plain:
        return completed(table, place_pooled(fleet, table, settings, taken, clock))
    if settings.unlimited:
        return completed(table, place_unlimited(table))
    capacity = _capacity(fleet, table, taken)
    if settings.solver is SolverKind.GREEDY:
        return completed(table, place_greedy(table, capacity, settings))
    outcome = place_milp(table, capacity, settings, clock=clock)
    if settings.heterogeneous:
        outcome = with_kept_targets(fleet, table, outcome, capacity)
    return completed(table, with_best_effort(table, outcome, capacity, settings.saturation_policy))


def _capacity(fleet: Fleet, table: CandidateTable, taken: Mapping[str, int]) -> IntArray:
    """Return the cards left to place by card type of the table, those taken beforehand off.

    A type without a count has none.
    """
    counts = card_counts(fleet)
    left = [max(0, counts.get(name, 0) - taken.get(name, 0)) for name in table.card_types]
    return np.array(left, dtype=np.int64)


def _current_replicas(fleet: Fleet) -> IntArray:
    """Return the replicas of each server that run now, 0 where none do."""
    return np.array(
        [server.current.replicas if server.current else 0 for server in fleet.servers],
        dtype=np.int64,
    )


def _notes(settings: OptimizerSettings) -> tuple[str, ...]:
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


def _surged_estimates(surge: float) -> Problem:
    return Problem(
        "limits.headroom.surge",
        f"{surge:g}, with predictions that were made for the load as it is",
        "1, or Stoker's own predictions",
    )


def _surge_notes(surge: float) -> tuple[str, ...]:
    if surge == 1.0:
        return ()
    return (f"every load is planned at {surge:g} times its rate, and all figures are those there",)


def _ms(start: float, end: float) -> float:
    return (end - start) * 1e3
