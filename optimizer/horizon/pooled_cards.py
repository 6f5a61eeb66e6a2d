"""Pools as what a horizon knows of cards: on demand, to commit to, and spot, of each type.

Replicas in different pools of a type differ in the price of their cards alone, wherever no rule
names zones or pools. Pools of one kind and price are then one number of cards:

* on demand: cards that are paid by the hour;
* reserved: cards that may be committed for the whole horizon, at the pool's price, used or not;
* spot: cards at the pool's price, with its interruptions.

What cannot be said that way without a difference is refused: two prices of one kind, a quota over
several kinds or types, replicas of different sizes where cards are in several pools.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from optimizer.horizon.heeded import used_accelerators
from optimizer.horizon.question import UNLIMITED
from stoker.domain.accelerator import Accelerator
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import CardTerms, HorizonTerms, ReservedTerms, SpotTerms
from stoker.domain.pools import Pool, PriceKind

_ALIKE = 1e-9
"""Relative difference of prices that counts as none."""


@dataclass(frozen=True, slots=True)
class PooledCards:
    """Cards of one type that stand in pools.

    Attributes:
        on_demand: Cards that are paid by the hour.
        reserved: Cards that can be committed.
        spot: Spot cards.
        base: The pool whose prices are those on demand.
        reserved_factor: Price of a committed card over that on demand.
        spot_factor: The same of a spot card.
        interruptions_per_hour: Of a spot replica.
    """

    on_demand: int
    reserved: int
    spot: int
    base: Pool
    reserved_factor: float = 1.0
    spot_factor: float = 1.0
    interruptions_per_hour: float = 0.0

    @property
    def cards(self) -> int:
        """Cards of all kinds."""
        return self.on_demand + self.reserved + self.spot

    @property
    def most_on_demand(self) -> int:
        """Cards on demand beside committed ones.

        Without pools of other kinds any card may be on demand, committed or spot, and their number
        bounds all kinds together.
        """
        return self.on_demand if self.reserved or self.spot else UNLIMITED

    def price(self, cost_per_hour: float, cards: int) -> float:
        """Return the price on demand of a replica that costs so much by its accelerator."""
        own = self.base.price_per_card_hour
        return cost_per_hour * self.base.price_factor if own is None else own * cards


def pooled_cards(fleet: Fleet, terms: HorizonTerms) -> dict[str, PooledCards]:
    """Return the cards in pools, by type; types without pools are left out.

    Raises:
        InvalidInputError: What of the pools a horizon cannot heed, or is told twice.
    """
    problems = [*_told_twice(fleet, terms), *_quotas(fleet)]
    found = {}
    for card_type in dict.fromkeys(pool.card_type for pool in fleet.pools):
        own = [pool for pool in fleet.pools if pool.card_type == card_type]
        wrong = list(_sizes(fleet, own)) + list(_prices(fleet, own))
        problems += wrong
        if not wrong:
            found[card_type] = _cards(fleet, own)
    if problems:
        raise InvalidInputError(problems)
    return found


def terms_with_pools(
    fleet: Fleet, terms: HorizonTerms, pooled: dict[str, PooledCards]
) -> HorizonTerms:
    """Return terms with what the pools offer, and the share of spot replicas that limits allow."""
    most = fleet.limits.max_server_spot_share
    by_type = dict(terms.by_type)
    for name, cards in pooled.items():
        told = terms.of_type(name)
        reserved, spot = told.reserved, told.spot
        if cards.reserved:
            reserved = ReservedTerms(cards.reserved_factor, cards.reserved)
        if cards.spot:
            rate = cards.interruptions_per_hour
            spot = SpotTerms(cards.spot_factor, rate, 1.0, cards.spot)
        by_type[name] = CardTerms(reserved, spot, (cards.cards,))
    if most is None:
        return replace(terms, by_type=by_type)
    return replace(
        terms,
        default=_capped(terms.default, most),
        by_type={name: _capped(told, most) for name, told in by_type.items()},
    )


def notes_of(pooled: dict[str, PooledCards]) -> list[str]:
    """Return what a reader should know of types with pools."""
    mixed = [name for name, cards in pooled.items() if cards.reserved and cards.on_demand]
    if not mixed:
        return []
    return [
        f"commitments of {', '.join(mixed)} pay for as many firm replicas as there are, whichever "
        "these are; where they are tied to machines, replicas may have to move to them"
    ]


def _capped(told: CardTerms, most: float) -> CardTerms:
    if told.spot is None:
        return told
    return replace(told, spot=replace(told.spot, most_share=min(told.spot.most_share, most)))


def _of_kind(pools: Sequence[Pool], kind: PriceKind) -> list[Pool]:
    return [pool for pool in pools if pool.price_kind is kind]


def _accelerators(fleet: Fleet, card_type: str) -> list[Accelerator]:
    """Return the accelerators of whole cards of a type that some server's model is known on."""
    used = used_accelerators(fleet)
    return [
        item
        for item in fleet.accelerators
        if item.card_type == card_type and item.slice is None and item.name in used
    ]


