"""The best plan over pools: served vector by priority, then preferences, objectives, cards.

* Where what runs cannot stay within the changes allowed, the fewest changes are found first.
* The served vector is settled in exact stages, or by weights in large fleets.
* Then come the stages of `optimizer.pooled.goals`, each among the plans that are best before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import SolveResult, SolveStatus
from optimizer.pooled.goals import Stage, stages_of
from optimizer.pooled.model import changes_row
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import COUNT_TOLERANCE, Group, Run, at_most
from optimizer.pooled.stage_bounds import Before, StageBound
from optimizer.pooled.weights import Weighted
from optimizer.table import FloatArray
from stoker.domain.limits import ObjectiveName

TIE_NODES = 1000
TIE_SERVERS = 200
"""Largest fleet whose ties are broken by cards."""
_SLACK = 1e-9

ByWeights = Callable[[Run, tuple[Group, ...], Stage, tuple[ModelRow, ...]], Weighted]


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage reached.

    Attributes:
        name: Its name.
        reached: Its best value, when it was its turn.
        value: What the final solution has of it, which tolerances may have given away.
        bound: Proven lower bound; None where there is none.
        proven: Whether what was reached is proven the best within the gap.
    """

    name: str
    reached: float
    value: float
    bound: float | None
    proven: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """A solution, with what is proven.

    Attributes:
        x: Values of the columns; None where none was found in time.
        counts: Served servers of each priority group.
        bounds: Proven upper bounds on them.
        stages: What each stage reached.
        least_changes: Fewest changes that are possible, where more than allowed; else None.
        weighted: Whether priorities were weighted.
        notes: Sentences for the reader.
    """

    x: FloatArray | None
    counts: tuple[int, ...]
    bounds: tuple[int | None, ...]
    stages: tuple[StageResult, ...] = ()
    least_changes: int | None = None
    weighted: bool = False
    notes: tuple[str, ...] = ()


def decide(
    run: Run, *, by_weights: ByWeights | None = None, stage_bound: StageBound | None = None
) -> Decision:
    """Return the best solution of a run's model.

    Args:
        run: The model, its solver and its deadline.
        by_weights: What settles the served vector of a large fleet, where the model is one of whole
            columns and does not bound every plan. None for an exact model, whose served vector is
            compared lexicographically.
        stage_bound: What bounds the stages of such a fleet, where its served vector does not.
    """
    groups = run.groups()
    stages = stages_of(run.model)
    rows, least_changes = changes_allowed(run)
    served = _served(run, by_weights, groups, stages[0], rows)
    if served.x is None:
        nothing = tuple(0 for _ in groups)
        return Decision(None, nothing, tuple(None for _ in groups))
    x = run.model.settled(served.x)
    if least_changes is not None and by_weights is not None:
        # What was proven holds for the changes allowed, which are not enough.
        first = None if served.first is None else replace(served.first, bound=None)
        served = replace(served, first=first, bounds=tuple(None for _ in groups))
    rows = (*rows, *(g.row(float(n)) for g, n in zip(groups, served.counts, strict=True)))
    results: list[StageResult] = []
    before: tuple[tuple[Stage, float], ...] = ()
    for index, stage in enumerate(stages):
        if index == 0 and served.first is not None:
            result = served.first
        else:
            result = run.solve(stage.values, rows, gap=run.gap)
            if by_weights is not None:
                # Of the plans of whole columns alone, which is no bound on all.
                result = replace(result, bound=None)
        x, reached = _reached(run, stage, result, x)
        if reached.bound is None and stage_bound is not None and least_changes is None:
            told = stage_bound(run, stage, reached.value, Before(served.counts, before))
            reached = _bounded(run, stage, reached, told, x)
        results.append(reached)
        slack = stage.tolerance * abs(reached.value) + _SLACK * max(abs(reached.value), 1.0)
        before = (*before, (stage, reached.value + slack))
        rows = (*rows, at_most(stage.values, reached.value - stage.constant + slack))
    x, notes = _fewest_cards(run, rows, x, results)
    return Decision(
        x=x,
        counts=tuple(group.served(x) for group in groups),
        bounds=served.bounds,
        stages=tuple(
            replace(item, value=stage.of(x)) for stage, item in zip(stages, results, strict=True)
        ),
        least_changes=least_changes,
        weighted=served.weighted,
        notes=served.notes + notes,
    )


@dataclass(frozen=True, slots=True)
class _Served:
    """The served vector, a solution that has it, and the first stage where it came with it."""

    x: FloatArray | None
    counts: tuple[int, ...]
    bounds: tuple[int | None, ...]
    first: SolveResult | None = None
    weighted: bool = False
    notes: tuple[str, ...] = ()


