"""Prices of cards by type and hour, and the lower bounds that they prove.

Cards couple servers: by commitments, which all of a type share, and by limits. Lagrange's way puts
a price on the cards of each type and hour, at which each server's cheapest schedule stands alone.
For a committed card the prices of its hours add up to no more than it costs, and none exceeds the
price on demand. The least total at any such prices, less what the limits are worth at them, is a
proven lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.horizon.pricing import Prices
from optimizer.horizon.question import UNLIMITED, Question
from optimizer.table import BoolArray, FloatArray

_HALVINGS = 45
"""Halvings of the interval in which a projection looks."""


@dataclass(frozen=True, slots=True)
class Multipliers:
    """Prices of firm cards as far as commitments go, of limits, and of limits of spot cards.

    Arrays (types, hours).
    """

    firm: FloatArray
    limit: FloatArray
    spot: FloatArray

    @property
    def prices(self) -> Prices:
        """Prices of cards."""
        return Prices(self.firm + self.limit, self.limit + self.spot)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What servers cost at prices on their own.

    Attributes:
        bound: Lower bound of the cost.
        firm: Firm cards that they take, (types, hours).
        spot: Spot cards that they take, (types, hours).
    """

    bound: float
    firm: FloatArray
    spot: FloatArray


class PriceSpace:
    """The prices that prove a bound of a question."""

    def __init__(self, question: Question) -> None:
        self.shape = question.limit.shape
        self.price = np.array([offer.price for offer in question.offers])[:, None]
        self.term = np.array(
            [np.inf if offer.committed is None else offer.committed for offer in question.offers]
        )
        self.most = np.array([float(offer.most_committed) for offer in question.offers])
        self._capped = self.most < UNLIMITED
        self._reserved = np.isfinite(self.term)
        self.limited = may_bind(question)
        self.spot_limited = _spot_may_bind(question)
        self._limit = np.where(self.limited, question.limit, 0).astype(np.float64)
        most_spot = np.array([float(offer.most_spot) for offer in question.offers])
        self._most_spot = np.where(self.spot_limited, most_spot[:, None], 0.0)

    def start(self) -> Multipliers:
        """Return prices at which every hour of a commitment costs the same, and limits nothing."""
        even = np.minimum(self.term / max(1, self.shape[1]), self.price[:, 0])
        nothing = np.zeros(self.shape)
        return Multipliers(np.repeat(even[:, None], self.shape[1], axis=1), nothing, nothing)

    def bound(self, at: Multipliers, least: float) -> float:
        """Return the lower bound that the least cost of all servers proves at these prices."""
        paid = float((self._limit * at.limit).sum() + (self._most_spot * at.spot).sum())
        over = np.maximum(at.firm.sum(axis=1) - self.term, 0.0)[self._capped & self._reserved]
        paid += float((over * self.most[self._capped & self._reserved]).sum())
        value = least - paid
        return value - 1e-9 * abs(value)

    def slope(self, at: Multipliers, found: Evaluation) -> Multipliers:
        """Return the direction in which the bound rises: cards taken, less those that there are."""
        beyond = self._capped & self._reserved & (at.firm.sum(axis=1) > self.term)
        firm = found.firm - np.where(beyond, self.most, 0.0)[:, None]
        limit = np.where(self.limited, found.firm + found.spot - self._limit, 0.0)
        spot = np.where(self.spot_limited, found.spot - self._most_spot, 0.0)
        return Multipliers(firm, limit, spot)

    def steepness(self, at: Multipliers, slope: Multipliers) -> float:
        """Return the squared length of a slope, as far as it leads to other prices."""
        firm = slope.firm - slope.firm.mean(axis=1, keepdims=True)
        limit = np.where((at.limit > 0) | (slope.limit > 0), slope.limit, 0.0)
        spot = np.where((at.spot > 0) | (slope.spot > 0), slope.spot, 0.0)
        return float(sum(((self.price * part) ** 2).sum() for part in (firm, limit, spot)))

    def moved(self, at: Multipliers, slope: Multipliers, step: float) -> Multipliers:
        """Return the prices a step further along a slope, back among those that prove a bound.

        Dear cards move further: what a step changes is their cost.
        """
        scale = step * self.price**2
        return Multipliers(
            self._within_term(at.firm + scale * slope.firm),
            np.where(self.limited, np.maximum(at.limit + scale * slope.limit, 0.0), 0.0),
            np.where(self.spot_limited, np.maximum(at.spot + scale * slope.spot, 0.0), 0.0),
        )

    def _within_term(self, firm: FloatArray) -> FloatArray:
        """Return the nearest prices of firm cards that are allowed."""
        near = np.where(self._reserved[:, None], np.clip(firm, 0.0, self.price), self.price)
        over = self._reserved & ~self._capped & (near.sum(axis=1) > self.term)
        if not over.any():
            return near
        rows = np.flatnonzero(over)
        low, high = np.zeros(len(rows)), np.maximum(firm[rows].max(axis=1), 0.0)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            total = np.clip(firm[rows] - middle[:, None], 0.0, self.price[rows]).sum(axis=1)
            above = total > self.term[rows]
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        near[rows] = np.clip(firm[rows] - high[:, None], 0.0, self.price[rows])
        return near


def may_bind(question: Question) -> BoolArray:
    """Return where a limit of cards may matter, (types, hours)."""
    most = _most_cards(question, beyond=2.0)
    return question.limited & (most > question.limit)


def _spot_may_bind(question: Question) -> BoolArray:
    """Return where a limit of spot cards may matter, (types, hours)."""
    most_spot = np.array([offer.most_spot for offer in question.offers], dtype=np.int64)
    limited = (most_spot < UNLIMITED)[:, None] & np.ones(question.limit.shape, dtype=np.bool_)
    return limited & (_most_cards(question, beyond=2.0) > most_spot[:, None])


def _most_cards(question: Question, beyond: float) -> FloatArray:
    """Return cards that no schedule of sense takes more than, (types, 1)."""
    most = np.zeros((len(question.offers), 1))
    largest: dict[tuple[int, int], float] = {}
    for option in question.options:
        key = (option.offer, option.server)
        running = option.peak + question.most_spot(option)
        largest[key] = max(largest.get(key, 0.0), beyond * running * option.cards)
    for (offer, _), cards in largest.items():
        most[offer, 0] += cards
    return most
