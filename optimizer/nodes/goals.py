"""The integer program, goal after goal: each is held at its best while the next is optimized."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import LinearModel, SolveLimits
from optimizer.nodes.aims import (
    ACROSS,
    GROUPS,
    NODES,
    PAIRS,
    PLACED,
    ROOMY,
    ZONE,
    Aim,
    aims_after_placing,
    counted,
    placed_name,
    placing,
)
from optimizer.nodes.answer import MILP, Answer
from optimizer.nodes.assign import assign
from optimizer.nodes.fillings import TooManyFillingsError
from optimizer.nodes.formulation import Formulation, formulate
from optimizer.nodes.greedy import place_greedily
from optimizer.nodes.question import Question
from optimizer.solver import solve
from optimizer.table import FloatArray
from stoker.domain.placement import PlacedReplica, PlacementGoal

_UNPROVEN = "not proven to be the best: see the bounds"

_WHOLE = 1e-6
"""Distance at which a number counts as whole."""


@dataclass(frozen=True, slots=True)
class Run:
    """The solver and its deadline.

    Attributes:
        backend: PuLP's name of the solver.
        deadline: Reading of the clock at which to stop.
        clock: Seconds.
    """

    backend: str
    deadline: float
    clock: Callable[[], float]

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return self.deadline - self.clock()


@dataclass(frozen=True, slots=True)
class _Held:
    """How far the goals have been settled.

    Attributes:
        model: Rows, with a row more for each goal that is settled.
        x: Best solution so far; None before the first.
        bounds: Proven bound on each goal, by its name.
    """

    model: LinearModel
    x: FloatArray | None
    bounds: dict[str, int | None]


def solve_exactly(question: Question, run: Run) -> Answer | None:
    """Return the best placement found, with what is proven of it; None where time was too short.

    First it is left open which replicas share a node; the answer is dealt out evenly, and is the
    best where it keeps the limit per node and, when spreading, reaches bounds that hold for every
    placement. Otherwise the program is told who shares a node, unless it would be too large.

    Raises:
        TooManyFillingsError: The program would be too large in any case.
        SolverUnavailableError: The solver failed to run at all.
    """
    first = _answer(question, None, run)
    if first is not None and _within_limit(question, first) and _proven(first):
        return first
    exact: Answer | None = None
    with contextlib.suppress(TooManyFillingsError):
        exact = _answer(question, _most_levels(question), run)
    if first is not None and not _within_limit(question, first):
        bounds = {goal.name: goal.bound for goal in first.goals[: len(question.priorities)]}
        first = _bounded(place_greedily(question, _UNPROVEN), bounds)
    if exact is None:
        return None if first is None else replace(first, note=_UNPROVEN)
    if _proven(exact):
        return exact
    better = first is not None and _rank(first) < _rank(exact)
    return replace(first if better and first is not None else exact, note=_UNPROVEN)


def _proven(answer: Answer) -> bool:
    return all(goal.proven for goal in answer.goals)


def _rank(answer: Answer) -> tuple[int, ...]:
    """Return figures of which less is better, the most important first."""
    values = {goal.name: goal.value for goal in answer.goals if not goal.maximized}
    placed = tuple(-goal.value for goal in answer.goals if goal.maximized)
    return (*placed, *(values.get(name, 0) for name in (ACROSS, NODES, GROUPS, ZONE, PAIRS)))


def _within_limit(question: Question, answer: Answer) -> bool:
    most = question.most_per_node
    return most is None or all(
        count <= most
        for own in answer.placed
        for count in Counter(replica.node for replica in own).values()
    )


def _bounded(answer: Answer, bounds: Mapping[str, int | None]) -> Answer:
    goals = tuple(replace(goal, bound=bounds.get(goal.name, goal.bound)) for goal in answer.goals)
    return replace(answer, goals=goals)


def _most_levels(question: Question) -> list[int]:
    limit = question.most_per_node
    return [
        demand.replicas if limit is None else min(limit, demand.replicas)
        for demand in question.demands
    ]


def _spread_goals(
    question: Question, placed: Sequence[Sequence[PlacedReplica]]
) -> list[PlacementGoal]:
    """Return the goals of spreading with bounds that hold for every placement of as many."""
    names = (ZONE, PAIRS) if len(question.zones) > 1 else (PAIRS,)
    values = {name: counted(question, placed, name) for name in names}
    complete = sum(map(len, placed)) == sum(demand.replicas for demand in question.demands)
    bounds = {ZONE: math.ceil(sum(map(len, placed)) / max(1, len(question.zones))), PAIRS: 0}
    if complete:
        bounds = dict.fromkeys(bounds, 0)
        for demand in question.demands:
            able = [node for node in question.nodes if node.free >= demand.cards]
            bounds[ZONE] += math.ceil(demand.replicas / len({node.zone for node in able}))
            each, more = divmod(demand.replicas, len(able))
            bounds[PAIRS] += more * math.comb(each + 1, 2)
            bounds[PAIRS] += (len(able) - more) * math.comb(each, 2)
    goals: list[PlacementGoal] = []
    for name in names:
        # What comes after a goal that may be better is bounded by nothing.
        settled = all(goal.proven for goal in goals)
        bound = bounds[name] if settled else None
        goals.append(PlacementGoal(name, values[name], bound, False))
    return goals


def _answer(question: Question, most_level: Sequence[int] | None, run: Run) -> Answer | None:
    form = formulate(question, most_level)
    everything = replace(placing(form, question.priorities), name=PLACED)
    held = _settle(_Held(form.model, None, {}), form, everything, run)
    if held.x is None:
        return None
    names = [placed_name(priority) for priority in question.priorities]
    if _value(everything, held.x) == everything.most:
        for priority, name in zip(question.priorities, names, strict=True):
            held.bounds[name] = placing(form, [priority]).most
    else:
        held = replace(held, model=form.model, bounds={})
        for priority in question.priorities:
            held = _settle(held, form, placing(form, [priority]), run)
    held.bounds.pop(PLACED, None)
    for aim in aims_after_placing(form):
        held = _settle(held, form, aim, run)
    x = _whole(form, held, run)
    if x is None:
        return None
    placed = assign(form, x)
    goals = [
        PlacementGoal(name, counted(question, placed, name), bound, name in names)
        for name, bound in held.bounds.items()
        if name != ROOMY
    ]
    if ROOMY in held.bounds:
        goals += _spread_goals(question, placed)
    return Answer(tuple(map(tuple, placed)), tuple(goals), MILP)


def _settle(held: _Held, form: Formulation, aim: Aim, run: Run) -> _Held:
    """Return the state after optimizing one goal and holding it at what was reached."""
    cost = form.cost(aim.terms)
    reached = held.x
    bound: int | None = None
    if run.left_s > 0:
        # Counts are whole, so a gap below one is none.
        limits = SolveLimits(0.9 / (aim.most + 1.0), run.left_s)
        result = solve(replace(held.model, cost=cost), run.backend, limits, clock=run.clock)
        if result.x is not None and (
            reached is None or float(cost @ result.x) <= float(cost @ reached) + _WHOLE
        ):
            reached = result.x
        if result.bound is not None:
            least = math.ceil(result.bound - _WHOLE)
            bound = -least if aim.maximized else least
    bounds = dict(held.bounds)
    if reached is None:
        return _Held(held.model, None, bounds)
    value = _value(aim, reached)
    if bound is not None:
        bound = max(value, bound) if aim.maximized else max(0, min(value, bound))
    bounds[aim.name] = bound
    return _Held(_with_row(held.model, cost, float(cost @ reached)), reached, bounds)


def _value(aim: Aim, x: FloatArray) -> int:
    total = round(sum(value * float(x[column]) for column, value in aim.terms))
    return -total if aim.maximized else total


def _with_row(model: LinearModel, cost: FloatArray, most: float) -> LinearModel:
    columns = np.flatnonzero(cost)
    row = model.row_lower.size
    return replace(
        model,
        entry_row=np.append(model.entry_row, np.full(columns.size, row)),
        entry_column=np.append(model.entry_column, columns),
        entry_value=np.append(model.entry_value, cost[columns]),
        row_lower=np.append(model.row_lower, -np.inf),
        row_upper=np.append(model.row_upper, math.ceil(most - _WHOLE)),
    )


def _whole(form: Formulation, held: _Held, run: Run) -> FloatArray | None:
    """Return the solution with all counts whole.

    With nodes, placed replicas and worst zones as they are, the rest is a flow through a network of
    whole capacities, so some solution as good is whole. Solvers nearly always return one.
    """
    x = held.x
    columns = list(form.spots.values())
    if x is None or not columns:
        return x
    if float(np.max(np.abs(x[columns] - np.rint(x[columns])))) <= _WHOLE:
        return x
    fixed = held.model.integer
    lower, upper = held.model.lower.copy(), held.model.upper.copy()
    lower[fixed] = upper[fixed] = np.rint(x[fixed])
    cost = form.cost((column, float(spot.level - 1)) for spot, column in form.spots.items())
    whole = replace(held.model, cost=cost, lower=lower, upper=upper, integer=np.ones_like(fixed))
    limits = SolveLimits(0.0, max(run.left_s, 10.0))
    return solve(whole, run.backend, limits, clock=run.clock).x
