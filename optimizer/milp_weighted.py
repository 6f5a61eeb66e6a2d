"""The weighted method for large fleets: unserved servers have a price that rises with priority."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.formulation import ExtraRow
from optimizer.linear_model import SolveResult, SolveStatus
from optimizer.milp_session import WEIGHTED_METHOD, Session, finish, out_of_time, whole_bound
from optimizer.placement import Outcome
from optimizer.table import FloatArray

LARGEST_WEIGHT = 1e7
"""Ratio between the weights of the highest and the lowest class, at most: beyond it a solver's
tolerances would drown the lowest classes."""


def place_weighted(session: Session, ratio: float) -> Outcome:
    """Price unserved servers by class in one solve, and bound each class by a relaxation."""
    form = session.form
    price, weights = _unserved_prices(session, ratio)
    cost = form.value.copy()
    marks = form.serves >= 0
    cost[marks] -= price[form.serves[marks]]
    gap = session.gap
    relaxation = session.run(cost, (), relaxed=True)
    if relaxation.x is not None and relaxation.objective is not None:
        # The gap is promised on value alone, so the solver's own, which counts prices, is scaled.
        value = abs(float(form.value @ relaxation.x))
        gap *= 0.9 * min(1.0, value / max(abs(relaxation.objective), 1e-12))
    # The rest of the time is for the bounds of the classes.
    result = session.within(0.8).run(cost, (), gap=gap)
    if result.x is None:
        return out_of_time(session)
    x = result.x
    value = float(form.value @ x)
    bound = None
    if result.bound is not None and result.objective is not None:
        bound = value - (result.objective - result.bound)
    counts = tuple(session.served(group, x) for group in session.groups)
    result = SolveResult(result.status, x, value, bound, result.runtime_s)
    outcome = finish(session, result, None, counts, _class_bounds(session, counts), WEIGHTED_METHOD)
    told = ", ".join(
        f"priority {group.priority}: {weight:g}"
        for group, weight in zip(session.groups, weights, strict=True)
    )
    note = (
        f"{len(session.table.servers):,} servers are above the limit for exact stages: unserved "
        f"demand was priced at a multiple of each server's cheapest candidate ({told})"
    )
    return replace(outcome, notes=(note, *outcome.notes))


def _unserved_prices(session: Session, ratio: float) -> tuple[FloatArray, FloatArray]:
    """Return the price of leaving each server unserved, and the weight of each group."""
    ranks = np.arange(len(session.groups), 0, -1, dtype=np.float64)
    most = max(len(session.groups) - 1, 1)
    step = min(np.log(ratio), np.log(LARGEST_WEIGHT) / most)
    weights = ratio * np.exp(step * (ranks - 1.0))
    table = session.table
    cheapest = np.full(len(table.servers), np.inf)
    accepted = np.flatnonzero(table.accepted)
    np.minimum.at(cheapest, table.server[accepted], table.cost_per_hour[accepted])
    typical = cheapest[np.isfinite(cheapest) & (cheapest > 0)]
    # A free candidate must still be worth serving.
    least = float(typical.min()) if typical.size else 1.0
    cheapest = np.where(np.isfinite(cheapest), np.maximum(cheapest, least), 0.0)
    price = np.zeros(len(table.servers))
    for group, weight in zip(session.groups, weights, strict=True):
        price[group.members] = weight * cheapest[group.members]
    return price, weights


def _class_bounds(session: Session, counts: tuple[int, ...]) -> tuple[int | None, ...]:
    """Return, by group, how many could be served at most if higher groups keep their counts."""
    rows: tuple[ExtraRow, ...] = ()
    bounds: list[int | None] = []
    for group, count in zip(session.groups, counts, strict=True):
        columns = np.unique(session.form.serves[group.columns])
        if count == columns.size:
            bounds.append(count)
        else:
            cost = np.zeros(session.form.upper.size)
            cost[group.columns] = -1.0
            relaxed = session.run(cost, rows, relaxed=True)
            if relaxed.objective is None or relaxed.status is not SolveStatus.OPTIMAL:
                bounds.append(None)
            else:
                bounds.append(whole_bound(relaxed.objective))
        rows = (*rows, session.count_row(group, float(count)))
    return tuple(bounds)
