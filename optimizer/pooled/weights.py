"""Served vectors of large fleets: unserved servers have a price that rises with priority."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import SolveResult, SolveStatus
from optimizer.pooled.coupling import first_goal
from optimizer.pooled.fixing import Start, solve_by_fixing
from optimizer.pooled.goals import Stage, stages_of
from optimizer.pooled.model import PooledModel, changes_row
from optimizer.pooled.pattern_pricer import PatternPricer
from optimizer.pooled.question import Question
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import COUNT_TOLERANCE, Group, Run
from optimizer.table import BoolArray, FloatArray
from stoker.domain.limits import ObjectiveName

LARGEST_WEIGHT = 1e7
"""Ratio between the weights of the highest and the lowest class, at most."""
RELAXATION_SHARE = 0.5
SEARCH_SHARE = 0.8
"""Shares of the time left for a relaxation, and for the search; the rest is for bounds."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Prices of unserved servers.

    Attributes:
        price: Price of leaving each server unserved, (servers,).
        by_group: Weight of each priority group, highest first.
    """

    price: FloatArray
    by_group: FloatArray

    def note(self, groups: tuple[Group, ...]) -> str:
        """Return the sentence that tells how priorities were weighed."""
        told = ", ".join(
            f"priority {group.priority}: {weight:g}"
            for group, weight in zip(groups, self.by_group.tolist(), strict=True)
        )
        return (
            f"{self.price.size:,} servers are above the limit for exact stages: "
            f"unserved demand was priced at a multiple of each server's cheapest candidate ({told})"
        )


@dataclass(frozen=True, slots=True)
class Weighted:
    """The result of the first stage, prices taken off, with counts, their bounds, and notes."""

    result: SolveResult
    counts: tuple[int, ...]
    bounds: tuple[int | None, ...]
    notes: tuple[str, ...] = ()


def weights_of(question: Question, ratio: float) -> Weights:
    """Return the price of leaving each server unserved.

    It is a multiple of what the server's least option costs in the first stage.

    Args:
        question: The question.
        ratio: Weight of a priority class relative to the next lower one.
    """
    levels, place = np.unique(question.table.priority, return_inverse=True)
    ranks = np.arange(levels.size, 0, -1, dtype=np.float64)
    step = min(np.log(ratio), np.log(LARGEST_WEIGHT) / max(levels.size - 1, 1))
    weights: FloatArray = ratio * np.exp(step * (ranks - 1.0))
    cheapest = _cheapest(question)
    typical = cheapest[np.isfinite(cheapest) & (cheapest > 0)]
    # A free option must still be worth serving.
    least = float(typical.min()) if typical.size else 1.0
    cheapest = np.where(np.isfinite(cheapest), np.maximum(cheapest, least), 0.0)
    return Weights(weights[place] * cheapest, weights)


def _cheapest(question: Question) -> FloatArray:
    """Return what the least option of each server costs about in the first stage."""
    options = question.options
    if question.objectives.includes(ObjectiveName.FAIRNESS):
        worth = options.least * options.unit_cost
    else:
        goal = first_goal(question)
        priced = PatternPricer(question).priced(goal.pair, goal.start_weight)
        worth = np.abs(goal.option + priced.cost)
    # Of those who share replicas all but the first have them for nothing.
    hosts = options.shared & (options.cards_per_replica > 0)
    by_group = np.zeros(len(question.sets) + 1)
    by_group[options.group[hosts]] = worth[hosts]
    worth = np.where(options.shared, by_group[options.group], worth)
    cheapest = np.full(len(question.table.servers), np.inf)
    np.minimum.at(cheapest, options.server[options.serves], worth[options.serves])
    return cheapest


def served_by_weights(
    run: Run,
    groups: tuple[Group, ...],
    first: Stage,
    rows: tuple[ModelRow, ...],
    *,
    bounding: Run,
    weights: Weights,
) -> Weighted:
    """Price unserved servers by class, and bound the sum and each class by relaxations.

    Args:
        run: The model of whole columns.
        groups: Priority groups of the first model.
        first: The first stage of the first model.
        rows: Further rows of the first model.
        bounding: The model whose relaxation bounds every plan.
        weights: Prices of unserved servers.
    """
    cost = priced(first, run.model, weights.price)
    bound = _relaxed_bound(bounding, weights.price)
    relaxation = run.within(RELAXATION_SHARE).solve(cost, rows, relaxed=True)
    reach = -np.inf if relaxation.x is None else float(cost @ relaxation.x)
    own = 0.0 if relaxation.x is None else abs(first.of(relaxation.x))
    start = Start(
        relaxation.x,
        reach if bound is None else max(bound, reach),
        # The gap is promised on the objective alone, not on the prices.
        0.9 * run.gap * own,
    )
    result = solve_by_fixing(run.within(SEARCH_SHARE), cost, rows, start)
    if result.x is None:
        return Weighted(result, tuple(0 for _ in groups), tuple(None for _ in groups))
    value = float(first.values @ result.x)
    bound = None if bound is None else value - (float(cost @ result.x) - bound)
    counts = tuple(group.served(result.x) for group in groups)
    return Weighted(
        replace(result, objective=value, bound=bound),
        counts,
        _bounds(bounding, counts),
        (weights.note(groups), *time_notes(relaxation.x is not None)),
    )


def time_notes(relaxed: bool) -> tuple[str, ...]:
    """Return what is to be said of a plan that was made without a relaxation."""
    if relaxed:
        return ()
    return ("the time limit passed before a relaxation was solved: servers were planned in turn",)


def priced(first: Stage, model: PooledModel, price: FloatArray) -> FloatArray:
    """Return a stage less the prices of the servers that a column serves."""
    cost = first.values.copy()
    marked = model.marks >= 0
    cost[marked] -= price[model.marks[marked]]
    return cost


def _relaxed_bound(bounding: Run, price: FloatArray) -> float | None:
    """Return the bound on what is priced, over all plans; None where it came not in time."""
    if bounding.model.question.objectives.includes(ObjectiveName.FAIRNESS):
        return None  # parts of a load have replicas of their own, which whole columns do not bound
    first = stages_of(bounding.model)[0]
    cost = priced(first, bounding.model, price)
    result = bounding.within(RELAXATION_SHARE).solve(cost, changes_allowed(bounding), relaxed=True)
    return result.objective if result.status is SolveStatus.OPTIMAL else None


def changes_allowed(run: Run) -> tuple[ModelRow, ...]:
    """Return the row of the changes allowed; none where they are not limited."""
    most = run.model.question.limits.max_changes
    return () if most is None else (changes_row(run.model, most),)


def servable(question: Question) -> BoolArray:
    """Return the servers that some option serves in full."""
    found = np.zeros(len(question.table.servers), dtype=np.bool_)
    found[question.options.server[question.options.serves]] = True
    return found


def _bounds(bounding: Run, counts: tuple[int, ...]) -> tuple[int | None, ...]:
    """Return, by group, how many could be served at most if higher groups keep their counts."""
    bounds: list[int | None] = []
    rows = changes_allowed(bounding)
    for group, count in zip(bounding.groups(), counts, strict=True):
        possible = np.unique(bounding.model.marks[group.columns]).size
        if count == possible:
            bounds.append(count)
        else:
            cost = np.zeros(bounding.model.count)
            cost[group.columns] = -1.0
            relaxed = bounding.solve(cost, rows, relaxed=True)
            known = relaxed.objective is not None and relaxed.status is SolveStatus.OPTIMAL
            most = int(np.floor(-(relaxed.objective or 0.0) + COUNT_TOLERANCE))
            bounds.append(min(most, possible) if known else None)
        rows = (*rows, group.row(float(count)))
    return tuple(bounds)
