"""Engine time bought at the least price of a window: which prices make requests pay the most?

Prices are put on moments of a replica, 1 in all. A request that keeps its targets pays for its
prompt and for its further tokens, each at the least price of a window of its own; one that misses
them pays likewise, in longer windows. Who misses is chosen so that the least is paid. What is paid
is a concave function of the prices, and `Market.best` looks for its maximum: any prices give a
valid bound, so that the search may end anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, vstack

from studies.traces.requests import BoolArray, FloatArray, IntArray

STEPS = 10
"""Steps of the search, at most."""
CLOSE = 0.004
"""Share of the best bound that the search leaves to be found."""
_TOWARDS = 0.5
"""How far from the best prices to those of the most hope the next ones are."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """A window of moments for each request, those alike kept once.

    Attributes:
        first: First moment of each different window, (windows,).
        last: Last moment of it, not before the first.
        of_request: Which of them each request has, (requests,).
    """

    first: IntArray
    last: IntArray
    of_request: IntArray

    @classmethod
    def of(cls, first: IntArray, last: IntArray) -> Self:
        """Build from the first and the last moment of each request."""
        both, which = np.unique(np.stack([first, last]), axis=1, return_inverse=True)
        return cls(both[0], both[1], which.ravel())

    def cheapest(self, levels: list[FloatArray]) -> FloatArray:
        """Return the least price of each request, by least prices of 1, 2, 4, ... moments."""
        depth = depths(self.first, self.last)
        found = np.empty(len(self.first))
        for level in np.unique(depth):
            rows = depth == level
            ahead = (1 << int(level)) - 1
            one = levels[level][self.first[rows]]
            found[rows] = np.minimum(one, levels[level][self.last[rows] - ahead])
        return found[self.of_request]


def depths(first: IntArray, last: IntArray) -> IntArray:
    """Return the exponent of the largest power of two that fits into each window."""
    exponents: IntArray = np.floor(np.log2(last - first + 1)).astype(np.int64)
    return exponents


def least_prices(prices: FloatArray) -> list[FloatArray]:
    """Return the least price of each 1, 2, 4, ... moments on end."""
    levels = [prices]
    while 2 << (len(levels) - 1) <= len(prices):
        half = 1 << (len(levels) - 1)
        levels.append(np.minimum(levels[-1][:-half], levels[-1][half:]))
    return levels


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Requests that buy engine time; arrays (requests,).

    Attributes:
        prompt_ms: Engine time of the prompt.
        decode_ms: Engine time of further tokens.
        late_prompt_ms: Engine time of the prompt of a request that misses its targets.
        late_decode_ms: Engine time of its further tokens.
        for_prompt: When the prompt may be computed.
        for_decode: When further tokens may be.
        for_late_prompt: When the prompt may be, of a request that misses its targets.
        for_late_decode: When its further tokens may be.
        lost: Requests that miss anyway.
        may_miss: Requests that may miss, those among them.
        moments: Moments that have a price; what may happen after them costs nothing.
    """

    prompt_ms: FloatArray
    decode_ms: FloatArray
    late_prompt_ms: FloatArray
    late_decode_ms: FloatArray
    for_prompt: Windows
    for_decode: Windows
    for_late_prompt: Windows
    for_late_decode: Windows
    lost: BoolArray = field(kw_only=True)
    may_miss: int = field(kw_only=True)
    moments: int = field(kw_only=True)

    def best(self, step: float = 0.0, beyond: float = 0.0) -> float:
        """Return the most that requests were found to pay.

        Cutting planes: for each set of requests that may miss, what the others pay is an upper
        limit, and the largest prices under all limits so far are a linear program.

        Args:
            step: The search ends where the next multiple of it is out of reach; 0 for as close as
                can be had.
            beyond: It ends as well where no more than this is in reach.
        """
        center = np.full(self.moments, 1.0 / self.moments)
        best, missing = self.paid(center)
        master = _Master.of(self)
        for _ in range(STEPS):
            master.limit(self, missing)
            solved = master.solve()
            if solved is None or solved[0] <= max(best * (1.0 + CLOSE), beyond):
                break
            if step > 0.0 and solved[0] <= step * math.ceil(best / step):
                break
            for towards in (1.0, _TOWARDS):
                between = (1.0 - towards) * center + towards * solved[1]
                value, missing = self.paid(between)
                if value > best:
                    best, center = value, between
                    break
        return best

    def paid(self, prices: FloatArray) -> tuple[float, BoolArray]:
        """Return what requests pay at some prices, and which of them miss their targets."""
        levels = least_prices(np.append(prices, 0.0))
        kept = self.prompt_ms * self.for_prompt.cheapest(levels)
        kept += self.decode_ms * self.for_decode.cheapest(levels)
        late = self.late_prompt_ms * self.for_late_prompt.cheapest(levels)
        late += self.late_decode_ms * self.for_late_decode.cheapest(levels)
        missing = self.lost.copy()
        if self.may_miss:
            saved = np.where(self.lost, np.inf, kept - late)
            missing[np.argpartition(-saved, self.may_miss - 1)[: self.may_miss]] = True
        return float(kept[~missing].sum() + late[missing].sum()), missing


