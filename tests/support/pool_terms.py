"""Words of small instances over pools: servers, offers to them, ways to treat them."""

from __future__ import annotations

from dataclasses import dataclass, field

from stoker.domain.accelerator import Slice
from stoker.domain.limits import Limits, Objectives
from stoker.domain.nodes import Node
from stoker.domain.pools import NO_WISHES, Pool, PoolWishes, QuotaGroup
from tests.support.naive_cards import naive_per_card, naive_share

EPS = 1e-9


@dataclass(frozen=True)
class Offer:
    """A candidate: a configuration with what its replicas take, cost and draw.

    With prefill replicas it is two pools that are taken whole: one replica that takes all cards.
    On a slice of a card, cards are cut in the pools where its replicas stand.
    """

    accelerator: int
    card_type: str
    cards: int
    unit_cost: float
    replicas: int
    watts: float | None = 100.0
    idle_watts: float | None = 20.0
    target_use: float = 0.5
    configuration: int = 0
    batch: int = 1
    prefill: int = 0
    decode: int = 0
    slice: Slice | None = None

    @property
    def share(self) -> float:
        """Cards of a replica, a slice by its share of one."""
        return self.cards if self.slice is None else naive_share(self.slice)

    @property
    def counts_as(self) -> int:
        """How many replicas one of it is: of two pools those of both."""
        return self.prefill + self.decode if self.prefill else 1

    def held_by(self, cards: int) -> int:
        """How many replicas so many cards hold with nobody else on them."""
        if self.slice is None:
            return cards // self.cards
        return cards * naive_per_card(self.slice)

    @property
    def key(self) -> tuple[int, int, int, int]:
        """What no other offer of the server has, in the order of candidates."""
        return self.accelerator, self.configuration, self.prefill, self.batch


@dataclass(frozen=True)
class Now:
    """What runs for a server; for two pools the replicas of both."""

    accelerator: int
    replicas: int
    configuration: int = 0
    prefill: int = 0
    batch: int | None = None
    where: tuple[int, ...] | None = None  # replicas by pool, where that is told

    def stays(self, offer: Offer) -> bool:
        """Whether an offer keeps accelerator, configuration and way of serving."""
        return (self.accelerator, self.configuration, self.prefill > 0) == (
            offer.accelerator,
            offer.configuration,
            offer.prefill > 0,
        )

    def units(self, offer: Offer) -> int:
        """How many replicas of an offer it is; 0 where it is none or another split."""
        if not self.stays(offer):
            return 0
        if not offer.prefill:
            return self.replicas
        return int((offer.prefill, offer.decode) == (self.prefill, self.replicas - self.prefill))

    def same_batch(self, offer: Offer) -> bool:
        return self.batch in (None, offer.batch)

    def same_place(self, offer: Offer, where: tuple[int, ...]) -> bool:
        if self.where is None:
            return True
        if not offer.prefill:
            return where == self.where
        return [n > 0 for n in where] == [n > 0 for n in self.where]


@dataclass(frozen=True)
class Client:
    """A server: its priority, class, load, offers, bounds, wishes, and what runs now."""

    priority: int
    rate: float
    offers: tuple[Offer, ...]
    group: int = 0  # service class among those of its priority
    most: int = 10_000
    wishes: PoolWishes = NO_WISHES
    now: Now | None = None


@dataclass(frozen=True)
class Together:
    """Servers that may share replicas: an offer to all of them, and what each uses of a target."""

    members: tuple[int, ...]
    offer: Offer
    uses: tuple[float, ...]
    most: int = 10_000


@dataclass(frozen=True)
class Instance:
    """Servers, pools and rules."""

    clients: tuple[Client, ...]
    pools: tuple[Pool, ...]
    quotas: tuple[QuotaGroup, ...] = ()
    limits: Limits = field(default_factory=Limits)
    objectives: Objectives = field(default_factory=Objectives)
    penalty: float = 0.1
    nodes: tuple[Node, ...] = ()  # each names its pool; none where nodes do not count
    sets: tuple[Together, ...] = ()


@dataclass(frozen=True)
class Way:
    """One way to treat a server."""

    offer: Offer | None
    where: tuple[int, ...]  # replicas by pool
    serves: bool
    changed: bool
    share: float  # of the load that is carried
    value: float
    use: float = 0.0  # of its tightest target
    members: tuple[int, ...] = ()  # who shares the replicas, where that is more than one

    @property
    def total(self) -> int:
        return sum(self.where)


@dataclass(frozen=True)
class BestPlan:
    """What the best plans have in common."""

    served: tuple[int, ...]
    stages: tuple[float, ...]
    cards: int
    plans: int
