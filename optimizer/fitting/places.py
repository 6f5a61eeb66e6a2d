"""The places of a fleet: rows and columns that hold a plan to what fits on its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.configurations.cut_cards import on_slices
from optimizer.fitting.rooms import Counts, Room, room_of
from optimizer.fitting.shapes import Shapes, demands_of, shapes_of
from optimizer.formulation import NO_ROW, NO_SERVER, Formulation
from optimizer.placement import Placement
from optimizer.table import CandidateTable
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet

_NO_SIZES: Counts = {}


@dataclass(frozen=True, slots=True)
class Places:
    """What fits on the nodes of a fleet.

    Attributes:
        table: Candidates.
        shapes: What their replicas are made of.
        rooms: What fits, by index of the card type.
        kept: Replicas that are there whatever is planned, by index of the card type.
        backend: Solver.
        notes: Sentences for the reader.
    """

    table: CandidateTable
    shapes: Shapes
    rooms: tuple[Room, ...]
    kept: tuple[Counts, ...]
    backend: str
    notes: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether every plan that fits the nodes fits these places."""
        return all(room.exact for room in self.rooms)

    def counted(self, placement: Placement) -> list[dict[int, int]]:
        """Return the replicas of a placement and those kept, by card type and size."""
        counts = [dict(kept) for kept in self.kept]
        for row, replicas in zip(placement.row.tolist(), placement.replicas.tolist(), strict=True):
            card_type = int(self.table.card_type[row])
            for size, count in self.shapes.of(row).items() if card_type >= 0 else ():
                own = counts[card_type]
                own[size] = own.get(size, 0) + count * replicas
        return counts

    def hold(self, placement: Placement) -> bool:
        """Whether a placement fits."""
        return all(
            room.most(_NO_SIZES, counts, 1, self.backend) == 1 or not any(counts.values())
            for room, counts in zip(self.rooms, self.counted(placement), strict=True)
        )

    def within(self, form: Formulation) -> Formulation:
        """Return a model that is held to what fits: further rows, and columns of nodes."""
        if not form.upper.size:
            return form
        additions = _Additions(form.upper.size, form.row_lower.size)
        sizes = _sizes_of_columns(self.table, self.shapes, form)
        for card_type, (room, kept) in enumerate(zip(self.rooms, self.kept, strict=True)):
            _add_room(additions, room, kept, sizes.get(card_type, {}))
        return additions.joined(form)


_ByColumn = dict[int, list[tuple[int, int]]]
"""Columns of a model, with the replicas that one unit of each stands for, by size."""


def _sizes_of_columns(
    table: CandidateTable, shapes: Shapes, form: Formulation
) -> dict[int, _ByColumn]:
    """Return the replicas behind the columns of a model, by card type and size."""
    found: dict[int, _ByColumn] = {}
    cut = np.full(form.upper.size, -1) if form.cut_type is None else form.cut_type
    for column in np.flatnonzero(cut >= 0).tolist():
        found.setdefault(int(cut[column]), {}).setdefault(1, []).append((column, 1))
    sliced = (
        on_slices(table) if form.cut_type is not None else np.zeros(len(table.server), np.bool_)
    )
    for column in np.flatnonzero(form.table_row != NO_ROW).tolist():
        row = int(form.table_row[column])
        if sliced[row]:
            continue  # its cards are those that are cut
        card_type = int(table.card_type[row])
        # A column that marks its server as served stands for its whole row.
        times = int(table.replicas[row]) if form.serves[column] >= 0 else 1
        for size, count in shapes.of(row).items() if card_type >= 0 else ():
            own = found.setdefault(card_type, {}).setdefault(size, [])
            own.append((column, count * times))
    return found


