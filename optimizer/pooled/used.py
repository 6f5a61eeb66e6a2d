"""What a solution uses of pools and limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from optimizer.pooled.cut import cut_cards
from optimizer.pooled.question import Question
from optimizer.pooled.taken import Taken
from optimizer.table import FloatArray, IntArray
from stoker.domain.limits import Limits, ObjectiveName
from stoker.domain.usage import LimitUse


@dataclass(frozen=True, slots=True)
class Used:
    """What a solution uses.

    Attributes:
        cards: Cards by pool, (pools,).
        card_shares: The same with slices by their shares of a card, (pools,).
        cost_per_hour: Cost per hour.
        power_w: Power in W; 0 for what is unknown.
        idle_power_w: The same without load.
        replicas: Replicas.
        changes: Servers for which something else runs than now.
    """

    cards: IntArray
    card_shares: FloatArray
    cost_per_hour: float
    power_w: float
    idle_power_w: float
    replicas: int
    changes: int

    def spot_cards(self, question: Question) -> float:
        """Return the spot cards among them, slices by their shares."""
        return float(self.card_shares[question.pools.spot].sum())


def used_by(question: Question, taken: Taken) -> Used:
    """Return what a solution uses."""
    options = question.options.take(taken.option)
    replicas = taken.pool_replicas.sum(axis=1)
    stopped = question.running.astype(np.bool_)
    stopped[options.server] = False
    return Used(
        cards=options.whole_cards @ taken.pool_replicas
        + cut_cards(question.kinds, options.kind, taken.pool_replicas),
        card_shares=options.card_share @ taken.pool_replicas,
        cost_per_hour=math.fsum(taken.price.tolist()),
        power_w=float(np.nansum(options.power_w * replicas)),
        idle_power_w=float(np.nansum(options.idle_power_w * replicas)),
        replicas=int((options.counts_as * replicas).sum()),
        changes=int(np.count_nonzero(options.changed)) + int(np.count_nonzero(stopped)),
    )


def limit_uses(question: Question, given: Limits, used: Used) -> tuple[LimitUse, ...]:
    """Return the use of each limit over the whole plan.

    Args:
        question: The question, whose limits are what is left after what is kept.
        given: The limits of the fleet.
        used: What the solution uses; what is kept is added.
    """
    left = question.limits
    amounts = (
        ("budget_per_hour", used.cost_per_hour, given.budget_per_hour, left.budget_per_hour, ""),
        ("power_w", used.power_w, given.power_w, left.power_w, "W"),
        ("idle_power_w", used.idle_power_w, given.idle_power_w, left.idle_power_w, "W"),
        ("max_replicas", used.replicas, given.max_replicas, left.max_replicas, "replicas"),
    )
    found = [
        LimitUse(name, float(amount + (limit - room)), float(limit), unit)
        for name, amount, limit, room, unit in amounts
        if limit is not None and room is not None
    ]
    if given.max_changes is not None:
        found.append(
            LimitUse("max_changes", float(used.changes), float(given.max_changes), "servers")
        )
    if given.max_spot_share is not None:
        total = float(used.card_shares.sum())
        share = used.spot_cards(question) / total if total else 0.0
        found.append(LimitUse("max_spot_share", share, given.max_spot_share, "of cards"))
    pools = question.pools
    for index, name in enumerate(pools.quota_names):
        cards = int(used.cards[pools.quota == index].sum())
        found.append(
            LimitUse(f"quota: {name}", float(cards), float(pools.quota_cards[index]), "cards")
        )
    return tuple(found)


_UNITS = {
    ObjectiveName.COST.value: "per hour",
    ObjectiveName.ENERGY.value: "W",
    ObjectiveName.SLO_SLACK.value: "of targets used",
    ObjectiveName.CHANGES.value: "servers",
    ObjectiveName.FAIRNESS.value: "of the load of the worst class not served",
    "spill": "cards by rank of pool",
    "weighted": "weighted sum",
}


def unit_of(stage: str, currency: str) -> str:
    """Return the unit of what a stage minimizes, by its name."""
    if stage == ObjectiveName.COST.value:
        return f"{currency} {_UNITS[stage]}"
    worst = stage.removeprefix(f"{ObjectiveName.FAIRNESS.value}_")
    if worst != stage:
        return f"of the loads of the {worst} worst classes not served, added up"
    return _UNITS[stage]
