"""The cheapest moment of many windows of time at once."""

from __future__ import annotations

import numpy as np

from studies.traces.requests import FloatArray, IntArray


def cheapest(prices: FloatArray, first: IntArray, last: IntArray) -> IntArray:
    """Return where in each window the price is least, by a sparse table of minima.

    Args:
        prices: A price for each moment, (moments,).
        first: First moment of each window, (windows,).
        last: Last moment of each window, not before the first.
    """
    table = [np.arange(len(prices))]
    while 2 << (len(table) - 1) <= len(prices):
        half = 1 << (len(table) - 1)
        one, other = table[-1][:-half], table[-1][half:]
        table.append(np.where(prices[one] <= prices[other], one, other))
    level = np.floor(np.log2(last - first + 1)).astype(np.int64)
    found = np.empty(len(first), dtype=np.int64)
    for depth in np.unique(level):
        rows = level == depth
        one = table[depth][first[rows]]
        other = table[depth][last[rows] - (1 << int(depth)) + 1]
        found[rows] = np.where(prices[one] <= prices[other], one, other)
    return found
