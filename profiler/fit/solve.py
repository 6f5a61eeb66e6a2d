"""From rows to parameters: which are free, where to start, and whether memory was full."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from profiler.fit.amplify import amplification
from profiler.fit.candidate import Candidate
from profiler.fit.forecast import forecast
from profiler.fit.observations import Observations
from profiler.fit.parameters import CONDITIONS, Family, Parameter
from profiler.fit.points import Points
from profiler.fit.problem import Problem, candidate_of, candidate_of_table
from profiler.fit.refine import corrected
from profiler.fit.search import MOST_EVALUATIONS, Solution, search
from profiler.fit.starts import first_start, other_starts
from profiler.fit.table_form import TableFormTimes
from profiler.fit.tabulate import table_of
from queueing.arrays import FloatArray
from stoker.domain.curve import IterationTable

QUEUED = 2.0
"""A closed loop whose TTFT is this many times the predicted one was waiting for memory."""
TIMES_ERROR = 1.0
"""Error of a model's iteration times, in units of the error that rows are measured with."""
_ROUGHLY = 12
"""Evaluations from each start where two further fits refine the result."""
_WORTH = 2.0
"""What a further parameter must take off the cost."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A solved problem."""

    problem: Problem
    solution: Solution

    @property
    def values(self) -> dict[str, float]:
        """The parameters by name."""
        pairs = zip(self.problem.names, np.exp(self.solution.logs), strict=True)
        return {name: float(value) for name, value in pairs}

    def table(self) -> IterationTable | None:
        """Return the solution as a table, where its family is one."""
        problem = self.problem
        if not problem.family.corrections:
            return None
        assumed = candidate_of(problem.family, _columns(self.values, 1), 1)
        assert isinstance(assumed.times, TableFormTimes)
        delays = (
            assumed.first_token_ms,
            assumed.first_token_sequence_ms,
            assumed.first_token_output_ms,
        )
        fixed, sequence, output = (float(delay[0]) for delay in delays)
        return table_of(assumed.times, (fixed, sequence, output), problem.points)

    def candidate(self, cases: int) -> Candidate:
        """Return what the solution assumes of so many points; of a table, as written down."""
        table = self.table()
        if table is not None:
            return candidate_of_table(table, self.values, cases)
        return candidate_of(self.problem.family, _columns(self.values, cases), cases)


def solve(
    family: Family, points: Points, observed: Observations, near: Fitted | None = None
) -> Fitted:
    """Fit a family to rows, from several starts, of which a fit to like rows may be one.

    KV memory is a parameter only where closed loops show that requests waited for it; then it is
    kept if it explains them.
    """
    fitted = _solve(family, points, observed, near)
    if not family.corrections:
        return fitted
    return Fitted(*corrected(fitted.problem, fitted.solution))


def _solve(family: Family, points: Points, observed: Observations, near: Fitted | None) -> Fitted:
    """Fit the parameters of a family, less its corrections."""
    free = _free(family, points)
    problem = Problem(family, free, points, observed, np.ones(len(points)))
    first = first_start(family, free, points, observed)
    others = other_starts(free, first) if near is None else [_moved(near, problem, first)]
    starts = [first, *others]
    most = _ROUGHLY if family.corrections else MOST_EVALUATIONS
    fitted = _reweighted(Fitted(problem, search(problem, starts, most)))
    full = _memory_tokens(fitted)
    if full is None:
        return fitted
    bounded = replace(fitted.problem, free=(*free, _KV_TOKENS))
    start = np.append(fitted.solution.logs, np.log(full))
    with_memory = Fitted(bounded, search(bounded, [start]))
    better = with_memory.solution.cost < fitted.solution.cost - _WORTH
    return with_memory if better else fitted


def _columns(values: dict[str, float], cases: int) -> dict[str, FloatArray]:
    return {name: np.full(cases, value) for name, value in values.items()}


_BY_NAME = {parameter.name: parameter for parameter in CONDITIONS}
_KV_TOKENS = _BY_NAME["kv_tokens"]


def _reweighted(fitted: Fitted) -> Fitted:
    """Fit again with rows near saturation counting less, as a queue amplifies any error there."""
    problem = fitted.problem
    candidate = problem.candidate(fitted.solution.logs[None, :])
    amplified = TIMES_ERROR * amplification(problem.points, candidate)
    weights = np.hypot(1.0, TIMES_ERROR) / np.hypot(1.0, amplified)
    weighted = replace(problem, weights=weights)
    return Fitted(weighted, search(weighted, [fitted.solution.logs]))


def _free(family: Family, points: Points) -> tuple[Parameter, ...]:
    """Return the parameters of the model, and those of the runs that the rows can tell."""
    loops = bool(np.any(points.closed & ~points.alone & ~points.static))
    names = ["wave_share", "turnover_share"] if loops else []
    names += ["miss_share"] if bool(np.any(points.cached)) else []
    return family.parameters + tuple(_BY_NAME[name] for name in names)


def _moved(near: Fitted, problem: Problem, first: FloatArray) -> FloatArray:
    """Return the solution of a like problem as a start for this one."""
    known = near.values
    return np.array(
        [
            np.log(known[name]) if name in known else log
            for name, log in zip(problem.names, first, strict=True)
        ]
    )


def _memory_tokens(fitted: Fitted) -> float | None:
    """Return the tokens in KV memory that long waits in closed loops speak of; None without any.

    With c clients of which a share W / (W + K * ITL) waits, the others hold their context.
    """
    points, observed = fitted.problem.points, fitted.problem.observed
    values = _columns(fitted.values, len(points))
    predicted = forecast(points, candidate_of(fitted.problem.family, values, len(points)))
    loops = points.closed & ~points.alone & ~points.static
    waiting = loops & (observed.ttft_ms > QUEUED * predicted.ttft_ms)
    if not np.any(waiting):
        return None
    decode = points.output_tokens * observed.itl_ms
    running = points.load * decode / (observed.ttft_ms + decode)
    tokens = running * (points.input_tokens + 0.5 * points.output_tokens)
    known = tokens[waiting & np.isfinite(tokens)]
    return float(np.min(known)) if len(known) else None
