"""Servers that may move: the cheapest way through hours, options and their states.

Moving, a server pays what its old replicas cost in the hour before, the start of the new ones in
that hour, and the price of the move. Old replicas hold nothing for hours in which they do not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.horizon.chains import Chains
from optimizer.table import FloatArray, IntArray

MOVED = -1
"""In place of the state before: that the server came from another option."""


@dataclass(frozen=True, slots=True)
class Moves:
    """The cheapest way of each server.

    Attributes:
        value: Least cost by server, in the order of `servers`.
        servers: Indices of the servers.
        option: Option that serves, (servers, hours).
        firm: Firm replicas running, (servers, hours).
        spot: Spot replicas running, (servers, hours).
    """

    value: FloatArray
    servers: IntArray
    option: IntArray
    firm: IntArray
    spot: IntArray


def cheapest_moves(
    parts: Sequence[Chains],
    server: IntArray,
    prices: tuple[FloatArray, FloatArray],
    move: float,
    linked: bool,
) -> Moves:
    """Return the cheapest way of each server at prices of replicas.

    Args:
        parts: All options.
        server: Server of each option.
        prices: Price of a firm and of a spot replica in each hour, (options, hours) each.
        move: Cost of a move.
        linked: Whether replicas are held for the next hour already.
    """
    firm_price, spot_price = prices
    hours = firm_price.shape[1]
    servers, of = np.unique(server, return_inverse=True)
    values = [np.where(part.able[0], 0.0, np.inf) for part in parts]
    before = [np.full(part.firm.shape, MOVED, dtype=np.int32) for part in parts]
    left_option = np.zeros((hours, len(servers)), dtype=np.int64)
    left_state = np.zeros((hours, len(server)), dtype=np.int64)
    for hour in range(hours - 1):
        leave, left_state[hour] = _leaving(parts, values, firm_price, spot_price, hour)
        least = np.full(len(servers), np.inf)
        np.minimum.at(least, of, leave)
        order = np.lexsort((leave, of))
        left_option[hour] = order[np.searchsorted(of[order], np.arange(len(servers)))]
        for at, part in enumerate(parts):
            own = part.options
            run, spot = firm_price[own, hour], spot_price[own, hour]
            stay, state = _staying(part, values[at], run, spot, hour, linked)
            enter = (least[of[own]] + move)[:, None] + np.zeros_like(stay)
            if linked:
                enter += run[:, None] * part.firm[hour + 1] + spot[:, None] * part.spot
            before[at][hour + 1] = np.where(enter < stay, MOVED, state)
            values[at] = np.where(part.able[hour + 1], np.minimum(stay, enter), np.inf)
    leave, left_state[-1] = _leaving(parts, values, firm_price, spot_price, hours - 1)
    place = {
        int(option): (at, row)
        for at, part in enumerate(parts)
        for row, option in enumerate(part.options.tolist())
    }
    shape = (len(servers), hours)
    found = Moves(
        np.zeros(len(servers)),
        servers,
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
    )
    for index in range(len(servers)):
        members = np.flatnonzero(of == index)
        option = int(members[leave[members].argmin()])
        found.value[index] = leave[option]
        last = int(left_state[-1, option])
        for hour in range(hours - 1, -1, -1):
            batch, row = place[option]
            found.option[index, hour] = option
            found.firm[index, hour] = int(parts[batch].firm[hour, row, last])
            found.spot[index, hour] = int(parts[batch].spot[row, last])
            last = int(before[batch][hour, row, last])
            if last == MOVED and hour:
                option = int(left_option[hour - 1, index])
                last = int(left_state[hour - 1, option])
    return found


def _leaving(
    parts: Sequence[Chains],
    values: Sequence[FloatArray],
    firm_price: FloatArray,
    spot_price: FloatArray,
    hour: int,
) -> tuple[FloatArray, IntArray]:
    """Return the least cost of each option up to the end of an hour, and the state that has it."""
    least = np.zeros(len(firm_price))
    state = np.zeros(len(firm_price), dtype=np.int64)
    for part, value in zip(parts, values, strict=True):
        own = part.options
        cost = value + firm_price[own, hour, None] * part.firm[hour]
        cost += spot_price[own, hour, None] * part.spot
        state[own] = cost.argmin(axis=1)
        least[own] = cost.min(axis=1)
    return least, state


def _staying(
    part: Chains, value: FloatArray, run: FloatArray, spot: FloatArray, hour: int, linked: bool
) -> tuple[FloatArray, IntArray]:
    """Return the least cost of each state of the next hour on the same option, and its last."""
    if not linked:
        cost = value + run[:, None] * part.firm[hour] + spot[:, None] * part.spot
        best = cost.argmin(axis=1)[:, None] + np.zeros(value.shape, dtype=np.int64)
        return cost.min(axis=1)[:, None] + np.zeros_like(value), best
    held = np.maximum(part.firm[hour][:, :, None], part.firm[hour + 1][:, None, :])
    cost = run[:, None, None] * held + value[:, :, None]
    cost += spot[:, None, None] * np.maximum(part.spot[:, :, None], part.spot[:, None, :])
    return cost.min(axis=1), cost.argmin(axis=1)
