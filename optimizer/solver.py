"""The one room that knows a solver library: a linear model in, a normalized result out.

Models are built in PuLP, so that any solver PuLP knows can be asked for by name. HiGHS is the
default and CBC the bundled fallback. A result never says more than was proven: a solver that
reports no bound gives none, and "time limit" is never called optimal.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pulp

from optimizer.linear_model import (
    FEASIBILITY_TOLERANCE,
    LinearModel,
    SolveLimits,
    SolveResult,
    SolveStatus,
)
from optimizer.table import FloatArray, IntArray
from stoker.domain.errors import SolverUnavailableError

_T = TypeVar("_T")

HIGHS = "HiGHS"
CBC = "PULP_CBC_CMD"
_ALIASES = {
    "highs": HIGHS,
    "cbc": CBC,
    "cplex": "CPLEX_PY",
    "cplex_cmd": "CPLEX_CMD",
    "gurobi": "GUROBI",
    "scip": "SCIP_PY",
    "glpk": "GLPK_CMD",
}
_HIGHS_FEASIBLE_POINT = 2
"""HiGHS's code of a feasible primal point (kSolutionStatusFeasible)."""
_ROUNDING = 1e-7
"""Rounding allowed between an objective and its bound, both relative and absolute."""
_NO_INDEX = np.zeros(0, dtype=np.int32)
_NO_VALUE = np.zeros(0)
_LEAST_TIME_S = 1e-3
"""Time limit of a solver whose time was up before it started."""
_SILENT_GAP_SHARE = 0.5
"""Share of the gap given to a solver that reports no bound: its word is the only proof, so it
must be worth more than the gap asked for."""


def resolve_backend(name: str) -> str:
    """Return PuLP's name of an available solver.

    Args:
        name: ``highs``, ``cbc``, ``cplex``, ``gurobi`` or any name that PuLP lists.

    Raises:
        SolverUnavailableError: The name is unknown, or the solver is not installed.
    """
    known: dict[str, str] = {solver.lower(): solver for solver in pulp.listSolvers()}
    wanted = _ALIASES.get(name.lower(), known.get(name.lower(), ""))
    if not wanted:
        raise SolverUnavailableError(
            f"solver {name!r} is not known (allowed: {', '.join(sorted(_ALIASES))}, "
            f"or one of {', '.join(sorted(set(pulp.listSolvers())))})"
        )
    if not _available(wanted):
        usable = ", ".join(available_backends())
        raise SolverUnavailableError(f"solver {wanted!r} is not installed here (usable: {usable})")
    return wanted


def available_backends() -> tuple[str, ...]:
    """Return PuLP's names of the solvers that can be used here."""
    return tuple(_quietly(lambda: pulp.listSolvers(onlyAvailable=True)))


def _available(backend: str) -> bool:
    """Return whether a solver can be used here."""
    if backend == HIGHS:
        return bool(_Highs(msg=False).available())
    if backend == CBC:
        return bool(pulp.COIN_CMD(path=_bundled_cbc(), msg=False).available())
    return bool(_quietly(lambda: pulp.getSolver(backend, msg=False).available()))


def _bundled_cbc() -> str:
    """Return the path of the CBC that comes with PuLP."""
    return str(pulp.PULP_CBC_CMD.pulp_cbc_path)


def default_backend(name: str) -> tuple[str, str]:
    """Return the backend to use and a note where it is a fallback.

    The default HiGHS falls back to the bundled CBC where its library cannot be loaded; a solver
    asked for by another name never falls back.

    Raises:
        SolverUnavailableError: As `resolve_backend`.
    """
    try:
        return resolve_backend(name), ""
    except SolverUnavailableError:
        if name.lower() != "highs":
            raise
        return resolve_backend("cbc"), "HiGHS could not be loaded: the bundled CBC was used instead"


