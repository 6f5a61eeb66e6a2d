"""Corrections of a fitted table: as much as the rows speak for, told by shapes left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from profiler.fit.corrections import penalty
from profiler.fit.parameters import Parameter
from profiler.fit.points import Points
from profiler.fit.problem import SCALE, Problem
from profiler.fit.search import Solution, data_jacobian, descend
from profiler.fit.shapes import load_levels, shapes
from queueing.arrays import FloatArray, IntArray

BENDS = (0.01, 0.02, 0.05, 0.1)
"""How far corrections may bend from one to the next, as shares of the time: tried in turn."""
GAIN = 0.02
"""What corrections must take off the error on rows left out, as a share of it."""
_LEAST_FOLDS = 3
_ROUNDS = 3
_RIDGE = 1e-9
_EVALUATIONS = 8


def corrected(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    """Return the problem with corrections and its solution; unchanged where they are no gain.

    How far they may go is chosen by cross-validation: each shape (each level of load where there
    are few) is left out in turn, of the problem linearized at the solution without corrections.
    """
    extra = problem.family.corrections
    wide = replace(problem, free=(*problem.free, *extra))
    logs = np.concatenate([solution.logs, np.zeros(len(extra))])
    folds = _folds(problem.points)
    if folds is None:
        return problem, solution
    linear = _linearized(wide, logs)
    plain = linear.left_out(folds, np.zeros((0, len(logs))), len(problem.free))
    tried = [
        (linear.left_out(folds, bound, len(logs)), bound)
        for bound in (_penalty(wide.free, extra, bend) for bend in BENDS)
    ]
    least, bound = min(tried, key=lambda each: each[0])
    if not least < (1.0 - GAIN) * plain:
        return problem, solution
    bounded = replace(wide, penalty=bound)
    return bounded, descend(bounded, logs, _EVALUATIONS)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """A problem linearized at a solution.

    Attributes:
        residuals: of rows, (4 * points,).
        jacobian: their derivatives, (4 * points, parameters).
        usual: how far the parameters are from the usual, (usual,).
        usual_jacobian: the derivatives of that.
        points: number of points.
    """

    residuals: FloatArray
    jacobian: FloatArray
    usual: FloatArray
    usual_jacobian: FloatArray
    points: int

    def left_out(self, folds: IntArray, bound: FloatArray, free: int) -> float:
        """Return the mean error of TTFT plus that of ITL, of rows left out of the solution.

        Args:
            folds: fold of each point, (points,).
            bound: rows that keep parameters near 0, (rows, parameters).
            free: how many of the parameters, the first ones, may move.
        """
        prior = np.concatenate([self.usual_jacobian, bound])[:, :free]
        pulls = np.concatenate([self.usual, np.zeros(len(bound))])
        jacobian, fold_of = self.jacobian[:, :free], np.tile(folds, 4)
        predicted = np.full_like(self.residuals, np.nan)
        for fold in np.unique(folds):
            kept, out = fold_of != fold, fold_of == fold
            step = _step(jacobian[kept], self.residuals[kept], prior, pulls)
            predicted[out] = self.residuals[out] + jacobian[out] @ step
        latency = predicted[: 2 * self.points].reshape(2, -1)
        known = self.residuals[: 2 * self.points].reshape(2, -1) != 0.0
        errors = np.abs(np.expm1(np.clip(latency, -5.0, 5.0)))
        return float(
            sum(np.mean(row[use]) for row, use in zip(errors, known, strict=True) if use.any())
        )


def _linearized(problem: Problem, logs: FloatArray) -> _Linear:
    usual = problem.priors(logs[None, :])
    slope = (problem.priors(logs + np.eye(len(logs))) - usual).T
    return _Linear(
        problem.residuals(logs[None, :])[0],
        data_jacobian(problem, logs),
        usual[0],
        slope,
        len(problem.points),
    )


def _step(
    jacobian: FloatArray, residuals: FloatArray, prior: FloatArray, pulls: FloatArray
) -> FloatArray:
    """Return the step to the least soft-L1 loss of the linearized problem (reweighted)."""
    step: FloatArray = np.zeros(jacobian.shape[1])
    for _ in range(_ROUNDS):
        reached = residuals + jacobian @ step
        weights = 1.0 / np.sqrt(1.0 + (reached / SCALE) ** 2) / SCALE**2
        curvature = (jacobian.T * weights) @ jacobian + prior.T @ prior
        slope = (jacobian.T * weights) @ residuals + prior.T @ pulls
        curvature[np.diag_indices_from(curvature)] *= 1.0 + _RIDGE
        step[:] = -np.linalg.solve(curvature, slope)
    return step


def _folds(points: Points) -> IntArray | None:
    for folds in (shapes(points), load_levels(points)):
        if len(np.unique(folds)) >= _LEAST_FOLDS:
            return folds
    return None


def _penalty(free: tuple[Parameter, ...], extra: tuple[Parameter, ...], bend: float) -> FloatArray:
    rows = penalty(bend)
    return np.concatenate([np.zeros((len(rows), len(free) - len(extra))), rows], axis=1)
