"""One planning run over pools: a model, a solver and its deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import LinearModel, SolveLimits, SolveResult
from optimizer.pooled.model import PooledModel
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.shared_rows import ROW_SCALE
from optimizer.scaled_solve import solve_in_scale
from optimizer.table import BoolArray, FloatArray, IntArray

COUNT_TOLERANCE = 1e-6
LARGE_RELAXATION = 10_000
"""Columns above which relaxations are solved by interior points."""


@dataclass(frozen=True, slots=True)
class Group:
    """Servers of one priority: which they are, and the columns that serve one in full."""

    priority: int
    members: BoolArray
    columns: IntArray

    @property
    def size(self) -> int:
        """Number of servers in the group."""
        return int(self.members.sum())

    def row(self, low: float) -> ModelRow:
        """Return the row that at least so many of them are served."""
        return ModelRow(self.columns, np.ones(self.columns.size), low, np.inf)

    def served(self, x: FloatArray) -> int:
        """Return how many of them a solution serves."""
        return round(float(x[self.columns].sum()))


@dataclass(frozen=True, slots=True)
class Solver:
    """A solver with its limits, before there is a model.

    Attributes:
        backend: PuLP's name of the solver.
        gap: Relative gap at which an objective counts as proven.
        deadline: Reading of the clock at which to stop.
        clock: Seconds.
    """

    backend: str
    gap: float
    deadline: float
    clock: Callable[[], float]

    def run(self, model: PooledModel) -> Run:
        """Return the run of a model."""
        return Run(model, self.backend, self.gap, self.deadline, self.clock)


@dataclass(frozen=True, slots=True)
class Run:
    """A model with the solver that it is given to.

    Attributes:
        model: The model without objective.
        backend: PuLP's name of the solver.
        gap: Relative gap at which an objective counts as proven.
        deadline: Reading of the clock at which to stop.
        clock: Seconds.
    """

    model: PooledModel
    backend: str
    gap: float
    deadline: float
    clock: Callable[[], float]

    def within(self, share: float) -> Run:
        """Return the run with only a share of the time that is left."""
        now = self.clock()
        return replace(self, deadline=now + share * (self.deadline - now))

    def solve(
        self,
        cost: FloatArray,
        rows: tuple[ModelRow, ...],
        *,
        gap: float = 0.0,
        relaxed: bool = False,
        max_nodes: int | None = None,
        all_served: bool = False,
    ) -> SolveResult:
        """Solve with the time that is left, in a scale that the solver's tolerances suit."""
        model = self.linear(cost, rows, all_served=all_served)
        return self.solve_linear(model, gap=gap, relaxed=relaxed, max_nodes=max_nodes)

    def linear(
        self, cost: FloatArray, rows: tuple[ModelRow, ...], *, all_served: bool = False
    ) -> LinearModel:
        """Return the model that minimizes a cost, with further rows."""
        model = self.model.linear(cost, rows)
        return self._all_served(model) if all_served else model

    def solve_linear(
        self,
        model: LinearModel,
        *,
        gap: float = 0.0,
        relaxed: bool = False,
        max_nodes: int | None = None,
    ) -> SolveResult:
        """Solve a model with the time that is left, in a scale that suits the solver."""
        limits = SolveLimits(
            relative_gap=gap,
            time_limit_s=self.deadline - self.clock(),
            max_nodes=max_nodes,
            interior_point=relaxed and model.cost.size > LARGE_RELAXATION,
        )
        # Without whole numbers a solver has no tree, and tells no bound of one.
        plain = relaxed or not bool(np.any(model.integer))
        return solve_in_scale(model, self.backend, limits, relaxed=plain, clock=self.clock)

    def _all_served(self, model: LinearModel) -> LinearModel:
        """Return a model in which every server that some option serves in full takes such a one.

        Said row by row: one row over all servers would say the same, and slows the solvers a lot.
        """
        own = self.model
        options = own.question.options
        takes = np.flatnonzero(own.columns.takes)
        server = options.server[own.columns.option[takes]]
        servable = np.zeros(len(own.question.table.servers), dtype=np.bool_)
        servable[own.marks[own.marks >= 0]] = True
        lower, upper = model.row_lower.copy(), model.upper.copy()
        lower[own.serve_row[servable[np.unique(server)]]] = 1.0
        upper[takes[servable[server] & (own.marks[takes] < 0)]] = 0.0
        return replace(model, row_lower=lower, upper=upper)

    def groups(self) -> tuple[Group, ...]:
        """Return the priority groups, highest (smallest number) first."""
        priority = self.model.question.table.priority
        return tuple(
            Group(int(level), members, self.model.served_columns(members))
            for level in np.unique(priority)
            for members in [np.equal(priority, level)]
        )


def at_most(values: FloatArray, bound: float) -> ModelRow:
    """Return the row ``values @ x <= bound``, scaled for the solver's tolerance."""
    used = np.flatnonzero(values)
    largest = float(np.max(np.abs(values[used]), initial=0.0))
    scale = ROW_SCALE / largest if largest > 0 else 1.0
    return ModelRow(used, values[used] * scale, -np.inf, bound * scale)
