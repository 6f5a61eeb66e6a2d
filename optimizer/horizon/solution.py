"""From a question to its cheapest schedules: who can be served, by which method, and how proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.horizon.baselines import each_hour_alone
from optimizer.horizon.decomposition import Decomposition
from optimizer.horizon.improve import Incumbent
from optimizer.horizon.multipliers import may_bind
from optimizer.horizon.outlay import Schedule
from optimizer.horizon.pricing import Path, Pricer, schedule_of
from optimizer.horizon.question import IMPOSSIBLE, Option, Question
from optimizer.horizon.run import Run
from optimizer.horizon.serving import least_urgent, servable
from optimizer.horizon.straight import formulate, size_of
from optimizer.linear_model import SolveStatus

STRAIGHT = "milp"
COLUMNS = "columns"

_STAYING_SHARE = 0.5
"""Share of the time in which servers that may move are planned as if they did not."""

MOST_SETTLED = 20_000
"""Columns of that of what is left to decide where the decomposition did not prove enough."""

MOST_STRAIGHT = 6_000
"""Columns of the integer program of a whole question that is solved as one."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Schedules of the servers that can be served.

    Attributes:
        question: The question without servers and options that are left out; schedules name options
            by their indices in it.
        schedules: One for each server that is served.
        cost: What they cost.
        bound: Proven lower bound for serving the same servers; None where unknown.
        left_out: Servers that cards do not suffice for.
        timed_out: Whether nothing was found in time.
        method: How it was found.
        alone: Schedules of planning each hour alone, of the same servers.
    """

    question: Question
    schedules: tuple[Schedule, ...]
    cost: float
    bound: float | None
    left_out: tuple[int, ...]
    timed_out: bool
    method: str
    alone: list[Schedule] | None


def solve_question(
    question: Question, priority: Sequence[int], gap: float, run: Run, method: str | None = None
) -> Solution:
    """Return the cheapest schedules of as many servers as the cards suffice for.

    Args:
        question: The question; servers that no option can serve in some hour are left out.
        priority: Priority of each server, 1 the first, by which servers are left out.
        gap: Relative gap that counts as proven.
        run: Solver and time.
        method: `STRAIGHT` or `COLUMNS`; None to choose by size.
    """
    everybody = {option.server for option in question.options}
    question = without_impossible(question)
    left_out = sorted(everybody - {option.server for option in question.options})
    servers = {option.server for option in question.options}
    steady: tuple[Option, ...] = ()
    if servers and may_bind(question).any():
        served = servable(question, priority, run)
        left_out += sorted(servers - served.servers)
        question = question.within(set(served.servers))
        steady = served.options
    while True:
        found, bound, chosen, proven_empty = _solved(question, gap, run, method, steady)
        pricer = Pricer(question)
        if found.schedules is not None or not question.options:
            break
        if not proven_empty and run.left_s <= 0:
            break
        # Starts and minimum up-times may take cards that the hours alone did not.
        last = least_urgent(question, priority)
        left_out.append(last)
        question = question.within({option.server for option in question.options} - {last})
    alone = each_hour_alone(question, pricer) if question.options else []
    schedules = found.schedules or []
    return Solution(
        question=question,
        schedules=tuple(schedules),
        cost=found.cost if schedules else 0.0,
        bound=min(bound, found.cost) if bound is not None and schedules else bound,
        left_out=tuple(sorted(left_out)),
        timed_out=found.schedules is None and bool(question.options),
        method=chosen,
        alone=alone,
    )


def without_impossible(question: Question) -> Question:
    """Return the question without what cannot be: options that a server cannot keep to.

    Where servers move, those without an option in some hour have none in any.
    """
    if question.switch_cost is None:
        return question.with_options(
            [at for at, option in enumerate(question.options) if IMPOSSIBLE not in option.need]
        )
    kept = []
    for server in {option.server for option in question.options}:
        own = question.of_server(server)
        able = np.array([question.options[at].need for at in own]) != IMPOSSIBLE
        if able.any(axis=0).all():
            kept += own
    return question.with_options(kept)


def _solved(
    question: Question, gap: float, run: Run, method: str | None, steady: Sequence[Option]
) -> tuple[Incumbent, float | None, str, bool]:
    """Return the best schedules, a bound, how they were found, and whether there are none."""
    incumbent = Incumbent(question)
    if not question.options:
        incumbent.offer([])
        return incumbent, 0.0, method or STRAIGHT, False
    alone = each_hour_alone(question, Pricer(question))
    if alone is not None:
        incumbent.offer(alone)
    fewest = _fewest(question, steady)
    if fewest is not None:
        incumbent.offer(fewest)
    chosen = method or (STRAIGHT if size_of(question) <= MOST_STRAIGHT else COLUMNS)
    if chosen == COLUMNS:
        warm = [known for known in (alone, fewest) if known is not None]
        if question.switch_cost is not None:
            warm += _staying(question, gap, run.within(_STAYING_SHARE), steady)
        for known in warm:
            incumbent.offer(known)
        result = Decomposition(question, run).solve(gap, warm)
        if result.schedules is not None:
            incumbent.offer(result.schedules)
        bound = result.bound
        if bound is not None and incumbent.gap(bound) > gap:
            bound = max(bound, _settled(question, result.kept, incumbent, gap, run))
        return incumbent, bound, chosen, False
    straight = formulate(question)
    solved = run.solve(straight.model, gap)
    if solved.x is not None:
        incumbent.offer(straight.schedules(solved.x))
    return incumbent, solved.bound, chosen, solved.status is SolveStatus.INFEASIBLE


def _fewest(question: Question, steady: Sequence[Option]) -> list[Schedule] | None:
    """Return schedules that keep options and run as many replicas as needed, none of them spot."""
    nothing = np.zeros(question.hours, dtype=np.int64)
    found = []
    for option in steady:
        if option not in question.options:
            continue
        at = question.options.index(option)
        need = np.array(option.need, dtype=np.int64)
        schedule = schedule_of(question, option.server, Path(nothing + at, need, nothing))
        if schedule is not None:
            found.append(schedule)
    everybody = {option.server for option in question.options}
    return found if {schedule.server for schedule in found} == everybody else None


def _staying(
    question: Question, gap: float, run: Run, steady: Sequence[Option]
) -> list[list[Schedule]]:
    """Return good schedules in which no server moves, if there are any."""
    kept = [at for at, option in enumerate(question.options) if IMPOSSIBLE not in option.need]
    part = replace(question.with_options(kept), switch_cost=None)
    if len({option.server for option in part.options}) < len(
        {option.server for option in question.options}
    ):
        return []
    fewest = _fewest(part, steady)
    found = Decomposition(part, run).solve(gap, [] if fewest is None else [fewest]).schedules
    if found is None:
        return []
    return [
        [
            replace(schedule, options=tuple(kept[at] for at in schedule.options))
            for schedule in found
        ]
    ]


def _settled(
    question: Question, kept: Sequence[int], incumbent: Incumbent, gap: float, run: Run
) -> float:
    """Solve what is left to decide as one program, if it is small; return its bound.

    Options that are not kept are part of no plan that is better than the incumbent, so that its
    cost or the bound over the others, whichever is less, is a bound of all.
    """
    part = question.with_options(list(kept))
    if incumbent.schedules is None or size_of(part) > MOST_SETTLED or run.left_s <= 0:
        return -np.inf
    straight = formulate(part)
    solved = run.solve(straight.model, gap)
    if solved.x is not None:
        incumbent.offer(
            [
                replace(schedule, options=tuple(kept[at] for at in schedule.options))
                for schedule in straight.schedules(solved.x)
            ]
        )
    return -np.inf if solved.bound is None else min(solved.bound, incumbent.cost)
