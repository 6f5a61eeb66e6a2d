"""What is asked over a horizon, without fleets and models: counts, prices, limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.horizon.spot import counted_on, most_useful, presence
from optimizer.table import BoolArray, IntArray

IMPOSSIBLE = -1
"""Need of an option in an hour that it cannot serve with any number of replicas."""

UNLIMITED = 1 << 40
"""Number of cards where there is no limit."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered of one card type.

    Attributes:
        name: Name of the type.
        price: Price of a card on demand, per hour.
        committed: Price of a committed card over the whole horizon; None where there is none.
        most_committed: Cards that can be committed, at most.
        spot_factor: Spot price over the price on demand; None where there are no spot cards.
        spot_share: Largest share of a server's replicas that may be spot.
        presence: Probability that a spot replica is there for all of an hour.
        most_spot: Spot cards at a time, at most.
        most_on_demand: Cards on demand at a time, at most, beside the committed ones.
    """

    name: str
    price: float
    committed: float | None = None
    most_committed: int = UNLIMITED
    spot_factor: float | None = None
    spot_share: float = 0.0
    presence: float = 1.0
    most_spot: int = UNLIMITED
    most_on_demand: int = UNLIMITED

    @classmethod
    def with_rate(cls, rate: float, start_hours: int, **values: object) -> Offer:
        """Return an offer whose spot replicas are interrupted at that rate an hour."""
        return cls(presence=presence(rate, start_hours), **values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Option:
    """A way to serve one server: an accelerator configuration.

    Attributes:
        server: Index of the server.
        name: Name of the accelerator.
        offer: Index of the card type.
        cards: Cards of a replica.
        price: Price of a replica on demand, per hour: at least that of its cards.
        need: Replicas needed in each hour, or `IMPOSSIBLE`.
        most: Replicas that may serve at a time.
        configuration: Name of the way of serving; None for the only one.
    """

    server: int
    name: str
    offer: int
    cards: int
    price: float
    need: tuple[int, ...]
    most: int = UNLIMITED
    configuration: str | None = None

    @property
    def peak(self) -> int:
        """Replicas needed in the busiest hour that it can serve."""
        return max(0, *self.need)


@dataclass(frozen=True, slots=True)
class Question:
    """A horizon to plan.

    Attributes:
        servers: Names of servers.
        offers: Card types.
        options: Ways to serve, sorted by server.
        limit: Cards of each type that there are in each hour, (types, hours).
        start_hours: Hours that a replica is held before it serves.
        min_up: Hours that a started replica runs at least.
        switch_cost: Cost of moving a server to another option; None where it keeps one.
        confidence: Of the number of spot replicas that are counted on.
    """

    servers: tuple[str, ...]
    offers: tuple[Offer, ...]
    options: tuple[Option, ...]
    limit: IntArray
    start_hours: int = 0
    min_up: int = 1
    switch_cost: float | None = None
    confidence: float = 0.999

    @property
    def hours(self) -> int:
        """Number of hours."""
        return int(self.limit.shape[1])

    @property
    def need(self) -> IntArray:
        """Replicas needed, (options, hours)."""
        return np.array([option.need for option in self.options], dtype=np.int64).reshape(
            len(self.options), self.hours
        )

    @property
    def limited(self) -> BoolArray:
        """Whether there is a limit of cards, (types, hours)."""
        return self.limit < UNLIMITED

    def of_server(self, server: int) -> list[int]:
        """Return the indices of the options of a server."""
        return [at for at, option in enumerate(self.options) if option.server == server]

    def surcharge(self, option: Option) -> float:
        """Return what a replica costs beyond its cards, per hour on demand."""
        return max(0.0, option.price - option.cards * self.offers[option.offer].price)

    def spot_price(self, option: Option) -> float:
        """Return the price of a spot replica per hour, infinite where there is none."""
        factor = self.offers[option.offer].spot_factor
        return np.inf if factor is None else factor * option.price

    def most_spot(self, option: Option) -> int:
        """Return the spot replicas beyond which none is of use."""
        offer = self.offers[option.offer]
        if offer.spot_factor is None:
            return 0
        useful = most_useful(option.peak, offer.spot_share, offer.presence, self.confidence)
        return min(useful, option.most, offer.most_spot // option.cards)

    def counted(self, option: Option, most: int) -> IntArray:
        """Return how many of 0, ..., `most` spot replicas can be counted on."""
        return counted_on(most, self.offers[option.offer].presence, self.confidence)

    def within(self, servers: set[int]) -> Question:
        """Return the question of some servers alone; indices of servers stay as they are."""
        kept = tuple(option for option in self.options if option.server in servers)
        return replace(self, options=kept)

    def with_options(self, kept: list[int]) -> Question:
        """Return the question with only these options."""
        return replace(self, options=tuple(self.options[at] for at in sorted(kept)))
