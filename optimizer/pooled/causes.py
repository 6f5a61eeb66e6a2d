"""Why a server is not served in full: which limit its nearest option would break."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimizer.pooled.answer import Cause
from optimizer.pooled.cut import slices_left
from optimizer.pooled.fewest import fewest_replicas
from optimizer.pooled.options import Pairs
from optimizer.pooled.question import Question
from optimizer.pooled.taken import Taken
from optimizer.pooled.used import Used
from optimizer.remedies import count_of
from optimizer.table import REJECTIONS, FloatArray, IntArray
from stoker.domain.plan import Rejection, UnplacedReason

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Blocker:
    """One thing in the way of an option, and what would move it."""

    reason: UnplacedReason
    detail: str
    remedy: str


class Causes:
    """Finds why servers are not served in full, from what a solution leaves."""

    def __init__(self, question: Question, taken: Taken, used: Used, currency: str) -> None:
        """Take the question, the solution and what that uses."""
        self._question = question
        self._taken = taken
        self._used = used
        self._currency = currency
        self._place = {
            int(server): index
            for index, server in enumerate(question.options.server[taken.option].tolist())
        }

    def of(self, server: int) -> Cause | None:
        """Return the cause for a server; None where the candidates alone tell it."""
        question = self._question
        options = question.options
        own = np.flatnonzero((options.server == server) & options.serves)
        if not own.size:
            return self._ruled_out(server)
        best: tuple[int, float, int] | None = None
        blockers: dict[int, list[_Blocker]] = {}
        for option in own.tolist():
            blockers[option] = list(self._blockers(server, option))
            key = (len(blockers[option]), float(self._least_price(option)), option)
            best = key if best is None else min(best, key)
        assert best is not None
        option = best[2]
        name = question.table.accelerators[int(question.table.accelerator[options.row[option]])]
        need = f"{count_of(int(options.least[option]), 'replica')} on {name}"
        found = blockers[option]
        if not found:
            return Cause(
                UnplacedReason.CAPACITY,
                f"nearest: {need}, which each limit alone would leave room for, but not all",
                "raise one of the limits, add cards, lower its load, or loosen its targets",
            )
        return Cause(
            found[0].reason,
            f"nearest: {need}; " + "; ".join(item.detail for item in found),
            "; and ".join(item.remedy for item in found)
            + ", lower its load, or loosen its targets",
        )

    def _ruled_out(self, server: int) -> Cause | None:
        """Return the cause for a server all of whose candidates pools or limits rule out."""
        table = self._question.table
        span = range(int(table.row_start[server]), int(table.row_start[server + 1]))
        reasons = {
            REJECTIONS[self._question.rejected[row] - 1]
            for row in span
            if row in self._question.rejected
        }
        if not reasons:
            return None
        for rejection, reason, detail, remedy in _RULED_OUT:
            if rejection in reasons:
                return Cause(reason, detail, remedy)
        return None

    # What is left for a server: what the solution leaves and what it has itself ------------------

    def _own(self, server: int) -> tuple[IntArray, float, float, float, int]:
        """Return cards by pool, cost, power, idle power and replicas that a server has already."""
        index = self._place.get(server)
        pools = self._question.pools.count
        if index is None:
            return np.zeros(pools, dtype=np.int64), 0.0, 0.0, 0.0, 0
        option = int(self._taken.option[index])
        options = self._question.options
        by_pool = self._taken.pool_replicas[index]
        replicas = int(by_pool.sum())
        return (
            by_pool * int(options.whole_cards[option]),
            float(self._taken.price[index]),
            float(np.nan_to_num(options.power_w[option])) * replicas,
            float(np.nan_to_num(options.idle_power_w[option])) * replicas,
            replicas,
        )

    def _blockers(self, server: int, option: int) -> Iterator[_Blocker]:
        question, used = self._question, self._used
        options, limits = question.options, question.limits
        own_cards, own_cost, own_power, own_idle, own_replicas = self._own(server)
        least = int(options.least[option])
        yield from self._cards_missing(option, own_cards, least)
        price = self._least_price(option)
        yield from self._amount(
            UnplacedReason.BUDGET,
            f"costs at least {{}} {self._currency}/h",
            "the budget",
            price,
            limits.budget_per_hour,
            used.cost_per_hour - own_cost,
        )
        for limit, each, taken, mine in (
            (limits.power_w, options.power_w, used.power_w, own_power),
            (limits.idle_power_w, options.idle_power_w, used.idle_power_w, own_idle),
        ):
            yield from self._amount(
                UnplacedReason.POWER,
                "draws {} W" if limit is limits.power_w else "draws {} W without load",
                "the power limit",
                float(np.nan_to_num(each[option])) * least,
                limit,
                taken - mine,
            )
        yield from self._amount(
            UnplacedReason.REPLICAS,
            "takes {} replicas",
            "max_replicas",
            float(least),
            None if limits.max_replicas is None else float(limits.max_replicas),
            float(used.replicas - own_replicas),
        )
        idle = bool(question.running[server]) and server not in self._place
        if (
            limits.max_changes is not None
            and options.changed[option]
            and not idle
            and used.changes >= limits.max_changes
        ):
            yield _Blocker(
                UnplacedReason.CHANGES,
                f"it is a change, and the {count_of(limits.max_changes, 'change')} allowed "
                "are made elsewhere",
                "allow one change more (limits.max_changes)",
            )

    def _cards_missing(self, option: int, own_cards: IntArray, least: int) -> Iterator[_Blocker]:
        """Yield what is missing of cards: in pools, of quotas, for zones, of spot."""
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
            yield _Blocker(
                UnplacedReason.CAPACITY,
                f"its pools have room for {int(room.sum()):,} of them",
                f"add at least {count_of(short, 'card')} of {card_type} to a pool that it may use",
            )
            return
        shared = self._quota_room(own_cards, pool, room, each, per_card)
        if shared < least:
            short = -(-(least - shared) // per_card) if per_card else (least - shared) * each
            yield _Blocker(
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
            yield _Blocker(
                UnplacedReason.SPREAD,
                "the cards left do not let its replicas be spread over zones and nodes as asked",
                f"add cards of {card_type} in another zone, or ask for less spread",
            )
            return
        if int(count[0]) > least:
            yield _Blocker(
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
        kind = question.kinds[int(options.kind[option])]
        others = options.server[taken.option] != options.server[option]
        took = options.take(taken.option[others])
        replicas = taken.pool_replicas[others][:, pool]
        cards = pools.cards[pool] - took.whole_cards @ replicas
        left = []
        for place, free in enumerate(cards.tolist()):
            slices = {
                item: int(replicas[took.kind == index, place].sum())
                for index, item in enumerate(question.kinds)
            }
            left.append(slices_left(kind, slices, free, wanted))
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
    ) -> Iterator[_Blocker]:
        question = self._question
        share = question.limits.max_spot_share
        if share is None:
            return
        lasting = int(room[~question.pools.spot[pool]].sum())
        count = max(0, least - lasting)
        spot = count * each
        total = float(self._used.card_shares.sum()) + least * each
        if self._used.spot_cards(question) + spot > share * total + _ROUNDING:
            yield _Blocker(
                UnplacedReason.SPOT,
                f"it would take {_spot_cards(count, each)}, more than {share:.0%} of the plan "
                "allows",
                "allow a larger share of spot cards, or add cards that are not",
            )

    def _amount(
        self,
        reason: UnplacedReason,
        words: str,
        limit_name: str,
        wanted: float,
        limit: float | None,
        taken: float,
    ) -> Iterator[_Blocker]:
        if limit is None:
            return
        left = max(0.0, limit - taken)
        if wanted > left + _ROUNDING * max(1.0, limit):
            yield _Blocker(
                reason,
                f"it {words.format(f'{wanted:,.6g}')}, of which {left:,.6g} are left",
                f"raise {limit_name} by at least {wanted - left:,.6g}",
            )

    def _least_price(self, option: int) -> float:
        """Return what the option costs in its cheapest pools, were they empty."""
        pairs = self._question.pairs
        here = np.flatnonzero(pairs.option == option)
        price: FloatArray = pairs.price[here]
        order = np.argsort(price, kind="stable")
        room = pairs.room[here][order]
        before = np.cumsum(room) - room
        least = int(self._question.options.least[option])
        return float((price[order] * np.clip(least - before, 0, room)).sum())


def _spot_cards(replicas: int, each: float) -> str:
    """Return so many replicas as cards, or as slices of them."""
    if each == int(each):
        return count_of(replicas * int(each), "spot card")
    return f"{count_of(replicas, 'slice')} of spot cards"


_RULED_OUT = (
    (
        Rejection.SPREAD,
        UnplacedReason.SPREAD,
        "its replicas cannot be spread over zones and nodes as asked, even alone in the fleet",
        "add cards in another zone, or ask for less spread (spread_zones, max_zone_share, "
        "headroom.survive)",
    ),
    (
        Rejection.NO_CARDS,
        UnplacedReason.CAPACITY,
        "the pools that it may use hold too few cards for any of its candidates",
        "add cards to them, let it use more pools, lower its load, or loosen its targets",
    ),
    (
        Rejection.NO_POOL,
        UnplacedReason.NO_CANDIDATE,
        "no pool that it may use holds cards of its candidates",
        "let it use more pools (pools of the server)",
    ),
    (
        Rejection.REPLICA_BOUND,
        UnplacedReason.NO_CANDIDATE,
        "more replicas than a server may have would be needed",
        "allow more replicas (limits.max_replicas_per_server, max_replicas of the server), or "
        "lower the load",
    ),
    (
        Rejection.POWER_UNKNOWN,
        UnplacedReason.NO_CANDIDATE,
        "the power of its accelerators is unknown, and power is limited or minimized",
        "give those accelerators their power (idle_w, mid_w, full_w)",
    ),
)
"""What is said where candidates are ruled out, the cause that weighs most first."""
