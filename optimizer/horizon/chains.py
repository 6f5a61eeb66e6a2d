"""Options hour after hour: how many spot replicas run, and so how many firm ones must.

A start is paid at the price of running, in the hours before it. A replica that would be of no use
for as long as a start takes is therefore as well stopped and started again, and one that is needed
again sooner as well kept: with k hours of start-up the replicas held in an hour are the most that
run in it and the k hours after. None need ever run that the hour has no use for, so that the spot
replicas of an hour say all of it, and with one hour of start-up what is held follows from two hours
that are next to each other. With more, hours further on count by what they need at least, which
makes the least cost a lower bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.question import IMPOSSIBLE, Question
from optimizer.horizon.spot import fewest_firm
from optimizer.table import BoolArray, FloatArray, IntArray

MOST_AT_ONCE = 2_000_000
"""Pairs of states of neighbouring hours that are looked at together."""

_WIDER = 1.3
"""Most that a batch of options may have more states than its smallest."""

FirmCost = Callable[[int, FloatArray], FloatArray]
"""Cost of an hour for numbers of firm replicas held, (options, ...)."""


@dataclass(frozen=True, slots=True)
class Chains:
    """Options with about as many states.

    Attributes:
        options: Their indices.
        spot: Spot replicas of each state, (options, states).
        firm: Firm replicas that each state needs in each hour, (hours, options, states).
        able: Whether the state serves the hour, (hours, options, states).
        floor: Firm replicas held for hours further on than the next, (hours, options).
    """

    options: IntArray
    spot: FloatArray
    firm: FloatArray
    able: BoolArray
    floor: FloatArray

    def take(self, rows: IntArray) -> Chains:
        """Return some of the options."""
        if len(rows) == len(self.options):
            return self
        return Chains(
            self.options[rows],
            self.spot[rows],
            self.firm[:, rows],
            self.able[:, rows],
            self.floor[:, rows],
        )

    def cheapest(
        self, firm_cost: FirmCost, spot_price: FloatArray, linked: bool
    ) -> tuple[FloatArray, IntArray]:
        """Return the least cost of each option, and the states of a way that has it.

        Args:
            firm_cost: Cost of firm replicas held.
            spot_price: Price of a spot replica in each hour, (options, hours).
            linked: Whether replicas are held for the next hour already.

        Returns:
            Cost (infinite where impossible), (options,), and states, (hours, options).
        """
        hours, count, _ = self.firm.shape
        value = np.where(self.able[0], 0.0, np.inf)
        before = np.zeros(self.firm.shape, dtype=np.int32)
        for hour in range(hours - 1):
            floor = self.floor[hour][:, None, None]
            if linked:
                held = np.maximum(self.firm[hour][:, :, None], self.firm[hour + 1][:, None, :])
                spots = np.maximum(self.spot[:, :, None], self.spot[:, None, :])
            else:
                held, spots = self.firm[hour][:, :, None], self.spot[:, :, None]
            cost = firm_cost(hour, np.maximum(held, floor))
            cost = cost + spot_price[:, hour, None, None] * spots + value[:, :, None]
            if linked:
                before[hour + 1] = cost.argmin(axis=1)
                value = cost.min(axis=1)
            else:
                before[hour + 1] = cost[:, :, 0].argmin(axis=1)[:, None]
                value = np.repeat(cost[:, :, 0].min(axis=1)[:, None], value.shape[1], axis=1)
            value[~self.able[hour + 1]] = np.inf
        last = hours - 1
        value = value + firm_cost(last, self.firm[last][:, :, None])[:, :, 0]
        value = value + spot_price[:, last, None] * self.spot
        states = np.zeros((hours, count), dtype=np.int64)
        states[last] = value.argmin(axis=1)
        rows = np.arange(count)
        for hour in range(last, 0, -1):
            states[hour - 1] = before[hour, rows, states[hour]]
        return value[rows, states[last]], states

    def path(self, row: int, states: IntArray) -> tuple[IntArray, IntArray]:
        """Return firm and spot replicas of an option in given states, each (hours,)."""
        own = states[:, row]
        firm = self.firm[np.arange(len(own)), row, own]
        return firm.astype(np.int64), self.spot[row, own].astype(np.int64)


def build_chains(question: Question) -> list[Chains]:
    """Return all options of a question, in batches."""
    spots = [_states(question, at) for at in range(len(question.options))]
    order = sorted(range(len(spots)), key=lambda at: len(spots[at]))
    groups: list[list[int]] = []
    for at in order:
        if groups and len(spots[at]) <= _WIDER * len(spots[groups[-1][0]]) + 1:
            groups[-1].append(at)
        else:
            groups.append([at])
    return [_batch(question, group, [spots[at] for at in group]) for group in groups]


def _states(question: Question, at: int) -> IntArray:
    """Return the numbers of spot replicas of use: the fewest for each that can be counted on."""
    option = question.options[at]
    counted = question.counted(option, question.most_spot(option))
    return np.unique(counted, return_index=True)[1].astype(np.int64)


def _batch(question: Question, options: Sequence[int], spots: Sequence[IntArray]) -> Chains:
    hours, wide = question.hours, max(len(own) for own in spots)
    spot = np.zeros((len(options), wide))
    firm = np.zeros((hours, len(options), wide))
    able = np.zeros(firm.shape, dtype=np.bool_)
    least = np.zeros((hours, len(options)))
    for row, (at, own) in enumerate(zip(options, spots, strict=True)):
        option = question.options[at]
        share = question.offers[option.offer].spot_share
        need = np.array(option.need)[:, None]
        beside = np.array([fewest_firm(count, share) if count else 0 for count in own.tolist()])
        # The states are the fewest replicas that 0, 1, 2, ... of can be counted on.
        runs = np.maximum(np.maximum(need, 0) - np.arange(len(own)), beside)
        fits = (need != IMPOSSIBLE) & (runs + own <= option.most)
        spot[row, : len(own)] = own
        firm[:, row, : len(own)] = np.where(fits, runs, 0)
        able[:, row, : len(own)] = fits
        least[:, row] = np.where(fits, runs, np.inf).min(axis=1)
    least = np.where(np.isfinite(least), least, 0.0)
    floor = np.zeros_like(least)
    for ahead in range(2, question.start_hours + 1):
        floor[: hours - ahead] = np.maximum(floor[: hours - ahead], least[ahead:])
    return Chains(np.array(options, dtype=np.int64), spot, firm, able, floor)
