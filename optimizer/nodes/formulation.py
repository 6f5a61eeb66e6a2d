"""Placement as an integer program over counts: how many nodes of a kind are filled in which way.

Columns count nodes by kind and filling, and replicas by demand. Where it matters which replicas
share a node (a limit per node, or spreading), a demand's replicas are also counted by the nodes
they are on: those with exactly j slots of their size in a zone, and there the l-th replica of the
demand on its node. With N such nodes, at most N replicas can be l-th on theirs, and at most j·N
have a place. That is exact, not a relaxation: dealing the replicas out demand by demand, node after
node, and round again, puts at most ⌈x/N⌉ of a demand's x replicas on any node (`assign`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimizer.linear_model import LinearModel
from optimizer.nodes.fillings import Filling, TooManyFillingsError, fillings
from optimizer.nodes.question import NodeKind, Question, node_kinds
from optimizer.table import FloatArray

MOST_COLUMNS = 60_000
"""Fillings beyond which no integer program is tried."""

MOST_SPOTS = 3_000
"""Counts of replicas by the nodes they are on beyond which those are not tried."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Replicas of a demand that are the `level`-th of it on a node with `slots` slots of its size.

    Attributes:
        demand: Index of the demand.
        zone: Index of the zone.
        slots: Slots that the nodes have of the demand's size.
        level: From 1.
    """

    demand: int
    zone: int
    slots: int
    level: int


@dataclass(slots=True)
class _Rows:
    """Columns and rows under construction."""

    upper: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    column: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def add_column(self, upper: float, *, integer: bool = True) -> int:
        self.upper.append(upper)
        self.integer.append(integer)
        return len(self.upper) - 1

    def add_row(self, terms: Iterable[tuple[int, float]], low: float, high: float) -> None:
        for column, value in terms:
            self.row.append(len(self.low))
            self.column.append(column)
            self.value.append(value)
        self.low.append(low)
        self.high.append(high)


@dataclass(frozen=True, slots=True)
class Formulation:
    """The integer program without an objective.

    Attributes:
        question: What it places.
        kinds: Kinds of nodes.
        filled: Kind and filling of each column that counts nodes, which come first.
        placed: Column of each demand that counts its placed replicas.
        spots: Columns of replicas by the nodes they are on; empty where that does not matter.
        worst: Column of each demand that counts the replicas in its fullest zone; empty where zones
            do not count.
        model: Rows and bounds, with an objective of zeros.
    """

    question: Question
    kinds: tuple[NodeKind, ...]
    filled: tuple[tuple[int, Filling], ...]
    placed: tuple[int, ...]
    spots: dict[Spot, int]
    worst: tuple[int, ...]
    model: LinearModel

    def cost(self, terms: Iterable[tuple[int, float]]) -> FloatArray:
        """Return an objective from columns and their coefficients."""
        cost = np.zeros(self.model.cost.size)
        for column, value in terms:
            cost[column] += value
        return cost


def formulate(question: Question, most_level: Sequence[int] | None) -> Formulation:
    """Return the integer program of a question.

    Args:
        question: What to place, and where.
        most_level: Most replicas of each demand on one node; None to leave open which replicas
            share a node or a zone.

    Raises:
        TooManyFillingsError: It would be too large.
    """
    kinds = node_kinds(question)
    sizes = question.sizes
    wanted = [
        sum(demand.replicas for demand in question.demands if demand.cards == size)
        for size in sizes
    ]
    rows = _Rows()
    filled: list[tuple[int, Filling]] = []
    for index, kind in enumerate(kinds):
        ways = fillings(kind, sizes, wanted)
        first = len(filled)
        filled += [(index, way) for way in ways]
        if len(filled) > MOST_COLUMNS:
            raise TooManyFillingsError
        for _ in ways:
            rows.add_column(float(len(kind.nodes)))
        if ways:
            own = range(first, len(filled))
            rows.add_row(((column, 1.0) for column in own), -np.inf, float(len(kind.nodes)))
    placed = tuple(rows.add_column(float(demand.replicas)) for demand in question.demands)
    slots_of = _slots(filled, kinds, len(sizes))
    spots: dict[Spot, int] = {}
    worst: tuple[int, ...] = ()
    if most_level is not None:
        spots = _count_spots(question, rows, placed, slots_of, most_level)
        worst = _count_zones(question, rows, spots)
    else:
        _count_sizes(question, rows, placed, filled)
    return Formulation(question, kinds, tuple(filled), placed, spots, worst, _model(rows))


_Slots = dict[tuple[int, int, int], list[int]]
"""Columns of nodes by size (its index), zone and number of slots of that size."""


def _slots(filled: Sequence[tuple[int, Filling]], kinds: Sequence[NodeKind], sizes: int) -> _Slots:
    found: _Slots = {}
    for column, (kind, filling) in enumerate(filled):
        for size in range(sizes):
            if filling.slots[size]:
                key = (size, kinds[kind].zone, filling.slots[size])
                found.setdefault(key, []).append(column)
    return found


def _count_sizes(
    question: Question,
    rows: _Rows,
    placed: Sequence[int],
    filled: Sequence[tuple[int, Filling]],
) -> None:
    """Give every size as many replicas as the nodes have slots."""
    for index, size in enumerate(question.sizes):
        terms = [
            (column, 1.0)
            for column, demand in zip(placed, question.demands, strict=True)
            if demand.cards == size
        ]
        terms += [
            (column, -float(filling.slots[index]))
            for column, (_, filling) in enumerate(filled)
            if filling.slots[index]
        ]
        rows.add_row(terms, -np.inf, 0.0)


def _count_spots(
    question: Question,
    rows: _Rows,
    placed: Sequence[int],
    slots_of: _Slots,
    most_level: Sequence[int],
) -> dict[Spot, int]:
    index = {size: position for position, size in enumerate(question.sizes)}
    spots: dict[Spot, int] = {}
    rooms: dict[tuple[int, int, int], list[int]] = {}
    for at, demand in enumerate(question.demands):
        own: list[int] = []
        for (size, zone, slots), nodes in slots_of.items():
            if size != index[demand.cards]:
                continue
            for level in range(1, min(slots, most_level[at], demand.replicas) + 1):
                column = rows.add_column(float(demand.replicas), integer=False)
                spots[Spot(at, zone, slots, level)] = column
                own.append(column)
                rooms.setdefault((size, zone, slots), []).append(column)
                rows.add_row([(column, 1.0), *((node, -1.0) for node in nodes)], -np.inf, 0.0)
        if len(spots) > MOST_SPOTS:
            raise TooManyFillingsError
        rows.add_row([(placed[at], 1.0), *((column, -1.0) for column in own)], 0.0, 0.0)
    for key, columns in rooms.items():
        terms = [(column, 1.0) for column in columns]
        terms += [(node, -float(key[2])) for node in slots_of[key]]
        rows.add_row(terms, -np.inf, 0.0)
    return spots


def _count_zones(question: Question, rows: _Rows, spots: dict[Spot, int]) -> tuple[int, ...]:
    if len(question.zones) < 2:
        return ()
    worst = tuple(rows.add_column(float(demand.replicas)) for demand in question.demands)
    by_zone: dict[tuple[int, int], list[int]] = {}
    for spot, column in spots.items():
        by_zone.setdefault((spot.demand, spot.zone), []).append(column)
    for (demand, _), columns in by_zone.items():
        terms = [(column, 1.0) for column in columns]
        rows.add_row([*terms, (worst[demand], -1.0)], -np.inf, 0.0)
    return worst


def _model(rows: _Rows) -> LinearModel:
    columns = len(rows.upper)
    return LinearModel(
        cost=np.zeros(columns),
        lower=np.zeros(columns),
        upper=np.array(rows.upper, dtype=np.float64),
        integer=np.array(rows.integer, dtype=np.bool_),
        entry_row=np.array(rows.row, dtype=np.int64),
        entry_column=np.array(rows.column, dtype=np.int64),
        entry_value=np.array(rows.value, dtype=np.float64),
        row_lower=np.array(rows.low, dtype=np.float64),
        row_upper=np.array(rows.high, dtype=np.float64),
    )
