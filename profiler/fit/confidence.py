"""How well the rows tell the parameters: intervals, condition, and what they leave open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from profiler.fit.problem import SCALE, Problem
from profiler.fit.search import data_jacobian
from queueing.arrays import FloatArray

_NORMAL_95 = 1.959964
UNTOLD = 1.0
"""A parameter is not told by rows that leave its logarithm this standard deviation."""
_NOTICED = 0.02
"""Elasticity of the figures, over all rows, from which a parameter has an effect."""
_STEP_UP = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Confidence:
    """Attributes of a solution.

    Attributes:
        low: lower ends of the 95% intervals of the parameters.
        high: upper ends.
        condition_number: of the Jacobian of rows and usual values, columns scaled to length 1.
        untold: names of parameters that neither rows nor usual values determine.
        covariance: of the logarithms of the parameters.
    """

    low: FloatArray
    high: FloatArray
    condition_number: float
    untold: tuple[str, ...]
    covariance: FloatArray


def confidence(problem: Problem, logs: FloatArray) -> Confidence:
    """Return the confidence of a solution, by linearization.

    The intervals are those of the sandwich estimate (Huber, 1967) over rows: the errors of one
    row go together, and their size is taken from the residuals, not assumed. Usual values count
    as one observation each.
    """
    residuals = problem.residuals(logs[None, :])[0]
    jacobian = data_jacobian(problem, logs)
    weights = 1.0 / np.sqrt(1.0 + (residuals / SCALE) ** 2)
    usual = _prior_jacobian(problem, logs)
    curvature = (jacobian.T * weights) @ jacobian / SCALE**2 + usual.T @ usual
    pulls = (jacobian * (weights * residuals)[:, None]) / SCALE**2
    rows = pulls.reshape(-1, len(problem.points), len(logs)).sum(axis=0)
    used = int(np.sum(np.any(rows != 0.0, axis=1)))
    small_sample = used / max(used - len(logs), 1)
    meat = small_sample * rows.T @ rows + usual.T @ usual
    bread = np.linalg.pinv(curvature)
    covariance = bread @ meat @ bread
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    reach = np.minimum(_NORMAL_95 * spread, 50.0)
    low = np.array([parameter.low for parameter in problem.free])
    high = np.array([parameter.high for parameter in problem.free])
    together = np.concatenate([jacobian / SCALE, usual])
    return Confidence(
        np.maximum(np.exp(logs - reach), low),
        np.minimum(np.exp(logs + reach), high),
        _condition(together),
        _untold(problem, _noticeable(problem, logs)),
        covariance,
    )


def _prior_jacobian(problem: Problem, logs: FloatArray) -> FloatArray:
    """Return the derivatives of the distances from the usual, which are linear."""
    base = problem.priors(logs[None, :])
    moved = problem.priors(logs + np.eye(len(logs)))
    slope: FloatArray = (moved - base).T
    return slope


def _condition(jacobian: FloatArray) -> float:
    lengths = np.linalg.norm(jacobian, axis=0)
    if np.any(lengths == 0.0):
        return float("inf")
    return float(np.linalg.cond(jacobian / lengths))


def _noticeable(problem: Problem, logs: FloatArray) -> FloatArray:
    """Return the parameters with those that have no effect raised until they have one.

    Rows that leave a parameter near zero tell it well, if they would notice a larger one.
    """
    raised = logs.copy()
    for index, parameter in enumerate(problem.free):
        if not parameter.remedy:
            continue
        while np.linalg.norm(data_jacobian(problem, raised)[:, index]) < _NOTICED:
            if raised[index] + _STEP_UP > np.log(parameter.high):
                break
            raised[index] += _STEP_UP
    return raised


def _untold(problem: Problem, logs: FloatArray) -> tuple[str, ...]:
    """Return the parameters to be told by rows that others explain away, or that do nothing.

    Usual values of the others count, its own does not. What the regression of its column on the
    others leaves is the information on it, in units of the error assumed for rows.
    """
    rows, usual = data_jacobian(problem, logs) / SCALE, _prior_jacobian(problem, logs)
    owners = [name for name, p in zip(problem.names, problem.free, strict=True) if p.usual]
    owners += [""] * (len(usual) - len(owners))
    untold = []
    for index, parameter in enumerate(problem.free):
        if not parameter.remedy:
            continue
        others_usual = usual[[owner != parameter.name for owner in owners]]
        jacobian = np.concatenate([rows, others_usual])
        column = jacobian[:, index]
        others = np.delete(jacobian, index, axis=1)
        scaled = others / np.maximum(np.linalg.norm(others, axis=0), 1e-300)
        answer = np.linalg.lstsq(scaled, column, rcond=None)[0]
        if np.linalg.norm(column - scaled @ answer) * UNTOLD < 1.0:
            untold.append(parameter.name)
    return tuple(untold)
