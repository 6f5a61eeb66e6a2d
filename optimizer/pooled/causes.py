"""Why a server is not served in full: which limit its nearest option would break."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizer.pooled.answer import Cause
from optimizer.pooled.card_causes import ROUNDING, Blocker, CardCauses
from optimizer.pooled.question import Question
from optimizer.pooled.taken import Taken
from optimizer.pooled.used import Used
from optimizer.remedies import count_of
from optimizer.table import REJECTIONS, FloatArray, IntArray
from stoker.domain.reasons import Rejection, UnplacedReason


class Causes:
    """Finds why servers are not served in full, from what a solution leaves."""

    def __init__(self, question: Question, taken: Taken, used: Used, currency: str) -> None:
        """Take the question, the solution and what that uses."""
        self._question = question
        self._taken = taken
        self._used = used
        self._currency = currency
        self._cards = CardCauses(question, taken, used)
        self._place = {
            int(server): index
            for index, server in enumerate(question.options.server[taken.option].tolist())
        }

    def of(self, server: int) -> Cause | None:
        """Return the cause for a server; None where the candidates alone tell it."""
        question = self._question
        options = question.options
        own = np.flatnonzero((options.server == server) & options.serves & ~options.shared)
        if not own.size:
            return self._ruled_out(server)
        best: tuple[int, float, int] | None = None
        blockers: dict[int, list[Blocker]] = {}
        for option in own.tolist():
            blockers[option] = list(self._blockers(server, option))
            key = (len(blockers[option]), float(self._least_price(option)), option)
            best = key if best is None else min(best, key)
        assert best is not None
        option = best[2]
        name = question.table.accelerators[int(question.table.accelerator[options.row[option]])]
        replicas = int(options.least[option] * options.counts_as[option])
        need = f"{count_of(replicas, 'replica')} on {name}"
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
            replicas * int(options.counts_as[option]),
        )

    def _blockers(self, server: int, option: int) -> Iterator[Blocker]:
        question, used = self._question, self._used
        options, limits = question.options, question.limits
        own_cards, own_cost, own_power, own_idle, own_replicas = self._own(server)
        least = int(options.least[option])
        yield from self._cards.missing(option, own_cards, least)
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
            float(least * int(options.counts_as[option])),
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
            yield Blocker(
                UnplacedReason.CHANGES,
                f"it is a change, and the {count_of(limits.max_changes, 'change')} allowed "
                "are made elsewhere",
                "allow one change more (limits.max_changes)",
            )

    def _amount(
        self,
        reason: UnplacedReason,
        words: str,
        limit_name: str,
        wanted: float,
        limit: float | None,
        taken: float,
    ) -> Iterator[Blocker]:
        if limit is None:
            return
        left = max(0.0, limit - taken)
        if wanted > left + ROUNDING * max(1.0, limit):
            yield Blocker(
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
