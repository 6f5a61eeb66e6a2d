"""What is missing of cards for an option: in pools, of quotas, for zones, of spot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimizer.pooled.cut import slices_left
from optimizer.pooled.fewest import fewest_replicas
from optimizer.pooled.options import Pairs
from optimizer.pooled.question import Question
from optimizer.pooled.taken import Taken
from optimizer.pooled.used import Used
from optimizer.remedies import count_of
from optimizer.table import IntArray
from stoker.domain.reasons import UnplacedReason

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing in the way of an option, and what would move it."""

    reason: UnplacedReason
    detail: str
    remedy: str


class CardCauses:
    """Finds what a solution leaves too little of."""

    def __init__(self, question: Question, taken: Taken, used: Used) -> None:
        """Take the question, the solution and what that uses."""
        self._question = question
        self._taken = taken
        self._used = used
        self._left: dict[tuple[int, int], int] = {}

    def missing(self, option: int, own_cards: IntArray, least: int) -> Iterator[Blocker]:
        """Yield what is missing of cards: in pools, of quotas, for zones, of spot.

        Args:
            option: The option.
            own_cards: Cards by pool that its server has already, those of slices apart.
            least: Replicas that it takes at least.
        """
        question, pools = self._question, self._question.pools
        options, pairs = question.options, question.pairs
        here = np.flatnonzero(pairs.option == option)
        pool = pairs.pool[here]
        each = int(options.cards_per_replica[option])
        per_card = int(options.per_card[option])
        room = (
            self._slices_left(option, pool, least)
            if per_card
            else np.maximum((pools.cards - self._used.cards + own_cards)[pool], 0) // max(each, 1)
        )
        card_type = question.table.card_types[int(options.card_type[option])]
        if int(room.sum()) < least:
            missing = least - int(room.sum())
            short = -(-missing // per_card) if per_card else missing * each
            yield Blocker(
                UnplacedReason.CAPACITY,
                f"its pools have room for {int(room.sum()):,} of them",
                f"add at least {count_of(short, 'card')} of {card_type} to a pool that it may use",
            )
            return
        shared = self._quota_room(own_cards, pool, room, each, per_card)
        if shared < least:
            short = -(-(least - shared) // per_card) if per_card else (least - shared) * each
            yield Blocker(
                UnplacedReason.QUOTA,
                f"quotas leave room for {shared:,} of them",
                f"raise a quota by at least {count_of(short, 'card')}",
            )
            return
        alone = options.take(np.array([option]))
        left_pairs = Pairs(
            np.zeros(here.size, dtype=np.int64), pool, room, pairs.price[here], pairs.value[here]
        )
        count, possible = fewest_replicas(
            alone, left_pairs, pools, question.wishes, question.limits.headroom.survive
        )
        if not possible[0]:
            yield Blocker(
                UnplacedReason.SPREAD,
                "the cards left do not let its replicas be spread over zones and nodes as asked",
                f"add cards of {card_type} in another zone, or ask for less spread",
            )
            return
        if int(count[0]) > least:
            yield Blocker(
                UnplacedReason.SPREAD,
                f"in the cards left it would take {int(count[0]):,} replicas to spread them as "
                "asked",
                f"add cards of {card_type} where few are left",
            )
        yield from self._spot_missing(pool, room, float(options.card_share[option]), least)

    def _slices_left(self, option: int, pool: IntArray, wanted: int) -> IntArray:
        """Return how many slices of an option's kind each pool has left beside all others'."""
        question, taken = self._question, self._taken
        options, pools = question.options, question.pools
        index = int(options.kind[option])
        kind = question.kinds[index]
        others = options.server[taken.option] != options.server[option]
        took = options.take(taken.option[others])
        replicas = taken.pool_replicas[others][:, pool]
        cards = pools.cards[pool] - took.whole_cards @ replicas
        alone = bool(np.all(others))
        left = []
        for place, (at, free) in enumerate(zip(pool.tolist(), cards.tolist(), strict=True)):
            found = self._left.get((index, at)) if alone else None
            if found is None:
                slices = {
                    item: int(replicas[took.kind == other, place].sum())
                    for other, item in enumerate(question.kinds)
                }
                found = slices_left(kind, slices, free)
                if alone:
                    # The same for all who have nothing.
                    self._left[index, at] = found
            left.append(min(found, wanted))
        return np.array(left, dtype=np.int64)

    def _quota_room(
        self, own_cards: IntArray, pool: IntArray, room: IntArray, each: int, per_card: int
    ) -> int:
        """Return how many replicas quotas leave room for; slices on cards of their own."""
        pools = self._question.pools
        total = int(room[pools.quota[pool] < 0].sum())
        for quota, cards in enumerate(pools.quota_cards.tolist()):
            members = pools.quota == quota
            left = cards - int(self._used.cards[members].sum()) + int(own_cards[members].sum())
            inside = int(room[pools.quota[pool] == quota].sum())
            whole = max(0, left)
            total += min(inside, whole * per_card if per_card else whole // max(each, 1))
        return total

    def _spot_missing(
        self, pool: IntArray, room: IntArray, each: float, least: int
    ) -> Iterator[Blocker]:
        question = self._question
        share = question.limits.max_spot_share
        if share is None:
            return
        lasting = int(room[~question.pools.spot[pool]].sum())
        count = max(0, least - lasting)
        spot = count * each
        total = float(self._used.card_shares.sum()) + least * each
        if self._used.spot_cards(question) + spot > share * total + ROUNDING:
            yield Blocker(
                UnplacedReason.SPOT,
                f"it would take {_spot_cards(count, each)}, more than {share:.0%} of the plan "
                "allows",
                "allow a larger share of spot cards, or add cards that are not",
            )


def _spot_cards(replicas: int, each: float) -> str:
    """Return so many replicas as cards, or as slices of them."""
    if each == int(each):
        return count_of(replicas * int(each), "spot card")
    return f"{count_of(replicas, 'slice')} of spot cards"
