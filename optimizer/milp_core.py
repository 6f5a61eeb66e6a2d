"""A good plan to start a search from: the core of the columns that prices leave near.

Where cards are scarce, what takes a solver long is not the proof but the plan: its own heuristics
find one within a thousandth late, and until then nothing can be pruned. A relaxation tells what
each column would cost more than what it is worth; columns of good plans cost little, so a search
among those few soon finds one, and searches that leave some servers open and all others where they
are soon better it. Sources: Balas and Zemel, An algorithm for large zero-one knapsack problems,
1980 (the core of a problem); Shaw, Using constraint programming and local search methods to solve
vehicle routing problems, 1998 (large neighbourhoods).
"""

from __future__ import annotations

import numpy as np

from optimizer.linear_model import LinearModel, SolveLimits, SolveResult
from optimizer.milp_session import Session
from optimizer.open_part import WHOLE, open_part
from optimizer.scaled_solve import solve_in_scale
from optimizer.solver import HIGHS
from optimizer.table import BoolArray, FloatArray

WIDTHS = (0.0013, 0.0027)
"""Reduced costs up to which columns belong to the core, as shares of the value of the relaxation;
the wider where the narrower holds no plan."""
FEWEST_COLUMNS = 200
"""Columns of a model below which the solver needs no help."""
NODES = 10
"""Branch-and-bound nodes of a core and of a betterment: they need not be proven, the search that
follows does that."""
OPEN_SHARE = 0.6
"""Share of the servers that are left open to better a plan."""
BETTERMENTS = 3
"""Times that a plan is bettered, other servers open each time."""
_OPEN_WIDTH = 0.003
"""Reduced costs up to which columns of open servers are looked at, as of a core."""
_GAP_SHARE = 0.5
"""Share of the gap asked for that a core is solved to."""
_INNER_SHARE = 0.2
"""Share of it that a betterment is solved to."""
_TIME_SHARE = 0.2
"""Share of the time that is left for all of it."""


def plan_of_core(session: Session, model: LinearModel) -> FloatArray | None:
    """Return a good solution of a model, not proven the best; None where none is found soon.

    Args:
        session: The run that the model is of, with its gap and deadline.
        model: What is minimized.
    """
    if session.backend != HIGHS or model.cost.size < FEWEST_COLUMNS:
        return None
    part = session.within(_TIME_SHARE)
    relaxed = _solved(part, model, relaxed=True)
    if relaxed.x is None or relaxed.reduced is None or relaxed.objective is None:
        return None
    whole, held = abs(relaxed.objective), relaxed.x > WHOLE
    nobodys = np.full(model.cost.size, -1)
    none = np.zeros(1, dtype=np.bool_)
    for width in WIDTHS:
        # As if all were nobody's: no server is fixed, and columns that are left out are at zero.
        near = (relaxed.reduced <= width * whole) | held
        core = open_part(model, np.zeros(model.cost.size), nobodys, none, near)
        found = _solved(part, core.model, gap=_GAP_SHARE * session.gap)
        if found.x is not None:
            near = (relaxed.reduced <= _OPEN_WIDTH * whole) | held
            return _bettered(part, model, core.joined(found.x), near)
    return None


def _bettered(session: Session, model: LinearModel, x: FloatArray, near: BoolArray) -> FloatArray:
    """Return a solution that is at least as good, from searches with few servers open."""
    server = session.form.server
    servers = int(server.max(initial=-1)) + 1
    random = np.random.default_rng(0)  # the same for equal questions
    for _ in range(BETTERMENTS):
        free = np.zeros(servers, dtype=np.bool_)
        free[random.permutation(servers)[: round(OPEN_SHARE * servers)]] = True
        part = open_part(model, x, server, free, near)
        gap = _INNER_SHARE * session.gap
        found = _solved(session, part.model, gap=gap, start=x[part.kept])
        if found.x is not None:
            other = part.joined(found.x)
            x = other if model.cost @ other < model.cost @ x else x
    return x


def _solved(
    session: Session,
    model: LinearModel,
    *,
    gap: float = 0.0,
    relaxed: bool = False,
    start: FloatArray | None = None,
) -> SolveResult:
    left = session.deadline - session.clock()
    limits = SolveLimits(gap, left, None if relaxed else NODES, restarts=False)
    return solve_in_scale(
        model, session.backend, limits, relaxed=relaxed, start=start, clock=session.clock
    )
