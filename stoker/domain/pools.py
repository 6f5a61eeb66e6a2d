"""Pools: cards of one type in one place at one price, and what servers ask of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PriceKind(StrEnum):
    """How the cards of a pool are paid for."""

    ON_DEMAND = "on-demand"
    RESERVED = "reserved"
    SPOT = "spot"
    """Cheaper, and taken away at short notice."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Cards of one type in one region, zone and cluster, paid for alike.

    Attributes:
        name: Unique name.
        card_type: Type of its cards.
        cards: Number of cards.
        region: Region; None where the fleet does not tell regions apart.
        zone: Zone of the region, which fails as one; pools of a region without a zone are one zone.
        cluster: Cluster, for reports.
        price_kind: How its cards are paid for.
        price_per_card_hour: Price of one card, in the fleet's currency per hour; None for the
            accelerator's price times `price_factor`.
        price_factor: Factor on the price of the accelerator.
        quota: Cards that may be used at most; None for all of them.
        quota_group: Name of a quota that it shares with other pools; None for none.
        interruptions_per_hour: How often a replica here is interrupted, on average (spot only).
        node_cards: Cards of each of its nodes; empty where unknown: the pool then counts as one
            node.
    """

    name: str
    card_type: str
    cards: int
    region: str | None = None
    zone: str | None = None
    cluster: str | None = None
    price_kind: PriceKind = PriceKind.ON_DEMAND
    price_per_card_hour: float | None = None
    price_factor: float = 1.0
    quota: int | None = None
    quota_group: str | None = None
    interruptions_per_hour: float = 0.0
    node_cards: tuple[int, ...] = ()

    @property
    def usable(self) -> int:
        """Cards that a plan may use."""
        return self.cards if self.quota is None else min(self.cards, self.quota)

    @property
    def place(self) -> tuple[str | None, str | None]:
        """What it fails together with: region and zone."""
        return self.region, self.zone


@dataclass(frozen=True, slots=True)
class QuotaGroup:
    """Cards that several pools may give at most, together."""

    name: str
    cards: int


@dataclass(frozen=True, slots=True)
class PoolWishes:
    """What a server asks of the pools that it is placed in.

    Attributes:
        pools: The only pools that it may use; empty for all.
        prefer_pools: Pools to fill before others are used, in this order.
        spread_zones: Zones that its replicas stand in at least.
        max_zone_share: Largest share of its replicas in one zone; None for no bound.
        max_spot_share: Largest share of its replicas on spot cards; None for no bound of its own.
    """

    pools: tuple[str, ...] = ()
    prefer_pools: tuple[str, ...] = ()
    spread_zones: int = 1
    max_zone_share: float | None = None
    max_spot_share: float | None = None


NO_WISHES = PoolWishes()
"""What a server asks that says nothing about pools."""
