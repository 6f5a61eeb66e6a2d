"""The epsilon-constraint method: the least cost under a bound on what is served, and on from there.

Least cost for so much, then the most that is served at that cost (Haimes, Lasdon and Wismer, 1971):
each pair of solves gives a point that no other plan dominates. The next bound lies just above what
it serves, until nothing more can be served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from optimizer.linear_model import SolveResult
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
    """

    x: FloatArray
    amount: float
    proof: SolveResult


def efficient_solutions(
    model: Weighed, most_points: int, found: Callable[[int], None]
) -> tuple[list[Efficient], bool]:
    """Return solutions on the frontier by rising cost, and whether there are no others.

    Args:
        model: The model.
        most_points: Largest number of them; where the frontier has more, that many evenly spaced
            amounts are served, each at least cost.
        found: Told how many there are.
    """
    most = model.minimize(-model.amount)
    top = float(model.amount @ most.x) if most.x is not None else 0.0
    points: list[Efficient] = []
    for point in _rising(model):
        points.append(point)
        found(len(points))
        if point.amount >= top - SCALE * RESOLUTION:
            return points, True
        if len(points) >= most_points:
            break
    evenly: list[Efficient] = []
    for level in np.linspace(0.0, top, most_points):
        point_at = _at_least(model, float(level) - SCALE * RESOLUTION)
        if point_at is not None:
            evenly.append(point_at)
            found(len(evenly))
    return evenly, False


def _rising(model: Weighed) -> Iterator[Efficient]:
    """Yield efficient solutions by rising cost, to the last."""
    least = 0.0
    while (found := _at_least(model, least)) is not None:
        yield found
        least = found.amount + SCALE * RESOLUTION


def _at_least(model: Weighed, least: float) -> Efficient | None:
    """Return the cheapest solution that serves so much, and more where it costs no more."""
    serving = (Bound(model.amount, least, np.inf),) if least > 0 else ()
    cheapest = model.minimize(model.cost, *serving)
    if cheapest.x is None or cheapest.objective is None:
        return None
    costing = Bound(model.cost, -np.inf, cheapest.objective + _COST_ROOM)
    fullest = model.minimize(-model.amount, *serving, costing)
    x = cheapest.x if fullest.x is None else fullest.x
    if float(model.amount @ x) < float(model.amount @ cheapest.x):
        x = cheapest.x
    return Efficient(x, float(model.amount @ x), cheapest)
