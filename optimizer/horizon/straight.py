"""A horizon as one integer program: exact, for questions that are not too large.

Columns of each option and hour: firm and spot replicas running and started, and for each number g
of spot replicas that can be counted on whether as many run. Columns of each type: cards committed,
and cards on demand by hour. A server is on one option, over the horizon or by hour.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from optimizer.horizon.outlay import Schedule
from optimizer.horizon.question import IMPOSSIBLE, UNLIMITED, Option, Question
from optimizer.horizon.rows import Rows
from optimizer.linear_model import LinearModel
from optimizer.table import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class _OptionColumns:
    """Columns of one option; `spot` and its starts are empty where there are no spot cards."""

    chosen: IntArray
    firm: IntArray
    firm_starts: IntArray
    spot: IntArray
    spot_starts: IntArray


@dataclass(frozen=True, slots=True)
class Straight:
    """The integer program of a question.

    Attributes:
        question: What it plans.
        model: The model.
        columns: Columns by option.
        missed: Columns that say that a server is not served, of servers that may be missed.
    """

    question: Question
    model: LinearModel
    columns: tuple[_OptionColumns, ...]
    missed: dict[int, int] = field(default_factory=dict)

    def schedules(self, x: FloatArray) -> list[Schedule]:
        """Return the schedules of a solution, one for each server that has options."""
        found = []
        for server in dict.fromkeys(option.server for option in self.question.options):
            indices = self.question.of_server(server)
            chosen = np.array([x[self.columns[at].chosen] for at in indices])
            active = np.argmax(chosen, axis=0)
            used = np.unique(active)
            shape = (len(used), self.question.hours)
            firm, spot = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
            for place, own in enumerate(used.tolist()):
                columns = self.columns[indices[own]]
                firm[place] = np.rint(x[columns.firm])
                if columns.spot.size:
                    spot[place] = np.rint(x[columns.spot])
            options = tuple(indices[own] for own in used.tolist())
            found.append(Schedule(server, options, np.searchsorted(used, active), firm, spot))
        return found


def size_of(question: Question) -> int:
    """Return about how many columns the integer program has."""
    return sum(
        question.hours * (2 + (2 + option.peak if question.most_spot(option) else 0))
        for option in question.options
    )


def formulate(question: Question, may_miss: Collection[int] = ()) -> Straight:
    """Return the integer program of a question.

    Args:
        question: The question.
        may_miss: Servers that need not be served; all others with options have to be.
    """
    rows = Rows()
    hours, switching = question.hours, question.switch_cost is not None
    columns: list[_OptionColumns] = []
    firm_held = [_Held.empty(hours) for _ in question.offers]
    spot_held = [_Held.empty(hours) for _ in question.offers]
    for option in question.options:
        chosen = _chosen_columns(rows, option, hours, switching)
        firm_price = question.surcharge(option)
        firm, firm_starts = _running_columns(rows, question, option, firm_price)
        spot = spot_starts = np.zeros(0, dtype=np.int64)
        most_spot = question.most_spot(option)
        if most_spot:
            spot, spot_starts = _running_columns(
                rows, question, option, question.spot_price(option), most_spot
            )
            spot_held[option.offer].add(option.cards, spot, spot_starts, question.start_hours)
        firm_held[option.offer].add(option.cards, firm, firm_starts, question.start_hours)
        _cover(rows, question, option, chosen, firm, spot, most_spot)
        columns.append(_OptionColumns(chosen, firm, firm_starts, spot, spot_starts))
    missed = {server: int(rows.add_columns((), upper=1.0, integer=True)) for server in may_miss}
    _choose(rows, question, columns, missed)
    for index in range(len(question.offers)):
        _cards(rows, question, index, firm_held[index], spot_held[index])
    return Straight(question, rows.model(), tuple(columns), missed)


class _Held:
    """Terms of the cards of one type and kind that are held in each hour."""

    def __init__(self, terms: list[list[tuple[int, float]]]) -> None:
        self.terms = terms

    @classmethod
    def empty(cls, hours: int) -> _Held:
        return cls([[] for _ in range(hours)])

    def add(self, cards: int, running: IntArray, begun: IntArray, start_hours: int) -> None:
        """Add replicas that run, and those that start: held for so many hours before."""
        hours = len(self.terms)
        for hour in range(hours):
            self.terms[hour].append((int(running[hour]), float(cards)))
            for later in range(hour + 1, min(hour + start_hours, hours - 1) + 1):
                self.terms[hour].append((int(begun[later]), float(cards)))


def _chosen_columns(rows: Rows, option: Option, hours: int, switching: bool) -> IntArray:
    """Return the column of each hour that says whether the option serves in it."""
    possible = np.array([need != IMPOSSIBLE for need in option.need])
    if switching:
        return rows.add_columns((hours,), upper=possible.astype(np.float64), integer=True)
    single = rows.add_columns((1,), upper=float(possible.all()), integer=True)
    return np.repeat(single, hours)


def _running_columns(
    rows: Rows, question: Question, option: Option, price: float, most: int | None = None
) -> tuple[IntArray, IntArray]:
    """Add replicas running and started of one kind, at a price for each hour that they are held."""
    hours = question.hours
    upper = float(min(option.peak, option.most) if most is None else most)
    running = rows.add_columns((hours,), cost=price, upper=upper, integer=True)
    # A start before hour h holds the cards of as many hours as there are before it.
    held = np.minimum(np.arange(hours), question.start_hours)
    began_most = np.where(np.arange(hours) > 0, upper, 0.0)
    begun = rows.add_columns((hours,), cost=price * held, upper=began_most, integer=True)
    for hour in range(1, hours):
        rows.add_row(
            [(running[hour], 1.0), (running[hour - 1], -1.0), (begun[hour], -1.0)], high=0.0
        )
        if question.min_up > 1:
            young = range(max(1, hour - question.min_up + 1), hour + 1)
            rows.add_row(
                [(running[hour], 1.0), *((begun[earlier], -1.0) for earlier in young)], low=0.0
            )
    return running, begun


def _cover(
    rows: Rows,
    question: Question,
    option: Option,
    chosen: IntArray,
    firm: IntArray,
    spot: IntArray,
    most_spot: int,
) -> None:
    """Let enough replicas run wherever the option serves, and not too many."""
    share = question.offers[option.offer].spot_share
    counted = question.counted(option, most_spot)
    steps = [int(np.searchsorted(counted, sure)) for sure in range(1, int(counted[-1]) + 1)]
    for hour, need in enumerate(option.need):
        terms: list[tuple[int, float]] = [(firm[hour], 1.0)]
        most: list[tuple[int, float]] = [(firm[hour], 1.0)]
        if most_spot:
            most.append((spot[hour], 1.0))
            rows.add_row([(spot[hour], 1.0 - share), (firm[hour], -share)], high=1e-7)
            useful = steps[: max(need, 0)]
            if useful:
                sure = rows.add_columns((len(useful),), upper=1.0, integer=True)
                terms += [(column, 1.0) for column in sure.tolist()]
                widths = np.diff([0, *useful])
                runs = zip(sure.tolist(), widths.tolist(), strict=True)
                rows.add_row(
                    [(spot[hour], 1.0), *((column, -float(width)) for column, width in runs)],
                    low=0.0,
                )
                for before, after in zip(sure[:-1].tolist(), sure[1:].tolist(), strict=True):
                    rows.add_row([(before, 1.0), (after, -1.0)], low=0.0)
        if need > 0:
            rows.add_row([*terms, (chosen[hour], -float(need))], low=0.0)
        if most_spot and option.most < UNLIMITED:
            rows.add_row(most, high=float(option.most))


def _choose(
    rows: Rows, question: Question, columns: list[_OptionColumns], missed: dict[int, int]
) -> None:
    """Put every server on one option unless it is missed, and pay for every switch."""
    hours = question.hours
    for server in dict.fromkeys(option.server for option in question.options):
        own = [columns[at].chosen for at in question.of_server(server)]
        none = [(missed[server], 1.0)] if server in missed else []
        if question.switch_cost is None:
            rows.add_row([*none, *((int(chosen[0]), 1.0) for chosen in own)], 1.0, 1.0)
            continue
        for hour in range(hours):
            rows.add_row([*none, *((int(chosen[hour]), 1.0) for chosen in own)], 1.0, 1.0)
        for chosen in own:
            moved = rows.add_columns((hours,), cost=question.switch_cost, upper=1.0)
            for hour in range(1, hours):
                terms = [(chosen[hour], 1.0), (chosen[hour - 1], -1.0), (moved[hour], -1.0)]
                rows.add_row([(int(column), value) for column, value in terms], high=0.0)


def _cards(rows: Rows, question: Question, index: int, firm: _Held, spot: _Held) -> None:
    """Pay for cards, and keep to those that there are."""
    offer, hours = question.offers[index], question.hours
    if not firm.terms[0]:
        return
    beside = np.inf if offer.most_on_demand >= UNLIMITED else float(offer.most_on_demand)
    on_demand = rows.add_columns((hours,), cost=offer.price, upper=beside)
    committed: list[tuple[int, float]] = []
    if offer.committed is not None:
        upper = np.inf if offer.most_committed >= UNLIMITED else float(offer.most_committed)
        column = rows.add_columns((1,), cost=offer.committed, upper=upper, integer=True)
        committed = [(int(column[0]), -1.0)]
    for hour in range(hours):
        rows.add_row([*firm.terms[hour], (int(on_demand[hour]), -1.0), *committed], high=0.0)
        limit = int(question.limit[index, hour])
        if limit < UNLIMITED:
            rows.add_row([*firm.terms[hour], *spot.terms[hour]], high=float(limit))
        if offer.most_spot < UNLIMITED and spot.terms[hour]:
            rows.add_row(spot.terms[hour], high=float(offer.most_spot))