def _add_room(additions: _Additions, room: Room, kept: Counts, columns: _ByColumn) -> None:
    for slots in room.slots:
        taken: dict[int, float] = {}
        for size, takes in slots.takes.items():
            for column, count in columns.get(size, ()):
                taken[column] = taken.get(column, 0.0) + float(takes * count)
        used = sum(takes * kept.get(size, 0) for size, takes in slots.takes.items())
        additions.row(taken.items(), float(slots.most - used))
    if not room.kinds:
        return
    supplied: dict[int, list[tuple[int, float]]] = {size: [] for size in room.sizes}
    for kind in room.kinds:
        own = [additions.column(float(kind.nodes)) for _ in kind.ways]
        additions.row([(column, 1.0) for column in own], float(kind.nodes))
        for column, way in zip(own, kind.ways, strict=True):
            for size, slots_of_size in zip(room.sizes, way, strict=True):
                if slots_of_size:
                    supplied[size].append((column, -float(slots_of_size)))
    for size in room.sizes:
        taken_of_size = [(column, float(count)) for column, count in columns.get(size, ())]
        additions.row([*taken_of_size, *supplied[size]], -float(kept.get(size, 0)))


class _Additions:
    """Collects rows and columns to add; the only mutable thing here, and private to a call."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        self._upper: list[float] = []
        self._most: list[float] = []
        self._entries: list[tuple[int, int, float]] = []

    def column(self, upper: float) -> int:
        """Add a column of nodes, and return its index."""
        self._upper.append(upper)
        return self._columns + len(self._upper) - 1

    def row(self, terms: Iterable[tuple[int, float]], most: float) -> None:
        """Add the row that some columns add up to at most so much."""
        at = self._rows + len(self._most)
        self._most.append(most)
        self._entries += [(at, column, value) for column, value in terms]

    def joined(self, form: Formulation) -> Formulation:
        """Return a model with what was collected."""
        new = len(self._upper)
        entries = np.array(self._entries, dtype=np.float64).reshape(-1, 3)
        nothing = np.zeros(new, dtype=np.int64)
        return replace(
            form,
            table_row=np.concatenate([form.table_row, np.full(new, NO_ROW)]),
            # They are of no server; the index is never read but must be one.
            server=np.concatenate([form.server, nothing]),
            serves=np.concatenate([form.serves, np.full(new, NO_SERVER)]),
            value=np.concatenate([form.value, np.zeros(new)]),
            cards=np.concatenate([form.cards, nothing]),
            upper=np.concatenate([form.upper, self._upper]),
            entry_row=np.concatenate([form.entry_row, entries[:, 0].astype(np.int64)]),
            entry_column=np.concatenate([form.entry_column, entries[:, 1].astype(np.int64)]),
            entry_value=np.concatenate([form.entry_value, entries[:, 2]]),
            row_lower=np.concatenate([form.row_lower, np.full(len(self._most), -np.inf)]),
            row_upper=np.concatenate([form.row_upper, self._most]),
            cut_type=None
            if form.cut_type is None
            else np.concatenate([form.cut_type, np.full(new, -1)]),
        )


def places_of(
    fleet: Fleet, table: CandidateTable, kept: Sequence[PlannedAllocation], backend: str
) -> Places:
    """Return what fits on the nodes of a fleet.

    Args:
        fleet: The fleet.
        table: Its candidates.
        kept: What is kept as it runs; where it does not fit the nodes, what does of it.
        backend: Solver.
    """
    shapes = shapes_of(fleet, table)
    running: dict[str, dict[int, int]] = {}
    for demand in demands_of(kept, {}):
        own = running.setdefault(demand.card_type, {})
        own[demand.cards] = own.get(demand.cards, 0) + demand.replicas
    types = table.card_type[shapes.row]
    rooms, stay, notes = [], [], []
    for index, card_type in enumerate(table.card_types):
        there = running.get(card_type, {})
        sizes = {*shapes.cards[types == index].tolist(), *there}
        nodes = [node for node in fleet.nodes if node.card_type == card_type]
        room = room_of(nodes, sizes)
        rooms.append(room)
        fitting = _fitting(room, there, backend)
        stay.append(fitting)
        if fitting != there:
            notes.append(
                f"what is kept as it runs does not fit on the free cards of {card_type}: "
                f"{sum(there.values()) - sum(fitting.values()):,} replicas were left out of account"
            )
    return Places(table, shapes, tuple(rooms), tuple(stay), backend, tuple(notes))


def _fitting(room: Room, there: Mapping[int, int], backend: str) -> dict[int, int]:
    """Return as many of some replicas as fit, large ones first."""
    fitting: dict[int, int] = {}
    for size in sorted(there, reverse=True):
        count = room.most(fitting, {size: 1}, there[size], backend)
        if count:
            fitting[size] = count
    return fitting
