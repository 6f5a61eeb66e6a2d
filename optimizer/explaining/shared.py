"""Replicas that servers share: found again in a written plan, and planned without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from optimizer.explaining.decision import Decision, change_between, decision_of, with_shared
from optimizer.explaining.problem import PlanningProblem
from optimizer.explaining.situation import Situation
from optimizer.planner import capacity_left
from optimizer.sharing.answer import SharedChoice
from optimizer.sharing.candidates import SharedFleet, shared_candidates
from optimizer.sharing.check import check_sharing_of_plan
from optimizer.sharing.figured import shared_sets
from optimizer.sharing.place import ample_cards, choice_of
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import InvalidInputError, PlanCheckError, Problem
from stoker.domain.explanation import Forbidden
from stoker.domain.plan import Plan
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
    choices = _choices(problem)
    pooled = bool(plan.pools)
    chosen: list[SharedChoice] = []
    problems: list[Problem] = []
    for item in hosts:
        fault = list(_matched(problem, choices, item, chosen, pooled=pooled))
        problems += fault
    if problems:
        raise InvalidInputError(problems)
    found = with_shared(decision, problem.table, chosen)
    return _standing(found, hosts) if pooled else found


def _choices(problem: PlanningProblem) -> list[SharedChoice]:
    """Return the sets that the planner chooses from."""
    shared = SharedFleet(problem.fleet)
    if not problem.fleet.is_plain or problem.settings.placement:
        sets = shared_sets(shared, problem.table)
        return [choice_of(problem.fleet, item.candidate) for item in sets]
    capacity = capacity_left(problem.fleet, problem.table, problem.taken)
    if problem.settings.unlimited:
        capacity = ample_cards(problem.table)
    found = shared_candidates(shared, problem.table, capacity)
    return [choice_of(problem.fleet, item) for item in found]


def _standing(decision: Decision, hosts: list[PlannedAllocation]) -> Decision:
    """Return the decision with where common replicas stand, as the plan tells it."""
    own = list(decision.own)
    for item in hosts:
        index = decision.servers.index(item.server)
        placements = tuple((part.pool, part.replicas) for part in item.placements)
        own[index] = replace(own[index], placements=placements)
    return replace(decision, own=tuple(own))


def _matched(
    problem: PlanningProblem,
    choices: list[SharedChoice],
    item: PlannedAllocation,
    chosen: list[SharedChoice],
    *,
    pooled: bool,
) -> Iterator[Problem]:
    """Add what an allocation is to those chosen; or yield why the fleet has nothing like it.

    Over pools there may be spare replicas, and prices are those of pools.
    """
    names = {item.server, *item.shared_with}
    told = (item.accelerator, item.configuration, item.max_batch)
    for choice in choices:
        members = {problem.fleet.servers[member].name for member in choice.members}
        accelerator = problem.fleet.accelerators[choice.accelerator].name
        if members != names or told != (accelerator, choice.configuration, choice.max_batch):
            continue
        if pooled and choice.replicas == item.replicas - item.spare_replicas:
            chosen.append(
                replace(
                    choice,
                    replicas=item.replicas,
                    cards=item.cards,
                    cost_per_hour=item.cost_per_hour,
                    value=item.value,
                )
            )
            return
        cost = abs(choice.cost_per_hour - item.cost_per_hour)
        same = (choice.replicas, choice.cards) == (item.replicas, item.cards)
        if not pooled and same and cost <= 1e-9 * max(1.0, choice.cost_per_hour):
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
