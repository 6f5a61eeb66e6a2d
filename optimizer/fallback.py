"""What a search that a time limit ends is held to: the best plan at hand, with bounds.

Plans at hand take no search (`optimizer.at_hand`). The best of them is the one by served servers of
each priority and then by value; relaxations and what candidates cost at least bound it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from optimizer.at_hand import AtHand
from optimizer.formulation import ExtraRow, Formulation
from optimizer.gap import bound_and_gap
from optimizer.linear_model import SolveStatus
from optimizer.milp_session import EXACT_METHOD, NO_PLAN_IN_TIME, Session, whole_bound
from optimizer.outcome import anything_for_the_loaded
from optimizer.placement import Outcome
from stoker.domain.plan import ClassService, PlanStatus

SEARCH_SHARE = 0.9
"""Share of the time for the search; the rest is for the bounds of a plan that it ends with."""
_TIE = 1e-9
_NOTHING = "the time limit ended the search before it found a plan"


def with_plan_at_hand(session: Session, outcome: Outcome, at_hand: Iterable[AtHand]) -> Outcome:
    """Return what a search came to that ended early, or a plan at hand that is better; bounded.

    Args:
        session: The search, with time left for bounds.
        outcome: What it came to, not proven the best.
        at_hand: Plans to hold it to.
    """
    table = session.table
    counts = tuple(item.served for item in outcome.services)
    value = outcome.objective if outcome.status is not PlanStatus.TIME_LIMIT else np.inf
    origin = None
    placement = outcome.placement
    for plan in at_hand:
        own = tuple(int(np.sum(plan.placement.served & g.members)) for g in session.groups)
        cost = float(np.sum(table.value[plan.placement.row]))
        fewer = own < counts
        dearer = own == counts and cost >= value - _TIE * max(1.0, abs(cost))
        if fewer or dearer or not anything_for_the_loaded(table, plan.placement):
            continue
        counts, value, origin, placement = own, cost, plan.origin, plan.placement
    if origin is None and (outcome.status is PlanStatus.TIME_LIMIT or outcome.bound is not None):
        return outcome
    classes = _class_bounds(session, outcome, counts)
    least = _value_bound(session, outcome, counts)
    amounts = float(np.sum(np.abs(table.value[placement.row])))
    bound, gap = bound_and_gap(value, least, amounts)
    outcome = replace(
        outcome,
        objective=value,
        bound=bound,
        gap=gap,
        services=tuple(
            ClassService(group.priority, group.size, count, limit)
            for group, count, limit in zip(session.groups, counts, classes, strict=True)
        ),
    )
    if origin is None:
        return outcome
    none = outcome.status is PlanStatus.TIME_LIMIT
    ended = _NOTHING if none else "the time limit ended the search with no better plan"
    notes = () if none else outcome.notes
    return replace(
        outcome,
        placement=placement,
        status=PlanStatus.FEASIBLE,
        notes=(*notes, f"{ended}: this one is made by {origin}"),
    )


def made_without_search(notes: Iterable[str]) -> bool:
    """Whether a plan with these notes, or a part of it, is at hand as its search had found none.

    Notes of a plan in parts begin with how many parts they are of.
    """
    return any(_NOTHING in note or NO_PLAN_IN_TIME in note for note in notes)


def _class_bounds(
    session: Session, outcome: Outcome, counts: tuple[int, ...]
) -> tuple[int | None, ...]:
    """Return, by group, how many could be served at most if higher groups keep their counts."""
    rows: tuple[ExtraRow, ...] = ()
    bounds: list[int | None] = []
    known = True  # while higher groups keep at least what the outcome's bounds are for
    for group, count, told in zip(session.groups, counts, outcome.services, strict=True):
        able = int(np.unique(session.form.serves[group.columns]).size)
        most = able if not known or told.bound is None else min(able, told.bound)
        if count < most and not (known and told.bound is not None):
            cost = np.zeros(session.form.upper.size)
            cost[group.columns] = -1.0
            relaxed = session.run(cost, rows, relaxed=True)
            proven = relaxed.status is SolveStatus.OPTIMAL
            limit = whole_bound(relaxed.objective) if proven else None
            most = most if limit is None else min(most, limit)
        bounds.append(max(most, count))
        known = known and count >= told.served
        rows = (*rows, session.count_row(group, float(count)))
    return tuple(bounds)


def _value_bound(session: Session, outcome: Outcome, counts: tuple[int, ...]) -> float | None:
    """Return what a plan that serves as many of each group costs at least."""
    bounds = []
    # What weights bound is the value of whom they serve, not of as many others.
    proven = outcome.bound if outcome.method == EXACT_METHOD else None
    as_many = all(n >= item.served for n, item in zip(counts, outcome.services, strict=True))
    if as_many and proven is not None:
        bounds.append(proven)
    else:
        rows = tuple(
            session.count_row(group, float(count))
            for group, count in zip(session.groups, counts, strict=True)
        )
        relaxed = session.run(session.form.value, rows, relaxed=True)
        if relaxed.status is SolveStatus.OPTIMAL and relaxed.objective is not None:
            bounds.append(relaxed.objective)
    least = _least_value(session, counts)
    if least is not None:
        bounds.append(least)
    return max(bounds, default=None)


def _least_value(session: Session, counts: tuple[int, ...]) -> float | None:
    """Return what so many servers of each group cost at least, wherever the cards come from."""
    form: Formulation = session.form
    marks = form.serves >= 0
    if np.any(form.value[~marks] < 0):
        return None
    least = np.full(len(session.table.servers), np.inf)
    np.minimum.at(least, form.serves[marks], form.value[marks])
    total = 0.0
    for group, count in zip(session.groups, counts, strict=True):
        own = np.sort(least[group.members & np.isfinite(least)])
        total += float(own[:count].sum() + np.minimum(own[count:], 0.0).sum())
    return total
