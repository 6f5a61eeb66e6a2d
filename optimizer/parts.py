"""Which servers compete for cards, and which need not wait for anybody.

Servers are linked where they may take cards of a type of which there may be too few. Whatever the
others do, servers that nothing links are planned apart: served vectors, values and cards of a plan
are sums over its servers, so that the best plans of the parts are together the best of all.

Three observations make the parts small, none of which changes the best plan:

* A type that holds all that everybody could take of it at most links nobody.
* A server may always fall back on its best candidate of such a type; what is no better than that
  is never needed, which in turn leaves more cards of other types.
* Where everybody's best candidate fits, nothing is left to decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from optimizer.table import BoolArray, FloatArray, IntArray

_NOISE = 1e-12
"""Values that are nearer to one another, in proportion, are equal but for rounding."""
NO_PART = -1


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways to serve servers; arrays of shape (ways,).

    Attributes:
        server: The server.
        card_type: Type of the cards that it takes, -1 for none.
        cards: Cards that it takes at most.
        value: What it adds to what is minimized.
        servers: Number of servers.
        together: Whether a server may take several at once, in parts; then none is left out, and
            nobody's best is known before.
        cut: Whether it takes parts of cards, whose other parts are for others; such cards always
            link, and how many are taken is not known of one server alone.
    """

    server: IntArray
    card_type: IntArray
    cards: IntArray
    value: FloatArray
    servers: int
    together: bool
    cut: BoolArray


@dataclass(frozen=True, slots=True)
class Parts:
    """A plan's servers in parts that take no cards from one another.

    Attributes:
        needed: Ways that some best plan may need, (ways,).
        best: Ways that are the best choice of their servers, for servers of whom that is settled,
            (decided servers,).
        part: Part of each server that is left to decide, `NO_PART` of the others, (servers,).
        cards: Cards that each part may take of each type, (parts, types).
    """

    needed: BoolArray
    best: IntArray
    part: IntArray
    cards: IntArray

    @property
    def count(self) -> int:
        """Number of parts that are left to decide."""
        return len(self.cards)


def parts_of(ways: Ways, capacity: IntArray) -> Parts:
    """Return the parts of a plan.

    Args:
        ways: Every way to serve every server that fits by itself.
        capacity: Cards by type, (types,).
    """
    types = capacity.size
    cut = np.zeros(types, dtype=np.bool_)
    cut[ways.card_type[ways.cut]] = True
    needed = np.ones(ways.server.size, dtype=np.bool_)
    while True:
        most = _most_taken(ways, needed)
        wanted = np.bincount(most.card_type, weights=most.cards, minlength=types)
        scarce = (wanted > capacity) | cut
        needless = _needless(ways, needed, scarce)
        if not np.any(needless):
            break
        needed &= ~needless
    label = _linked(most, scarce, ways.servers)
    able = np.zeros(ways.servers, dtype=np.bool_)
    able[ways.server[needed]] = True
    best = _settled(ways, needed, label, capacity)
    able[ways.server[best]] = False
    part = np.full(ways.servers, NO_PART, dtype=np.int64)
    names, part[able] = np.unique(label[able], return_inverse=True)
    own = part[most.server] != NO_PART
    cards = np.zeros((names.size, types))
    np.add.at(cards, (part[most.server[own]], most.card_type[own]), most.cards[own])
    return Parts(needed, best, part, np.minimum(cards, capacity).astype(np.int64))


@dataclass(frozen=True, slots=True)
class _Most:
    """The most cards of a type that a server may take; arrays of shape (pairs,)."""

    server: IntArray
    card_type: IntArray
    cards: FloatArray


