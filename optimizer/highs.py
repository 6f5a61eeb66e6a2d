"""HiGHS without a modelling layer: a model's arrays straight in, its answer straight out.

Building the objects of a modelling library is what most of the time of thousands of servers would
go to, and HiGHS can do what such a layer does not pass on: it starts from a known plan, says its
bound at every limit, and lets a program grow. Models for all other solvers go through PuLP
(`optimizer.solver`), and both see the same one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optimizer.linear_model import (
    FEASIBILITY_TOLERANCE,
    LinearModel,
    SolveLimits,
    SolveResult,
    SolveStatus,
)
from optimizer.table import FloatArray, IntArray
from stoker.domain.errors import SolverUnavailableError

_FEASIBLE_POINT = 2
"""HiGHS's code of a feasible primal point (kSolutionStatusFeasible)."""
_OUT_OF_RANGE = "solver 'HiGHS' refused a model: its numbers are out of range"
_NO_INDEX = np.zeros(0, dtype=np.int32)
_NO_VALUE = np.zeros(0)


def available() -> bool:
    """Return whether the library can be loaded."""
    try:
        import highspy  # noqa: F401
    except ImportError:
        return False
    return True


def solve_by_highs(
    model: LinearModel,
    limits: SolveLimits,
    *,
    relaxed: bool,
    start: FloatArray | None = None,
    presolve: bool = True,
) -> SolveResult:
    """Solve a model by one thread and with fixed tolerances, so that equal asks equal answers.

    The status tells what HiGHS says, whatever its bound bears out; the runtime is the caller's.

    Args:
        model: What to minimize.
        limits: When to stop.
        relaxed: Whether to drop integrality.
        start: A solution to start from, shape (columns,); one that breaks a row changes nothing.
        presolve: Whether the model may be made smaller first.

    Raises:
        SolverUnavailableError: A number of the model is none, or the library refused it.
    """
    import highspy  # where it cannot be loaded, the bundled CBC still serves

    relaxed = relaxed or not bool(np.any(model.integer))
    if not model.in_range:  # the library reads it without a check, and may crash on it
        raise SolverUnavailableError(_OUT_OF_RANGE)
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    _configure(solver, limits, presolve=presolve)
    if solver.passModel(_as_highs(highspy, model, relaxed)) == highspy.HighsStatus.kError:
        raise SolverUnavailableError(_OUT_OF_RANGE)
    if start is not None:
        known = highspy.HighsSolution()
        known.col_value = start.tolist()
        solver.setSolution(known)
    solver.run()
    status = solver.getModelStatus()
    ended = highspy.HighsModelStatus
    if status in (ended.kInfeasible, ended.kUnboundedOrInfeasible):
        return SolveResult(SolveStatus.INFEASIBLE, None, None, None, 0.0)
    info = solver.getInfo()
    optimal = status == ended.kOptimal
    if not optimal and (relaxed or int(info.primal_solution_status) != _FEASIBLE_POINT):
        return SolveResult(SolveStatus.NO_SOLUTION, None, None, None, 0.0)
    solution = solver.getSolution()
    x = np.array(solution.col_value, dtype=np.float64)
    reduced = None
    if relaxed:
        reduced = np.array(solution.col_dual, dtype=np.float64)
    else:
        x = np.where(model.integer, np.rint(x), x)
    objective = float(model.cost @ x)
    told = objective if relaxed else float(info.mip_dual_bound)
    bound = min(told, objective) if np.isfinite(told) else None
    said = SolveStatus.OPTIMAL if optimal else SolveStatus.FEASIBLE
    return SolveResult(said, x, objective, bound, 0.0, reduced)