def _replica_price(pool: Pool, item: Accelerator) -> float:
    if pool.price_per_card_hour is not None:
        return pool.price_per_card_hour * item.cards
    return item.cost_per_hour * pool.price_factor


def _base(fleet: Fleet, pools: Sequence[Pool]) -> Pool:
    """Return the pool whose prices are those on demand: the dearest where there is none."""
    on_demand = _of_kind(pools, PriceKind.ON_DEMAND)
    if on_demand:
        return on_demand[0]
    items = _accelerators(fleet, pools[0].card_type)
    return max(pools, key=lambda pool: sum(_replica_price(pool, item) for item in items))


def _factors(fleet: Fleet, pool: Pool, base: Pool) -> list[float]:
    """Return the prices of a pool over those on demand, of each accelerator."""
    found = []
    for item in _accelerators(fleet, pool.card_type):
        own, other = _replica_price(pool, item), _replica_price(base, item)
        found.append(own / other if other > 0 else 1.0 if own == 0 else math.inf)
    return found


def _prices(fleet: Fleet, pools: Sequence[Pool]) -> Iterator[Problem]:
    """Yield pools whose prices are not one factor for all pools of their kind."""
    base = _base(fleet, pools)
    for kind in PriceKind:
        own = _of_kind(pools, kind)
        factors = [(pool, factor) for pool in own for factor in _factors(fleet, pool, base)]
        if not factors:
            continue
        first = 1.0 if kind is PriceKind.ON_DEMAND else factors[0][1]
        for pool in dict.fromkeys(
            pool for pool, factor in factors if not math.isclose(factor, first, rel_tol=_ALIKE)
        ):
            yield Problem(
                f"pools.{pool.name}.{_price_field(pool)}",
                f"a second price of {kind.value} cards of {pool.card_type}: a horizon knows one "
                "for each type and kind, the same share of the price on demand for all its "
                "accelerators",
                f"the price of {own[0].name if pool is not own[0] else base.name}",
            )
        if kind is not PriceKind.ON_DEMAND and first > 1.0 + _ALIKE:
            yield Problem(
                f"pools.{own[0].name}.{_price_field(own[0])}",
                f"a {kind.value} card of {own[0].card_type} costs more than one on demand",
                f"at most the price of {base.name}",
            )
        if kind is PriceKind.SPOT:
            for pool in own:
                if pool.interruptions_per_hour != own[0].interruptions_per_hour:
                    yield Problem(
                        f"pools.{pool.name}.interruptions_per_hour",
                        f"{pool.interruptions_per_hour:g}: a horizon knows one rate for the spot "
                        "cards of a type",
                        f"{own[0].interruptions_per_hour:g}, as in {own[0].name}",
                    )
        if kind is PriceKind.RESERVED:
            each = {
                _replica_price(base, item) / item.cards
                for item in _accelerators(fleet, pools[0].card_type)
            }
            if each and not math.isclose(min(each), max(each), rel_tol=_ALIKE):
                yield Problem(
                    f"pools.{base.name}.price_factor",
                    f"cards of {base.card_type} cost {min(each):g} to {max(each):g} by "
                    "accelerator: what a committed one saves would depend on who uses it",
                    "price_per_card_hour, one price for every accelerator of the type",
                )