def _most_taken(ways: Ways, needed: BoolArray) -> _Most:
    """Return the most that each server may take of each type that it may take at all."""
    rows = np.flatnonzero(needed & (ways.card_type >= 0) & (ways.cards > 0))
    rows = rows[np.lexsort((ways.card_type[rows], ways.server[rows]))]
    server, card_type = ways.server[rows], ways.card_type[rows]
    new = (np.diff(server, prepend=-1) != 0) | (np.diff(card_type, prepend=-1) != 0)
    first = np.flatnonzero(new)
    added = np.add if ways.together else np.maximum
    cards = ways.cards[rows].astype(np.float64)
    most = added.reduceat(cards, first) if first.size else cards
    return _Most(server[first], card_type[first], most)


def _needless(ways: Ways, needed: BoolArray, scarce: BoolArray) -> BoolArray:
    """Mask needed ways that are no better than one that its server may have in any case."""
    if ways.together:
        return np.zeros(ways.server.size, dtype=np.bool_)
    held = np.flatnonzero((ways.card_type >= 0) & (ways.cards > 0))
    free = needed.copy()
    free[held] &= ~scarce[ways.card_type[held]]
    sure = _least(ways, np.flatnonzero(free))
    value = np.full(ways.servers, np.inf)
    cards = np.zeros(ways.servers, dtype=np.int64)
    value[ways.server[sure]] = ways.value[sure]
    cards[ways.server[sure]] = ways.cards[sure]
    value, cards = value[ways.server], cards[ways.server]
    # Of those that cost the same one with fewer cards is better; parts of cards may be fewer.
    frugal = ways.cut | (ways.cards < cards)
    needless = needed & ((ways.value > _above(value)) | ((ways.value >= value) & ~frugal))
    needless[sure] = False
    return needless


def _settled(ways: Ways, needed: BoolArray, label: IntArray, capacity: IntArray) -> IntArray:
    """Return the best ways of servers that can all have theirs, with all whom they are linked to.

    Args:
        ways: The ways.
        needed: Those that may be needed.
        label: Number of the linked servers that each belongs to, (servers,).
        capacity: Cards by type, (types,).
    """
    if ways.together:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(needed)
    # Of the ways whose value is least but for rounding that with the fewest cards.
    least = np.full(ways.servers, np.inf)
    np.minimum.at(least, ways.server[rows], ways.value[rows])
    near = rows[ways.value[rows] <= _above(least[ways.server[rows]])]
    best = _first(ways, near[np.lexsort((near, ways.value[near], ways.cards[near]))])
    held = best[ways.card_type[best] >= 0]
    used = np.bincount(
        ways.card_type[held], weights=ways.cards[held].astype(float), minlength=capacity.size
    )
    torn = np.zeros(ways.servers, dtype=np.bool_)  # by label, of which there are no more
    torn[label[ways.server[held[(used > capacity)[ways.card_type[held]]]]]] = True
    torn[label[ways.server[needed & ways.cut]]] = True
    return best[~torn[label[ways.server[best]]]]


def _least(ways: Ways, rows: IntArray) -> IntArray:
    """Return the way of least value of each server that has any, then of fewest cards."""
    return _first(ways, rows[np.lexsort((rows, ways.cards[rows], ways.value[rows]))])


def _first(ways: Ways, rows: IntArray) -> IntArray:
    """Return the first of some ways of each server that has any."""
    _, first = np.unique(ways.server[rows], return_index=True)
    return rows[first]


def _above(value: FloatArray) -> FloatArray:
    """Return the largest values that are the same but for rounding."""
    return value + _NOISE * np.maximum(np.abs(value), 1.0)


def _linked(most: _Most, scarce: BoolArray, servers: int) -> IntArray:
    """Return a number for each server that is the same for those that scarce types link."""
    links = np.flatnonzero(scarce[most.card_type])
    size = servers + scarce.size
    ends = (most.server[links], servers + most.card_type[links])
    graph = coo_array((np.ones(links.size), ends), shape=(size, size))
    label = connected_components(graph, directed=False)[1][:servers]
    # Types alone have numbers, too; those of servers shall be below their count.
    return np.asarray(np.unique(label, return_inverse=True)[1], dtype=np.int64)