def solve(
    model: LinearModel,
    backend: str,
    limits: SolveLimits,
    *,
    relaxed: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> SolveResult:
    """Solve a model.

    Args:
        model: What to minimize.
        backend: PuLP's name of the solver, from `resolve_backend`.
        limits: When to stop.
        relaxed: Whether to drop integrality (linear relaxation).
        clock: Seconds, for the runtime.

    Raises:
        SolverUnavailableError: The solver failed to run at all (a licence, a missing program).
    """
    start = clock()
    if model.cost.size == 0:
        # Solvers differ on empty models, and there is nothing to decide.
        feasible = bool(np.all((model.row_lower <= 0) & (model.row_upper >= 0)))
        status = SolveStatus.OPTIMAL if feasible else SolveStatus.INFEASIBLE
        x = np.zeros(0) if feasible else None
        value = 0.0 if feasible else None
        return SolveResult(status, x, value, value, clock() - start)

    def left() -> SolveLimits:
        # What building takes, and a first attempt, is time of the limit too.
        if limits.time_limit_s is None:
            return limits
        time_s = max(_LEAST_TIME_S, limits.time_limit_s - (clock() - start))
        return replace(limits, time_limit_s=time_s)

    result = _attempt(model, backend, left, relaxed, presolve=True)
    if result.status is SolveStatus.FEASIBLE and _stopped_early(result, limits, clock() - start):
        # Presolve can lose solutions on the way back; without it the solver has to finish.
        again = _attempt(model, backend, left, relaxed, presolve=False)
        if again.x is not None and (again.objective or 0.0) <= (result.objective or 0.0):
            result = again
    return replace(result, runtime_s=clock() - start)


def _stopped_early(result: SolveResult, limits: SolveLimits, elapsed_s: float) -> bool:
    """Return whether a solver stopped with an open gap though no limit made it."""
    timed_out = limits.time_limit_s is not None and elapsed_s >= limits.time_limit_s
    return result.bound is not None and limits.max_nodes is None and not timed_out


def _attempt(
    model: LinearModel,
    backend: str,
    limits_left: Callable[[], SolveLimits],
    relaxed: bool,
    *,
    presolve: bool,
) -> SolveResult:
    """Solve once, within what is left once the model is built; the runtime is the caller's."""
    problem, variables = _build(model, relaxed)
    limits = limits_left()
    with tempfile.TemporaryDirectory(prefix="stoker-solver-") as folder:
        log = Path(folder) / "cbc.log"
        try:
            problem.solve(_solver(backend, limits, log, presolve))
        except (pulp.PulpError, OSError) as error:
            raise SolverUnavailableError(f"solver {backend!r} failed: {error}") from error
        log_text = log.read_text(errors="replace") if log.exists() else ""
    return _result(model, problem, variables, limits, relaxed, log_text)


def _build(model: LinearModel, relaxed: bool) -> tuple[Any, list[Any]]:
    """Return the PuLP problem and its variables, in the order of the columns."""
    problem = pulp.LpProblem("plan", pulp.LpMinimize)
    kinds = ["Continuous" if relaxed or not whole else "Integer" for whole in model.integer]
    variables = [
        problem.add_variable(f"x{index:07d}", low, high if np.isfinite(high) else None, kind)
        for index, (low, high, kind) in enumerate(
            zip(model.lower.tolist(), model.upper.tolist(), kinds, strict=True)
        )
    ]
    problem += pulp.LpAffineExpression(list(zip(variables, model.cost.tolist(), strict=True)))
    order = np.argsort(model.entry_row, kind="stable")
    columns = model.entry_column[order].tolist()
    values = model.entry_value[order].tolist()
    starts = np.searchsorted(model.entry_row[order], np.arange(model.row_lower.size + 1))
    for row in range(model.row_lower.size):
        first, last = int(starts[row]), int(starts[row + 1])
        terms = pulp.LpAffineExpression(
            [(variables[columns[k]], values[k]) for k in range(first, last)]
        )
        low, high = float(model.row_lower[row]), float(model.row_upper[row])
        if low == high:
            problem += terms == low
        else:
            if np.isfinite(high):
                problem += terms <= high
            if np.isfinite(low):
                problem += terms >= low
    return problem, variables


class _Highs(pulp.HiGHS):  # type: ignore[misc]  # PuLP ships no types
    """PuLP's HiGHS, taught the end at a node limit, which PuLP does not know."""

    def findSolutionValues(self, lp: Any) -> tuple[int, int]:  # noqa: N802 (PuLP's name)
        try:
            return super().findSolutionValues(lp)  # type: ignore[no-any-return]
        except KeyError:
            found = int(lp.solverModel.getInfo().primal_solution_status) == _HIGHS_FEASIBLE_POINT
            if found:
                return pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible
            return pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound


def _solver(backend: str, limits: SolveLimits, log: Path, presolve: bool) -> Any:
    """Return a configured PuLP solver: one thread and fixed tolerances, for equal answers."""
    if backend == HIGHS:
        return _Highs(
            msg=False,
            threads=1,
            gapRel=limits.relative_gap,
            gapAbs=0.0,
            timeLimit=limits.time_limit_s,
            mip_feasibility_tolerance=FEASIBILITY_TOLERANCE,
            primal_feasibility_tolerance=FEASIBILITY_TOLERANCE,
            random_seed=0,
            presolve="choose" if presolve else "off",
            **({} if limits.max_nodes is None else {"mip_max_nodes": limits.max_nodes}),
            **({"solver": "ipm"} if limits.interior_point else {}),
            **({} if limits.restarts else {"mip_allow_restart": False}),
        )
    if backend == CBC:
        return pulp.COIN_CMD(
            path=_bundled_cbc(),
            msg=False,
            threads=1,
            gapRel=limits.relative_gap * _SILENT_GAP_SHARE,
            gapAbs=0.0,
            timeLimit=limits.time_limit_s,
            logPath=str(log),
            maxNodes=limits.max_nodes,
            options=["primalTolerance 1e-7", "integerTolerance 1e-7"],
        )
    arguments: dict[str, Any] = {
        "msg": False,
        "gapRel": limits.relative_gap * _SILENT_GAP_SHARE,
    }
    if limits.time_limit_s is not None:
        arguments["timeLimit"] = limits.time_limit_s
    return _quietly(lambda: pulp.getSolver(backend, **arguments))


def _result(
    model: LinearModel,
    problem: Any,
    variables: list[Any],
    limits: SolveLimits,
    relaxed: bool,
    log_text: str,
) -> SolveResult:
    """Return what the solver proved, without believing more than it says."""
    solved = problem.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    raw = [variable.varValue for variable in variables]
    if not solved or any(value is None for value in raw):
        infeasible = problem.status == pulp.LpStatusInfeasible and "Stopped" not in log_text
        status = SolveStatus.INFEASIBLE if infeasible else SolveStatus.NO_SOLUTION
        return SolveResult(status, None, None, None, 0.0)
    x = np.array(raw, dtype=np.float64)
    if not relaxed:
        x = np.where(model.integer, np.rint(x), x)
    objective = float(model.cost @ x)
    said = problem.sol_status == pulp.LpSolutionOptimal
    bound = _bound(problem, objective, limits, relaxed, said, log_text)
    # The word "optimal" counts only with a bound that bears it out.
    room = (limits.relative_gap + _ROUNDING) * abs(objective) + _ROUNDING
    proven = said and bound is not None and objective - bound <= room
    return SolveResult(
        SolveStatus.OPTIMAL if proven else SolveStatus.FEASIBLE, x, objective, bound, 0.0
    )


def _bound(
    problem: Any,
    objective: float,
    limits: SolveLimits,
    relaxed: bool,
    proven: bool,
    log_text: str,
) -> float | None:
    """Return the proven lower bound, or None where the solver does not tell one."""
    handle = getattr(problem, "solverModel", None)
    if not relaxed and handle is not None and hasattr(handle, "getInfo"):
        reported = float(handle.getInfo().mip_dual_bound)
        return min(reported, objective) if np.isfinite(reported) else None
    if proven:
        # A solver that stops as optimal guarantees no more than the gap it was given.
        gap = 0.0 if relaxed else limits.relative_gap * _SILENT_GAP_SHARE
        return objective - gap * abs(objective)
    for line in log_text.splitlines():
        if line.startswith("Lower bound:"):
            with contextlib.suppress(ValueError):
                return min(float(line.split(":", 1)[1]), objective)
    return None


@contextlib.contextmanager
def _without_deprecations() -> Iterator[None]:
    """Hide PuLP's notices about its own next major version.

    The filters of warnings belong to the whole process, so this stays off the path of the bundled
    solvers, which may run in several threads at once.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _quietly(action: Callable[[], _T]) -> _T:
    with _without_deprecations():
        return action()


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
        """
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
