"""The replicas behind rows of the candidate table and behind allocations, by cards of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from optimizer.configurations.described import Described
from optimizer.table import CandidateTable, IntArray
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.placement import ReplicaDemand


@dataclass(frozen=True, slots=True)
class Shapes:
    """What one replica of a row of the table is made of; arrays of shape (entries,).

    A row has one entry; one of two pools, with replicas of two sizes, has two.

    Attributes:
        row: Row of the table, ascending.
        cards: Cards that stand together on a node.
        count: How many such there are in one replica of the row.
        like: Rows of one number differ in how many replicas they have, and not in what those are
            made of; shape (rows,).
    """

    row: IntArray
    cards: IntArray
    count: IntArray
    like: IntArray

    def of(self, row: int) -> dict[int, int]:
        """Return how many there are of each size in one replica of a row."""
        first, last = np.searchsorted(self.row, [row, row + 1])
        pairs = zip(self.cards[first:last].tolist(), self.count[first:last].tolist(), strict=True)
        return dict(pairs)


def shapes_of(fleet: Fleet, table: CandidateTable) -> Shapes:
    """Return what the accepted rows of a table are made of.

    Cards that slices are cut from have a place each; so have the replicas of both pools.
    """
    rows = np.flatnonzero(table.accepted & (table.card_type >= 0) & (table.cards_per_replica > 0))
    cards = table.cards_per_replica[rows].copy()
    count = np.ones(rows.size, dtype=np.int64)
    if table.bundled is not None:
        sliced = table.bundled[rows] > 0
        count[sliced], cards[sliced] = cards[sliced], 1
    like = np.zeros(len(table.server), dtype=np.int64)
    like[rows] = cards
    split = table.disaggregated[rows]
    extra: list[tuple[int, int, int]] = []
    described = Described(fleet, table)
    for row in rows[split].tolist():
        sizes: dict[int, int] = {}
        for pool in described.pools(row):
            size = pool.cards // pool.replicas
            sizes[size] = sizes.get(size, 0) + pool.replicas
        extra += [(row, size, number) for size, number in sorted(sizes.items())]
        # Never exchanged for another row, as its replicas are of two kinds.
        like[row] = -1 - row
    whole = np.stack([rows[~split], cards[~split], count[~split]], axis=1)
    entries = np.concatenate([whole, np.array(extra, dtype=np.int64).reshape(-1, 3)])
    entries = entries[np.argsort(entries[:, 0], kind="stable")]
    return Shapes(entries[:, 0], entries[:, 1], entries[:, 2], like)


def demands_of(
    allocations: Iterable[PlannedAllocation], priorities: Mapping[str, int]
) -> tuple[ReplicaDemand, ...]:
    """Return the replicas of allocations, to place them on nodes.

    Args:
        allocations: The allocations.
        priorities: Priority of each server; 1 for a server that is not among them.
    """
    return tuple(
        ReplicaDemand(
            item.server,
            accelerator,
            kind,
            cards // replicas,
            replicas,
            priorities.get(item.server, 1),
        )
        for item in allocations
        for accelerator, kind, cards, replicas in _parts(item)
        if replicas and cards
    )


def _parts(item: PlannedAllocation) -> Iterator[tuple[str, str, int, int]]:
    """Yield accelerator, card type, cards and replicas of each part of an allocation."""
    if item.mix:
        for part in item.mix:
            yield part.accelerator, part.card_type, part.cards, part.replicas
        return
    if item.accelerator is None or item.card_type is None:
        return
    if item.pools:
        for pool in item.pools:
            yield item.accelerator, item.card_type, pool.cards, pool.replicas
        return
    yield (
        item.accelerator,
        item.card_type,
        item.cards,
        item.cards if item.sliced else item.replicas,
    )
