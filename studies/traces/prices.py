"""The prices under which requests pay the most, by cutting planes.

Any prices give a valid bound, so that the search may end anywhere. Requests that arrive in the same
moment have a function of their own, below all of its cuts; the prices with the largest sum of those
are a linear program. Its answer is far off at first, so that the next prices tried are between it
and the best ones so far.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

from studies.traces.market import Cuts, Market
from studies.traces.requests import FloatArray, IntArray

STEPS = 60
"""Steps of the search, at most."""
CLOSE = 0.004
"""Share of the best bound that the search leaves to be found."""
_TOWARDS = (0.5, 0.15)
"""How far from the best prices to those of the most hope the next ones are."""
_PARTS = (1, 2, 4)
"""The search begins with prices that are the same over such parts of the time."""
_HELD = (0.0, 0.15)
"""Share of such prices that is put on slots and memory at the end of the part."""
_FIRST_CUTS = 6
"""Of how many of those prices the cuts are kept."""
_IDLE = 5
"""Steps after which a cut is let go that did not matter in any of them."""
_DEAREST = 20.0
"""Largest price of missing that is looked at, in terms of the first one."""


def best_prices(market: Market, beyond: float = 0.0) -> float:
    """Return the most that requests were found to pay, in replicas.

    Args:
        market: The requests.
        beyond: The search ends where no more than this is in reach.
    """
    tried = sorted(
        ((market.paid(_prices(market, shares)), shares) for shares in _starts(market)),
        key=lambda item: -item[0].paid,
    )
    best, shares = tried[0]
    model = _Model(market, best.miss_price)
    for cuts, _ in tried[:_FIRST_CUTS]:
        model.add(cuts)
    for _ in range(STEPS):
        hope, most = model.solve()
        # Only what adds a replica is looked for.
        if most <= max(best.paid * (1.0 + CLOSE), beyond, math.ceil(best.paid)):
            break
        for towards in _TOWARDS:
            between = (1.0 - towards) * shares + towards * hope
            cuts = market.paid(_prices(market, between))
            model.add(cuts)
            if cuts.paid > best.paid:
                best, shares = cuts, between
                break
    return best.paid


def _prices(market: Market, shares: FloatArray) -> FloatArray:
    """Return the prices at which what a replica has is worth these shares, 1 in all."""
    return shares / market.sold  # nothing where there is memory without end


def _starts(market: Market) -> list[FloatArray]:
    count = market.moments
    found = []
    for parts in _PARTS:
        length = max(count // parts, 1)
        for start in range(0, count - length + 1, max(length // 2, 1)):
            for held in _HELD:
                shares = np.zeros(3 * count)
                shares[start : start + length] = (1.0 - held) / length
                last = min(start + length, count) - 1
                known = math.isfinite(market.kv_tokens)
                shares[count + last] = held / 2 if known else held
                shares[2 * count + last] = held / 2 if known else 0.0
                found.append(shares)
    return found


class _Model:
    """The linear program over shares, the price of missing, and what is paid by each moment."""

    def __init__(self, market: Market, miss_price: float) -> None:
        self._market = market
        self._moments = np.unique(market.first)
        self._scale = max(miss_price, 1e-9)
        self._columns = 4 * market.moments + 1
        self._rows = csr_array((0, self._columns))
        self._idle: IntArray = np.zeros(0, dtype=np.int64)

    def add(self, cuts: Cuts) -> None:
        """Add that no more is paid than this."""
        count, new = self._market.moments, len(self._moments)
        rows = np.zeros((new, self._columns))
        rows[:, : 3 * count] = -cuts.amounts[self._moments] / self._market.sold
        rows[:, 3 * count] = -self._scale * cuts.missing[self._moments]
        rows[np.arange(new), 3 * count + 1 + self._moments] = 1.0
        self._rows = vstack([self._rows, csr_array(rows)], format="csr")
        self._idle = np.append(self._idle, np.zeros(new, dtype=np.int64))

    def solve(self) -> tuple[FloatArray, float]:
        """Return the shares of the most hope, and what would be paid."""
        market, count = self._market, self._market.moments
        aim = np.zeros(self._columns)
        aim[3 * count] = market.by_choice * self._scale
        aim[3 * count + 1 :] = -1.0
        limits = np.zeros((self._columns, 2))
        limits[: 3 * count, 1] = np.where(np.isfinite(market.sold), 1.0, 0.0)
        limits[3 * count, 1] = _DEAREST
        limits[3 * count + 1 + self._moments, 1] = np.inf
        whole = np.zeros((1, self._columns))
        whole[0, : 3 * count] = 1.0
        solved = linprog(
            aim,
            A_ub=self._rows,
            b_ub=np.zeros(self._rows.shape[0]),
            A_eq=whole,
            b_eq=[1.0],
            bounds=limits,
            method="highs",
        )
        if solved.x is None:
            return np.zeros(3 * count), 0.0
        # Cuts that have not mattered for some time are let go, which keeps the program small.
        self._idle = np.where(solved.ineqlin.marginals < 0.0, 0, self._idle + 1)
        used = np.flatnonzero(self._idle < _IDLE)
        self._rows, self._idle = self._rows[used], self._idle[used]
        shares = np.maximum(solved.x[: 3 * count], 0.0)
        return shares / float(shares.sum()), -float(solved.fun)
