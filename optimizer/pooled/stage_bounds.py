"""Bounds on the later stages of large fleets: what no plan can be below, given those before.

The plans of a large fleet are made of fewer columns than there are plans, so that what a solver
proves of a stage is proven of those alone. A relaxation of all plans, with the served counts and
the values of earlier stages that were reached as rows, bounds every plan that is as good in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import SolveStatus
from optimizer.pooled.columns import split_columns
from optimizer.pooled.coupling import Coupling, Goal, first_goal, later_goals
from optimizer.pooled.generate import Generator
from optimizer.pooled.goals import TIE, Stage, stages_of
from optimizer.pooled.large import relaxed_model
from optimizer.pooled.model import build_model
from optimizer.pooled.question import Question
from optimizer.pooled.run import Group, Run, Solver, at_most
from optimizer.pooled.weights import changes_allowed
from optimizer.table import FloatArray
from stoker.domain.limits import ObjectiveName

TIME_SHARE = 0.5
"""Share of the time left for one bound."""
_GAP_SHARE = 0.2
"""Share of the gap that a bound may leave."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a plan has reached when a stage has its turn.

    Attributes:
        counts: Served servers of each priority group.
        stages: The stages before it, each with the most that a plan may have of it.
    """

    counts: tuple[int, ...]
    stages: tuple[tuple[Stage, float], ...]


StageBound = Callable[[Run, Stage, float, Before], float | None]
"""From a run, a stage, its value and what came before it to a bound, constants included."""


def by_relaxation(question: Question, solver: Solver) -> StageBound:
    """Return bounds by the linear relaxation of columns that any plan is made of."""
    fair = question.objectives.includes(ObjectiveName.FAIRNESS)
    # Parts of a load have replicas of their own, which whole columns do not bound.
    model = build_model(question, split_columns(question)) if fair else relaxed_model(question)
    bounding = solver.run(model)

    def bound(run: Run, stage: Stage, value: float, before: Before) -> float | None:
        del value
        own = {item.name: item for item in stages_of(model)}
        if stage.name not in own:
            return 0.0  # nobody can stand in a pool that is not preferred
        rows = changes_allowed(bounding)
        groups = bounding.groups()
        rows = (
            *rows,
            *(g.row(float(n)) for g, n in zip(groups, before.counts, strict=True)),
            *(
                at_most(own[item.name].values, most - own[item.name].constant)
                for item, most in before.stages
                if item.name in own
            ),
        )
        limited = replace(bounding, deadline=run.deadline).within(TIME_SHARE)
        found = limited.solve(own[stage.name].values, rows, relaxed=True)
        if found.status is not SolveStatus.OPTIMAL or found.objective is None:
            return None
        return found.objective + own[stage.name].constant

    return bound


def by_pricing(question: Question) -> StageBound:
    """Return bounds by prices of what ties servers together, each planned by itself."""
    goals = {goal.name: goal for goal in (first_goal(question), *later_goals(question))}

    def goal_of(stage: Stage) -> Goal | None:
        return goals.get(ObjectiveName.COST.value if stage.name == TIE else stage.name)

    def bound(run: Run, stage: Stage, value: float, before: Before) -> float | None:
        goal = goal_of(stage)
        if goal is None:
            return None
        coupling = Coupling.of(question)
        _count_served(question, coupling, run.groups(), before.counts)
        for item, most in before.stages:
            earlier = goal_of(item)
            if earlier is not None:
                _limit_goal(coupling, earlier, most - item.constant)
        own = run.within(TIME_SHARE)
        servers = len(question.table.servers)
        scale = abs(value) + _typical(question, goal)
        generator = Generator(question, goal, np.zeros(servers), coupling, scale)
        gap = _GAP_SHARE * run.gap * abs(value)
        found = generator.run(lambda: own.deadline - own.clock(), gap).bound
        return found + stage.constant if np.isfinite(found) else None

    return bound


def _count_served(
    question: Question, coupling: Coupling, groups: tuple[Group, ...], counts: tuple[int, ...]
) -> None:
    """Let no fewer servers of each group be served."""
    options = question.options
    for group, count in zip(groups, counts, strict=True):
        serving = options.serves & group.members[options.server]
        coupling.limit_options(-float(count), -serving.astype(np.float64))


def _limit_goal(coupling: Coupling, goal: Goal, most: float) -> None:
    """Let a goal be no more than it was; starts of replicas, which only add to it, are left out."""
    scale = max(1.0, float(np.abs(goal.pair).max(initial=0.0)))
    row = np.full(goal.pair.size, coupling.count, dtype=np.int64)
    coupling.by_pair.append((row, goal.pair / scale))
    coupling.limit_options(most / scale, goal.option / scale)


def _typical(question: Question, goal: Goal) -> float:
    """Return about what all servers together have of a goal at most."""
    options, pairs = question.options, question.pairs
    pair: FloatArray = np.zeros(options.count)
    np.maximum.at(pair, pairs.option, np.abs(goal.pair))
    worth = pair * options.most.clip(max=1_000) + np.abs(goal.option)
    largest = np.zeros(len(question.table.servers))
    np.maximum.at(largest, options.server, worth)
    return float(largest.sum())
