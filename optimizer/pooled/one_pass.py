"""Plans over pools that one pass over the servers makes: each takes what there is room for.

A *unit* is what is taken together: an option of one server, or one of those who share replicas
with the options of all the others. Replicas go to the cheapest pools that have room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimizer.linear_model import LinearModel
from optimizer.pooled.model import PooledModel
from optimizer.pooled.rows import ModelRow
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.limits import ObjectiveName

_ROOM = 1e-9


@dataclass(frozen=True, slots=True)
class _Units:
    """Units of a model; arrays of shape (units,).

    Attributes:
        takes: Columns that take the options of each, the one with the replicas first.
        servers: Servers of each.
        option: The option that has the replicas.
        priority: The highest priority among its servers.
        cost: What it adds to the value at least, for each of its servers.
        cards: Share of all cards of its type that it takes, for each of its servers.
    """

    takes: list[list[int]]
    servers: list[list[int]]
    option: IntArray
    priority: IntArray
    cost: FloatArray
    cards: FloatArray


def plans_in_one_pass(model: PooledModel, rows: tuple[ModelRow, ...]) -> Iterator[FloatArray]:
    """Yield plans that keep all rows: the thrifty one, the cheap one, and what keeps most.

    Args:
        model: The model, of `optimizer.pooled.large.columns_in_turn`.
        rows: Further rows.
    """
    units = _units(model)
    options = model.question.options
    idle = ~options.serves[units.option]
    moved = options.changed[units.option]
    linear = model.linear(model.goals[ObjectiveName.COST][0], rows)
    keys: list[tuple[FloatArray | IntArray | BoolArray, ...]] = [
        (units.cost, units.cards, units.priority, idle),
        (units.cards, units.cost, units.priority, idle),
    ]
    if np.any(~moved):
        keys.append((units.cards, units.cost, units.priority, idle, moved))
    for key in keys:
        x = model.settled(_in_order(model, linear, units, np.lexsort(key)))
        if _keeps(linear, x):
            yield x


def _units(model: PooledModel) -> _Units:
    columns, question = model.columns, model.question
    options, pairs = question.options, question.pairs
    # Parts of a load are no use without a search.
    usable = options.serves | ~options.grows
    takes = np.flatnonzero(columns.takes & usable[columns.option])
    option = columns.option[takes]
    follows = options.shared & (options.cards_per_replica == 0)
    followers: defaultdict[int, list[int]] = defaultdict(list)
    for column, own in zip(takes.tolist(), option.tolist(), strict=True):
        if follows[own]:
            followers[int(options.group[own])].append(column)
    lead = ~follows[option]
    takes, option = takes[lead], option[lead]
    together = [
        [column, *(followers[group] if group >= 0 else ())]
        for column, group in zip(takes.tolist(), options.group[option].tolist(), strict=True)
    ]
    server = options.server[columns.option]
    servers = [[int(server[column]) for column in unit] for unit in together]
    size = np.array([len(unit) for unit in together], dtype=np.float64)
    least = np.full(options.count, np.inf)
    np.minimum.at(least, pairs.option, pairs.value)
    replicas = np.where(np.isfinite(least), least, 0.0) * options.least
    cost = model.goals[ObjectiveName.COST][0][takes]
    cost = cost + np.where(columns.split[option], replicas[option], 0.0)
    of_type = np.bincount(
        question.pools.card_type,
        weights=question.pools.cards,
        minlength=int(options.card_type.max(initial=0)) + 1,
    )
    held = options.card_share * options.least
    share = np.where(options.card_type >= 0, held / np.maximum(of_type[options.card_type], 1), 0.0)
    priority = question.table.priority
    return _Units(
        takes=together,
        servers=servers,
        option=option,
        priority=np.array([min(priority[unit]) for unit in servers], dtype=np.int64),
        cost=cost / size,
        cards=share[option] / size,
    )


def _in_order(
    model: PooledModel, linear: LinearModel, units: _Units, order: IntArray
) -> FloatArray:
    """Return the solution in which units are taken in an order, as far as there is room."""
    columns, options = model.columns, model.question.options
    filling = _Filling(linear)
    parts = np.flatnonzero(~columns.takes)
    value = linear.cost[parts]
    parts = parts[np.lexsort((value, columns.option[parts]))]
    start = np.searchsorted(columns.option[parts], np.arange(options.count + 1)).tolist()
    done: set[int] = set()
    for unit in order.tolist():
        if not done.isdisjoint(units.servers[unit]):
            continue
        option = int(units.option[unit])
        for column in units.takes[unit]:
            filling.add(column, 1)
        left = int(options.least[option]) if columns.split[option] else 0
        for column in parts[start[option] : start[option + 1]].tolist():
            if not left:
                break
            held = min(left, filling.most(column))
            filling.add(column, held)
            left -= held
        if filling.settle(take=left == 0):
            done.update(units.servers[unit])
    return filling.x


class _Filling:
    """A solution as it grows; what is added counts once it is settled."""

    def __init__(self, model: LinearModel) -> None:
        by_column = np.argsort(model.entry_column, kind="stable")
        self._row, self._value = model.entry_row[by_column], model.entry_value[by_column]
        columns = np.arange(model.cost.size + 1)
        self._start = np.searchsorted(model.entry_column[by_column], columns).tolist()
        slack = _ROOM * np.maximum(1.0, np.abs(model.row_upper))
        self._upper = model.row_upper + slack
        self._lower = model.row_lower - _ROOM * np.maximum(1.0, np.abs(model.row_lower))
        self._most = model.upper
        self._used = np.zeros(model.row_upper.size)
        self._added: list[tuple[int, int]] = []
        self._before: list[tuple[IntArray, FloatArray]] = []
        self.x = np.zeros(model.cost.size)

    def most(self, column: int) -> int:
        """Return how many more of a column there is room for."""
        span = slice(self._start[column], self._start[column + 1])
        rows, values = self._row[span], self._value[span]
        up = values > 0
        room = (self._upper[rows[up]] - self._used[rows[up]]) / values[up]
        return max(0, int(np.floor(min(float(room.min(initial=np.inf)), self._most[column]))))

    def add(self, column: int, times: int) -> None:
        """Add so many of a column."""
        if not times:
            return
        span = slice(self._start[column], self._start[column + 1])
        rows = self._row[span]
        self._before.append((rows, self._used[rows]))
        np.add.at(self._used, rows, times * self._value[span])
        self._added.append((column, times))

    def settle(self, *, take: bool) -> bool:
        """Keep what was added if that is asked for and breaks no row further; else take it back."""
        if take:
            rows = np.concatenate([rows for rows, _ in self._before])
            first: dict[int, float] = {}
            for touched, values in self._before:
                for row, value in zip(touched.tolist(), values.tolist(), strict=True):
                    first.setdefault(row, value)
            was = np.array([first[row] for row in rows.tolist()])
            used = self._used[rows]
            high = used > np.maximum(self._upper[rows], was + _ROOM)
            low = used < np.minimum(self._lower[rows], was - _ROOM)
            take = not bool(np.any(high | low))
        if take:
            for column, times in self._added:
                self.x[column] += times
        else:
            for rows, values in reversed(self._before):
                self._used[rows] = values
        self._added.clear()
        self._before.clear()
        return take


def _keeps(model: LinearModel, x: FloatArray) -> bool:
    """Return whether a solution keeps all rows and bounds."""
    terms = model.entry_value * x[model.entry_column]
    used = np.bincount(model.entry_row, weights=terms, minlength=model.row_lower.size)
    amount = np.bincount(model.entry_row, weights=np.abs(terms), minlength=model.row_lower.size)
    slack = _ROOM * np.maximum(1.0, amount)
    kept = np.all(used >= model.row_lower - slack) and np.all(used <= model.row_upper + slack)
    return bool(kept and np.all(x <= model.upper + _ROOM))
