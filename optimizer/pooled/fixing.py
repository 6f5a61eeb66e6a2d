"""Large models by fixing: what the relaxation decides whole is kept, the rest is solved exactly.

A relaxation of thousands of servers under a few dozen limits splits hardly more servers than there
are limits. Those that it splits, and some more so that there is room to move, are left open to a
small model; the bound of the relaxation says how good the result is, and more servers are opened
until that is good enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import LinearModel, SolveResult, SolveStatus
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import Run
from optimizer.table import BoolArray, FloatArray, IntArray

FIRST_OPEN = 200
"""Servers that are opened beside the split ones, at first."""
MORE = 4
"""Factor on them in every further round."""
_WHOLE = 1e-6
ROUND_SHARE = 0.5
"""Share of the time left that one round may take."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A model without the servers that are fixed, and what those take."""

    model: LinearModel
    kept: IntArray
    x: FloatArray


def solve_by_fixing(
    run: Run,
    cost: FloatArray,
    rows: tuple[ModelRow, ...],
    relaxation: SolveResult,
    *,
    wanted: float,
    all_served: bool = False,
) -> SolveResult:
    """Return a solution at most so far above a bound, or the best found in time.

    Args:
        run: The model, its solver and its deadline.
        cost: What to minimize.
        rows: Further rows.
        relaxation: The linear relaxation of just that.
        wanted: Value of the objective that is good enough.
        all_served: Whether every server that can be served must be.
    """
    best = SolveResult(SolveStatus.NO_SOLUTION, None, None, None, 0.0)
    if relaxation.x is None:
        return best
    model = run.linear(cost, rows, all_served=all_served)
    server = _server_of_columns(run)
    servers = len(run.model.question.table.servers)
    always = _split_servers(run, relaxation.x, server, servers)
    opened = FIRST_OPEN
    while True:
        free = always | _some_more(always, opened)
        everything = bool(np.all(free))
        part = _without_fixed(model, relaxation.x, server, free)
        limited = run if everything else run.within(ROUND_SHARE)
        found = limited.solve_linear(part.model, gap=run.gap / 10)
        if found.x is not None:
            x = part.x.copy()
            x[part.kept] = found.x
            value = float(cost @ x)
            if best.objective is None or value < best.objective:
                best = SolveResult(SolveStatus.FEASIBLE, x, value, None, 0.0)
        good = best.objective is not None and best.objective <= wanted
        if good or everything or run.deadline - run.clock() <= 0:
            return best
        opened *= MORE


def _server_of_columns(run: Run) -> IntArray:
    """Return the server of each column; -1 for those that are nobody's, which stay open."""
    columns, options = run.model.columns, run.model.question.options
    server = np.full(run.model.count, -1, dtype=np.int64)
    server[: columns.count] = options.server[columns.option]
    return server


def _split_servers(run: Run, x: FloatArray, server: IntArray, servers: int) -> BoolArray:
    """Return the servers that a relaxation splits, and those whose replicas have columns."""
    columns = run.model.columns
    split = np.zeros(servers, dtype=np.bool_)
    part = (np.abs(x - np.rint(x)) > _WHOLE) & (server >= 0)
    split[server[part]] = True
    split[server[: columns.count][columns.split[columns.option]]] = True
    return split


def _some_more(split: BoolArray, count: int) -> BoolArray:
    """Return so many of the other servers, spread evenly over all of them."""
    others = np.flatnonzero(~split)
    more = np.zeros(split.size, dtype=np.bool_)
    if count >= others.size:
        more[others] = True
    else:
        more[others[np.linspace(0, others.size - 1, count).astype(np.int64)]] = True
    return more


def _without_fixed(model: LinearModel, x: FloatArray, server: IntArray, free: BoolArray) -> Fixed:
    """Return a model of the free servers alone, what the others take off its rows."""
    open_column = (server < 0) | free[np.where(server < 0, 0, server)]
    kept = np.flatnonzero(open_column)
    fixed = np.where(open_column, 0.0, np.rint(x))
    taken = np.bincount(
        model.entry_row,
        weights=model.entry_value * fixed[model.entry_column],
        minlength=model.row_lower.size,
    )
    entries = np.flatnonzero(open_column[model.entry_column])
    used = np.unique(model.entry_row[entries])
    row = np.full(model.row_lower.size, -1, dtype=np.int64)
    row[used] = np.arange(used.size)
    column = np.full(model.cost.size, -1, dtype=np.int64)
    column[kept] = np.arange(kept.size)
    smaller = replace(
        model,
        cost=model.cost[kept],
        lower=model.lower[kept],
        upper=model.upper[kept],
        integer=model.integer[kept],
        entry_row=row[model.entry_row[entries]],
        entry_column=column[model.entry_column[entries]],
        entry_value=model.entry_value[entries],
        row_lower=model.row_lower[used] - taken[used],
        row_upper=model.row_upper[used] - taken[used],
    )
    return Fixed(smaller, kept, fixed)
