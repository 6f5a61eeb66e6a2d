"""A linear model in, a normalized result out, by any solver that PuLP knows.

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

from optimizer.highs import available, solve_by_highs
from optimizer.linear_model import (
    LinearModel,
    SolveLimits,
    SolveResult,
    SolveStatus,
)
from optimizer.table import FloatArray
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
_ROUNDING = 1e-7
"""Rounding allowed between an objective and its bound, both relative and absolute."""
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
        return available()
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
    start: FloatArray | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> SolveResult:
    """Solve a model.

    Args:
        model: What to minimize.
        backend: PuLP's name of the solver, from `resolve_backend`.
        limits: When to stop.
        relaxed: Whether to drop integrality (linear relaxation).
        start: A solution to start from, shape (columns,); one that breaks a row changes nothing.
            Solvers other than HiGHS ignore it.
        clock: Seconds, for the runtime.

    Raises:
        SolverUnavailableError: The solver failed to run at all (a licence, a missing program).
    """
    began = clock()
    if model.cost.size == 0:
        # Solvers differ on empty models, and there is nothing to decide.
        feasible = bool(np.all((model.row_lower <= 0) & (model.row_upper >= 0)))
        status = SolveStatus.OPTIMAL if feasible else SolveStatus.INFEASIBLE
        x = np.zeros(0) if feasible else None
        value = 0.0 if feasible else None
        return SolveResult(status, x, value, value, clock() - began)

    def left() -> SolveLimits:
        # What building takes, and a first attempt, is time of the limit too.
        if limits.time_limit_s is None:
            return limits
        time_s = max(_LEAST_TIME_S, limits.time_limit_s - (clock() - began))
        return replace(limits, time_limit_s=time_s)

    result = _attempt(model, backend, left, relaxed, start, presolve=True)
    if result.status is SolveStatus.FEASIBLE and _stopped_early(result, limits, clock() - began):
        # Presolve can lose solutions on the way back; without it the solver has to finish.
        again = _attempt(model, backend, left, relaxed, start, presolve=False)
        if again.x is not None and (again.objective or 0.0) <= (result.objective or 0.0):
            result = again
    return replace(result, runtime_s=clock() - began)


def _stopped_early(result: SolveResult, limits: SolveLimits, elapsed_s: float) -> bool:
    """Return whether a solver stopped with an open gap though no limit made it."""
    timed_out = limits.time_limit_s is not None and elapsed_s >= limits.time_limit_s
    return result.bound is not None and limits.max_nodes is None and not timed_out


def _attempt(
    model: LinearModel,
    backend: str,
    limits_left: Callable[[], SolveLimits],
    relaxed: bool,
    start: FloatArray | None,
    *,
    presolve: bool,
) -> SolveResult:
    """Solve once, within what is left of the time; the runtime is the caller's."""
    if backend == HIGHS:
        limits = limits_left()
        result = solve_by_highs(model, limits, relaxed=relaxed, start=start, presolve=presolve)
    else:
        result, limits = _through_pulp(model, backend, limits_left, relaxed)
    if result.status is not SolveStatus.OPTIMAL or result.objective is None:
        return result
    # The word "optimal" counts only with a bound that bears it out.
    room = (limits.relative_gap + _ROUNDING) * abs(result.objective) + _ROUNDING
    proven = result.bound is not None and result.objective - result.bound <= room
    return result if proven else replace(result, status=SolveStatus.FEASIBLE)


def _through_pulp(
    model: LinearModel,
    backend: str,
    limits_left: Callable[[], SolveLimits],
    relaxed: bool,
) -> tuple[SolveResult, SolveLimits]:
    """Return what a solver says of a model built in PuLP, and within which limits."""
    if not model.in_range:
        raise SolverUnavailableError(
            f"solver {backend!r} refused a model: its numbers are out of range"
        )
    problem, variables = as_pulp(model, relaxed=relaxed)
    limits = limits_left()
    with tempfile.TemporaryDirectory(prefix="stoker-solver-") as folder:
        log = Path(folder) / "cbc.log"
        try:
            problem.solve(_solver(backend, limits, log))
        except (pulp.PulpError, OSError) as error:
            raise SolverUnavailableError(f"solver {backend!r} failed: {error}") from error
        log_text = log.read_text(errors="replace") if log.exists() else ""
    return _result(model, problem, variables, limits, relaxed, log_text), limits


def as_pulp(model: LinearModel, *, relaxed: bool = False) -> tuple[Any, list[Any]]:
    """Return a model as a problem of PuLP, and its variables in the order of the columns."""
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


def _solver(backend: str, limits: SolveLimits, log: Path) -> Any:
    """Return a configured solver of PuLP: one thread, for equal answers."""
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
    bound = _bound(objective, limits, relaxed, said, log_text)
    status = SolveStatus.OPTIMAL if said else SolveStatus.FEASIBLE
    return SolveResult(status, x, objective, bound, 0.0, _reduced(variables) if relaxed else None)


def _reduced(variables: list[Any]) -> FloatArray | None:
    """Return the reduced costs of a relaxation; None where the solver does not tell them."""
    raw = [variable.dj for variable in variables]
    return None if any(cost is None for cost in raw) else np.array(raw, dtype=np.float64)


def _bound(
    objective: float,
    limits: SolveLimits,
    relaxed: bool,
    proven: bool,
    log_text: str,
) -> float | None:
    """Return the proven lower bound, or None where the solver does not tell one."""
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
