"""The epsilon-constraint method: the least cost under a bound on what is served, and on from there.

Least cost for so much, then the most that is served at that cost (Haimes, Lasdon and Wismer, 1971):
each pair of solves gives a point that no other plan dominates. The next bound lies just above what
it serves, until nothing more can be served. A solve that a time limit cut short proves nothing: the
walk goes on past a maximum that is not proven, and tells whether its end is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from optimizer.linear_model import SolveResult, SolveStatus
from optimizer.table import FloatArray

SCALE = 1000.0
"""What all there is to serve, and the dearest column, are scaled to: far above the solver's
tolerance."""

RESOLUTION = 1e-6
"""Share of all that can be served by which points are told apart."""

_COST_ROOM = 1e-6
"""Room of the scaled cost while more is served for it: the solver's own rounding."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One constraint: ``lower <= values @ x <= upper``."""

    values: FloatArray
    lower: float
    upper: float


class Weighed(Protocol):
    """A model of who is served on what, with what its columns cost and serve, both scaled."""

    @property
    def cost(self) -> FloatArray:
        """Scaled cost of each column."""

    @property
    def amount(self) -> FloatArray:
        """What each column serves, all there is adding up to `SCALE`."""

    def minimize(self, objective: FloatArray, *bounds: Bound) -> SolveResult:
        """Return the best solution within all bounds."""


@dataclass(frozen=True, slots=True)
class Efficient:
    """A solution on the frontier.

    Attributes:
        x: The solution.
        amount: What it serves, scaled.
        proof: How its cost is known to be the least for as much.
        fullest: Whether it is proven that no solution of its cost serves more.
    """

    x: FloatArray
    amount: float
    proof: SolveResult
    fullest: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """Solutions on the frontier.

    Attributes:
        points: The solutions, by rising cost.
        whole: Whether they were found one after the other to the end; otherwise they are those of
            evenly spaced amounts.
        proven: Whether it is proven that nothing serves more than the last of them, nor more than
            any of them at its cost.
    """

    points: tuple[Efficient, ...]
    whole: bool
    proven: bool


def efficient_solutions(model: Weighed, most_points: int, found: Callable[[int], None]) -> Walk:
    """Return solutions on the frontier, and what is proven of them.

    Args:
        model: The model.
        most_points: Largest number of them; where the frontier has more, that many evenly spaced
            amounts are served, each at least cost.
        found: Told how many there are.
    """
    most = model.minimize(-model.amount)
    top = float(model.amount @ most.x) if most.x is not None else 0.0
    top_proven = _is_most(most, top)
    points: list[Efficient] = []
    least = 0.0
    while len(points) < most_points:
        point, status = _at_least(model, least)
        if point is None:
            return _walk(points, whole=True, proven=status is SolveStatus.INFEASIBLE)
        points.append(point)
        found(len(points))
        if top_proven and point.amount >= top - SCALE * RESOLUTION:
            return _walk(points, whole=True, proven=True)
        least = point.amount + SCALE * RESOLUTION
    top = max(top, points[-1].amount)
    evenly: list[Efficient] = []
    for level in np.linspace(0.0, top, most_points):
        point_at, _ = _at_least(model, float(level) - SCALE * RESOLUTION)
        if point_at is not None:
            evenly.append(point_at)
            found(len(evenly))
    return _walk(evenly, whole=False, proven=top_proven and len(evenly) == most_points)


def _walk(points: list[Efficient], *, whole: bool, proven: bool) -> Walk:
    return Walk(tuple(points), whole, proven and all(point.fullest for point in points))


def _is_most(result: SolveResult, amount: float) -> bool:
    """Return whether a solve for the largest amount has proven that there is none above this."""
    if result.status is SolveStatus.OPTIMAL:
        return True
    return result.bound is not None and -result.bound <= amount + SCALE * RESOLUTION


def _at_least(model: Weighed, least: float) -> tuple[Efficient | None, SolveStatus]:
    """Return the cheapest solution that serves so much, and more where it costs no more.

    Where there is none, the status tells whether that is proven.
    """
    serving = (Bound(model.amount, least, np.inf),) if least > 0 else ()
    cheapest = model.minimize(model.cost, *serving)
    if cheapest.x is None or cheapest.objective is None:
        return None, cheapest.status
    costing = Bound(model.cost, -np.inf, cheapest.objective + _COST_ROOM)
    fullest = model.minimize(-model.amount, *serving, costing)
    x = cheapest.x if fullest.x is None else fullest.x
    if float(model.amount @ x) < float(model.amount @ cheapest.x):
        x = cheapest.x
    amount = float(model.amount @ x)
    return Efficient(x, amount, cheapest, _is_most(fullest, amount)), cheapest.status
