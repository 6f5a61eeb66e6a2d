"""What a server may be given: a row of the candidate table, with how many replicas.

An *option* is a row of the candidate table taken in one way: served in full, kept as it runs, or
taken in part (best effort). Which pools its replicas stand in is decided later.

Servers on common replicas (`optimizer.sharing`) have an option each, of one *group*, which are
taken together or not at all: that of the first server has the replicas, those of the others none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from optimizer.table import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Options:
    """Options of all servers, sorted by server; arrays of shape (options,).

    Attributes:
        row: Row of the candidate table; -1 where replicas are shared.
        server: Index of the server.
        group: Number of the group that it is taken together with; -1 for replicas of its own.
        wisher: Whose wishes its replicas heed: the server, or those who share them, as an index of
            `optimizer.pooled.wishes.WishArrays`.
        card_type: Index of the card type; -1 without cards.
        cards_per_replica: Cards of one replica; a slice of one counts as 1.
        counts_as: Replicas that one counts as where replicas are limited and told: those of both
            pools of a deployment that splits prefill and decode, else 1.
        kind: Index of the kind of slice that a replica takes; -1 where it takes whole cards.
        per_card: Such slices that one card holds; 0 where a replica takes whole cards.
        card_share: Cards of one replica, of a slice its share of the card.
        least: Fewest replicas, over all pools; 0 only for an empty allocation.
        most: Most replicas, over all pools.
        remain: Replicas that must be left after the loss that is survived; 0 for no such rule.
        ruled: Whether the server's rules of zones hold, and those of survival.
        serves: Whether the server is served in full.
        changed: Whether something else runs than now.
        in_place: Whether its replicas stand where those that run now do.
        constant: Value of taking it, without its replicas and their starts.
        start_cost: Value of starting a replica.
        running: Replicas that need no start, as they run now.
        weight: What a unit of price counts in value: 1, and the penalty where it moves.
        unit_cost: Cost of one replica per hour at the accelerator's price.
        power_w: Power of one replica at the utilization it is planned for; NaN where unknown.
        idle_power_w: Power of one replica without load; NaN where unknown.
        target_use: Share of its tightest target that is used.
        share_per_replica: Share of the server's load that a replica carries, where the option does
            not serve in full.
    """

    row: IntArray
    server: IntArray
    group: IntArray
    wisher: IntArray
    card_type: IntArray
    cards_per_replica: IntArray
    counts_as: IntArray
    kind: IntArray
    per_card: IntArray
    card_share: FloatArray
    least: IntArray
    most: IntArray
    remain: IntArray
    ruled: BoolArray
    serves: BoolArray
    changed: BoolArray
    in_place: BoolArray
    constant: FloatArray
    start_cost: FloatArray
    running: IntArray
    weight: FloatArray
    unit_cost: FloatArray
    power_w: FloatArray
    idle_power_w: FloatArray
    target_use: FloatArray
    share_per_replica: FloatArray

    @property
    def count(self) -> int:
        """Number of options."""
        return self.row.size

    @property
    def shared(self) -> BoolArray:
        """Whether replicas are shared with other servers."""
        return np.asarray(self.group >= 0, dtype=np.bool_)

    @property
    def grows(self) -> BoolArray:
        """Whether more replicas than the fewest may be taken."""
        return np.asarray(self.most > self.least, dtype=np.bool_)

    @property
    def sliced(self) -> BoolArray:
        """Whether replicas take slices of cards."""
        return np.asarray(self.kind >= 0, dtype=np.bool_)

    @property
    def whole_cards(self) -> IntArray:
        """Whole cards of one replica: none on slices, whose cards several may share."""
        return np.where(self.sliced, 0, self.cards_per_replica)

    def held_by(self, cards: IntArray) -> IntArray:
        """Return how many replicas of each option so many cards hold with nobody else on them.

        Args:
            cards: Cards, of a shape that goes with (options,), such as (pools, options).
        """
        whole = cards // np.maximum(self.cards_per_replica, 1)
        return np.where(self.sliced, cards * self.per_card, whole)

    def starts(self, replicas: IntArray) -> FloatArray:
        """Return the value of the starts of that many replicas of each option."""
        started = np.maximum(0, replicas - self.running).astype(np.float64)
        value: FloatArray = self.start_cost * started
        return value

    def take(self, chosen: IntArray | BoolArray) -> Options:
        """Return the selected options, in that order."""
        return Options(**{item.name: getattr(self, item.name)[chosen] for item in fields(self)})

    def joined(self, other: Options) -> Options:
        """Return these options and others, sorted by server and row."""
        both = Options(
            **{
                item.name: np.concatenate([getattr(self, item.name), getattr(other, item.name)])
                for item in fields(self)
            }
        )
        return both.take(np.lexsort((~both.serves, both.group, both.row, both.server)))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Options with the pools that they may use, sorted by option; arrays of shape (pairs,).

    Attributes:
        option: Index of the option.
        pool: Index of the pool.
        room: Replicas of the option that fit the pool when it is empty.
        price: Cost of one replica there per hour.
        value: What one replica there adds to the value.
    """

    option: IntArray
    pool: IntArray
    room: IntArray
    price: FloatArray
    value: FloatArray
