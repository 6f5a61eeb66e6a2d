"""Solving within what is left of a time, in a scale that suits the tolerances of solvers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optimizer.linear_model import LinearModel, SolveLimits, SolveResult, SolveStatus
from optimizer.solver import solve
from optimizer.table import FloatArray

COST_SCALE = 1e3
"""Largest coefficient of an objective as a solver sees it."""


def solve_in_scale(
    model: LinearModel,
    backend: str,
    limits: SolveLimits,
    *,
    relaxed: bool,
    start: FloatArray | None = None,
    clock: Callable[[], float],
) -> SolveResult:
    """Return what a solver finds, objective and bound in the model's own scale.

    Args:
        model: what to solve.
        backend: PuLP's name of the solver.
        limits: of the solve; without time left nothing is tried.
        relaxed: whether integers may be broken.
        start: a solution to start from, or None.
        clock: seconds.
    """
    if limits.time_limit_s is not None and limits.time_limit_s <= 0:
        return SolveResult(SolveStatus.NO_SOLUTION, None, None, None, 0.0)
    largest = float(np.max(np.abs(model.cost), initial=0.0))
    scale = COST_SCALE / largest if largest > 0 else 1.0
    scaled = replace(model, cost=model.cost * scale)
    result = solve(scaled, backend, limits, relaxed=relaxed, start=start, clock=clock)
    if result.x is None:
        return result
    bound = None if result.bound is None else result.bound / scale
    reduced = None if result.reduced is None else result.reduced / scale
    value = float(model.cost @ result.x)
    return replace(result, objective=value, bound=bound, reduced=reduced)
