"""Pools as arrays: where cards stand, what they cost, and what bounds them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from optimizer.pooled.pool_nodes import largest_node, nodes_by_pool
from optimizer.table import BoolArray, FloatArray, IntArray
from optimizer.usage import card_counts
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.pools import Pool, PriceKind

NO_QUOTA = -1


@dataclass(frozen=True, slots=True)
class PoolArrays:
    """Pools of a fleet; arrays of shape (pools,).

    A card type without a pool is a pool of its own: its name, its count, the accelerators' prices.

    Attributes:
        pools: The pools.
        card_type: Index of the card type in the candidate table.
        cards: Cards that may be used.
        zone: Index of the zone; pools of a region that name none share one.
        spot: Whether its cards are spot.
        card_price: Price of a card per hour; NaN where the accelerator's counts.
        factor: Factor on the accelerator's price.
        interruptions: Interruptions of a replica per hour.
        node_cards: Cards of its largest node; all where unknown.
        quota: Index of the quota that it shares, or `NO_QUOTA`.
        quota_cards: Cards of each quota, shape (quotas,).
        quota_names: Names of the quotas.
        type_left: Cards of each type that are not taken beforehand, shape (types,).
        type_taken: Cards of each type that are, shape (types,).
    """

    pools: tuple[Pool, ...]
    card_type: IntArray
    cards: IntArray
    zone: IntArray
    spot: BoolArray
    card_price: FloatArray
    factor: FloatArray
    interruptions: FloatArray
    node_cards: IntArray
    quota: IntArray
    quota_cards: IntArray
    quota_names: tuple[str, ...]
    type_left: IntArray
    type_taken: IntArray

    @property
    def count(self) -> int:
        """Number of pools."""
        return len(self.pools)

    @property
    def zones(self) -> int:
        """Number of zones."""
        return int(self.zone.max(initial=-1)) + 1

    def index(self) -> dict[str, int]:
        """Return the index of each pool by name."""
        return {pool.name: index for index, pool in enumerate(self.pools)}


def pools_of(fleet: Fleet) -> tuple[Pool, ...]:
    """Return the pools of a fleet, those that its card types without a pool stand for included.

    Raises:
        InvalidInputError: A card type in pools has another count than they add up to.
    """
    pooled: dict[str, int] = {}
    for pool in fleet.pools:
        pooled[pool.card_type] = pooled.get(pool.card_type, 0) + pool.cards
    counts = card_counts(fleet)
    problems = [
        Problem(
            f"capacity.{name}",
            f"{counts[name]:,} cards, though its pools hold {cards:,}",
            "no count, or the sum of the pools",
        )
        for name, cards in pooled.items()
        if counts.get(name, cards) != cards
    ]
    if problems:
        raise InvalidInputError(problems)
    alone = [Pool(name, name, count) for name, count in counts.items() if name not in pooled]
    return (*fleet.pools, *alone)


def pool_arrays(fleet: Fleet, card_types: tuple[str, ...], taken: Mapping[str, int]) -> PoolArrays:
    """Return the pools of the card types of a table, those without cards apart.

    Args:
        fleet: The fleet.
        card_types: Card types of the candidate table.
        taken: Cards that are nobody's to give, by type; nobody knows which pool they stand in,
            unless their type is one pool.

    Raises:
        InvalidInputError: As `pools_of`.
    """
    types = {name: index for index, name in enumerate(card_types)}
    pools = tuple(pool for pool in pools_of(fleet) if pool.card_type in types)
    places = list(dict.fromkeys(pool.place for pool in pools))
    groups = {group.name: index for index, group in enumerate(fleet.quotas)}
    totals = np.zeros(len(card_types), dtype=np.int64)
    for pool in pools:
        totals[types[pool.card_type]] += pool.cards
    nodes, _ = nodes_by_pool(fleet.nodes, pools)
    held = np.array([taken.get(name, 0) for name in card_types], dtype=np.int64)
    return PoolArrays(
        pools=pools,
        card_type=_integers([types[pool.card_type] for pool in pools]),
        cards=_integers([pool.usable for pool in pools]),
        zone=_integers([places.index(pool.place) for pool in pools]),
        spot=np.array([pool.price_kind is PriceKind.SPOT for pool in pools], dtype=np.bool_),
        card_price=_floats(
            [
                np.nan if pool.price_per_card_hour is None else pool.price_per_card_hour
                for pool in pools
            ]
        ),
        factor=_floats([pool.price_factor for pool in pools]),
        interruptions=_floats([pool.interruptions_per_hour for pool in pools]),
        node_cards=_integers([largest_node(pool, nodes) for pool in pools]),
        quota=_integers(
            [
                NO_QUOTA if pool.quota_group is None else groups.get(pool.quota_group, NO_QUOTA)
                for pool in pools
            ]
        ),
        quota_cards=_integers([group.cards for group in fleet.quotas]),
        quota_names=tuple(group.name for group in fleet.quotas),
        type_left=np.maximum(totals - held, 0),
        type_taken=held,
    )


def _integers(values: list[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


def _floats(values: list[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)
