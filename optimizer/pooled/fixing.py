"""Large models by fixing: what the relaxation decides whole is kept, the rest is solved exactly.

A relaxation of thousands of servers under a few dozen limits splits hardly more servers than there
are limits. Those that it splits, and some more so that there is room to move, are left open to a
small model; the bound of the relaxation says how good the result is, and more servers are opened
until that is good enough. Servers planned in turn come first, so that there is a plan whatever the
time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.linear_model import LinearModel, SolveResult, SolveStatus
from optimizer.open_part import WHOLE, OpenPart, open_part
from optimizer.pooled.in_turn import planned_in_turn
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import Run
from optimizer.table import BoolArray, FloatArray, IntArray

FIRST_OPEN = 200
"""Servers that are opened beside the split ones, at first."""
MORE = 3
"""Factor on them in every further round."""
ROUND_SHARE = 0.4
"""Share of the time left that one round may take."""
_STRICTER = 0.5
"""Share of what may be missing to the bound that a small model may leave open."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Start:
    """What a relaxation tells.

    Attributes:
        share: Values of the columns in it, the first of them at least; None if there is none.
        bound: What no plan goes below.
        allowed: What a plan may lie above the bound.
        reduced: What columns cost at prices of the limits, if known: what lies further above the
            best column of its server than a plan above the bound is in no better plan.
    """

    share: FloatArray | None
    bound: float
    allowed: float
    reduced: FloatArray | None = None


def solve_by_fixing(
    run: Run, cost: FloatArray, rows: tuple[ModelRow, ...], start: Start
) -> SolveResult:
    """Return a plan that is as near to the bound as is allowed, or the best found in time.

    Args:
        run: The model, its solver and its deadline.
        cost: What to minimize.
        rows: Further rows.
        start: What the relaxation tells.
    """
    model = run.linear(cost, rows)
    server = _server_of_columns(run)
    x = np.zeros(run.model.count)
    if start.share is not None:
        x[: start.share.size] = start.share
    best = planned_in_turn(model, server, run.model.whole, x)
    if start.share is None or _good(best, start):
        return _result(model, best)
    always = _split_servers(run, x, server)
    regret = _regret(run, start, server)
    opened, narrow = FIRST_OPEN, True
    while not _good(best, start) and run.deadline - run.clock() > 0:
        free = always | _nearest(always, regret, opened)
        everything = bool(np.all(free))
        part = open_part(model, x, server, free, _useful(run, start, server, best, narrow=narrow))
        limited = run if everything else run.within(ROUND_SHARE)
        found = limited.solve_linear(part.model, gap=_inner_gap(part, x, start, run.gap))
        if found.x is not None:
            again = part.joined(found.x)
            value = float(cost @ again)
            if best is None or value < best[1]:
                best = again, value
        if everything and not narrow:
            break
        # Where nothing good enough is in reach of a few, more columns are in the next rounds.
        narrow = narrow and found.x is not None and not everything
        opened *= MORE
    return _result(model, best)


def _good(best: tuple[FloatArray, float] | None, start: Start) -> bool:
    return best is not None and best[1] - start.bound <= start.allowed


def _result(model: LinearModel, best: tuple[FloatArray, float] | None) -> SolveResult:
    if best is None:
        return SolveResult(SolveStatus.NO_SOLUTION, None, None, None, 0.0)
    return SolveResult(SolveStatus.FEASIBLE, best[0], float(model.cost @ best[0]), None, 0.0)


def _inner_gap(part: OpenPart, x: FloatArray, start: Start, gap: float) -> float:
    """Return the relative gap of a part that leaves a share of what is allowed to the whole."""
    about = abs(float(part.model.cost @ x[part.kept]))
    return min(gap, _STRICTER * start.allowed / about) if about > 0 else gap


def _server_of_columns(run: Run) -> IntArray:
    """Return the server of each column; -1 for those that are nobody's, which stay open."""
    columns, options = run.model.columns, run.model.question.options
    server = np.full(run.model.count, -1, dtype=np.int64)
    server[: columns.count] = options.server[columns.option]
    return server


def _split_servers(run: Run, x: FloatArray, server: IntArray) -> BoolArray:
    """Return the servers that a relaxation splits, and those whose replicas have columns."""
    columns = run.model.columns
    split = np.zeros(len(run.model.question.table.servers), dtype=np.bool_)
    part = (np.abs(x - np.rint(x)) > WHOLE) & (server >= 0)
    split[server[part]] = True
    split[server[: columns.count][columns.split[columns.option]]] = True
    return split


def _regret(run: Run, start: Start, server: IntArray) -> FloatArray | None:
    """Return what the second best column of each server, or none, costs more than its best."""
    if start.reduced is None:
        return None
    servers = len(run.model.question.table.servers)
    own = server[: start.reduced.size]
    values = np.concatenate([start.reduced, np.zeros(servers)])
    owner = np.concatenate([own, np.arange(servers)])
    order = np.lexsort((values, owner))
    first = np.searchsorted(owner[order], np.arange(servers))
    counts = np.bincount(owner, minlength=servers)
    second = order[np.minimum(first + 1, order.size - 1)]
    regret: FloatArray = np.where(counts > 1, values[second] - values[order[first]], np.inf)
    return regret


def _nearest(split: BoolArray, regret: FloatArray | None, count: int) -> BoolArray:
    """Return so many of the other servers: half those nearest to a change, half spread evenly."""
    others = np.flatnonzero(~split)
    more = np.zeros(split.size, dtype=np.bool_)
    if count >= others.size:
        more[others] = True
        return more
    if regret is not None:
        near = others[np.argsort(regret[others], kind="stable")]
        more[near[: count // 2]] = True
        others, count = np.flatnonzero(~split & ~more), count - count // 2
    more[others[np.linspace(0, others.size - 1, count).astype(np.int64)]] = True
    return more


def _useful(
    run: Run,
    start: Start,
    server: IntArray,
    best: tuple[FloatArray, float] | None,
    *,
    narrow: bool,
) -> BoolArray:
    """Return the columns that a better plan than the best may hold, by their reduced costs.

    Narrowed, those that a plan as good as is allowed may hold.
    """
    useful = np.ones(run.model.count, dtype=np.bool_)
    if start.reduced is None or best is None or not np.isfinite(start.bound):
        return useful
    own = server[: start.reduced.size]
    least = np.zeros(len(run.model.question.table.servers))
    np.minimum.at(least, own, start.reduced)
    above = start.reduced - least[own]
    open_to = best[1] - start.bound
    if narrow:
        open_to = min(open_to, start.allowed)
    useful[: own.size] = above <= open_to + _ROUNDING * abs(best[1])
    return useful