class _Master:
    """The linear program over prices, least prices of windows, and what requests pay."""

    def __init__(self, windows: tuple[Windows, ...], moments: int) -> None:
        self._moments = moments
        # Columns: least prices of 1, 2, 4, ... moments, then those of windows, then what is paid.
        sizes = [len(level) for level in least_prices(np.zeros(moments + 1))]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self._first_of = starts[-1] + np.concatenate(
            [[0], np.cumsum([len(each.first) for each in windows])]
        )
        self._columns = int(self._first_of[-1]) + 1
        less: list[IntArray] = []
        than: list[IntArray] = []
        for level in range(1, len(sizes)):
            own = starts[level] + np.arange(sizes[level])
            below = starts[level - 1] + np.arange(sizes[level])
            less += [own, own]
            than += [below, below + (1 << (level - 1))]
        for start, each in zip(self._first_of, windows, strict=False):
            depth = depths(each.first, each.last)
            own = start + np.arange(len(each.first))
            less += [own, own]
            than += [
                starts[depth] + each.first,
                starts[depth] + each.last - (1 << depth) + 1,
            ]
        one, other = np.concatenate(less), np.concatenate(than)
        count = len(one)
        self._rows = csr_array(
            coo_array(
                (
                    np.concatenate([np.ones(count), -np.ones(count)]),
                    (np.tile(np.arange(count), 2), np.concatenate([one, other])),
                ),
                shape=(count, self._columns),
            )
        )
        self._cuts: list[csr_array] = []

    @classmethod
    def of(cls, market: Market) -> Self:
        """Build the program of a market without limits."""
        windows = (
            market.for_prompt,
            market.for_decode,
            market.for_late_prompt,
            market.for_late_decode,
        )
        return cls(windows, market.moments)

    def limit(self, market: Market, missing: BoolArray) -> None:
        """Add that no more is paid than with these requests missing their targets."""
        row = np.zeros(self._columns)
        row[-1] = 1.0
        parts = (
            (market.for_prompt, np.where(missing, 0.0, market.prompt_ms)),
            (market.for_decode, np.where(missing, 0.0, market.decode_ms)),
            (market.for_late_prompt, np.where(missing, market.late_prompt_ms, 0.0)),
            (market.for_late_decode, np.where(missing, market.late_decode_ms, 0.0)),
        )
        for start, (windows, needed) in zip(self._first_of, parts, strict=False):
            count = len(windows.first)
            row[start : start + count] = -np.bincount(windows.of_request, needed, count)
        self._cuts.append(csr_array(row[None, :]))

    def solve(self) -> tuple[float, FloatArray] | None:
        """Return the most that may be paid and the prices for it; None where nothing was found."""
        rows = vstack([self._rows, *self._cuts], format="csr")
        total = np.zeros(self._columns)
        total[: self._moments] = 1.0
        bounds = np.zeros((self._columns, 2))
        bounds[:, 1] = np.inf
        bounds[self._moments, 1] = 0.0  # what comes after the last moment is free
        aim = np.zeros(self._columns)
        aim[-1] = -1.0
        solved = linprog(
            aim,
            A_ub=rows,
            b_ub=np.zeros(rows.shape[0]),
            A_eq=total[None, :],
            b_eq=[1.0],
            bounds=bounds,
            method="highs",
        )
        if solved.x is None:
            return None
        prices = np.maximum(solved.x[: self._moments], 0.0)
        return float(solved.x[-1]), prices / float(prices.sum())
