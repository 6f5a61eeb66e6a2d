"""What a solve of a horizon may use: a solver, time, and models in a scale that suits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import LinearModel, SolveLimits, SolveResult
from optimizer.solver import solve

_SCALE = 1e3
"""Largest coefficient of an objective, which the solver's tolerances suit."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a solve may use: the solver's name, when it must be over, and seconds."""

    backend: str
    deadline_s: float
    clock: Callable[[], float]

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self.deadline_s - self.clock()

    def within(self, share: float) -> Run:
        """Return the run with a share of the time that is left."""
        return replace(self, deadline_s=self.clock() + share * max(0.0, self.left_s))

    def solve(self, model: LinearModel, gap: float, *, relaxed: bool = False) -> SolveResult:
        """Solve a model in a scale that suits the solver; objective and bound are the model's."""
        largest = float(np.abs(model.cost).max(initial=0.0))
        scale = _SCALE / largest if largest > 0 else 1.0
        limits = SolveLimits(relative_gap=gap, time_limit_s=max(0.1, self.left_s))
        scaled = replace(model, cost=model.cost * scale)
        result = solve(scaled, self.backend, limits, relaxed=relaxed, clock=self.clock)
        if result.x is None:
            return result
        bound = None if result.bound is None else result.bound / scale
        return replace(result, objective=float(model.cost @ result.x), bound=bound)
