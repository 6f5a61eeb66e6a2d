"""What would serve a server that a plan does not serve: targets, load, cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.plan_change import OwnAllocation
from stoker.domain.reasons import UnplacedReason


class Scope(StrEnum):
    """Which cards a server that is not served may count on."""

    CARDS_LEFT = "cards_left"
    """Those that nobody uses; all others stay as they are."""
    REPLANNED = "replanned"
    """All: the others may move, as long as everybody who is served stays so."""


@dataclass(frozen=True, slots=True)
class ReachableTargets:
    """The nearest latency targets that a server could be given.

    Attributes:
        scope: Which cards it may count on.
        factor: Smallest factor for all its latency targets with which it can be served; a hundredth
            tighter, it cannot.
        targets_ms: The targets times the factor, by statistic.
        own: What it would get.
    """

    scope: Scope
    factor: float
    targets_ms: Mapping[str, float]
    own: OwnAllocation


@dataclass(frozen=True, slots=True)
class FittingLoad:
    """The load that a server could be served with, within its targets.

    Attributes:
        scope: Which cards it may count on.
        share: Largest share of its arrival rate; with a hundredth more it cannot be served.
        arrival_rate_rps: That rate.
        own: What it would get.
    """

    scope: Scope
    share: float
    arrival_rate_rps: float
    own: OwnAllocation


@dataclass(frozen=True, slots=True)
class Purchase:
    """The fewest cards of one type with which a server can be served beside all that are now.

    Attributes:
        card_type: Type of the cards.
        cards: How many more; with one less it cannot.
        own: What the server would get.
        cost_change: What the plan would cost more per hour, other unserved servers left out.
    """

    card_type: str
    cards: int
    own: OwnAllocation
    cost_change: float


@dataclass(frozen=True, slots=True)
class UnplacedExplanation:
    """What would serve a server that is not served in full.

    Attributes:
        server: Name of the server.
        reason: Why it is not, in one word.
        detail: Why, in a sentence with figures.
        remedy: What would mend it.
        reachable: Nearest targets in each scope; none where no loosening of latencies helps.
        loads: Loads that would fit in each scope; none where no load above a ten-thousandth does.
        purchases: Cards to buy, by type, the fewest first; none where cards are not what lacks.
    """

    server: str
    reason: UnplacedReason
    detail: str
    remedy: str
    reachable: tuple[ReachableTargets, ...] = ()
    loads: tuple[FittingLoad, ...] = ()
    purchases: tuple[Purchase, ...] = ()
