"""Bounded least squares from several starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from profiler.fit.problem import Problem, robust
from queueing.arrays import FloatArray

_STEP = 1e-4
MOST_EVALUATIONS = 60
_INSIDE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The best fit found.

    Attributes:
        logs: logarithms of the parameters.
        cost: half the sum of squares of robust residuals and priors.
    """

    logs: FloatArray
    cost: float


def search(
    problem: Problem, starts: list[FloatArray], evaluations: int = MOST_EVALUATIONS
) -> Solution:
    """Return the best of the fits from several starts, (parameters,) logarithms each."""
    solutions = [descend(problem, start, evaluations) for start in starts]
    return min(solutions, key=lambda solution: solution.cost)


def data_jacobian(problem: Problem, logs: FloatArray) -> FloatArray:
    """Return the derivatives of the residuals by the logarithms of the parameters."""
    steps = _STEP * np.eye(len(logs))
    values = problem.residuals(np.concatenate([logs + steps, logs - steps]))
    jacobian: FloatArray = ((values[: len(logs)] - values[len(logs) :]) / (2.0 * _STEP)).T
    return jacobian


def descend(problem: Problem, start: FloatArray, evaluations: int = MOST_EVALUATIONS) -> Solution:
    """Return the fit that a start leads to, after so many evaluations at most."""
    low = np.log([parameter.low for parameter in problem.free])
    high = np.log([parameter.high for parameter in problem.free])
    inside = np.clip(start, low + _INSIDE, high - _INSIDE)
    found = least_squares(
        lambda logs: _objective(problem, logs[None, :])[0],
        inside,
        jac=lambda logs: _jacobian(problem, logs),
        bounds=(low, high),
        max_nfev=evaluations,
        ftol=1e-7,
        xtol=1e-7,
        gtol=1e-7,
    )
    return Solution(np.asarray(found.x, dtype=np.float64), float(found.cost))


def _objective(problem: Problem, logs: FloatArray) -> FloatArray:
    return np.concatenate([robust(problem.residuals(logs)), problem.priors(logs)], axis=1)


def _jacobian(problem: Problem, logs: FloatArray) -> FloatArray:
    """Return forward differences of the objective, all parameters in one pass."""
    values = _objective(problem, np.concatenate([logs[None, :], logs + _STEP * np.eye(len(logs))]))
    jacobian: FloatArray = ((values[1:] - values[0]) / _STEP).T
    return jacobian
