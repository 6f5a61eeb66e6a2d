"""Served vectors of large fleets: unserved servers have a price that rises with priority."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import SolveResult
from optimizer.pooled.goals import Stage
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import COUNT_TOLERANCE, Group, Run
from optimizer.table import FloatArray

LARGEST_WEIGHT = 1e7
"""Ratio between the weights of the highest and the lowest class, at most."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """The result of the first stage, prices taken off, with counts, their bounds, and notes."""

    result: SolveResult
    counts: tuple[int, ...]
    bounds: tuple[int | None, ...]
    notes: tuple[str, ...] = ()


def served_by_weights(
    run: Run, groups: tuple[Group, ...], first: Stage, rows: tuple[ModelRow, ...], ratio: float
) -> Weighted:
    """Price unserved servers by class in one solve, and bound each class by a relaxation."""
    model = run.model
    price, weights = _prices(run, groups, first, ratio)
    cost = first.values.copy()
    marked = model.marks >= 0
    cost[marked] -= price[model.marks[marked]]
    gap = run.gap
    relaxation = run.solve(cost, rows, relaxed=True)
    if relaxation.x is not None and relaxation.objective is not None:
        # The gap is promised on the objective alone, so the solver's own, which counts prices, is
        # scaled.
        own = abs(first.of(relaxation.x))
        gap *= 0.9 * min(1.0, own / max(abs(relaxation.objective), 1e-12))
    result = run.within(0.8).solve(cost, rows, gap=gap)
    if result.x is None:
        return Weighted(result, tuple(0 for _ in groups), tuple(None for _ in groups))
    value = float(first.values @ result.x)
    bound = None
    if result.bound is not None and result.objective is not None:
        bound = value - (result.objective - result.bound)
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
        _bounds(run, groups, rows, counts),
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


def _bounds(
    run: Run, groups: tuple[Group, ...], rows: tuple[ModelRow, ...], counts: tuple[int, ...]
) -> tuple[int | None, ...]:
    """Return, by group, how many could be served at most if higher groups keep their counts."""
    bounds: list[int | None] = []
    for group, count in zip(groups, counts, strict=True):
        possible = np.unique(run.model.marks[group.columns]).size
        if count == possible:
            bounds.append(count)
        else:
            cost = np.zeros(run.model.count)
            cost[group.columns] = -1.0
            relaxed = run.solve(cost, rows, relaxed=True)
            found = relaxed.bound if relaxed.bound is not None else relaxed.objective
            bounds.append(None if found is None else int(np.floor(-found + COUNT_TOLERANCE)))
        rows = (*rows, group.row(float(count)))
    return tuple(bounds)