def changes_allowed(run: Run) -> tuple[tuple[ModelRow, ...], int | None]:
    """Return the row of the changes allowed, and their least number where that is more."""
    most = run.model.question.limits.max_changes
    if most is None:
        return (), None
    cost, constant = run.model.goals[ObjectiveName.CHANGES]
    result = run.solve(cost, ())
    if result.x is None:
        return (changes_row(run.model, most),), None
    least = round(float(cost @ result.x) + constant)
    return (changes_row(run.model, max(most, least)),), least if least > most else None


def _served(
    run: Run,
    by_weights: ByWeights | None,
    groups: tuple[Group, ...],
    first: Stage,
    rows: tuple[ModelRow, ...],
) -> _Served:
    if by_weights is not None:
        found = by_weights(run, groups, first, rows)
        result = found.result if found.result.x is not None else None
        return _Served(found.result.x, found.counts, found.bounds, result, True, found.notes)
    everyone = np.flatnonzero(run.model.marks >= 0)
    goal = np.unique(run.model.marks[everyone]).size
    cost = np.zeros(run.model.count)
    cost[everyone] = -1.0
    relaxation = run.solve(cost, rows, relaxed=True)
    if relaxation.objective is not None and -relaxation.objective >= goal - COUNT_TOLERANCE:
        result = run.within(0.5).solve(first.values, rows, gap=run.gap, all_served=True)
        if result.x is not None:
            counts = tuple(group.served(result.x) for group in groups)
            return _Served(result.x, counts, counts, result)
    return _staged(run, groups, rows)


def _staged(run: Run, groups: tuple[Group, ...], rows: tuple[ModelRow, ...]) -> _Served:
    """Maximize the served count of each group in turn."""
    counts: list[int] = []
    bounds: list[int | None] = []
    best: FloatArray | None = None
    notes: tuple[str, ...] = ()
    for group in groups:
        cost = np.zeros(run.model.count)
        cost[group.columns] = -1.0
        # Counts are whole numbers, so a gap below one of them proves the maximum.
        result = run.solve(cost, rows, gap=0.5 / max(group.columns.size, 1))
        if result.x is not None:
            best = result.x
        if best is None:
            return _Served(None, (), ())
        counts.append(group.served(best))
        known = result.x is not None and result.bound is not None
        bound = int(np.floor(-(result.bound or 0.0) + COUNT_TOLERANCE)) if known else None
        bounds.append(bound)
        if bound != counts[-1]:
            notes = ("the time limit passed before the served counts were proven",)
        rows = (*rows, group.row(float(counts[-1])))
    return _Served(best, tuple(counts), tuple(bounds), notes=notes)


def _reached(
    run: Run, stage: Stage, result: SolveResult, x: FloatArray | None
) -> tuple[FloatArray, StageResult]:
    """Return the better of a stage's solution and the one before, with what is proven."""
    if result.x is not None:
        found = run.model.settled(result.x)
        if x is None or stage.of(found) <= stage.of(x) + _SLACK:
            x = found
    assert x is not None
    value = stage.of(x)
    told = None if result.bound is None else result.bound + stage.constant
    return x, _bounded(run, stage, StageResult(stage.name, value, value, None, False), told, x)


def _bounded(
    run: Run, stage: Stage, reached: StageResult, bound: float | None, x: FloatArray
) -> StageResult:
    """Return what a stage reached with a bound, no more than its value."""
    if bound is None:
        return reached
    room = run.gap * abs(reached.value) + _SLACK * max(1.0, float(np.abs(stage.values) @ x))
    bound = min(bound, reached.value)
    return replace(reached, bound=bound, proven=reached.value - bound <= room)


def _fewest_cards(
    run: Run, rows: tuple[ModelRow, ...], x: FloatArray, results: list[StageResult]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return a solution as good with the fewest cards, and a note if that is unproven."""
    small = len(run.model.question.table.servers) <= TIE_SERVERS
    if not small or not all(item.proven for item in results):
        return x, ()
    result = run.solve(run.model.cards, rows, max_nodes=TIE_NODES)
    notes: tuple[str, ...] = ()
    if result.status is not SolveStatus.OPTIMAL:
        notes = ("another plan as good may use fewer cards: the search was cut short",)
    if result.x is not None and run.model.cards @ result.x < run.model.cards @ x:
        return run.model.settled(result.x), notes
    return x, notes
