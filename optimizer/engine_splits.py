"""Cases that leave open how cards are split between two pools: every split, and the best."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.engine_answers import computable
from optimizer.engine_reach import targets_of
from optimizer.engine_systems import kind_of, pairs_of_pools
from optimizer.table import IntArray
from queueing.engine.pool_sizing import pools_saturation_rps, size_pools
from queueing.engine.split import best_row, card_splits
from stoker.domain.replica import ReplicaCase
from stoker.domain.replica_answer import SplitFigures
from stoker.domain.replica_system import CardsToSplit, PoolSizes, TwoPools

_MOST_SPLITS = 4096
"""Splits that are computed together, but for those of one case."""


@dataclass(frozen=True, slots=True)
class SizedCase:
    """A case whose pools have sizes.

    Attributes:
        case: The case; where cards were to be split, with the best split of them.
        splits: Every split of the cards, more prefill from one to the next; none where the case
            tells the sizes, or makes no sense.
    """

    case: ReplicaCase
    splits: tuple[SplitFigures, ...] = ()


def with_sizes(cases: Sequence[ReplicaCase]) -> list[SizedCase]:
    """Return cases with the split of their cards that carries most within their targets.

    Where no split keeps them it is the one that carries most without. Cases without cards to
    split are returned as they are.
    """
    found = [SizedCase(_sized(case, 1, 1)) for case in cases]
    groups: dict[Hashable, list[int]] = {}
    for row, case in enumerate(cases):
        if _cards(case) is not None:
            groups.setdefault(kind_of(case), []).append(row)
    for rows in groups.values():
        pairs = pairs_of_pools([found[row].case for row in rows])
        sane = [row for row, usable in zip(rows, pairs.usable(), strict=True) if usable]
        sane = [row for row in sane if computable(found[row].case)]
        for block in _blocks(cases, sane):
            for row, one in zip(block, _split([cases[row] for row in block]), strict=True):
                found[row] = one
    return found


def _split(cases: Sequence[ReplicaCase]) -> list[SizedCase]:
    """Return cases that all have cards to split, behind the same routers, with the best split."""
    cards = [one for case in cases if (one := _cards(case)) is not None]
    parts = [card_splits(one.cards, one.prefill_cards, one.decode_cards) for one in cards]
    sizes = [len(first) for first, _ in parts]
    owner: IntArray = np.repeat(np.arange(len(cases), dtype=np.int64), sizes)
    first, second = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    used = np.concatenate(
        [
            own * one.prefill_cards + other * one.decode_cards
            for one, (own, other) in zip(cards, parts, strict=True)
        ]
    )
    pairs = pairs_of_pools([_sized(case, 1, 1) for case in cases]).take(owner)
    system = replace(
        pairs.system,
        prefill_replicas=first.astype(np.float64),
        decode_replicas=second.astype(np.float64),
    )
    rate = size_pools(system, targets_of(cases).take(owner)).rate_rps
    most = pools_saturation_rps(system)
    answers = []
    for number, case in enumerate(cases):
        rows = np.flatnonzero(owner == number)
        carried = rate if np.any(rate[rows] > 0.0) else most
        best = int(rows[best_row(carried[rows], used[rows], first[rows])])
        splits = tuple(
            SplitFigures(
                int(first[row]),
                int(second[row]),
                int(used[row]),
                float(rate[row]),
                float(most[row]),
            )
            for row in rows.tolist()
        )
        answers.append(SizedCase(_sized(case, int(first[best]), int(second[best])), splits))
    return answers


def _blocks(cases: Sequence[ReplicaCase], rows: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows in order, a number of splits at a time."""
    block: list[int] = []
    splits = 0
    for row in rows:
        cards = _cards(cases[row])
        own = 0 if cards is None else cards.splits
        if block and splits + own > _MOST_SPLITS:
            yield block
            block, splits = [], 0
        block.append(row)
        splits += own
    if block:
        yield block


def _cards(case: ReplicaCase) -> CardsToSplit | None:
    """Return the cards that a case leaves to be split."""
    system = case.system
    sizes = system.sizes if isinstance(system, TwoPools) else None
    return sizes if isinstance(sizes, CardsToSplit) else None


def _sized(case: ReplicaCase, prefill: int, decode: int) -> ReplicaCase:
    """Return a case with sizes of its pools where it leaves them open."""
    system = case.system
    if not isinstance(system, TwoPools) or isinstance(system.sizes, PoolSizes):
        return case
    return replace(case, system=replace(system, sizes=PoolSizes(prefill, decode)))
