"""Replicas that servers share: found again in a written plan, and planned without."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.explaining.decision import Decision, change_between, decision_of, with_shared
from optimizer.explaining.problem import PlanningProblem
from optimizer.explaining.situation import Situation
from optimizer.planner import capacity_left
from optimizer.sharing.answer import SharedChoice
from optimizer.sharing.candidates import SharedFleet, shared_candidates
from optimizer.sharing.check import check_sharing_of_plan
from optimizer.sharing.place import ample_cards, choice_of
from stoker.domain.errors import InvalidInputError, PlanCheckError, Problem
from stoker.domain.explanation import Forbidden
from stoker.domain.plan import Plan, PlannedAllocation
from stoker.domain.plan_change import Evidence, PlanChange

_ALLOWED = "a plan of this fleet"


def matched_sharing(problem: PlanningProblem, decision: Decision, plan: Plan) -> Decision:
    """Return the decision with the replicas that servers of a plan share.

    Args:
        problem: The problem that the plan is said to be of.
        decision: What servers have alone.
        plan: The plan.

    Raises:
        InvalidInputError: The plan is not of this fleet: every set that the fleet does not make.
    """
    hosts = [item for item in plan.allocations if item.shared_with and item.counted_with is None]
    if not any(item.shared_with for item in plan.allocations):
        return decision
    try:
        check_sharing_of_plan(problem.fleet, plan)
    except PlanCheckError as error:
        raise InvalidInputError([Problem("allocations", str(error), _ALLOWED)]) from error
    capacity = capacity_left(problem.fleet, problem.table, problem.taken)
    if problem.settings.unlimited:
        capacity = ample_cards(problem.table)
    found = shared_candidates(SharedFleet(problem.fleet), problem.table, capacity)
    choices = [choice_of(problem.fleet, item) for item in found]
    chosen: list[SharedChoice] = []
    problems: list[Problem] = []
    for item in hosts:
        fault = list(_matched(problem, choices, item, chosen))
        problems += fault
    if problems:
        raise InvalidInputError(problems)
    return with_shared(decision, problem.table, chosen)


def _matched(
    problem: PlanningProblem,
    choices: list[SharedChoice],
    item: PlannedAllocation,
    chosen: list[SharedChoice],
) -> Iterator[Problem]:
    """Add what an allocation is to those chosen; or yield why the fleet has nothing like it."""
    names = {item.server, *item.shared_with}
    told = (item.accelerator, item.configuration, item.replicas, item.max_batch, item.cards)
    for choice in choices:
        members = {problem.fleet.servers[member].name for member in choice.members}
        accelerator = problem.fleet.accelerators[choice.accelerator].name
        own = accelerator, choice.configuration, choice.replicas, choice.max_batch, choice.cards
        cost = abs(choice.cost_per_hour - item.cost_per_hour)
        if members == names and own == told and cost <= 1e-9 * max(1.0, choice.cost_per_hour):
            chosen.append(choice)
            return
    yield Problem(
        f"allocations.{item.server}.shared_with",
        f"{item.replicas} × {item.accelerator} at {item.cost_per_hour:g} an hour with "
        f"{', '.join(item.shared_with)} in the plan, which this fleet has no such set for",
        _ALLOWED,
    )


def planned_without_set(
    situation: Situation, members: frozenset[int]
) -> tuple[Decision, PlanChange]:
    """Return the plan in which servers may not share replicas in just that set, and its change."""
    problem = situation.problem
    after = decision_of(problem.table, problem.without_set(members).placed())
    return after, change_between(situation.base, after, Evidence.RESOLVED, but=members)


def forbidden_set(
    situation: Situation, server: int, after: Decision, change: PlanChange
) -> Forbidden:
    """Return the plan in which a server may not share replicas as it does, as it sees it."""
    return Forbidden(
        accelerator=None,
        own=after.own[server],
        own_cost_change=None,
        change=change,
        shared_with=situation.base.own[server].shared_with,
    )
