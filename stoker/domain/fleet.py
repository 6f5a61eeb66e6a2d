"""A fleet: everything a plan is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from stoker.domain.accelerator import Accelerator
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Server
from stoker.domain.settings import STOKER_RULES, OptimizerSettings, PlanningRules
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
        capacity: Cards available, by type.
        profiles: Performance of models on accelerators.
        service_classes: Service classes.
        servers: What to plan for.
        settings: The document's own optimizer settings.
        rules: Sizing rules of the document's format.
        name: Name of the fleet, for titles; may be empty.
        source: Where its figures come from, in words; may be empty.
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
