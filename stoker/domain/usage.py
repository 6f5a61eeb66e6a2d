"""What a plan uses of what there is: cards, pools, and limits over all of it."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.pools import PriceKind


@dataclass(frozen=True, slots=True)
class CardUsage:
    """Cards of a type that a plan uses, of those available (None: capacity was ignored)."""

    card_type: str
    used: int
    available: int | None
    cost_per_hour: float


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """Cards of a pool that a plan uses.

    Attributes:
        pool: Name of the pool.
        card_type: Type of its cards.
        region: Its region; None where it has none.
        zone: Its zone; None where it has none.
        cluster: Its cluster; None where it has none.
        price_kind: How its cards are paid for.
        used: Cards used.
        available: Cards that may be used.
        replicas: Replicas that stand in it.
        cost_per_hour: What they cost.
        interruptions_per_hour: Replicas expected to be interrupted each hour.
    """

    pool: str
    card_type: str
    region: str | None
    zone: str | None
    cluster: str | None
    price_kind: PriceKind
    used: int
    available: int
    replicas: int
    cost_per_hour: float
    interruptions_per_hour: float


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of a limit over the whole plan is used, what is kept as it runs included.

    Attributes:
        name: Name of the limit, as in a fleet; ``quota: NAME`` for a quota that pools share.
        used: What the plan uses.
        limit: What it may use.
        unit: Unit of both.
    """

    name: str
    used: float
    limit: float
    unit: str