def _price_field(pool: Pool) -> str:
    return "price_factor" if pool.price_per_card_hour is None else "price_per_card_hour"


def _sizes(fleet: Fleet, pools: Sequence[Pool]) -> Iterator[Problem]:
    """Yield a type in several pools whose replicas are of several sizes."""
    sizes = sorted({item.cards for item in _accelerators(fleet, pools[0].card_type)})
    if len(pools) > 1 and len(sizes) > 1:
        yield Problem(
            f"pools.{pools[1].name}.card_type",
            f"{pools[0].card_type} is in {len(pools)} pools, and its replicas take "
            f"{', '.join(str(size) for size in sizes)} cards: which of them fit into which pool is "
            "no part of a horizon",
            "one pool, or replicas of one number of cards",
        )


def _quotas(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.quotas:
        pools = [pool for pool in fleet.pools if pool.quota_group == group.name]
        kinds = {(pool.card_type, pool.price_kind) for pool in pools}
        if len(kinds) > 1 and group.cards < sum(pool.usable for pool in pools):
            names = ", ".join(pool.name for pool in pools)
            yield Problem(
                f"quotas.{group.name}",
                f"{group.cards} cards of {names}, which are of several types or kinds: a horizon "
                "bounds each type and kind by itself",
                "a quota over pools of one card type and price kind",
            )


def _told_twice(fleet: Fleet, terms: HorizonTerms) -> Iterator[Problem]:
    """Yield what terms say of types whose pools say it too."""
    if fleet.pools and (terms.unlimited or fleet.settings.unlimited):
        field = "--unlimited" if terms.unlimited else "optimizer.unlimited"
        yield Problem(field, "true, in a fleet with pools", "false: the pools' cards are heeded")
    for pool in {pool.card_type: pool for pool in fleet.pools}.values():
        told = terms.of_type(pool.card_type)
        if told.cards is not None:
            yield Problem(
                f"card_types.{pool.card_type}.cards",
                "numbers of cards of a type that stands in pools",
                "the cards of its pools",
            )
    for kind, name in ((PriceKind.RESERVED, "reserved"), (PriceKind.SPOT, "spot")):
        for pool in {p.card_type: p for p in _of_kind(fleet.pools, kind)}.values():
            if getattr(terms.of_type(pool.card_type), name) is not None:
                yield Problem(
                    f"pools.{pool.name}.price_kind",
                    f"{kind.value}: what {name} cards of {pool.card_type} cost is told twice, here "
                    f"and with --{name}",
                    f"one of them; --{name} TYPE=FACTOR for types without {name} pools",
                )


def _cards(fleet: Fleet, pools: Sequence[Pool]) -> PooledCards:
    base = _base(fleet, pools)
    sizes = {item.cards for item in _accelerators(fleet, base.card_type)}
    unit = max(sizes, default=1) if len(pools) > 1 else 1
    reserved, spot = _of_kind(pools, PriceKind.RESERVED), _of_kind(pools, PriceKind.SPOT)
    return PooledCards(
        on_demand=_usable(fleet, _of_kind(pools, PriceKind.ON_DEMAND), unit),
        reserved=_usable(fleet, reserved, unit),
        spot=_usable(fleet, spot, unit),
        base=base,
        reserved_factor=_one_factor(fleet, reserved, base),
        spot_factor=_one_factor(fleet, spot, base),
        interruptions_per_hour=spot[0].interruptions_per_hour if spot else 0.0,
    )


def _one_factor(fleet: Fleet, pools: Sequence[Pool], base: Pool) -> float:
    factors = _factors(fleet, pools[0], base) if pools else []
    return min(1.0, factors[0]) if factors else 1.0


def _usable(fleet: Fleet, pools: Sequence[Pool], unit: int) -> int:
    """Return the cards of pools of one kind: whole replicas in each, within their quotas."""
    quota = {group.name: group.cards for group in fleet.quotas}
    total: dict[str | None, int] = {}
    for pool in pools:
        name = pool.quota_group if pool.quota_group in quota else None
        total[name] = total.get(name, 0) + pool.usable // unit * unit
    return sum(
        cards if name is None else min(cards, quota[name] // unit * unit)
        for name, cards in total.items()
    )
