"""Parameters of prices and cards, bound to a fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from stoker.domain.fleet import Fleet
from studies.sweeping.changes import Change
from studies.sweeping.domains import AMOUNT, COUNT, COUNTS_OF_POOLS, Domain
from studies.sweeping.hardware_changes import (
    CardsChange,
    PoolCardsChange,
    PoolPriceChange,
    PriceChange,
)
from studies.sweeping.names import (
    UnknownNameError,
    accelerators_named,
    card_types_named,
    listed,
    pool_named,
)


def price_parameter(fleet: Fleet, selector: str) -> tuple[Change, Domain]:
    """Return the change of prices, and its values.

    Pools with a price of their own follow multiples of all of their type alone. Where a type has
    no other pools, any other price would move nothing.

    Raises:
        UnknownNameError: The selector names nothing, or what no value would move.
    """
    if pool := pool_named(fleet, selector):
        return PoolPriceChange(pool), AMOUNT
    accelerators, per_card = accelerators_named(fleet, selector)
    change = PriceChange(accelerators, per_card)
    for card_type, pools in _priced_by_pools(fleet, accelerators):
        message = f"each pool of {card_type} has a price of its own"
        names = [f"price.pool:{name}" for name in pools]
        if not per_card:
            allowed = f"{listed(names)}, or multiples of price.type:{card_type}"
            raise UnknownNameError(f"moves nothing: {message}", allowed)
        return change, replace(AMOUNT, unfit=f"moves nothing: {message}, {listed(names)}")
    return change, AMOUNT


def _priced_by_pools(
    fleet: Fleet, accelerators: frozenset[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the types of accelerators whose pools all have a price of their own, and the pools."""
    types = (item.card_type for item in fleet.accelerators if item.name in accelerators)
    for card_type in dict.fromkeys(types):
        pools = [pool for pool in fleet.pools if pool.card_type == card_type]
        if pools and all(pool.price_per_card_hour is not None for pool in pools):
            yield card_type, tuple(pool.name for pool in pools)


def cards_parameter(fleet: Fleet, selector: str) -> tuple[Change, Domain]:
    """Return the change of the number of cards, and its values."""
    if pool := pool_named(fleet, selector):
        return PoolCardsChange(pool), COUNT
    types = card_types_named(fleet, selector)
    several = Counter(pool.card_type for pool in fleet.pools)
    split = any(several[name] > 1 for name in types)
    # A number does not tell which of several pools its cards are in.
    return CardsChange(types), COUNTS_OF_POOLS if split else COUNT