def _configure(solver: Any, limits: SolveLimits, *, presolve: bool) -> None:
    options: dict[str, Any] = {
        "output_flag": False,
        "threads": 1,
        "random_seed": 0,
        "mip_rel_gap": limits.relative_gap,
        "mip_abs_gap": 0.0,
        "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        "presolve": "choose" if presolve else "off",
        "mip_allow_restart": limits.restarts,
    }
    if limits.time_limit_s is not None:
        options["time_limit"] = float(limits.time_limit_s)
    if limits.max_nodes is not None:
        options["mip_max_nodes"] = limits.max_nodes
    if limits.interior_point:
        options["solver"] = "ipm"
    for name, value in options.items():
        solver.setOptionValue(name, value)


def _as_highs(library: Any, model: LinearModel, relaxed: bool) -> Any:
    """Return the model in HiGHS's own words, column by column."""
    order = np.lexsort((model.entry_row, model.entry_column))
    program = library.HighsLp()
    program.num_col_ = model.cost.size
    program.num_row_ = model.row_lower.size
    program.col_cost_ = model.cost
    program.col_lower_ = model.lower
    program.col_upper_ = model.upper
    program.row_lower_ = model.row_lower
    program.row_upper_ = model.row_upper
    columns = np.arange(model.cost.size + 1)
    program.a_matrix_.format_ = library.MatrixFormat.kColwise
    program.a_matrix_.start_ = np.searchsorted(model.entry_column[order], columns)
    program.a_matrix_.index_ = model.entry_row[order]
    program.a_matrix_.value_ = model.entry_value[order].astype(np.float64)
    if not relaxed:
        kinds = (library.HighsVarType.kContinuous, library.HighsVarType.kInteger)
        program.integrality_ = [kinds[whole] for whole in model.integer.astype(int).tolist()]
    return program


class GrowingProgram:
    """A linear program for HiGHS that columns are added to, solved from where it was left.

    Rows are ``rows @ x <= upper``, and columns are at least 0. For column generation: a model of
    PuLP would be built anew for every few columns more.
    """

    def __init__(self, row_upper: FloatArray) -> None:
        import highspy  # where it cannot be loaded, the bundled CBC still serves

        self._library = highspy
        self._solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self._solver.setOptionValue("output_flag", False)
        self._solver.setOptionValue("threads", 1)
        self._solver.setOptionValue("random_seed", 0)
        for bound in row_upper.tolist():
            self._solver.addRow(-np.inf, bound, 0, _NO_INDEX, _NO_VALUE)

    def add(self, cost: FloatArray, start: IntArray, row: IntArray, value: FloatArray) -> None:
        """Add columns by their coefficients.

        Args:
            cost: Their costs, shape (columns,).
            start: Where the coefficients of each begin, shape (columns,).
            row: Row of each coefficient.
            value: Coefficients.

        Raises:
            SolverUnavailableError: A number of them is none.
        """
        if not (np.all(np.isfinite(cost)) and np.all(np.isfinite(value))):
            raise SolverUnavailableError(_OUT_OF_RANGE)
        self._solver.addCols(
            cost.size,
            cost,
            np.zeros(cost.size),
            np.full(cost.size, np.inf),
            value.size,
            start.astype(np.int32),
            row.astype(np.int32),
            value,
        )

    def solve(
        self, time_limit_s: float, *, interior_point: bool = False
    ) -> tuple[FloatArray, FloatArray, float] | None:
        """Return columns, prices of rows (not negative) and the objective; None if out of time."""
        if time_limit_s <= 0:
            return None
        self._solver.setOptionValue("solver", "ipm" if interior_point else "choose")
        # The library counts the time of all its runs.
        self._solver.setOptionValue("time_limit", self._solver.getRunTime() + time_limit_s)
        self._solver.run()
        if self._solver.getModelStatus() != self._library.HighsModelStatus.kOptimal:
            return None
        solution = self._solver.getSolution()
        x = np.maximum(np.array(solution.col_value, dtype=np.float64), 0.0)
        price = np.maximum(-np.array(solution.row_dual, dtype=np.float64), 0.0)
        return x, price, float(self._solver.getObjectiveValue())
