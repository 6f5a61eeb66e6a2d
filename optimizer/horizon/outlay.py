"""What schedules take and cost: starts, cards held, and the best commitment for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.question import UNLIMITED, Question
from optimizer.table import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Schedule:
    """Replicas of one server; arrays of shape (options of the schedule, hours).

    Attributes:
        server: Index of the server.
        options: Indices of the options that it uses.
        active: Position in `options` of the one that serves, by hour, shape (hours,).
        firm: Replicas running on reserved or on-demand cards.
        spot: Replicas running on spot cards.
    """

    server: int
    options: tuple[int, ...]
    active: IntArray
    firm: IntArray
    spot: IntArray

    @property
    def switches(self) -> int:
        """Times that it moves to another option."""
        return int(np.count_nonzero(np.diff(self.active)))


def starts(running: IntArray) -> IntArray:
    """Return the replicas that begin to serve in each hour; what the first hour has ran before."""
    began = np.zeros_like(running)
    began[..., 1:] = np.maximum(np.diff(running, axis=-1), 0)
    return began


def starting(running: IntArray, start_hours: int) -> IntArray:
    """Return the replicas that are starting in each hour, paid and not serving."""
    began = starts(running)
    held = np.zeros_like(running)
    for ahead in range(1, min(start_hours, running.shape[-1]) + 1):
        held[..., : running.shape[-1] - ahead] += began[..., ahead:]
    return held


def kept_up(running: IntArray, min_up: int) -> IntArray:
    """Return the fewest replicas, no fewer than these, that all run for the minimum once started.

    The oldest stop first, so that at least as many run as have started within the minimum.
    """
    if min_up <= 1:
        return running
    longer = running.copy()
    began = np.zeros_like(running)
    for hour in range(1, running.shape[-1]):
        young = began[..., max(1, hour - min_up + 1) : hour].sum(axis=-1)
        longer[..., hour] = np.maximum(running[..., hour], young)
        began[..., hour] = np.maximum(longer[..., hour] - longer[..., hour - 1], 0)
    return longer


def started_early(running: IntArray, min_up: int) -> IntArray:
    """Return the fewest replicas, no fewer than these, that start early enough for the minimum.

    Where `kept_up` lets replicas run on, these run before: the same rule, read backwards.
    """
    early: IntArray = kept_up(running[..., ::-1], min_up)[..., ::-1]
    return early


@dataclass(frozen=True, slots=True)
class Use:
    """What a schedule takes.

    Attributes:
        firm_cards: Cards on reserved or on-demand terms, (types, hours).
        spot_cards: Spot cards, (types, hours).
        firm_extra: What firm replicas cost beyond their cards, by type.
        spot_cost: Cost of spot replicas, by type.
        switch_cost: Cost of switches.
    """

    firm_cards: IntArray
    spot_cards: IntArray
    firm_extra: FloatArray
    spot_cost: FloatArray
    switch_cost: float

    @property
    def fixed_cost(self) -> float:
        """What it costs beside its firm cards."""
        return float(self.firm_extra.sum() + self.spot_cost.sum()) + self.switch_cost


def use_of(question: Question, schedule: Schedule) -> Use:
    """Return what a schedule takes."""
    shape = (len(question.offers), question.hours)
    firm_cards, spot_cards = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    firm_extra, spot_cost = np.zeros(shape[0]), np.zeros(shape[0])
    firm = schedule.firm + starting(schedule.firm, question.start_hours)
    spot = schedule.spot + starting(schedule.spot, question.start_hours)
    for place, index in enumerate(schedule.options):
        option = question.options[index]
        firm_cards[option.offer] += option.cards * firm[place]
        firm_extra[option.offer] += question.surcharge(option) * float(firm[place].sum())
        if spot[place].any():
            spot_cards[option.offer] += option.cards * spot[place]
            spot_cost[option.offer] += question.spot_price(option) * float(spot[place].sum())
    switching = (question.switch_cost or 0.0) * schedule.switches
    return Use(firm_cards, spot_cards, firm_extra, spot_cost, switching)


@dataclass(frozen=True, slots=True)
class Outlay:
    """What a set of schedules costs together.

    Attributes:
        committed: Cards committed, by type.
        firm_cards: Reserved and on-demand cards in use, (types, hours).
        spot_cards: Spot cards, (types, hours).
        committed_cost: Cost of commitments, by type.
        on_demand_cost: Cost of on-demand cards and of what replicas cost beyond theirs, by type.
        spot_cost: Cost of spot replicas, by type.
        switch_cost: Cost of switches.
    """

    committed: IntArray
    firm_cards: IntArray
    spot_cards: IntArray
    committed_cost: FloatArray
    on_demand_cost: FloatArray
    spot_cost: FloatArray
    switch_cost: float

    @property
    def cost(self) -> float:
        """Cost over the horizon."""
        kinds = (self.committed_cost, self.on_demand_cost, self.spot_cost)
        return float(sum(kind.sum() for kind in kinds)) + self.switch_cost

    def fits(self, question: Question) -> bool:
        """Return whether there are as many cards as it takes."""
        most_spot = np.array([offer.most_spot for offer in question.offers], dtype=np.int64)
        within = self.firm_cards + self.spot_cards <= question.limit
        return bool(
            within.all()
            and (self.spot_cards <= most_spot[:, None]).all()
            and not self.beyond_on_demand(question).any()
        )

    def beyond_on_demand(self, question: Question) -> IntArray:
        """Return the cards that are neither committed nor to be had on demand, (types, hours)."""
        most = np.array([offer.most_on_demand for offer in question.offers], dtype=np.int64)
        firm = self.firm_cards - self.committed[:, None]
        beyond: IntArray = np.maximum(firm - most[:, None], 0)
        return beyond


def outlay_of(question: Question, schedules: Sequence[Schedule], *, commit: bool = True) -> Outlay:
    """Return what schedules cost, with the cheapest commitment for them.

    Args:
        question: Prices and offers.
        schedules: One for each server.
        commit: Whether cards may be committed.
    """
    shape = (len(question.offers), question.hours)
    firm_cards, spot_cards = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    extra, spot_cost, switching = np.zeros(shape[0]), np.zeros(shape[0]), 0.0
    for schedule in schedules:
        use = use_of(question, schedule)
        firm_cards += use.firm_cards
        spot_cards += use.spot_cards
        extra += use.firm_extra
        spot_cost += use.spot_cost
        switching += use.switch_cost
    committed = np.zeros(shape[0], dtype=np.int64)
    if commit:
        committed = np.array(
            [_best_commitment(question, at, firm_cards[at]) for at in range(shape[0])],
            dtype=np.int64,
        )
    price = np.array([offer.price for offer in question.offers])
    term = np.array([offer.committed or 0.0 for offer in question.offers])
    on_demand = np.maximum(firm_cards - committed[:, None], 0).sum(axis=1)
    return Outlay(
        committed=committed,
        firm_cards=firm_cards,
        spot_cards=spot_cards,
        committed_cost=term * committed,
        on_demand_cost=price * on_demand + extra,
        spot_cost=spot_cost,
        switch_cost=switching,
    )


def _best_commitment(question: Question, offer_index: int, cards: IntArray) -> int:
    """Return the cheapest number of committed cards: a card pays where enough hours use it."""
    offer = question.offers[offer_index]
    if offer.committed is None or not cards.size:
        return 0
    ordered = np.sort(cards)[::-1]
    # Committing card n + 1 saves the hours in which more than n are in use.
    best = 0
    for position, level in enumerate(ordered.tolist(), start=1):
        if offer.price * position > offer.committed:
            best = int(level)
            break
    # What cannot be had on demand has to be committed, whether it pays or not.
    best = max(best, int(cards.max()) - offer.most_on_demand)
    return min(best, offer.most_committed, UNLIMITED)
