"""What a plan over pools is when the time limit ends the search: no less than one pass makes.

The better of what was found and of `optimizer.pooled.one_pass`, by served servers of each priority
and then stage by stage, with the bounds that hold for it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.linear_model import SolveStatus
from optimizer.pooled.decide import Decision, StageResult
from optimizer.pooled.goals import TIE, stages_of
from optimizer.pooled.large import columns_in_turn
from optimizer.pooled.model import build_model, changes_row
from optimizer.pooled.one_pass import plans_in_one_pass
from optimizer.pooled.question import Question
from optimizer.pooled.rows import ModelRow
from optimizer.pooled.run import COUNT_TOLERANCE, Group, Run
from optimizer.table import FloatArray
from stoker.domain.limits import ObjectiveName

SEARCH_SHARE = 0.9
"""Share of the time for the search; the rest is for the bounds of a plan that it ends with."""
_TIE = 1e-9


def ended_early(decision: Decision, *, exact: bool) -> bool:
    """Return whether a search ended before it had proven what was asked of it.

    That of a large fleet plans in turn itself before it searches.
    """
    if decision.x is None:
        return True
    if not exact:
        return not any(decision.counts)
    unproven = not all(stage.proven for stage in decision.stages)
    return unproven or decision.counts != decision.bounds


def with_decision_at_hand(run: Run, decision: Decision, *, exact: bool) -> tuple[Run, Decision]:
    """Return a decision, or a better one that takes no search, with bounds; and its run.

    Args:
        run: The run, with time left for bounds.
        decision: What it came to.
        exact: Whether the run's model is that of all plans, so that its relaxation bounds them.
    """
    question = run.model.question
    model = build_model(question, columns_in_turn(question))
    other = replace(run, model=model)
    groups = other.groups()
    stages = stages_of(model)
    best: FloatArray | None = None
    counts = decision.counts if decision.x is not None else tuple(0 for _ in groups)
    reached = [(stage.name, stage.value) for stage in decision.stages]
    for x in plans_in_one_pass(model, _changes(other, decision)):
        own = tuple(group.served(x) for group in groups)
        values = [(stage.name, stage.of(x)) for stage in stages]
        if own < counts or (own == counts and not _better(values, reached)):
            continue
        best, counts, reached = x, own, values
    if best is None or not any(counts):
        return run, _bounded(run, decision, exact=exact)
    found = tuple(
        StageResult(
            stage.name,
            value,
            value,
            _bound(run, decision, stage.name, value, counts, exact=exact),
            False,
        )
        for stage, (_, value) in zip(stages, reached, strict=True)
    )
    none = decision.x is None
    ended = "before it found a plan" if none else "with no better plan"
    note = f"the time limit ended the search {ended}: this one serves servers in turn"
    return other, replace(
        decision,
        x=best,
        counts=counts,
        bounds=_class_bounds(run, decision, counts, exact=exact),
        stages=found,
        weighted=not exact,
        notes=(*(() if none else decision.notes), note),
    )


def _bounded(run: Run, decision: Decision, *, exact: bool) -> Decision:
    """Return a decision whose stages have bounds where the search left none."""
    stages = tuple(
        stage
        if stage.bound is not None
        else replace(
            stage,
            bound=_bound(run, decision, stage.name, stage.value, decision.counts, exact=exact),
        )
        for stage in decision.stages
    )
    return replace(decision, stages=stages)


def _better(values: list[tuple[str, float]], reached: list[tuple[str, float]]) -> bool:
    """Return whether stages come to less than others, the first that differs deciding."""
    others = dict(reached)
    for name, value in values:
        other = others.get(name, np.inf)
        if value < other - _TIE * max(1.0, abs(value)):
            return True
        if value > other + _TIE * max(1.0, abs(value)):
            return False
    return False


def _changes(run: Run, decision: Decision) -> tuple[ModelRow, ...]:
    most = run.model.question.limits.max_changes
    if most is None:
        return ()
    return (changes_row(run.model, max(most, decision.least_changes or 0)),)


def _at_least(groups: tuple[Group, ...], counts: tuple[int, ...]) -> tuple[ModelRow, ...]:
    return tuple(group.row(float(n)) for group, n in zip(groups, counts, strict=True))


def _class_bounds(
    run: Run, decision: Decision, counts: tuple[int, ...], *, exact: bool
) -> tuple[int | None, ...]:
    """Return, by group, how many could be served at most if higher groups keep their counts."""
    bounds: list[int | None] = []
    known = decision.x is not None and decision.least_changes is None
    rows = _changes(run, decision)
    for index, (group, count) in enumerate(zip(run.groups(), counts, strict=True)):
        options = run.model.question.options
        able = np.unique(options.server[options.serves & group.members[options.server]]).size
        most = int(able)
        told = decision.bounds[index] if known else None
        if told is not None:
            most = min(most, told)
        elif count < most and exact:
            cost = np.zeros(run.model.count)
            cost[group.columns] = -1.0
            relaxed = run.solve(cost, rows, relaxed=True)
            if relaxed.status is SolveStatus.OPTIMAL and relaxed.objective is not None:
                most = min(most, int(np.floor(-relaxed.objective + COUNT_TOLERANCE)))
        bounds.append(max(most, count))
        known = known and count >= decision.counts[index]
        rows = (*rows, group.row(float(count)))
    return tuple(bounds)


def _bound(
    run: Run, decision: Decision, name: str, value: float, counts: tuple[int, ...], *, exact: bool
) -> float | None:
    """Return what a plan that serves as many has of a stage at least."""
    bounds = []
    stage = next((item for item in stages_of(run.model) if item.name == name), None)
    if stage is not None and exact:
        rows = (*_changes(run, decision), *_at_least(run.groups(), counts))
        relaxed = run.solve(stage.values, rows, relaxed=True)
        if relaxed.status is SolveStatus.OPTIMAL and relaxed.objective is not None:
            bounds.append(relaxed.objective + stage.constant)
    if name in (ObjectiveName.COST.value, TIE):
        bounds.append(_least_cost(run.model.question, run.groups(), counts))
    return min(value, max(bounds)) if bounds else None


def _least_cost(question: Question, groups: tuple[Group, ...], counts: tuple[int, ...]) -> float:
    """Return what so many servers of each group cost at least, wherever they stand."""
    options, pairs = question.options, question.pairs
    least = np.full(options.count, np.inf)
    np.minimum.at(least, pairs.option, pairs.value)
    least[~np.isfinite(least)] = 0.0
    placed = (options.cards_per_replica > 0) & (options.least > 0)
    least = np.where(placed, least, 0.0) * options.least + options.constant
    serving = np.full(len(question.table.servers), np.inf)
    np.minimum.at(serving, options.server[options.serves], least[options.serves])
    otherwise = np.zeros(serving.size)
    np.minimum.at(otherwise, options.server, least)
    more = serving - otherwise
    total = float(otherwise.sum())
    for group, count in zip(groups, counts, strict=True):
        total += float(np.sort(more[group.members])[:count].sum())
    return total
