"""Whether this process can plan: its solver solves, its data load."""

from __future__ import annotations

import numpy as np

from data.fleets import builtin_names, read_fleet
from optimizer.linear_model import LinearModel, SolveLimits, SolveStatus
from optimizer.solver import default_backend, solve
from stoker.domain.errors import StokerError


def unready_parts() -> list[str]:
    """Return why fleets cannot be planned here, one sentence a part; empty when they can."""
    return [*_solver_problems(), *_data_problems()]


def _solver_problems() -> list[str]:
    one = np.ones(1)
    at_least_one = LinearModel(
        cost=one,
        lower=np.zeros(1),
        upper=np.full(1, 2.0),
        integer=np.ones(1, dtype=np.bool_),
        entry_row=np.zeros(1, dtype=np.int64),
        entry_column=np.zeros(1, dtype=np.int64),
        entry_value=one,
        row_lower=one,
        row_upper=np.full(1, np.inf),
    )
    try:
        backend, _ = default_backend("highs")
        result = solve(at_least_one, backend, SolveLimits(time_limit_s=5.0))
    except StokerError as error:
        return [f"the MILP solver cannot be used: {error}"]
    if result.status is not SolveStatus.OPTIMAL or result.objective != 1.0:
        return [f"the MILP solver {backend} does not solve a model of one variable"]
    return []


def _data_problems() -> list[str]:
    problems = []
    for name in builtin_names():
        try:
            read_fleet(name)
        except StokerError as error:
            problems.append(f"the built-in fleet {name} cannot be read: {error}")
    return problems
