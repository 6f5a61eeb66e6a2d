"""Large plain models by fixing: what prices decide is kept, the rest is solved exactly.

A relaxation of thousands of servers over a dozen card types splits hardly more servers than there
are types. With its prices on cards every server is best planned by itself, and the sum of that is a
bound on all plans, whatever the prices (Lagrangian relaxation). Servers that are split, and those
whose second choice is nearly as good as their first, are left open to a small model that is solved
exactly; more are opened until the plan is as near to the bound as is asked for. Sources: Geoffrion,
Lagrangean relaxation for integer programming, 1974; Balas and Zemel, An algorithm for large
zero-one knapsack problems, 1980 (the core of what prices do not decide).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optimizer.highs import GrowingProgram
from optimizer.linear_model import LinearModel, SolveLimits, SolveResult, SolveStatus
from optimizer.open_part import WHOLE, open_part
from optimizer.scaled_solve import solve_in_scale
from optimizer.table import BoolArray, FloatArray, IntArray

FIRST_OPEN = 300
"""Servers that are opened at first, beside those that the relaxation splits."""
MORE = 3
"""Factor on them in every further round."""
_ROUNDS = 3
_ENOUGH = 0.5
"""Share of what a plan may lie above the bound with which the first round is good enough."""
_INNER = 0.3
"""Share of it that a small model may leave open."""
_ROUND_SHARE = 0.4
"""Share of the time left that one round may take."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A relaxation with prices on the rows that servers share.

    Attributes:
        x: Values of the columns.
        reduced: What columns cost at those prices.
        bound: What no plan goes below.
        price: Prices of rows, 0 for those of servers.
    """

    x: FloatArray
    reduced: FloatArray
    bound: float
    price: FloatArray


def relaxed_with_prices(
    model: LinearModel, server: IntArray, serve_row: IntArray, time_limit_s: float
) -> Priced | None:
    """Return a relaxation with prices, and the bound that they prove; None if out of time.

    Args:
        model: A model whose rows have no lower bounds, and whose columns are at least 0.
        server: Server of each column; -1 for nobody's.
        serve_row: Rows that let a server have one of its columns at most.
        time_limit_s: Seconds.
    """
    order = np.argsort(model.entry_column, kind="stable")
    row, value = model.entry_row[order], model.entry_value[order]
    start = np.searchsorted(model.entry_column[order], np.arange(model.cost.size))
    scale = 1e3 / max(float(np.max(np.abs(model.cost), initial=0.0)), 1e-300)
    program = GrowingProgram(model.row_upper)
    program.add(model.cost * scale, start, row, value)
    solved = program.solve(time_limit_s)
    if solved is None:
        return None
    x, price, _ = solved
    price = price / scale
    price[serve_row] = 0.0
    paid = np.bincount(
        model.entry_column,
        weights=model.entry_value * price[model.entry_row],
        minlength=model.cost.size,
    )
    reduced = model.cost + paid
    own = server >= 0
    least = np.zeros(int(server.max(initial=-1)) + 1)
    np.minimum.at(least, server[own], reduced[own])
    free = np.minimum(reduced[~own], 0.0) @ model.upper[~own]
    bound = float(least.sum() + free - price @ np.where(price > 0, model.row_upper, 0.0))
    return Priced(x, reduced, bound, price)


def solve_by_fixing(
    model: LinearModel,
    server: IntArray,
    priced: Priced,
    allowed: float,
    *,
    backend: str,
    time_left: Callable[[], float],
    clock: Callable[[], float],
    first_open: int = FIRST_OPEN,
) -> SolveResult:
    """Return the best plan found, with the bound; good where it lies no further above than allowed.

    Args:
        model: What is minimized.
        server: Server of each column; -1 for nobody's, which stay open.
        priced: Its relaxation.
        allowed: What a plan may lie above the bound.
        backend: Solver.
        time_left: Seconds that are left.
        clock: Seconds.
        first_open: Servers that are opened at first.
    """
    regret, least = regrets(server, priced.reduced)
    split = np.zeros(regret.size, dtype=np.bool_)
    parts = (np.abs(priced.x - np.rint(priced.x)) > WHOLE) & (server >= 0)
    split[server[parts]] = True
    near = np.argsort(np.where(split, -np.inf, regret), kind="stable")
    floor = np.where(server >= 0, least[np.maximum(server, 0)], 0.0)
    useful = priced.reduced - floor <= allowed
    best: FloatArray | None = None
    value = np.inf
    opened = first_open
    for done in range(_ROUNDS):
        free = split.copy()
        free[near[: int(split.sum()) + opened]] = True
        found = _round(model, server, priced, free, useful, allowed, backend, time_left, clock)
        if found is not None and float(model.cost @ found) < value:
            best, value = found, float(model.cost @ found)
        above = value - priced.bound
        if above <= (_ENOUGH if done == 0 else 1.0) * allowed or bool(np.all(free)):
            break
        opened *= MORE
    if best is None:
        return SolveResult(SolveStatus.NO_SOLUTION, None, None, priced.bound, 0.0)
    return SolveResult(SolveStatus.FEASIBLE, best, value, priced.bound, 0.0)


def _round(
    model: LinearModel,
    server: IntArray,
    priced: Priced,
    free: BoolArray,
    useful: BoolArray,
    allowed: float,
    backend: str,
    time_left: Callable[[], float],
    clock: Callable[[], float],
) -> FloatArray | None:
    part = open_part(model, priced.x, server, free, useful)
    about = abs(float(part.model.cost @ priced.x[part.kept]))
    gap = _INNER * allowed / about if about > 0 else 0.0
    limits = SolveLimits(relative_gap=gap, time_limit_s=_ROUND_SHARE * time_left())
    found = solve_in_scale(part.model, backend, limits, relaxed=False, clock=clock)
    return None if found.x is None else part.joined(found.x)


def regrets(server: IntArray, reduced: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what the second best of each server, or nothing, costs above its best; and that."""
    servers = int(server.max(initial=-1)) + 1
    own = np.flatnonzero(server >= 0)
    values = np.concatenate([reduced[own], np.zeros(servers)])
    owner = np.concatenate([server[own], np.arange(servers)])
    order = np.lexsort((values, owner))
    first = np.searchsorted(owner[order], np.arange(servers))
    single = np.bincount(owner, minlength=servers) < 2
    second = order[np.minimum(first + 1, order.size - 1)]
    least = values[order[first]]
    return np.where(single, np.inf, values[second] - least), least
