"""Cards that slices of several servers are cut from, shared out among those servers.

A bundle (`optimizer.configurations.bundles`) says how many cards the slices of one server take
with nobody else on them. A finished plan takes the fewest cards that hold all its slices; a card on
which several servers have slices counts for the first of them, so that the cards of all servers add
up to what is used.
"""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np

from optimizer.configurations.slices import fewest_cutting
from optimizer.table import BoolArray, CandidateTable, IntArray
from stoker.domain.accelerator import Slice


def on_slices(table: CandidateTable) -> BoolArray:
    """Mask the rows that are bundles of slices."""
    if table.bundled is None:
        return np.zeros(len(table.server), dtype=np.bool_)
    return np.greater(table.bundled, 0)


def amounts(table: CandidateTable) -> IntArray:
    """Return what a row takes of what rows like it take: slices of its kind, or cards."""
    return (
        table.cards
        if table.bundled is None
        else np.where(table.bundled > 0, table.bundled, table.cards)
    )


def alike(table: CandidateTable, like: IntArray | None) -> IntArray | None:
    """Return numbers that tell rows on slices of different accelerators apart, and from others.

    Args:
        table: Candidates.
        like: Numbers that tell rows apart already, shape (rows,); None for none.
    """
    sliced = on_slices(table)
    if not np.any(sliced):
        return like
    given = np.zeros(len(table.server), dtype=np.int64) if like is None else like
    own = np.where(sliced, table.accelerator + 1, 0)
    numbers: IntArray = given * (len(table.accelerators) + 1) + own
    return numbers


def counted_cards(table: CandidateTable, rows: IntArray, replicas: IntArray) -> IntArray:
    """Return the cards that count for each of some placed rows, slices on shared cards.

    Args:
        table: Candidates.
        rows: Rows that are placed, in their order.
        replicas: Replicas of each.
    """
    cards = replicas * table.cards_per_replica[rows]
    sliced = np.flatnonzero(on_slices(table)[rows] & (replicas > 0))
    if not sliced.size or table.bundled is None:
        return cards
    cards[sliced] = 0
    types = table.card_type[rows[sliced]]
    for card_type in np.unique(types).tolist():
        waiting: defaultdict[Slice, deque[int]] = defaultdict(deque)
        for position in sliced[types == card_type].tolist():
            kind = kind_of(table, int(table.accelerator[rows[position]]))
            waiting[kind] += [position] * int(table.bundled[rows[position]])
        for pattern in fewest_cutting({kind: len(own) for kind, own in waiting.items()}):
            held = [
                waiting[kind].popleft()
                for kind, count in pattern.items()
                for _ in range(min(count, len(waiting[kind])))
            ]
            cards[min(held)] += 1
    return cards


def kind_of(table: CandidateTable, accelerator: int) -> Slice:
    """Return the slice that a unit of an accelerator is, which has bundles."""
    kind = table.slices[accelerator]
    assert kind is not None  # only bundles are asked
    return kind
