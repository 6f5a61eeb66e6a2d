"""From a plan and its fleet to the explanation: everything put together, within a time limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from optimizer.explaining.explainer import Explainer, ExplainOptions
from optimizer.explaining.margins import explained_alone, surge_notes
from optimizer.explaining.matching import matched_decision
from optimizer.explaining.problem import problem_of
from optimizer.explaining.progress import Report
from optimizer.explaining.shared import matched_sharing
from optimizer.explaining.situation import situation_of
from optimizer.preparation import Clock, Prepared, prepare
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.explanation import Explanation
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import Plan
from stoker.domain.settings import OptimizerSettings, SolverKind
from stoker.domain.unplaced_explanation import UnplacedExplanation

__all__ = [
    "ExplainOptions",
    "explain_alone",
    "explain_plan",
    "explain_prepared",
    "prepared_of",
    "settings_of",
    "with_planned_capacity",
]


def explain_alone(plan: Plan) -> Explanation:
    """Return what a plan tells of itself, without its fleet."""
    return Explanation(
        currency=plan.currency,
        cost_per_hour=plan.cost_per_hour,
        objective=plan.objective,
        method=plan.method,
        allocations=explained_alone(plan),
        unplaced=tuple(
            UnplacedExplanation(item.server, item.reason, item.detail, item.remedy)
            for item in plan.unplaced
        ),
        notes=(
            *surge_notes(plan),
            "without the fleet, runners-up, prices of cards and what would serve further servers "
            "are unknown",
        ),
    )


def explain_plan(
    fleet: Fleet,
    plan: Plan,
    settings: OptimizerSettings | None = None,
    options: ExplainOptions | None = None,
    *,
    estimates: Sequence[CandidateEstimate] | None = None,
    clock: Clock = time.perf_counter,
    report: Report | None = None,
) -> Explanation:
    """Return why a plan is as it is, by planning the fleet again under edits.

    Args:
        fleet: The fleet that the plan was made for.
        plan: The plan.
        settings: How it was made; None for what the plan tells and the fleet's own settings.
        options: What to explain, and for how long.
        estimates: The predictions that it was made from, where they were not Stoker's own.
        clock: Seconds, for the time limit.
        report: Is told how many steps are done, of how many.

    Raises:
        InvalidInputError: The plan is not of this fleet.
        SolverUnavailableError: The solver cannot be used.
    """
    chosen = settings or settings_of(plan, fleet.settings)
    planned = with_planned_capacity(fleet, plan)
    prepared = prepare(planned, chosen, estimates=estimates, clock=clock)
    return explain_prepared(prepared, plan, options, clock=clock, report=report)


def explain_prepared(
    prepared: Prepared,
    plan: Plan,
    options: ExplainOptions | None = None,
    *,
    clock: Clock = time.perf_counter,
    report: Report | None = None,
) -> Explanation:
    """Return why a plan is as it is, from what it was made from: nothing of it is predicted again.

    Args:
        prepared: What the plan was made from.
        plan: The plan.
        options: What to explain, and for how long.
        clock: Seconds, for the time limit.
        report: Is told how many steps are done, of how many.

    Raises:
        InvalidInputError: The plan was not made from that.
        SolverUnavailableError: The solver cannot be used.
    """
    problem = problem_of(prepared, clock)
    base = matched_decision(problem.fleet, problem.table, plan)
    if problem.fleet.sharing:
        base = matched_sharing(problem, base, plan)
    situation = situation_of(problem, base)
    explainer = Explainer(situation, plan, options or ExplainOptions(), clock, report)
    return explainer.explanation(predictable=prepared.own_predictions)


def prepared_of(
    fleet: Fleet,
    plan: Plan,
    *,
    heterogeneous: bool | None = None,
    estimates: Sequence[CandidateEstimate] | None = None,
    clock: Clock = time.perf_counter,
) -> Prepared:
    """Return what a plan was made from, as far as it and its fleet tell.

    Args:
        fleet: The fleet that it was made for.
        plan: The plan.
        heterogeneous: Whether it was allowed to mix accelerators; None for what it tells.
        estimates: The predictions that it was made from, where they were not Stoker's own.
        clock: Seconds, for timings.

    Raises:
        InvalidInputError: What the fleet promises is beyond the plan's analysis.
    """
    settings = settings_of(plan, fleet.settings)
    if heterogeneous is not None:
        settings = replace(settings, heterogeneous=heterogeneous)
    planned = with_planned_capacity(fleet, plan)
    return prepare(planned, settings, estimates=estimates, clock=clock)


def settings_of(plan: Plan, own: OptimizerSettings) -> OptimizerSettings:
    """Return how a plan was made, as far as it tells, and otherwise the fleet's own settings."""
    milp = plan.method.startswith("milp")
    return replace(
        own,
        unlimited=plan.method == "unlimited",
        solver=SolverKind.GREEDY if plan.method == "greedy" else SolverKind.MILP,
        heterogeneous=milp and (own.heterogeneous or any(item.mix for item in plan.allocations)),
        analysis=plan.analysis,
    )


def with_planned_capacity(fleet: Fleet, plan: Plan) -> Fleet:
    """Return a fleet with the cards that a plan was made with; pools stay as they are."""
    pooled = {pool.card_type for pool in fleet.pools}
    told = {item.card_type: item.available for item in plan.usage}
    counts: dict[str, int] = {}
    for item in fleet.capacity:
        counts[item.card_type] = counts.get(item.card_type, 0) + item.count
    for name, available in told.items():
        if name in pooled:
            continue
        if available is not None and (available or name in counts):
            counts[name] = available
    return replace(fleet, capacity=tuple(Capacity(name, n) for name, n in counts.items()))
