"""Cards of pools that are cut into slices, whoever takes the slices.

A replica on a slice stands in a pool as any other one does, and takes a slice there. Which cards of
the pool are cut, and how, is counted by pool: in each of the patterns of
`optimizer.configurations.slices` so many cards, and slices of a kind are taken as far as the cut
cards hold them. That is exact, as a card holds what some pattern holds, and nothing else.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.configurations.slices import fewest_cutting, slices_per_card, slicing_patterns
from optimizer.pooled.sheet import Sheet
from optimizer.table import CandidateTable, FloatArray, IntArray
from stoker.domain.accelerator import Slice

_SEVENTHS = 7


@dataclass(frozen=True, slots=True)
class SliceKinds:
    """Kinds of slices of a table, and what rows take of them.

    Attributes:
        kinds: The kinds, each once.
        of_accelerator: Index of the kind of each accelerator, -1 for whole cards; one more at the
            end for an empty allocation, whose accelerator is -1.
    """

    kinds: tuple[Slice, ...]
    of_accelerator: IntArray

    @classmethod
    def of(cls, table: CandidateTable) -> SliceKinds:
        """Return those of a table."""
        kinds = tuple(dict.fromkeys(item for item in table.slices if item is not None))
        found = np.full(len(table.accelerators) + 1, -1, dtype=np.int64)
        for index, item in enumerate(table.slices):
            if item is not None:
                found[index] = kinds.index(item)
        return cls(kinds, found)

    def taken_by(
        self, accelerator: IntArray, cards: IntArray
    ) -> tuple[IntArray, IntArray, FloatArray]:
        """Return kind, slices that a card holds, and share of cards, of replicas.

        Args:
            accelerator: Accelerator of each.
            cards: Cards of one replica, a slice counting as one.
        """
        kind = self.of_accelerator[accelerator]
        held = np.array([*map(slices_per_card, self.kinds), 0], dtype=np.int64)
        share = np.array([*map(card_share, self.kinds), 0.0])
        return kind, held[kind], np.where(kind >= 0, share[kind], cards)


def card_share(kind: Slice) -> float:
    """Return the share of its card that a slice is: by compute slices, or by equal parts."""
    return kind.sevenths / _SEVENTHS if kind.sevenths else 1.0 / kind.parts


def add_cut_cards(sheet: Sheet) -> None:
    """Add the cards of each pool that are cut in each way, and let slices come from them."""
    question, columns = sheet.question, sheet.columns
    kind = question.options.kind[sheet.entry_option]
    sliced = np.flatnonzero(kind >= 0)
    added, stands = [sheet.cut_column], [sheet.cut_pool]
    for pool in np.unique(columns.entry_pool[sliced]).tolist():
        own = sliced[columns.entry_pool[sliced] == pool]
        used, position = np.unique(kind[own], return_inverse=True)
        patterns = slicing_patterns([question.kinds[index] for index in used.tolist()])
        cut = sheet.new_columns(np.full(len(patterns), float(question.pools.cards[pool])))
        first = sheet.rows.block(-np.inf, 0.0, used.size)
        sheet.rows.add(first + position, columns.entry_column[own], columns.entry_replicas[own])
        pattern, held = np.nonzero(patterns)
        sheet.rows.add(first + held, cut[pattern], -patterns[pattern, held])
        added.append(cut)
        stands.append(np.full(cut.size, pool, dtype=np.int64))
    sheet.cut_column, sheet.cut_pool = np.concatenate(added), np.concatenate(stands)


def cut_cards(kinds: Sequence[Slice], kind: IntArray, pool_replicas: IntArray) -> IntArray:
    """Return the fewest cards of each pool that hold the slices taken there, (pools,).

    Args:
        kinds: Kinds of slices.
        kind: Kind that each allocation takes, -1 for whole cards, (allocations,).
        pool_replicas: Replicas of each allocation in each pool, (allocations, pools).
    """
    found = np.zeros(pool_replicas.shape[1], dtype=np.int64)
    for pool in np.flatnonzero(pool_replicas[kind >= 0].any(axis=0)).tolist():
        slices = {
            item: int(pool_replicas[kind == index, pool].sum()) for index, item in enumerate(kinds)
        }
        found[pool] = len(fewest_cutting(slices))
    return found


def counted_with(taken: Mapping[int, tuple[Slice, int]]) -> dict[int, int]:
    """Return the cards of one pool that count for each server that has slices there.

    They are the fewest that hold all of them; one that several servers have slices on counts for
    the first of them.

    Args:
        taken: Kind and number of the slices of each server, by its index.
    """
    waiting: defaultdict[Slice, deque[int]] = defaultdict(deque)
    for server, (kind, count) in sorted(taken.items()):
        waiting[kind] += [server] * count
    cards = dict.fromkeys(taken, 0)
    for pattern in fewest_cutting({kind: len(own) for kind, own in waiting.items()}):
        held = [
            waiting[kind].popleft()
            for kind, count in pattern.items()
            for _ in range(min(count, len(waiting[kind])))
        ]
        cards[min(held)] += 1
    return cards


def slices_left(kind: Slice, others: Mapping[Slice, int], cards: int) -> int:
    """Return how many slices of a kind some cards hold beside others.

    Args:
        kind: The kind.
        others: Slices of each kind that are taken already.
        cards: Cards that may be cut.
    """
    low, high = 0, cards * slices_per_card(kind)
    while low < high:
        middle = (low + high + 1) // 2
        together = {**others, kind: others.get(kind, 0) + middle}
        if len(fewest_cutting(together)) <= cards:
            low = middle
        else:
            high = middle - 1
    return low
