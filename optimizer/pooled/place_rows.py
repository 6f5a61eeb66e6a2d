"""Rows and columns that hold a plan over pools to what fits on the nodes of each pool.

The same rows as those of `optimizer.fitting.places`, pool by pool: replicas of a pool compete for
its nodes by their sizes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.fitting.rooms import Counts, Room, room_of
from optimizer.fitting.shapes import Shapes, shapes_of
from optimizer.pooled.pool_nodes import nodes_by_pool
from optimizer.pooled.pools import PoolArrays
from optimizer.pooled.sheet import Sheet
from optimizer.sharing.figured import SharedSet
from optimizer.table import CandidateTable, FloatArray, IntArray
from stoker.domain.fleet import Fleet


@dataclass(frozen=True, slots=True)
class PoolPlaces:
    """What fits on the nodes of each pool.

    Attributes:
        shapes: What the replicas of candidates are made of.
        rooms: What fits, by index of the pool.
    """

    shapes: Shapes
    rooms: tuple[Room, ...]

    @property
    def exact(self) -> bool:
        """Whether every plan that fits the nodes fits these places."""
        return all(room.exact for room in self.rooms)


def pool_places(
    fleet: Fleet, table: CandidateTable, pools: PoolArrays, sets: Sequence[SharedSet] = ()
) -> PoolPlaces:
    """Return what fits on the nodes of each pool.

    Args:
        fleet: The fleet.
        table: Its candidates.
        pools: Its pools.
        sets: Sets of servers that may share replicas.
    """
    shapes = shapes_of(fleet, table)
    nodes, _ = nodes_by_pool(fleet.nodes, pools.pools)
    types = table.card_type[shapes.row]
    rooms = []
    for index, pool in enumerate(pools.pools):
        sizes = shapes.cards[types == pools.card_type[index]].tolist()
        sizes += [
            item.cards_per_replica
            for item in sets
            if item.candidate.card_type == pools.card_type[index]
        ]
        rooms.append(room_of(nodes.get(pool.name, ()), sizes))
    return PoolPlaces(shapes, tuple(rooms))


def add_places(sheet: Sheet) -> None:
    """Let replicas in a pool be no more than fit on its nodes."""
    places = sheet.question.places
    if places is None:
        return
    options = sheet.question.options
    # What is no row of the table is told by its cards: replicas that are shared, and cut cards.
    row = np.where(options.row >= 0, options.row, -options.cards_per_replica)
    entry_row = row[sheet.entry_option]
    # The cards of slices are those that are cut, each with a place of its own.
    whole = ~options.sliced[sheet.entry_option]
    for pool, room in enumerate(places.rooms):
        entries = np.flatnonzero((sheet.columns.entry_pool == pool) & whole)
        cut = sheet.cut_column[sheet.cut_pool == pool]
        if entries.size or cut.size:
            _add_room(sheet, room, places.shapes, entries, entry_row[entries], cut)


def _add_room(
    sheet: Sheet, room: Room, shapes: Shapes, entries: IntArray, rows: IntArray, cut: IntArray
) -> None:
    columns = sheet.columns
    column = np.concatenate([columns.entry_column[entries], cut])
    one = np.ones(cut.size, dtype=np.int64)
    replicas = np.concatenate([columns.entry_replicas[entries], one])
    rows = np.concatenate([rows, -one])
    made = {row: {-row: 1} if row < 0 else shapes.of(row) for row in np.unique(rows).tolist()}

    def of_each(takes: Counts) -> FloatArray:
        """Return what one unit of each entry's column takes."""
        each = {
            row: sum(takes.get(size, 0) * count for size, count in own.items())
            for row, own in made.items()
        }
        found: FloatArray = np.array([each[row] for row in rows.tolist()], np.float64) * replicas
        return found

    for slots in room.slots:
        first = sheet.rows.block(-np.inf, float(slots.most), 1)
        sheet.rows.add(np.full(column.size, first), column, of_each(slots.takes))
    if not room.kinds:
        return
    need = sheet.rows.block(-np.inf, 0.0, len(room.sizes))
    for index, size in enumerate(room.sizes):
        sheet.rows.add(np.full(column.size, need + index), column, of_each({size: 1}))
    for kind in room.kinds:
        filled = sheet.new_columns(np.full(len(kind.ways), float(kind.nodes)))
        first = sheet.rows.block(-np.inf, float(kind.nodes), 1)
        sheet.rows.add(np.full(filled.size, first), filled, 1.0)
        for index in range(len(room.sizes)):
            held = np.array([way[index] for way in kind.ways], dtype=np.float64)
            sheet.rows.add(np.full(filled.size, need + index), filled, -held)
