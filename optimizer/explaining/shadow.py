"""What one more of something would change: cards of a type, budget."""

from __future__ import annotations

from optimizer.explaining.decision import change_between, decision_of
from optimizer.explaining.problem import PlanningProblem
from optimizer.explaining.situation import Situation
from stoker.domain.explanation import Evidence, PlanChange


def change_with(situation: Situation, edited: PlanningProblem) -> PlanChange:
    """Return what becomes of the plan with more of something, exactly: it is planned again.

    Where every server that has a candidate is served with its candidate of least value, more of
    anything changes nothing, and planning again is spared.

    Args:
        situation: The plan.
        edited: The problem with more of something, and nothing else changed.
    """
    if situation.settled_but():
        return PlanChange(Evidence.PROVEN)
    after = decision_of(edited.table, edited.placed())
    return change_between(situation.base, after, Evidence.RESOLVED)
