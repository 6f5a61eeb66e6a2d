"""The frontier's model of fleets with pools, limits or objectives: that of their plans.

What is bounded there stays bounded: cards of pools, quotas, budget, power, replicas, changes,
headroom, spreads and shares. What is preferred or aimed at does not count, since the aims here are
cost, at the prices of the pools, and what is served.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.complete import completed
from optimizer.fitting.plan import unproven
from optimizer.gap import bound_and_gap
from optimizer.kept import kept_cards
from optimizer.linear_model import SolveResult, SolveStatus
from optimizer.planner import plan_of_outcome
from optimizer.pooled.ask import ask
from optimizer.pooled.columns import split_columns
from optimizer.pooled.decide import Decision, changes_allowed
from optimizer.pooled.model import build_model
from optimizer.pooled.outcome import outcome_of
from optimizer.pooled.prune import needed_options
from optimizer.pooled.question import Question
from optimizer.pooled.refuse import refuse_combinations
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import Run, Solver
from optimizer.preparation import Prepared, prepare
from optimizer.solver import default_backend
from optimizer.table import FloatArray
from stoker.domain.fleet import Fleet
from stoker.domain.limits import COST_ALONE
from stoker.domain.plan import Plan, PlanStatus
from studies.sweeping.epsilon import SCALE, Bound, Efficient
from studies.sweeping.history import without_history

METHOD = "epsilon-constraint"
_UNLIMITED_S = 1e7
"""Time limit where there is none, in seconds: months."""


@dataclass(frozen=True, slots=True)
class PooledWeighed:
    """The model over pools, and what it costs and serves by column.

    Attributes:
        run: Model and solver.
        rows: Further rows: the changes allowed.
        cost: Scaled cost, (columns,).
        amount: What counts as served, scaled, (columns,).
        cost_unit: Cost that a scaled cost of 1 stands for.
        time_limit_s: Limit of each solve.
    """

    run: Run
    rows: tuple[ModelRow, ...]
    cost: FloatArray
    amount: FloatArray
    cost_unit: float
    time_limit_s: float | None

    def minimize(self, objective: FloatArray, *bounds: Bound) -> SolveResult:
        """Return the best solution within all bounds."""
        run = replace(self.run, deadline=self.run.clock() + _seconds(self.time_limit_s))
        return run.solve(objective, (*self.rows, *map(_row, bounds)))


@dataclass(frozen=True, slots=True)
class PooledFleet:
    """A fleet that is ready to be weighed.

    Attributes:
        prepared: The fleet and its candidates.
        question: What it asks, before options were pruned.
        weighed: Its model.
    """

    prepared: Prepared
    question: Question
    weighed: PooledWeighed


def _seconds(limit: float | None) -> float:
    return _UNLIMITED_S if limit is None else limit


def _row(bound: Bound) -> ModelRow:
    columns = np.flatnonzero(bound.values)
    return ModelRow(columns, bound.values[columns], bound.lower, bound.upper)


def aimless(fleet: Fleet) -> Fleet:
    """Return a fleet without what it prefers or aims at: bounds stay, and what they are about."""
    fleet = without_history(fleet)
    wishes = {name: replace(item, prefer_pools=()) for name, item in fleet.wishes.items()}
    return replace(fleet, objectives=COST_ALONE, wishes=wishes)


def pooled_fleet(
    fleet: Fleet,
    counted: FloatArray,
    time_limit_s: float | None,
    clock: Callable[[], float],
) -> PooledFleet:
    """Return a fleet with its model.

    Args:
        fleet: The fleet.
        counted: What each server counts when it is served, (servers,).
        time_limit_s: Limit of each solve.
        clock: Seconds.

    Raises:
        InvalidInputError: Settings or names that do not go together.
        SolverUnavailableError: The MILP solver asked for cannot be used.
    """
    prepared = prepare(aimless(fleet), clock=clock)
    refuse_combinations(prepared.fleet, prepared.settings)
    question = ask(
        prepared.fleet,
        prepared.table,
        kept_cards(prepared.kept),
        prepared.kept,
        on_nodes=prepared.settings.placement,
    )
    backend, _ = default_backend(prepared.settings.backend)
    model = weighed_model(question, counted, backend, time_limit_s, clock)
    return PooledFleet(prepared, question, model)


def weighed_model(
    question: Question,
    counted: FloatArray,
    backend: str,
    time_limit_s: float | None,
    clock: Callable[[], float],
) -> PooledWeighed:
    """Return the model of a question, with the options that the cheapest plans may need.

    Args:
        question: The question, about cost alone.
        counted: What each server counts when it is served, (servers,).
        backend: PuLP's name of the solver.
        time_limit_s: Limit of each solve.
        clock: Seconds.
    """
    needed = question.with_options(needed_options(question))
    solver = Solver(backend, 0.0, clock() + _seconds(time_limit_s), clock)
    run = solver.run(build_model(needed, split_columns(needed)))
    model, columns = run.model, run.model.columns
    price = np.bincount(
        columns.entry_column, weights=columns.entry_price, minlength=model.count
    ).astype(np.float64)
    unit = float(price.max(initial=0.0)) / SCALE or 1.0
    marked = model.marks >= 0
    amount = np.where(marked, counted[np.where(marked, model.marks, 0)], 0.0)
    whole = float(counted.sum())
    scaled = amount * (SCALE / whole) if whole > 0 else amount
    rows, _ = changes_allowed(run)
    return PooledWeighed(run, rows, price / unit, scaled, unit, time_limit_s)


def pooled_plan(pooled: PooledFleet, point: Efficient) -> Plan:
    """Return the plan of a solution on the frontier, with the proof of its cost."""
    model, prepared = pooled.weighed, pooled.prepared
    run = model.run
    groups = run.groups()
    counts = tuple(group.served(point.x) for group in groups)
    decision = Decision(point.x, counts, tuple(None for _ in groups))
    outcome = outcome_of(prepared.fleet, pooled.question, run, decision)
    outcome = replace(
        completed(prepared.table, outcome), method=METHOD, backend=run.backend, notes=()
    )
    places = run.model.question.places
    known = places is None or places.exact
    if not known:
        outcome = unproven(outcome)
    plan = plan_of_outcome(prepared, outcome)
    proof = point.proof
    kept = sum(item.cost_per_hour for item in prepared.kept)
    bound, gap = bound_and_gap(
        plan.cost_per_hour,
        None if proof.bound is None or not known else proof.bound * model.cost_unit + kept,
        plan.cost_per_hour,
    )
    optimal = proof.status is SolveStatus.OPTIMAL and known
    return replace(
        plan,
        status=PlanStatus.OPTIMAL if optimal else PlanStatus.FEASIBLE,
        objective=plan.cost_per_hour,
        bound=bound,
        gap=gap,
    )
