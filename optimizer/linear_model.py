"""The words between a formulation and a solver: a linear model, limits, and a normalized result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from optimizer.table import BoolArray, FloatArray, IntArray

FEASIBILITY_TOLERANCE = 1e-6
"""Of rows and of integrality. Tighter ones make HiGHS throw away good plans after presolve and
still call the rest optimal; formulations leave room for this one where it matters."""


class SolveStatus(StrEnum):
    """What a solver proved."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    NO_SOLUTION = "no_solution"


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Minimize ``cost @ x`` over rows ``row_lower <= A x <= row_upper`` and bounds of x.

    A is given by coordinates. Infinite bounds are numpy's infinities.

    Attributes:
        cost: Objective coefficients, shape (columns,).
        lower: Lower bounds, shape (columns,).
        upper: Upper bounds, shape (columns,).
        integer: Which columns are integer, shape (columns,).
        entry_row: Row of each coefficient, shape (entries,).
        entry_column: Column of each coefficient, shape (entries,).
        entry_value: Value of each coefficient, shape (entries,).
        row_lower: Lower bounds of rows, shape (rows,).
        row_upper: Upper bounds of rows, shape (rows,).
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    integer: BoolArray
    entry_row: IntArray
    entry_column: IntArray
    entry_value: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray

    @property
    def in_range(self) -> bool:
        """Whether costs and coefficients are finite, and no bound is NaN."""
        finite = (bool(np.all(np.isfinite(own))) for own in (self.cost, self.entry_value))
        bounds = (self.lower, self.upper, self.row_lower, self.row_upper)
        return all(finite) and not any(bool(np.any(np.isnan(own))) for own in bounds)


@dataclass(frozen=True, slots=True)
class SolveLimits:
    """Limits of one solve.

    Attributes:
        relative_gap: Relative gap at which the solver may stop.
        time_limit_s: Wall-clock limit in seconds; None for none.
        max_nodes: Largest number of branch-and-bound nodes; None for no limit. Unlike time, it
            gives the same answer on every machine. Solvers other than HiGHS and CBC ignore it.
        interior_point: Whether to solve a relaxation by interior points, with a crossover to a
            vertex, which is ten times as fast for those of thousands of servers. Solvers other
            than HiGHS ignore it.
        restarts: Whether the solver may start over once columns are fixed. Where a few servers take
            large shares of the cards, that is half of its time. Solvers other than HiGHS ignore it.
    """

    relative_gap: float = 0.0
    time_limit_s: float | None = None
    max_nodes: int | None = None
    interior_point: bool = False
    restarts: bool = True


@dataclass(frozen=True, slots=True)
class SolveResult:
    """Outcome of one solve.

    Attributes:
        status: What was proven.
        x: Values of the columns, integers exactly rounded; None without a solution.
        objective: ``cost @ x``; None without a solution.
        bound: Proven lower bound on the objective; None where the solver reports none.
        runtime_s: Wall-clock time in seconds, model building included.
        reduced: Reduced cost of each column of a relaxation; None for whole solutions, and where
            the solver does not tell.
    """

    status: SolveStatus
    x: FloatArray | None
    objective: float | None
    bound: float | None
    runtime_s: float
    reduced: FloatArray | None = None
