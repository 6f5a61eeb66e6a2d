"""From a question to its cheapest schedules: who can be served, by which method, and how proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.horizon.baselines import each_hour_alone
from optimizer.horizon.decomposition import Decomposition
from optimizer.horizon.fitting import Fitting, better, fitting, in_plenty
from optimizer.horizon.improve import Incumbent
from optimizer.horizon.multipliers import may_bind
from optimizer.horizon.outlay import Schedule, outlay_of
from optimizer.horizon.pricing import Path, Pricer, schedules_of
from optimizer.horizon.question import IMPOSSIBLE, Option, Question
from optimizer.horizon.run import Run
from optimizer.horizon.serving import least_urgent, servable
from optimizer.horizon.straight import formulate, size_of
from optimizer.linear_model import SolveStatus

STRAIGHT = "milp"
COLUMNS = "columns"

_FITTING_SHARE = 0.1
"""Share of the time in which it is asked who fits, where no schedules are known that do."""

_SEARCH_SHARE = 0.5
"""Share of the time after which a search that has found no schedules that fit is given up."""

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
        left_out: Servers that are not served.
        unproven: Those of them of whom nothing proves that the cards do not suffice for them.
        timed_out: Whether nothing was found in time.
        method: How it was found.
        alone: Schedules of planning each hour alone, of the same servers.
    """

    question: Question
    schedules: tuple[Schedule, ...]
    cost: float
    bound: float | None
    left_out: tuple[int, ...]
    unproven: tuple[int, ...]
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
    possible = question = without_impossible(question)
    steady: tuple[Option, ...] = ()
    unproven: set[int] = set()
    if question.options and may_bind(question).any():
        served = servable(question, priority, run)
        question = question.within(set(served.servers))
        steady = served.options
        unproven = set(served.unproven)
    early: Fitting | None = None
    fit: Fitting | None = None
    settled = False
    known = _known(question, steady)
    if _method(question, method) == COLUMNS and not _any_fits(question, known):
        early = fitting(possible, priority, run.within(_FITTING_SHARE))
        if not early.unproven:
            question, known = _of_those(possible, early, steady)
            unproven, settled = set(), True
    while True:
        found, bound, chosen, proven_empty = _solved(question, gap, run, method, steady, known)
        late = run.left_s <= 0 and not proven_empty
        if found.schedules is not None or not question.options or settled:
            break
        if fit is None and late and early is None:
            break
        if fit is None:
            # Starts and minimum up-times may take cards that the hours alone did not.
            fit = fitting(possible, priority, run)
            fit = fit if early is None else better(early, fit, priority)
        held = _servers(question) - set(in_plenty(question))
        if fit.unproven and not late and len(held) > 1:
            last = least_urgent(question, priority, held)
            unproven.add(last)
            question = question.within(_servers(question) - {last})
            known = _known(question, steady)
        else:
            question, known = _of_those(possible, fit, steady)
            unproven = set(fit.unproven)
            settled = True
    alone = each_hour_alone(question, Pricer(question)) if question.options else []
    schedules = found.schedules or []
    left_out = everybody - _servers(question)
    return Solution(
        question=question,
        schedules=tuple(schedules),
        cost=found.cost if schedules else 0.0,
        bound=min(bound, found.cost) if bound is not None and schedules else bound,
        left_out=tuple(sorted(left_out)),
        unproven=tuple(sorted(left_out & unproven)),
        timed_out=not schedules and bool(question.options or left_out & unproven),
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


def _servers(question: Question) -> set[int]:
    return {option.server for option in question.options}


def _method(question: Question, method: str | None) -> str:
    return method or (STRAIGHT if size_of(question) <= MOST_STRAIGHT else COLUMNS)


def _solved(
    question: Question,
    gap: float,
    run: Run,
    method: str | None,
    steady: Sequence[Option],
    known: Sequence[list[Schedule]],
) -> tuple[Incumbent, float | None, str, bool]:
    """Return the best schedules, a bound, how they were found, and whether there are none."""
    incumbent = Incumbent(question)
    if not question.options:
        incumbent.offer([])
        return incumbent, 0.0, method or STRAIGHT, False
    for schedules in known:
        incumbent.offer(schedules)
    chosen = _method(question, method)
    if chosen == COLUMNS:
        warm = list(known)
        if question.switch_cost is not None:
            warm += _staying(question, gap, run.within(_STAYING_SHARE), steady)
        for schedules in warm:
            incumbent.offer(schedules)
        until = run.within(_SEARCH_SHARE)
        result = Decomposition(question, run).solve(gap, warm, until)
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


def _known(question: Question, steady: Sequence[Option]) -> list[list[Schedule]]:
    """Return schedules that may fit before anything is solved."""
    if not question.options:
        return []
    alone = each_hour_alone(question, Pricer(question))
    return [*([] if alone is None else [alone]), *_fewest(question, steady)]


def _any_fits(question: Question, known: Sequence[list[Schedule]]) -> bool:
    """Return whether the cards suffice for some schedules of everybody."""
    return not question.options or any(
        outlay_of(question, schedules).fits(question) for schedules in known
    )


def _of_those(
    possible: Question, fit: Fitting, steady: Sequence[Option]
) -> tuple[Question, list[list[Schedule]]]:
    """Return the question of those that fit, and schedules of them."""
    question = possible.within(fit.servers)
    if not fit.schedules:
        return question, []
    own = [at for at, option in enumerate(possible.options) if option.server in fit.servers]
    place = {at: index for index, at in enumerate(own)}
    fitting_ways = [
        replace(schedule, options=tuple(place[at] for at in schedule.options))
        for schedule in fit.schedules
    ]
    return question, [*_known(question, steady), fitting_ways]


def _fewest(question: Question, steady: Sequence[Option]) -> list[list[Schedule]]:
    """Return schedules that keep options and run as many replicas as needed, none of them spot.

    In one set all replicas run on for their minimum up-times, in another all start early.
    """
    nothing = np.zeros(question.hours, dtype=np.int64)
    ways = []
    for option in steady:
        if option in question.options:
            at = question.options.index(option)
            ways.append((option.server, Path(nothing + at, np.array(option.need), nothing)))
    if {server for server, _ in ways} != _servers(question):
        return []
    each = [schedules_of(question, server, path) for server, path in ways]
    if not all(each):
        return []
    sets = [[schedules[0] for schedules in each], [schedules[-1] for schedules in each]]
    return sets if question.min_up > 1 else sets[:1]


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
    found = Decomposition(part, run).solve(gap, _fewest(part, steady)).schedules
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
