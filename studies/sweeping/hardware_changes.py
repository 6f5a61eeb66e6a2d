"""Pure changes of what a fleet runs on and is bound by: prices, cards, pools and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from optimizer.configurations.running import RunningAllocations
from optimizer.pooled.cut import card_share
from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.limits import Survival
from stoker.domain.pools import Pool
from stoker.domain.server import Allocation, Server
from studies.sweeping.values import Value, new_figure

_PRICE_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class PriceChange:
    """Change of prices; a number is the price of one card, or of one unit.

    Of the price of a card a slice costs its share. What runs now at the fleet's own prices is
    priced anew with them. Pools follow by their factors; one with a price of its own keeps it,
    unless the prices of its type are multiplied.

    Attributes:
        accelerators: Names of the accelerators.
        per_card: Whether a number is the price of a card, else of a whole unit.
    """

    accelerators: frozenset[str]
    per_card: bool

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with those prices."""
        old = {item.name: item for item in fleet.accelerators}
        changed = tuple(
            self._priced(item, value) if item.name in self.accelerators else item
            for item in fleet.accelerators
        )
        new = {item.name: item for item in changed}
        running = RunningAllocations(fleet)

        def repriced(server: Server) -> Server:
            now = server.current
            if now is None or now.accelerator not in self.accelerators:
                return server
            count = running.of(server, now).units
            before = old[now.accelerator].cost_per_hour * count
            if not math.isclose(now.cost_per_hour, before, rel_tol=_PRICE_ROUNDING):
                return server
            return replace(server, current=_priced_at(now, new[now.accelerator], count))

        return replace(
            fleet,
            accelerators=changed,
            servers=tuple(map(repriced, fleet.servers)),
            pools=tuple(self._pool(fleet, pool, value) for pool in fleet.pools),
        )

    def _pool(self, fleet: Fleet, pool: Pool, value: Value) -> Pool:
        """Return a pool with its own price multiplied too, where all of its type is."""
        mine = {item.name for item in fleet.accelerators if item.card_type == pool.card_type}
        if not (value.multiple and self.per_card and mine <= self.accelerators):
            return pool
        return pool if pool.price_per_card_hour is None else _with_price(pool, value)

    def _priced(self, item: Accelerator, value: Value) -> Accelerator:
        cards = _cards_of(item) if self.per_card and not value.multiple else 1.0
        return replace(item, cost_per_hour=new_figure(value, item.cost_per_hour) * cards)


def _cards_of(item: Accelerator) -> float:
    """Return the cards of one unit; of a slice its share of one, as pools price it."""
    return float(item.cards) if item.slice is None else card_share(item.slice)


def _priced_at(now: Allocation, accelerator: Accelerator, units: int) -> Allocation:
    return replace(now, cost_per_hour=accelerator.cost_per_hour * units)


@dataclass(frozen=True, slots=True)
class CardsChange:
    """Change of card counts; multiples are rounded down, as `scale_capacity` does.

    Attributes:
        card_types: The types.
    """

    card_types: tuple[str, ...]

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with those counts."""
        pools = tuple(
            _with_cards(pool, new_count(value, pool.cards))
            if pool.card_type in self.card_types
            else pool
            for pool in fleet.pools
        )
        counts = dict.fromkeys(self.card_types, 0)
        for item in fleet.capacity:
            if item.card_type in counts:
                counts[item.card_type] += item.count
        counts = {name: new_count(value, count) for name, count in counts.items()}
        return _with_counts(replace(fleet, pools=pools), counts)


@dataclass(frozen=True, slots=True)
class PoolCardsChange:
    """Change of the number of cards of one pool.

    Attributes:
        pool: Its name.
    """

    pool: str

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that pool, and the cards of its type added up anew."""
        pools = tuple(
            _with_cards(pool, new_count(value, pool.cards)) if pool.name == self.pool else pool
            for pool in fleet.pools
        )
        return _with_counts(replace(fleet, pools=pools), {})


@dataclass(frozen=True, slots=True)
class PoolPriceChange:
    """Change of the price of a card of one pool.

    Attributes:
        pool: Its name.
    """

    pool: str

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that price; a multiple multiplies what its cards cost now."""
        return replace(
            fleet,
            pools=tuple(
                _with_price(pool, value) if pool.name == self.pool else pool for pool in fleet.pools
            ),
        )


def _with_price(pool: Pool, value: Value) -> Pool:
    if not value.multiple:
        return replace(pool, price_per_card_hour=value.number)
    if pool.price_per_card_hour is None:
        return replace(pool, price_factor=new_figure(value, pool.price_factor))
    return replace(pool, price_per_card_hour=new_figure(value, pool.price_per_card_hour))


def new_count(value: Value, own: int) -> int:
    """Return a whole number, or a multiple of the fleet's own rounded down, in exact decimals."""
    exact = Fraction(repr(value.number or 0.0))
    return math.floor(own * exact if value.multiple else exact)


def _with_cards(pool: Pool, cards: int) -> Pool:
    """Return a pool of so many cards: nodes are taken away, or added like those that it has."""
    sizes = [size for size in pool.node_cards if size > 0]
    nodes: list[int] = []
    while sizes and sum(nodes) < cards:
        nodes.append(min(sizes[len(nodes) % len(sizes)], cards - sum(nodes)))
    return replace(pool, cards=cards, node_cards=tuple(nodes))


def _with_counts(fleet: Fleet, counts: Mapping[str, int]) -> Fleet:
    """Return the fleet with these cards by type; types in pools have the sum of their pools."""
    every = dict(counts)
    for name in dict.fromkeys(pool.card_type for pool in fleet.pools):
        every[name] = sum(pool.cards for pool in fleet.pools if pool.card_type == name)
    others = tuple(item for item in fleet.capacity if item.card_type not in every)
    own = tuple(Capacity(name, count) for name, count in every.items())
    return replace(fleet, capacity=others + own)


@dataclass(frozen=True, slots=True)
class LimitChange:
    """Change of a limit or of the headroom of the plan as a whole.

    Attributes:
        field: Field of `Limits` or of `Headroom`.
        of_headroom: Whether it is one of the headroom.
        whole: Whether it is a whole number.
    """

    field: str
    of_headroom: bool = False
    whole: bool = False

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that limit; the word ``none`` takes it away."""
        new: object
        if value.number is None:
            new = None if value.word == "none" else Survival(value.word)
        else:
            new = int(value.number) if self.whole else value.number
        given: dict[str, object] = {self.field: new}
        if not self.of_headroom:
            limits = replace(fleet.limits, **given)  # type: ignore[arg-type]
            return replace(fleet, limits=limits)
        headroom = replace(fleet.limits.headroom, **given)  # type: ignore[arg-type]
        return replace(fleet, limits=replace(fleet.limits, headroom=headroom))
