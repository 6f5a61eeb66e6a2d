"""What is asked: options, pools, wishes, and limits that are left after what is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.pooled.options import Options, Pairs
from optimizer.pooled.pools import PoolArrays
from optimizer.pooled.wishes import WishArrays
from optimizer.sharing.figured import SharedSet
from optimizer.table import CandidateTable, FloatArray, IntArray
from stoker.domain.accelerator import Slice
from stoker.domain.limits import Limits, Objectives

if TYPE_CHECKING:
    from optimizer.pooled.place_rows import PoolPlaces


@dataclass(frozen=True, slots=True)
class Question:
    """All that a model is made of.

    Attributes:
        table: The candidate table.
        pools: Pools.
        wishes: What servers ask of them.
        limits: Limits, with what is kept taken off.
        objectives: What the plan is to be best at.
        options: What each server may be given.
        pairs: The pools that each option may use.
        kinds: Kinds of slices that options take, in the order of their indices.
        running: Whether something runs for each server now, (servers,).
        standing: Replicas that run now by pool, -1 throughout where that is not told,
            (servers and sets of those who may share, pools).
        sets: Sets of servers that may share replicas, by group of their options.
        rates: Arrival rate of each server, 0 where unknown, (servers,).
        class_index: Index of each server's class, (servers,).
        classes: Number of classes.
        places: What fits on nodes; None where cards of pools are all that counts.
        rejected: Reasons why rows of the table are no options, by row (codes as in the table).
    """

    table: CandidateTable
    pools: PoolArrays
    wishes: WishArrays
    limits: Limits
    objectives: Objectives
    options: Options
    pairs: Pairs
    kinds: tuple[Slice, ...]
    running: IntArray
    standing: IntArray
    sets: tuple[SharedSet, ...]
    rates: FloatArray
    class_index: IntArray
    classes: int
    places: PoolPlaces | None
    rejected: dict[int, int]

    def with_options(self, chosen: IntArray) -> Question:
        """Return the question with some of its options only."""
        options = self.options.take(chosen)
        pairs = pair_up(options, self.pools, self.wishes, self.limits, self.standing)
        return replace(self, options=options, pairs=pairs)


def pair_up(
    options: Options, pools: PoolArrays, wishes: WishArrays, limits: Limits, standing: IntArray
) -> Pairs:
    """Return every option with every pool that it may use and that holds one of its replicas.

    Args:
        options: The options.
        pools: The pools.
        wishes: What servers ask of them.
        limits: What a start takes.
        standing: Replicas that run now by pool, (servers and sets, pools).
    """
    typed = options.card_type[:, None] == pools.card_type[None, :]
    fits = options.cards_per_replica[:, None] <= pools.cards[None, :]
    counted = (options.cards_per_replica > 0)[:, None]
    option, pool = np.nonzero(typed & fits & counted & wishes.allowed[options.wisher])
    room = options.take(option).held_by(pools.cards[pool])
    room = np.minimum(room, _room_in_place(options, standing, option, pool))
    option, pool, room = option[room > 0], pool[room > 0], room[room > 0]
    by_card = pools.card_price[pool] * options.card_share[option]
    by_factor = pools.factor[pool] * options.unit_cost[option]
    price = np.where(np.isnan(by_card), by_factor, by_card)
    restarts = pools.interruptions[pool] * limits.replica_start_s / 3600.0
    return Pairs(
        option=option.astype(np.int64),
        pool=pool.astype(np.int64),
        room=room,
        price=price,
        value=price * (options.weight[option] + restarts),
    )


def _room_in_place(
    options: Options, standing: IntArray, option: IntArray, pool: IntArray
) -> IntArray:
    """Return how many replicas of a pair may stand there, where they are to stay where they are.

    What counts as one replica though it is several, as two pools of replicas do, stays where it
    is if that is one pool, with all of them.
    """
    wisher = options.wisher[option]
    there = standing[wisher, pool]
    size = options.counts_as[option]
    whole = there == size * options.least[option]
    there = np.where(size == 1, there, np.where(whole, options.least[option], 0))
    most = np.iinfo(np.int64).max
    room: IntArray = np.where(options.in_place[option], there, most)
    return room
