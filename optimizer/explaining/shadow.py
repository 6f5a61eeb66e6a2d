"""What one more of something would change: cards of a type or a pool, a unit of a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from optimizer.explaining.alternatives import least_loss
from optimizer.explaining.problem import PlanningProblem
from optimizer.explaining.situation import Situation
from stoker.domain.limits import Limits
from stoker.domain.plan import Plan
from stoker.domain.plan_change import Evidence, PlanChange

_WATTS = 1000.0
"""One more watt serves nobody; a kilowatt may."""


@dataclass(frozen=True, slots=True)
class Question:
    """What there is to be more of.

    Attributes:
        kind: ``cards``, ``pool`` or ``limit``.
        of: Its name.
        amount: How much more.
        used: How much of it the plan uses; None where it does not tell.
        available: How much of it there is.
        edited: Returns the problem with more of it; several where it may come to several places.
    """

    kind: str
    of: str
    amount: float
    used: float | None
    available: float
    edited: Callable[[PlanningProblem], tuple[PlanningProblem, ...]]


def questions(problem: PlanningProblem, plan: Plan) -> Iterator[Question]:
    """Yield what a plan is short of, or could be: cards by type, or by pool, and limits."""
    fleet = problem.fleet
    pooled = {pool.card_type for pool in fleet.pools}
    for item in plan.usage:
        if item.available is None or item.card_type not in problem.table.card_types:
            continue
        if item.card_type not in pooled:
            yield _cards(item.card_type, item.used, item.available)
    told = {use.pool: use.used for use in plan.pools}
    for pool in fleet.pools:
        yield _pool(pool.name, pool.card_type, told.get(pool.name), pool.usable)
    uses = {use.name: use.used for use in plan.limits}
    for name, amount, limit, limits in more_of_limits(fleet.limits):
        yield _limit(name, amount, uses.get(name), limit, limits)


def more_of_limits(limits: Limits) -> Iterator[tuple[str, float, float, Limits]]:
    """Yield the limits that there are: name, how much more, how much there is, and all with it."""
    if limits.budget_per_hour is not None:
        more = replace(limits, budget_per_hour=limits.budget_per_hour + 1.0)
        yield "budget_per_hour", 1.0, limits.budget_per_hour, more
    if limits.power_w is not None:
        yield "power_w", _WATTS, limits.power_w, replace(limits, power_w=limits.power_w + _WATTS)
    if limits.max_replicas is not None:
        more = replace(limits, max_replicas=limits.max_replicas + 1)
        yield "max_replicas", 1.0, limits.max_replicas, more
    if limits.max_changes is not None:
        more = replace(limits, max_changes=limits.max_changes + 1)
        yield "max_changes", 1.0, limits.max_changes, more


def change_with(situation: Situation, ways: Sequence[PlanningProblem]) -> PlanChange:
    """Return what becomes of the plan with more of something, exactly: it is planned again.

    Where every server that has a candidate is served with its candidate of least value, more of
    anything changes nothing, and planning again is spared.

    Args:
        situation: The plan.
        ways: The problem with more of something, and nothing else changed; of several the one with
            the best plan counts.
    """
    if situation.settled_but():
        return PlanChange(Evidence.PROVEN)
    changes = [situation.change_under(edited)[1] for edited in ways]
    return least_loss(changes, lambda change: change)


def _cards(card_type: str, used: int, available: int) -> Question:
    return Question(
        "cards", card_type, 1.0, used, available, lambda problem: problem.with_more_cards(card_type)
    )


def _pool(name: str, card_type: str, used: int | None, available: int) -> Question:
    return Question(
        "pool",
        name,
        1.0,
        used,
        available,
        lambda problem: problem.with_more_cards(card_type, name),
    )


def _limit(
    name: str, amount: float, used: float | None, available: float, limits: Limits
) -> Question:
    return Question(
        "limit", name, amount, used, available, lambda problem: (problem.with_limits(limits),)
    )
