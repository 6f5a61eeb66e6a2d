"""Served vectors of large fleets: unserved servers have a price that rises with priority."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import SolveResult, SolveStatus
from optimizer.pooled.fixing import solve_by_fixing
from optimizer.pooled.goals import Stage, stages_of
from optimizer.pooled.model import PooledModel, changes_row
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import COUNT_TOLERANCE, Group, Run
from optimizer.table import FloatArray
from stoker.domain.limits import ObjectiveName

LARGEST_WEIGHT = 1e7
"""Ratio between the weights of the highest and the lowest class, at most."""


RELAXATION_SHARE = 0.5
SEARCH_SHARE = 0.8
"""Shares of the time left for a relaxation, and for the search; the rest is for bounds."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """The result of the first stage, prices taken off, with counts, their bounds, and notes."""

    result: SolveResult
    counts: tuple[int, ...]
    bounds: tuple[int | None, ...]
    notes: tuple[str, ...] = ()


def served_by_weights(
    run: Run,
    bounding: Run,
    groups: tuple[Group, ...],
    first: Stage,
    rows: tuple[ModelRow, ...],
    ratio: float,
) -> Weighted:
    """Price unserved servers by class, and bound the sum and each class by relaxations.

    Args:
        run: The model of whole columns.
        bounding: The model whose relaxation bounds every plan.
        groups: Priority groups of the first model.
        first: The first stage of the first model.
        rows: Further rows of the first model.
        ratio: Weight of a priority class relative to the next lower one.
    """
    model = run.model
    price, weights = _prices(run, groups, first, ratio)
    cost = _priced(first, model, price)
    bound = _relaxed_bound(bounding, price)
    relaxation = run.within(RELAXATION_SHARE).solve(cost, rows, relaxed=True)
    reach = 0.0 if relaxation.x is None else float(cost @ relaxation.x)
    own = 0.0 if relaxation.x is None else abs(first.of(relaxation.x))
    # The gap is promised on the objective alone, not on the prices.
    wanted = (reach if bound is None else max(bound, reach)) + 0.9 * run.gap * own
    found = run.within(SEARCH_SHARE)
    result = solve_by_fixing(found, cost, rows, relaxation, wanted=wanted)
    if result.x is None:
        return Weighted(result, tuple(0 for _ in groups), tuple(None for _ in groups))
    value = float(first.values @ result.x)
    bound = None if bound is None else value - (float(cost @ result.x) - bound)
    counts = tuple(group.served(result.x) for group in groups)
    told = ", ".join(
        f"priority {group.priority}: {weight:g}"
        for group, weight in zip(groups, weights, strict=True)
    )
    note = (
        f"{len(model.question.table.servers):,} servers are above the limit for exact stages: "
        f"unserved demand was priced at a multiple of each server's cheapest candidate ({told})"
    )
    return Weighted(
        replace(result, objective=value, bound=bound),
        counts,
        _bounds(bounding, counts),
        (note,),
    )


def _prices(
    run: Run, groups: tuple[Group, ...], first: Stage, ratio: float
) -> tuple[FloatArray, FloatArray]:
    """Return the price of leaving each server unserved, and the weight of each group.

    A price is a multiple of what the server's least option costs in the first stage, and no less
    than the largest such difference that serving it could make to others.
    """
    ranks = np.arange(len(groups), 0, -1, dtype=np.float64)
    most = max(len(groups) - 1, 1)
    step = min(np.log(ratio), np.log(LARGEST_WEIGHT) / most)
    weights = ratio * np.exp(step * (ranks - 1.0))
    question = run.model.question
    servers = len(question.table.servers)
    worth = _option_worth(run, first)
    cheapest = np.full(servers, np.inf)
    serving = np.flatnonzero(question.options.serves)
    np.minimum.at(cheapest, question.options.server[serving], worth[serving])
    typical = cheapest[np.isfinite(cheapest) & (cheapest > 0)]
    # A free option must still be worth serving.
    least = float(typical.min()) if typical.size else 1.0
    cheapest = np.where(np.isfinite(cheapest), np.maximum(cheapest, least), 0.0)
    price = np.zeros(servers)
    for group, weight in zip(groups, weights, strict=True):
        price[group.members] = weight * cheapest[group.members]
    return price, weights


def _option_worth(run: Run, first: Stage) -> FloatArray:
    """Return what each option costs about in the first stage: in its cheapest pool."""
    columns, options = run.model.columns, run.model.question.options
    values = np.abs(first.values[: columns.count])
    worth = np.full(options.count, np.inf)
    takes = columns.takes
    np.minimum.at(worth, columns.option[takes], values[takes])
    part = np.full(options.count, np.inf)
    np.minimum.at(part, columns.option[~takes], values[~takes])
    split = np.isfinite(part)
    worth[split] += options.least[split] * part[split]
    return worth


def _priced(first: Stage, model: PooledModel, price: FloatArray) -> FloatArray:
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
    cost = _priced(first, bounding.model, price)
    result = bounding.within(RELAXATION_SHARE).solve(cost, changes_allowed(bounding), relaxed=True)
    return result.objective if result.status is SolveStatus.OPTIMAL else None


def changes_allowed(run: Run) -> tuple[ModelRow, ...]:
    """Return the row of the changes allowed; none where they are not limited."""
    most = run.model.question.limits.max_changes
    return () if most is None else (changes_row(run.model, most),)


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
