"""Large fleets by column generation: the served vector by weights, with bounds on all plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.pooled.coupling import Coupling, Goal, first_goal, later_goals
from optimizer.pooled.fixing import Start, solve_by_fixing
from optimizer.pooled.generate import Generated, Generator, pattern_columns
from optimizer.pooled.goals import Stage
from optimizer.pooled.model import build_model
from optimizer.pooled.question import Question
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import COUNT_TOLERANCE, Group, Run, Solver
from optimizer.pooled.weights import (
    SEARCH_SHARE,
    Weighted,
    Weights,
    priced,
    servable,
    time_notes,
    weights_of,
)
from optimizer.solver import HIGHS
from optimizer.table import FloatArray
from stoker.domain.limits import ObjectiveName

_RELAXATION_SHARE = 0.5
"""Share of the time left for the relaxation."""
_BOUND_SHARE = 0.5
"""Share of the time left for one further bound."""
_GAP_SHARE = 0.05
"""Share of the gap that the relaxation may leave."""
_LATER_SHARE = 1e-3
"""What later stages count beside the first, where columns are made for both."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The relaxation of a large fleet.

    Attributes:
        question: What was asked.
        goal: The first stage.
        weights: Prices of unserved servers.
        generated: Patterns and the bound that they prove.
        own: What the relaxation has of the goal, prices left out; 0 if it was never solved.
    """

    question: Question
    goal: Goal
    weights: Weights
    generated: Generated
    own: float

    def served(
        self, run: Run, groups: tuple[Group, ...], first: Stage, rows: tuple[ModelRow, ...]
    ) -> Weighted:
        """Return the best plan over the patterns that was found, and what is proven about it."""
        cost = priced(first, run.model, self.weights.price)
        same = first.name == self.goal.name
        start = Start(
            share=self.generated.share,
            bound=self.generated.bound if same else -np.inf,
            allowed=0.9 * run.gap * abs(self.own),
            reduced=self.generated.reduced if same else None,
        )
        result = solve_by_fixing(run.within(SEARCH_SHARE), cost, rows, start)
        if result.x is None:
            return Weighted(result, tuple(0 for _ in groups), tuple(None for _ in groups))
        value = float(first.values @ result.x)
        bound = value - (float(cost @ result.x) - self.generated.bound) if same else None
        counts = tuple(group.served(result.x) for group in groups)
        if bound is not None and value - bound > run.gap * abs(value):
            reached = float(self._marks(run) @ result.x)
            tighter = self._least_value(run.within(_BOUND_SHARE), reached)
            bound = max(bound, min(tighter, value))
        return Weighted(
            replace(result, objective=value, bound=bound),
            counts,
            self._bounds(run, groups, counts),
            (self.weights.note(groups), *time_notes(self.generated.share is not None)),
        )

    def _marks(self, run: Run) -> FloatArray:
        """Return the price of the server that each column serves."""
        marks = run.model.marks
        return np.where(marks >= 0, self.weights.price[np.maximum(marks, 0)], 0.0)

    def _least_value(self, run: Run, reached: float) -> float:
        """Return what any plan costs at least that serves as much, by the weights."""
        options = self.question.options
        coupling, price = Coupling.of(self.question), self.weights.price
        largest = max(float(price.max(initial=0.0)), 1e-300)
        marked = np.where(options.serves, price[options.server] / largest, 0.0)
        coupling.limit_options(-reached / largest, -marked)
        generator = Generator(
            self.question, self.goal, np.zeros_like(price), coupling, float(price.sum())
        )
        return generator.run(_left(run), _GAP_SHARE * run.gap * abs(self.own)).bound

    def _bounds(
        self, run: Run, groups: tuple[Group, ...], counts: tuple[int, ...]
    ) -> tuple[int | None, ...]:
        """Return, by group, how many could be served at most if higher ones keep their counts."""
        options = self.question.options
        nothing = Goal("served", np.zeros_like(self.goal.pair), np.zeros(options.count), 0.0)
        coupling = Coupling.of(self.question)
        can = servable(self.question)
        bounds: list[int | None] = []
        for group, count in zip(groups, counts, strict=True):
            own = group.members & can
            possible = int(np.count_nonzero(own))
            if count == possible:
                bounds.append(count)
            else:
                generator = Generator(
                    self.question, nothing, own.astype(np.float64), coupling, float(possible)
                )
                found = generator.run(_left(run.within(_BOUND_SHARE)), 0.1)
                bounds.append(min(possible, int(np.floor(-found.bound + COUNT_TOLERANCE))))
            serving = options.serves & own[options.server]
            coupling.limit_options(-float(count), -serving.astype(np.float64))
        return tuple(bounds)


def can_generate(question: Question, backend: str) -> bool:
    """Return whether columns are made by pricing: with HiGHS, for servers that plan alone.

    Nodes, cards that are cut, and replicas that are shared tie them to each other in other ways,
    and with fairness parts of a load count.
    """
    fair = question.objectives.includes(ObjectiveName.FAIRNESS)
    alone = question.places is None and not question.kinds and not question.sets
    return backend == HIGHS and not fair and alone and bool(question.options.count)


def relax(question: Question, solver: Solver, ratio: float) -> tuple[Run, Relaxed]:
    """Return a run over columns that the relaxation asked for, and that relaxation.

    Args:
        question: The question.
        solver: The solver and its limits.
        ratio: Weight of a priority class relative to the next lower one.
    """
    goal, weights = first_goal(question), weights_of(question, ratio)
    coupling = Coupling.of(question)
    scale = float(weights.price.sum())
    began = solver.clock()
    until = began + _RELAXATION_SHARE * (solver.deadline - began)
    # What serving everybody costs at least is the measure of the gap until more is known.
    typical = float((weights.price / weights.by_group.max()).sum())
    gap = _GAP_SHARE * solver.gap * typical
    generator = Generator(question, goal, weights.price, coupling, scale)
    generated = generator.run(lambda: until - solver.clock(), gap)
    patterns, own = generated.patterns, 0.0
    if generated.share is not None:
        marked = np.where(question.options.serves, weights.price[question.options.server], 0.0)
        own = generated.reach + float(generated.share @ marked[patterns.option])
    for later in later_goals(question):
        blend = goal.plus(later, _LATER_SHARE * goal.size / max(later.size, 1e-300))
        more = Generator(question, blend, weights.price, coupling, scale)
        found = more.run(lambda: solver.deadline - solver.clock(), gap)
        patterns = patterns.joined(found.patterns)
    fresh = patterns.count - generated.patterns.count
    if fresh:
        share = generated.share
        generated = replace(
            generated,
            patterns=patterns,
            share=None if share is None else np.concatenate([share, np.zeros(fresh)]),
            reduced=generator.reduced(patterns, generated.prices),
        )
    model = build_model(question, pattern_columns(question, patterns))
    return solver.run(model), Relaxed(question, goal, weights, generated, own)


def _left(run: Run) -> Callable[[], float]:
    return lambda: run.deadline - run.clock()
