"""Options of a horizon, as the body of a request gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stoker.domain.horizon import (
    CardTerms,
    HorizonTerms,
    Missing,
    ReservedTerms,
    SpotTerms,
)
from stoker.domain.settings import Analysis

MAX_HOURS = 2_208
"""Most hours of a horizon: a quarter of a year."""

MAX_LINKED_HOURS = 168
"""Most hours of a start, and of a minimum up-time."""

_MOST_CARDS = 10_000_000

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Cards = Annotated[int, Field(ge=0, le=_MOST_CARDS)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ReservedOptions(_Options):
    """Cards that may be committed for the whole horizon."""

    price_factor: _Share = Field(description="Price of a committed card over that on demand.")
    most_cards: _Cards | None = Field(None, description="Cards that can be committed.")
    term_hours: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="Commitments are paid for multiples of it; for the horizon without."
    )

    def terms(self) -> ReservedTerms:
        """Return them as the domain has them."""
        return ReservedTerms(self.price_factor, self.most_cards, self.term_hours)


class SpotOptions(_Options):
    """Cards at a lower price that may be taken away."""

    price_factor: _Share = Field(description="Price of a spot card over that on demand.")
    interruptions_per_hour: Annotated[float, Field(ge=0, lt=10, allow_inf_nan=False)] = Field(
        0.05, description="Interruptions of a spot replica per hour."
    )
    most_share: _Share = Field(0.5, description="Largest share of a server's replicas.")
    most_cards: _Cards | None = Field(None, description="Spot cards at a time.")

    def terms(self) -> SpotTerms:
        """Return them as the domain has them."""
        return SpotTerms(
            self.price_factor, self.interruptions_per_hour, self.most_share, self.most_cards
        )


class CardOptions(_Options):
    """What is offered of one type of card."""

    reserved: ReservedOptions | None = Field(None, description="Commitments; none where null.")
    spot: SpotOptions | None = Field(None, description="Spot cards; none where null.")
    cards: Annotated[list[_Cards], Field(min_length=1, max_length=MAX_HOURS)] | None = Field(
        None, description="Cards of all kinds: one number, or one for each hour."
    )

    def terms(self) -> CardTerms:
        """Return them as the domain has them."""
        return CardTerms(
            None if self.reserved is None else self.reserved.terms(),
            None if self.spot is None else self.spot.terms(),
            None if self.cards is None else tuple(self.cards),
        )


class HorizonOptions(_Options):
    """How to plan a horizon."""

    quantile: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="Quantile of the weeks, or of the forecast, that the plan is for."
    )
    weekly: bool = Field(False, description="The rows are history: plan a week.")
    missing: Annotated[Missing, Field(strict=False)] = Field(
        Missing.ERROR, description="What an hour without a row means; never zero."
    )
    reserved: ReservedOptions | None = Field(None, description="Commitments of every type.")
    spot: SpotOptions | None = Field(None, description="Spot cards of every type.")
    card_types: dict[str, CardOptions] = Field(
        default_factory=dict, description="Types of which something else is offered."
    )
    start_up_hours: Annotated[int, Field(ge=0, le=MAX_LINKED_HOURS)] = Field(
        0, description="Hours that a replica is paid before it serves."
    )
    min_up_hours: Annotated[int, Field(ge=1, le=MAX_LINKED_HOURS)] = Field(
        1, description="Hours that a started replica runs at least."
    )
    switch_cost: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] | None = Field(
        None, description="Lets servers move between accelerators, at this cost each time."
    )
    confidence: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = Field(
        0.999, description="Probability that as many spot replicas are up as are counted on."
    )
    unlimited: bool = Field(False, description="Ignore how many cards the fleet has.")
    analysis: Annotated[Analysis | None, Field(strict=False)] = Field(
        None, description="Performance model; the fleet's own by default."
    )
    gap: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        0.01, description="Relative gap to prove."
    )
    time_limit_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Seconds for the search; most of the service's own are the longest."
    )

    def terms(self) -> HorizonTerms:
        """Return what the plan must heed."""
        every = CardOptions(reserved=self.reserved, spot=self.spot)
        by_type: Mapping[str, CardTerms] = {
            name: own.terms() for name, own in self.card_types.items()
        }
        return HorizonTerms(
            default=every.terms(),
            by_type=by_type,
            start_up_hours=self.start_up_hours,
            min_up_hours=self.min_up_hours,
            switch_cost=self.switch_cost,
            confidence=self.confidence,
            unlimited=self.unlimited,
        )
