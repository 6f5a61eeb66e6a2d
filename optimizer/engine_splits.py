"""Cases that leave open how cards are split between two pools: every split, and the best."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.engine_answers import computable
from optimizer.engine_reach import targets_of
from optimizer.engine_systems import pairs_of_pools
from queueing.engine.split import best_split
from stoker.domain.replica import ReplicaCase
from stoker.domain.replica_answer import SplitFigures
from stoker.domain.replica_system import CardsToSplit, PoolSizes, TwoPools


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


def with_sizes(case: ReplicaCase) -> SizedCase:
    """Return a case with the split of its cards that carries most within its targets.

    Where no split keeps them it is the one that carries most without.
    """
    system = case.system
    if not (isinstance(system, TwoPools) and isinstance(system.sizes, CardsToSplit)):
        return SizedCase(case)
    cards = system.sizes

    def sized(prefill: int, decode: int) -> ReplicaCase:
        return replace(case, system=replace(system, sizes=PoolSizes(prefill, decode)))

    smallest = sized(1, 1)
    pairs = pairs_of_pools([smallest])
    if not (computable(smallest) and pairs.usable()[0]):
        return SizedCase(smallest)
    pools = pairs.system
    found = best_split(
        pools.prefill,
        pools.decode,
        cards.cards,
        cards.prefill_cards,
        cards.decode_cards,
        targets_of([case]),
        transfer=pools.transfer,
        prefill_router=pools.prefill_router,
        decode_router=pools.decode_router,
    )
    splits = tuple(
        SplitFigures(
            int(found.prefill_replicas[row]),
            int(found.decode_replicas[row]),
            int(found.cards[row]),
            float(found.rate_rps[row]),
            float(found.saturation_rps[row]),
        )
        for row in range(len(found.cards))
    )
    best = splits[int(np.argmax(found.saturation_rps)) if found.best is None else found.best]
    return SizedCase(sized(best.prefill_replicas, best.decode_replicas), splits)
