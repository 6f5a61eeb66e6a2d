"""A fleet: everything a plan is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.accelerator import Accelerator
from stoker.domain.limits import COST_ALONE, NO_LIMITS, Limits, Objectives
from stoker.domain.nodes import Node
from stoker.domain.pools import Pool, PoolWishes, QuotaGroup
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Server
from stoker.domain.settings import STOKER_RULES, OptimizerSettings, PlanningRules
from stoker.domain.sharing import SharingGroup
from stoker.domain.slo import ServiceClass


@dataclass(frozen=True, slots=True)
class Capacity:
    """Cards of a type that a plan may use.

    Attributes:
        card_type: Type of card.
        count: Number of cards. A type without a count has no cards.
    """

    card_type: str
    count: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """Hardware, models, promises and load, validated and consistent.

    Names are unique within their kind and references resolve, except where a format allows a
    loose end (a server whose accelerator or profile is unknown is planned as unplaced).

    Attributes:
        currency: Code of the currency of all costs, e.g. ``USD``.
        accelerators: Accelerator configurations.
        capacity: Cards available, by type; of a type in pools, the sum of its pools.
        profiles: Performance of models on accelerators.
        service_classes: Service classes.
        servers: What to plan for.
        settings: The document's own optimizer settings.
        rules: Sizing rules of the document's format.
        name: Name of the fleet, for titles; may be empty.
        source: Where its figures come from, in words; may be empty.
        pools: Where the cards stand and what they cost there; types without a pool are one pool of
            their own.
        quotas: Quotas that several pools share.
        wishes: What servers ask of pools, by name of the server; a server may be left out.
        limits: Bounds on the plan as a whole, and its headroom.
        objectives: What the plan is to be best at.
        nodes: The machines that hold the cards, where they are told; names unique.
        sharing: Servers that may share replicas; each server is in one group at most.
    """

    currency: str
    accelerators: tuple[Accelerator, ...]
    capacity: tuple[Capacity, ...]
    profiles: tuple[ModelProfile, ...]
    service_classes: tuple[ServiceClass, ...]
    servers: tuple[Server, ...]
    settings: OptimizerSettings = field(default_factory=OptimizerSettings)
    rules: PlanningRules = STOKER_RULES
    name: str = ""
    source: str = ""
    pools: tuple[Pool, ...] = ()
    quotas: tuple[QuotaGroup, ...] = ()
    wishes: Mapping[str, PoolWishes] = field(default_factory=dict)
    limits: Limits = NO_LIMITS
    objectives: Objectives = COST_ALONE
    nodes: tuple[Node, ...] = ()
    sharing: tuple[SharingGroup, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether card types with a count are all that bounds a plan, and cost its one aim."""
        return (
            not self.pools
            and not self.quotas
            and not self.wishes
            and self.limits == NO_LIMITS
            and self.objectives == COST_ALONE
        )

    @property
    def priorities(self) -> dict[str, int]:
        """Priority by name of server, of those whose service class is known."""
        of_class = {item.name: item.priority for item in self.service_classes}
        return {
            item.name: of_class[item.service_class]
            for item in self.servers
            if item.service_class in of_class
        }
