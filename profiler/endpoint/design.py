"""Which points to measure next: those that tell most of what is not known yet.

With J the derivatives of the logarithms of TTFT and ITL by the logarithms of the parameters, a
point adds J'J / s² to what is known (s: the relative error of a measurement). Points are chosen
one after the other, each for the largest determinant of the information on the parameters of the
model, those of the load generator (waves of clients) left aside: a greedy Ds-optimal design
(Atkinson and Donev, 1992), at the parameters that the rows so far suggest. How well predictions of
a steady state are known follows from the same derivatives and the covariance of the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from profiler.endpoint.operating_points import OperatingPoint
from profiler.endpoint.server import Deployment
from profiler.fit.confidence import Confidence, confidence
from profiler.fit.families import family_named
from profiler.fit.forecast import Forecast, forecast
from profiler.fit.observations import Observations, Role, observe, role
from profiler.fit.points import Points
from profiler.fit.problem import SCALE, Problem
from profiler.fit.search import data_jacobian
from profiler.fit.solve import Fitted, solve
from queueing.arrays import BoolArray, FloatArray
from stoker.domain.measurement import LoadKind, Measurement

_NORMAL_95 = 1.959964
_RUNS = ("wave_share", "turnover_share")
"""Parameters of the load generator: a steady state has no waves of clients."""
_NOTHING = 1e-6
"""Information on every parameter to begin with, so that the determinant is not 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """What the rows so far tell.

    Attributes:
        fitted: The best fit to them.
        trust: How well they tell its parameters.
        rows: How many told a latency.
    """

    fitted: Fitted
    trust: Confidence
    rows: int

    @property
    def untold(self) -> tuple[str, ...]:
        """Parameters that the rows do not tell."""
        return self.trust.untold


def learn(rows: Sequence[Measurement], model: str) -> Knowledge | None:
    """Return what rows tell of a model; None where they are too few for a fit of any kind."""
    roles = [role(row) for row in rows]
    used = [index for index, (what, _) in enumerate(roles) if what is not Role.NOTHING]
    telling = sum(roles[index][0] is Role.LATENCY for index in used)
    family = family_named(model)
    if 2 * telling < sum(bool(p.remedy) for p in family.parameters) + 1:
        return None
    kept = [rows[index] for index in used]
    points, observed = Points.of(kept), observe(kept, [roles[index][0] for index in used])
    fitted = solve(family, points, observed)
    return Knowledge(fitted, confidence(fitted.problem, fitted.solution.logs), telling)


def predicted(
    knowledge: Knowledge, points: Sequence[OperatingPoint], deployment: Deployment
) -> Forecast:
    """Return what is expected of points."""
    planned = Points.of([point.planned(deployment) for point in points])
    return forecast(planned, knowledge.fitted.candidate(len(planned)))


def uncertainty(
    knowledge: Knowledge, points: Sequence[OperatingPoint], deployment: Deployment
) -> FloatArray:
    """Return the half-width of the 95% interval of the logarithm of TTFT and ITL, (points, 2).

    That is the relative uncertainty of a prediction of the steady state, where it is small.
    """
    slopes = _slopes(knowledge, points, deployment)
    slopes[:, :, _of_runs(knowledge)] = 0.0
    variance = np.einsum("lpi,ij,lpj->pl", slopes, knowledge.trust.covariance, slopes)
    width: FloatArray = _NORMAL_95 * np.sqrt(np.maximum(variance, 0.0))
    return width


def most_telling(
    knowledge: Knowledge,
    points: Sequence[OperatingPoint],
    deployment: Deployment,
    count: int,
) -> list[OperatingPoint]:
    """Return the points to measure next, at most so many, all of one shape and kind of load.

    Those of one shape are measured in one run, which saves the time that a run takes to begin.

    Args:
        knowledge: What is known.
        points: What may be measured.
        deployment: What is known of the server.
        count: How many.
    """
    if not points:
        return []
    slopes = _slopes(knowledge, points, deployment) / SCALE
    rows = data_jacobian(knowledge.fitted.problem, knowledge.fitted.solution.logs) / SCALE
    known: FloatArray = rows.T @ rows + _NOTHING * np.eye(rows.shape[1])
    runs = _of_runs(knowledge)
    chosen: list[int] = []
    for _ in range(count):
        left = [
            index
            for index, point in enumerate(points)
            if index not in chosen and (not chosen or _together(point, points[chosen[0]]))
        ]
        if not left:
            break
        gains = [_gain(slopes[:, index], known, runs) for index in left]
        best = left[int(np.argmax(gains))]
        known = known + slopes[:, best].T @ slopes[:, best]
        chosen.append(best)
    return sorted(points[index] for index in chosen)


def _together(one: OperatingPoint, other: OperatingPoint) -> bool:
    return (one.shape, one.kind) == (other.shape, other.kind)


def open_loops(
    knowledge: Knowledge, closed: Sequence[OperatingPoint], share: float, deployment: Deployment
) -> list[OperatingPoint]:
    """Return open loops at a share of what closed loops carry, in figures that can be read."""
    if share <= 0 or not closed:
        return []
    carried = predicted(knowledge, closed, deployment).throughput_rps
    return [
        OperatingPoint(*point.shape, LoadKind.RATE, float(f"{share * rate:.2g}"))
        for point, rate in zip(closed, carried, strict=True)
        if point.load > 1 and np.isfinite(rate) and rate > 0
    ]


def _of_runs(knowledge: Knowledge) -> BoolArray:
    """Return which of the parameters are those of the load generator."""
    names = knowledge.fitted.problem.names
    return np.array([name in _RUNS for name in names], dtype=np.bool_)


def _gain(slopes: FloatArray, known: FloatArray, runs: BoolArray) -> float:
    """Return what a point adds to the logarithm of the determinant for the model's parameters."""
    return _growth(slopes, known) - _growth(slopes[:, runs], known[np.ix_(runs, runs)])


def _growth(slopes: FloatArray, known: FloatArray) -> float:
    added = np.eye(len(slopes)) + slopes @ np.linalg.solve(known, slopes.T)
    return float(np.linalg.slogdet(added)[1])


def _slopes(
    knowledge: Knowledge, points: Sequence[OperatingPoint], deployment: Deployment
) -> FloatArray:
    """Return the derivatives of log TTFT and log ITL by log parameters: (2, points, parameters)."""
    solved = knowledge.fitted.problem
    planned = Points.of([point.planned(deployment) for point in points])
    ones = np.ones(len(planned))
    nothing = np.full(len(planned), np.nan)
    several = planned.output_tokens > 1.0
    problem = Problem(
        solved.family,
        solved.free,
        planned,
        Observations(
            ones,
            np.zeros(len(planned), dtype=np.bool_),
            np.where(several, ones, np.nan),
            nothing,
            nothing,
        ),
        ones,
    )
    slopes = data_jacobian(problem, knowledge.fitted.solution.logs)
    both: FloatArray = slopes.reshape(4, len(planned), -1)[:2]
    return both
