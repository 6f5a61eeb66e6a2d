"""The weighted method for large fleets: unserved servers have a price that rises with priority."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.formulation import NO_SERVER, ExtraRow
from optimizer.linear_model import SolveResult, SolveStatus
from optimizer.milp_fixing import relaxed_with_prices, solve_by_fixing
from optimizer.milp_session import WEIGHTED_METHOD, Session, finish, out_of_time, whole_bound
from optimizer.placement import Outcome
from optimizer.solver import HIGHS
from optimizer.table import FloatArray

LARGEST_WEIGHT = 1e7
"""Ratio between the weights of the highest and the lowest class, at most: beyond it a solver's
tolerances would drown the lowest classes."""
FEW_SERVERS = 500
"""Largest fleet whose model is given to the solver as a whole."""
MOST_NOBODYS = 2000
"""Most columns of no server (ways to cut cards or to fill nodes) with which servers are fixed."""
SEARCH_SHARE = 0.8
"""Share of the time for the search; the rest is for the bounds of the classes."""
ABOVE_THE_LIMIT = " servers are above the limit for exact stages: "
"""What the note about weights says of how many servers they are for."""
_STRICTER = 0.9
"""Share of the gap that is asked for, as it is promised on what is found."""


def place_weighted(session: Session, ratio: float) -> Outcome:
    """Price unserved servers by class in one solve, and bound each class by a relaxation."""
    form = session.form
    price, weights = unserved_prices(session, ratio)
    cost = form.value.copy()
    marks = form.serves >= 0
    cost[marks] -= price[form.serves[marks]]
    # The rest of the time is for the bounds of the classes.
    result = _searched(session, cost)
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
        f"{len(session.table.servers):,}{ABOVE_THE_LIMIT}unserved "
        f"demand was priced at a multiple of each server's cheapest candidate ({told})"
    )
    return replace(outcome, notes=(note, *outcome.notes))


def _searched(session: Session, cost: FloatArray) -> SolveResult:
    """Return a plan within the gap, or the best that was found in time, with the best bound."""
    found, near = _by_fixing(session.within(SEARCH_SHARE), cost)
    if found is not None and near:
        return found
    whole = _at_once(session, cost)
    if found is None:
        return whole
    bounds = [item.bound for item in (found, whole) if item.bound is not None]
    better = whole.objective is not None and (
        found.objective is None or whole.objective <= found.objective
    )
    return replace(whole if better else found, bound=max(bounds, default=None))


def _at_once(session: Session, cost: FloatArray) -> SolveResult:
    """Return what the solver makes of the whole model."""
    gap = session.gap
    relaxation = session.run(cost, (), relaxed=True)
    if relaxation.x is not None and relaxation.objective is not None:
        # The gap is promised on value alone, so the solver's own, which counts prices, is scaled.
        value = abs(float(session.form.value @ relaxation.x))
        gap *= _STRICTER * min(1.0, value / max(abs(relaxation.objective), 1e-12))
    return session.within(SEARCH_SHARE).run(cost, (), gap=gap, start=session.known)


def _by_fixing(session: Session, cost: FloatArray) -> tuple[SolveResult | None, bool]:
    """Return a plan with a bound by prices, and whether it is within the gap of it.

    None where that is not the way, or it is late.

    Not for few servers, where the solver is as fast and proves more, nor where servers mix
    accelerators, whose parts no price decides.
    """
    form, table = session.form, session.table
    nobodys = form.serves == NO_SERVER
    few = len(table.servers) <= FEW_SERVERS or int(np.count_nonzero(nobodys)) > MOST_NOBODYS
    if few or session.backend != HIGHS:
        return None, False

    def left() -> float:
        return session.deadline - session.clock()

    model = form.model(cost)
    server = np.where(nobodys, -1, form.server)
    priced = relaxed_with_prices(model, server, form.serve_row, left())
    if priced is None:
        return None, False
    allowed = _STRICTER * session.gap * abs(float(form.value @ priced.x))
    found = solve_by_fixing(
        model,
        server,
        priced,
        allowed,
        backend=session.backend,
        time_left=left,
        clock=session.clock,
    )
    near = found.objective is not None and found.objective - priced.bound <= allowed
    return found, near


def unserved_prices(session: Session, ratio: float) -> tuple[FloatArray, FloatArray]:
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
