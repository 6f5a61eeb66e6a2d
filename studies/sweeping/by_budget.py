"""The frontier of cost against priorities: what the optimizer serves for a budget, at every budget.

A plan within a budget serves the most of the first priority, then of the second, and so on. The
frontier is walked from its dearest end: plan, then plan again for just less than the plan costs,
until nothing that costs anything is left. Where every plan is proven, no budget in between is worth
anything else: a plan that serves as well for less would have been found at its own cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optimizer.planner import plan_prepared
from optimizer.preparation import Prepared, prepare
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Combination, Objectives
from stoker.domain.plan import Plan, PlanStatus
from studies.sweeping.attainment import Frontier, Report, distinct_plans
from studies.sweeping.pooled_attainment import aimless

RESOLUTION = 1e-6
"""Share of the dearest plan's cost by which plans are told apart."""


def priority_frontier(
    fleet: Fleet,
    most_points: int = 50,
    *,
    time_limit_s: float | None = 60.0,
    report: Report | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Frontier:
    """Return the frontier of cost against the servers served, by priority.

    Args:
        fleet: The fleet; cards, pools, limits, prices and analysis are its own. Its objectives, the
            pools that it prefers and best effort play no part.
        most_points: Largest number of plans; where the frontier has more, those for evenly spaced
            budgets.
        time_limit_s: Limit of each plan; one that it cuts short has an open gap.
        report: Told how many plans there are.
        clock: Seconds, for timings.

    Raises:
        InvalidInputError: The fleet uses what plans within a budget do not know.
        SolverUnavailableError: The MILP solver asked for cannot be used.
    """
    if fleet.sharing:
        message = "is beyond plans within a budget, where every server has replicas of its own"
        raise InvalidInputError([Problem("sharing", message, "--against latency, or no sharing")])
    # Aimed at cost in so many words, a fleet is planned by the model that knows budgets, always.
    aimed = replace(aimless(fleet), objectives=Objectives(combine=Combination.WEIGHTED))
    settings = replace(aimed.settings, time_limit_s=time_limit_s)
    prepared = prepare(aimed, settings, clock=clock)
    floor = sum(item.cost_per_hour for item in prepared.kept)
    dearest = plan_prepared(prepared, clock=clock)
    step = RESOLUTION * max(dearest.cost_per_hour, 1e-12)
    plans, whole = [dearest], False
    proven = dearest.status is not PlanStatus.TIME_LIMIT
    if report is not None:
        report(1)
    while not whole and len(plans) < most_points:
        budget = plans[-1].cost_per_hour - step
        plan = _within(prepared, budget, clock) if budget > floor else None
        if plan is not None and plan.status is PlanStatus.TIME_LIMIT:
            whole, proven = True, False
        elif plan is None or plan.cost_per_hour > budget + step / 2:
            whole = True
        else:
            plans.append(plan)
            if report is not None:
                report(len(plans))
    if not whole:
        plans, in_time = _evenly(prepared, floor, dearest, most_points, clock, report)
        proven = proven and in_time
    return Frontier(_best(plans), whole, proven)


def _within(prepared: Prepared, budget: float, clock: Callable[[], float]) -> Plan | None:
    """Return the plan for a budget, or that none was found in time.

    None where a budget so small breaks another limit.
    """
    fleet = prepared.fleet
    limits = fleet.limits
    given = limits.budget_per_hour
    limits = replace(limits, budget_per_hour=budget if given is None else min(given, budget))
    plan = plan_prepared(replace(prepared, fleet=replace(fleet, limits=limits)), clock=clock)
    changes = next((item for item in plan.limits if item.name == "max_changes"), None)
    broken = changes is not None and changes.used > changes.limit
    return None if broken and plan.status is not PlanStatus.TIME_LIMIT else plan


def _evenly(
    prepared: Prepared,
    floor: float,
    dearest: Plan,
    most_points: int,
    clock: Callable[[], float],
    report: Report | None,
) -> tuple[list[Plan], bool]:
    """Return plans for evenly spaced budgets, the dearest first, and whether all were in time."""
    plans, in_time = [dearest], True
    for budget in np.linspace(dearest.cost_per_hour, floor, most_points)[1:].tolist():
        plan = _within(prepared, budget, clock)
        if plan is None:
            break
        if plan.status is PlanStatus.TIME_LIMIT:
            in_time = False
            continue
        plans.append(plan)
        if report is not None:
            report(len(plans))
    return list(distinct_plans(plans)), in_time


def _best(plans: list[Plan]) -> tuple[Plan, ...]:
    """Return the plans that none as cheap serves as well as, by rising cost."""
    kept: list[Plan] = []
    for plan in sorted(plans, key=lambda item: item.cost_per_hour):
        if not kept or vector_of(plan) > vector_of(kept[-1]):
            kept.append(_nothing(plan) if plan.status is PlanStatus.INFEASIBLE else plan)
    return tuple(kept)


def _nothing(plan: Plan) -> Plan:
    """Return a plan that gives nobody anything as what it is here: the cheapest one."""
    cost = plan.cost_per_hour
    return replace(plan, status=PlanStatus.OPTIMAL, objective=cost, bound=cost, gap=0.0)


def vector_of(plan: Plan) -> tuple[int, ...]:
    """Return how many servers of each priority a plan serves, the highest first."""
    return tuple(item.served for item in sorted(plan.services, key=lambda item: item.priority))
