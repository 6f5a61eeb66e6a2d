"""Who fits the cards with starts and minimum up-times heeded, by an integer program.

Only servers that some limit may hold are asked for: the others have cards in plenty of a type, and
are served whatever the rest takes. Priorities are asked for in turn, each beside those of the
priorities before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.horizon.outlay import Schedule
from optimizer.horizon.pricing import Path, schedule_of
from optimizer.horizon.question import IMPOSSIBLE, UNLIMITED, Question
from optimizer.horizon.run import Run
from optimizer.horizon.straight import formulate, size_of
from optimizer.linear_model import SolveStatus

MOST_ASKED = 60_000
"""Columns of a program that is asked who fits."""

_SHARE = 0.5
"""Share of the time that each priority may take."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """Servers that fit the cards together.

    Attributes:
        schedules: One of each of them; options by their indices in the question.
        unproven: Servers that no way was found for, though nothing proves that there is none.
    """

    schedules: tuple[Schedule, ...]
    unproven: frozenset[int]

    @property
    def servers(self) -> set[int]:
        """Those that fit."""
        return {schedule.server for schedule in self.schedules}


def fitting(question: Question, priority: Sequence[int], run: Run) -> Fitting:
    """Return as many servers as fit the cards, by priority, and schedules of them.

    No number of servers of a later priority counts more than one of an earlier one. The schedules
    fit; what they cost is not looked at. Where servers may move, it is asked first who fits without
    that, which is known much sooner, and proves something only where all do.
    """
    if question.switch_cost is None:
        return _by_priority(question, priority, run)
    kept = [at for at, option in enumerate(question.options) if IMPOSSIBLE not in option.need]
    still = replace(question.with_options(kept), switch_cost=None)
    staying = _by_priority(still, priority, run.within(_SHARE))
    schedules = tuple(
        replace(schedule, options=tuple(kept[at] for at in schedule.options))
        for schedule in staying.schedules
    )
    missed = {option.server for option in question.options} - staying.servers
    if not missed:
        return Fitting(schedules, frozenset())
    moving = _by_priority(question, priority, run)
    return better(Fitting(schedules, frozenset(missed)), moving, priority)


def better(first: Fitting, second: Fitting, priority: Sequence[int]) -> Fitting:
    """Return the second, unless it is unproven and has fewer servers, by priority."""
    if not second.unproven or _ranks(second, priority) >= _ranks(first, priority):
        return second
    return first


def _ranks(found: Fitting, priority: Sequence[int]) -> list[int]:
    """Return how many servers of each priority fit, the first first."""
    served = [priority[server] for server in found.servers]
    return [served.count(rank) for rank in sorted(set(priority))]


def _by_priority(question: Question, priority: Sequence[int], run: Run) -> Fitting:
    """Return as many servers as fit, one priority after the other."""
    plenty = in_plenty(question)
    held = {option.server for option in question.options} - set(plenty)
    fit: set[int] = set()
    unproven: set[int] = set()
    found: list[Schedule] = []
    for rank in sorted({priority[server] for server in held}):
        group = {server for server in held if priority[server] == rank}
        asked = _most(question, fit, group, run.within(_SHARE))
        if asked is None:
            # Whoever comes after them would take cards that they may need.
            unproven |= {server for server in held if priority[server] >= rank}
            break
        found, proven = asked
        fit = {schedule.server for schedule in found}
        if not proven:
            unproven |= group - fit
    return Fitting((*found, *plenty.values()), frozenset(unproven))


def in_plenty(question: Question) -> dict[int, Schedule]:
    """Return schedules of servers that no limit holds, whatever the others take."""
    most = np.zeros(len(question.offers))
    largest: dict[tuple[int, int], int] = {}
    for option in question.options:
        key = (option.offer, option.server)
        # Those that are held while they start may come on top of all that run, time and again.
        cards = option.peak * option.cards * (1 + question.start_hours)
        before = largest.get(key, 0)
        # One that moves may hold cards of several options at a time.
        largest[key] = max(before, cards) if question.switch_cost is None else before + cards
    for (offer, _), cards in largest.items():
        most[offer] += cards
    ample = [
        offer.most_on_demand >= UNLIMITED and most[at] <= question.limit[at].min()
        for at, offer in enumerate(question.offers)
    ]
    nothing = np.zeros(question.hours, dtype=np.int64)
    found: dict[int, Schedule] = {}
    for at, option in enumerate(question.options):
        if option.server in found or not ample[option.offer] or IMPOSSIBLE in option.need:
            continue
        path = Path(nothing + at, nothing + option.peak, nothing)
        schedule = schedule_of(question, option.server, path)
        if schedule is not None:
            found[option.server] = schedule
    return found


def _most(
    question: Question, fit: set[int], group: set[int], run: Run
) -> tuple[list[Schedule], bool] | None:
    """Return schedules of the most servers of a group that fit beside those that do.

    Returns:
        The schedules of all of them, and whether no more can be served; None where none was found.
    """
    kept = [at for at, option in enumerate(question.options) if option.server in fit | group]
    part = _without_needless_spot(question.with_options(kept))
    if size_of(part) > MOST_ASKED or run.left_s <= 0:
        return None
    straight = formulate(part, may_miss=group)
    cost = np.zeros_like(straight.model.cost)
    cost[list(straight.missed.values())] = 1.0
    solved = run.solve(replace(straight.model, cost=cost), 0.0)
    if solved.x is None:
        return None
    x = solved.x
    missed = {server for server, column in straight.missed.items() if x[column] > 0.5}
    found = [
        replace(schedule, options=tuple(kept[at] for at in schedule.options))
        for schedule in straight.schedules(x)
        if schedule.server not in missed
    ]
    return found, not missed or solved.status is SolveStatus.OPTIMAL


def _without_needless_spot(question: Question) -> Question:
    """Return the question without spot cards of types in which firm replicas can take their place.

    A firm replica takes the cards of a spot one and counts for no less.
    """
    offers = tuple(
        replace(offer, spot_factor=None) if offer.most_on_demand >= UNLIMITED else offer
        for offer in question.offers
    )
    return replace(question, offers=offers)
