"""From a question to its cheapest schedules: who can be served, by which method, and how proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.horizon.baselines import each_hour_alone
from optimizer.horizon.columns import Decomposition, may_bind
from optimizer.horizon.improve import Incumbent
from optimizer.horizon.outlay import Schedule
from optimizer.horizon.pricing import Pricer
from optimizer.horizon.question import IMPOSSIBLE, UNLIMITED, Question
from optimizer.horizon.rows import Rows
from optimizer.horizon.run import Run
from optimizer.horizon.straight import formulate, size_of
from optimizer.linear_model import SolveStatus
from optimizer.table import IntArray

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
    if servers and may_bind(question).any():
        served = servable(question, priority, run)
        left_out += sorted(servers - served)
        question = question.within(served)
    while True:
        found, bound, chosen, proven_empty = _solved(question, gap, run, method)
        pricer = Pricer(question)
        if found.schedules is not None or not question.options:
            break
        if not proven_empty and run.left_s <= 0:
            break
        # Starts and minimum up-times may take cards that the hours alone did not.
        last = _least_urgent(question, priority)
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
    question: Question, gap: float, run: Run, method: str | None
) -> tuple[Incumbent, float | None, str, bool]:
    """Return the best schedules, a bound, how they were found, and whether there are none."""
    incumbent = Incumbent(question)
    if not question.options:
        incumbent.offer([])
        return incumbent, 0.0, method or STRAIGHT, False
    alone = each_hour_alone(question, Pricer(question))
    if alone is not None:
        incumbent.offer(alone)
    chosen = method or (STRAIGHT if size_of(question) <= MOST_STRAIGHT else COLUMNS)
    if chosen == COLUMNS:
        warm = [alone] if alone is not None else []
        if question.switch_cost is not None:
            warm += _staying(question, gap, run.within(_STAYING_SHARE))
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


def _staying(question: Question, gap: float, run: Run) -> list[list[Schedule]]:
    """Return good schedules in which no server moves, if there are any."""
    kept = [at for at, option in enumerate(question.options) if IMPOSSIBLE not in option.need]
    part = replace(question.with_options(kept), switch_cost=None)
    if len({option.server for option in part.options}) < len(
        {option.server for option in question.options}
    ):
        return []
    found = Decomposition(part, run).solve(gap).schedules
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


def servable(question: Question, priority: Sequence[int], run: Run) -> set[int]:
    """Return as many servers as the cards of every hour suffice for, by priority.

    No number of servers of a later priority counts more than one of an earlier one. Starts are not
    counted, so that it may be a few too many.
    """
    servers = sorted({option.server for option in question.options})
    chosen: set[int] = set()
    for rank in sorted({priority[server] for server in servers}):
        group = [server for server in servers if priority[server] == rank]
        chosen |= _most_served(question, group, chosen, run)
    return chosen


def _most_served(question: Question, group: Sequence[int], must: set[int], run: Run) -> set[int]:
    """Return as many of a group as fit beside those that must be served."""
    rows = Rows()
    fixed = question.switch_cost is None
    asked = set(group) | must
    cards: list[list[list[tuple[int, float]]]] = [
        [[] for _ in range(question.hours)] for _ in question.offers
    ]
    served = {
        server: int(
            rows.add_columns((1,), cost=-1.0, lower=float(server in must), upper=1.0, integer=True)[
                0
            ]
        )
        for server in sorted(asked)
    }
    own: dict[int, list[IntArray]] = {server: [] for server in served}
    for option in question.options:
        if option.server not in asked:
            continue
        shape = (1,) if fixed else (question.hours,)
        possible = np.array([need != IMPOSSIBLE for need in option.need], dtype=np.float64)
        upper = float(possible.all()) if fixed else possible
        column = rows.add_columns(shape, upper=upper, integer=True)
        own[option.server].append(column)
        for hour, need in enumerate(option.need):
            if need > 0:
                term = (int(column[0 if fixed else hour]), float(need * option.cards))
                cards[option.offer][hour].append(term)
    for server, columns in own.items():
        for hour in range(1 if fixed else question.hours):
            terms = [(int(column[hour]), 1.0) for column in columns]
            rows.add_row([*terms, (served[server], -1.0)], 0.0, 0.0)
    for index in range(len(question.offers)):
        for hour in range(question.hours):
            limit = int(question.limit[index, hour])
            if limit < UNLIMITED and sum(value for _, value in cards[index][hour]) > limit:
                rows.add_row(cards[index][hour], high=float(limit))
    result = run.within(0.2).solve(rows.model(), 0.0)
    if result.x is None:  # out of time: try them all
        return asked
    return {server for server, column in served.items() if result.x[column] > 0.5}


def _least_urgent(question: Question, priority: Sequence[int]) -> int:
    """Return the server to leave out first: of the last priority the one with the largest peak."""
    servers = {option.server for option in question.options}
    size = {
        server: min(
            question.options[at].peak * question.options[at].cards
            for at in question.of_server(server)
        )
        for server in servers
    }
    return max(servers, key=lambda server: (priority[server], size[server], server))
