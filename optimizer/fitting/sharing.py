"""What is left on nodes to share among servers that could not be served in full."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.best_effort import CardsLeft
from optimizer.fitting.places import Places
from optimizer.ordering import Candidates
from optimizer.placement import Placement


class PlacesLeft:
    """Cards that a plan may still use, on nodes that have room for whole replicas."""

    def __init__(
        self, candidates: Candidates, cards: CardsLeft, places: Places, placement: Placement
    ) -> None:
        """Take the candidates, the cards left, what fits on nodes, and what is placed."""
        self._candidates = candidates
        self._cards = cards
        self._places = places
        self._placed = places.counted(placement)

    def most(self, positions: Sequence[int], limit: int) -> int:
        """Return how many times a replica of each candidate fits, at most `limit`."""
        limit = self._cards.most(positions, limit)
        card_type = self._candidates.card_type[positions[0]]
        room = self._places.rooms[card_type]
        more = self._sizes(positions)
        return room.most(self._placed[card_type], more, limit, self._places.backend)

    def take(self, positions: Sequence[int], times: int) -> None:
        """Take places and cards of that many replicas of each candidate."""
        self._cards.take(positions, times)
        own = self._placed[self._candidates.card_type[positions[0]]]
        for size, count in self._sizes(positions).items():
            own[size] = own.get(size, 0) + times * count

    def _sizes(self, positions: Sequence[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        for position in positions:
            for size, count in self._places.shapes.of(self._candidates.row[position]).items():
                found[size] = found.get(size, 0) + count
        return found
