"""Best effort: cards left over, shared among servers that could not be served in full.

A server takes replicas of one accelerator only, of its first candidate (by value) that has room
for one replica, and never more than it would need to be served in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from optimizer.ordering import Candidates
from stoker.domain.settings import SaturationPolicy


@dataclass(frozen=True, slots=True)
class Share:
    """What a server received: a row of the table and replicas of it."""

    row: int
    replicas: int


class Left(Protocol):
    """What is left to share."""

    def most(self, positions: Sequence[int], limit: int) -> int:
        """Return how many times a replica of each of some candidates fits, at most `limit`.

        Args:
            positions: Positions of candidates of one card type; one may stand there repeatedly.
            limit: The most that is asked for.
        """

    def take(self, positions: Sequence[int], times: int) -> None:
        """Take that many replicas of each of some candidates off what is left."""


class CardsLeft:
    """Cards by type, wherever they are."""

    def __init__(self, candidates: Candidates, available: list[int]) -> None:
        """Take the candidates, and the cards left, which are taken off in place."""
        self._candidates = candidates
        self._available = available

    def most(self, positions: Sequence[int], limit: int) -> int:
        """Return how many times a replica of each candidate fits, at most `limit`."""
        available = self._available[self._candidates.card_type[positions[0]]]
        cards = self._cards(positions)
        return min(available // cards, limit) if cards else limit

    def take(self, positions: Sequence[int], times: int) -> None:
        """Take the cards of that many replicas of each candidate."""
        card_type = self._candidates.card_type[positions[0]]
        self._available[card_type] -= times * self._cards(positions)

    def _cards(self, positions: Sequence[int]) -> int:
        return sum(self._candidates.cards_per_replica[position] for position in positions)


def share_cards(
    candidates: Candidates,
    servers: list[int],
    left: Left,
    policy: SaturationPolicy,
) -> dict[int, Share]:
    """Share what is left over by a saturation policy.

    Args:
        candidates: All candidates, in the order in which they are tried.
        servers: Servers to share among, in their order of turn (priority first).
        left: What there is; what is given away is taken off.
        policy: Who gets how much.

    Returns:
        What each server received; a server that received nothing is left out.
    """
    match policy:
        case SaturationPolicy.NONE:
            return {}
        case SaturationPolicy.PRIORITY_EXHAUSTIVE:
            return _one_after_another(candidates, servers, left)
        case SaturationPolicy.PRIORITY_ROUND_ROBIN:
            shares: dict[int, Share] = {}
            for _, group in groupby(servers, key=candidates.priority.__getitem__):
                shares |= _in_turns(candidates, group, left)
            return shares
        case SaturationPolicy.ROUND_ROBIN:
            return _in_turns(candidates, servers, left)


def _one_after_another(
    candidates: Candidates, servers: Iterable[int], left: Left
) -> dict[int, Share]:
    """Each server takes as many replicas as fit, before the next one's turn."""
    shares: dict[int, Share] = {}
    for server in servers:
        position = _first_with_room(candidates, server, left)
        if position is None:
            continue
        replicas = left.most([position], candidates.replicas[position])
        left.take([position], replicas)
        shares[server] = Share(candidates.row[position], replicas)
    return shares


def _in_turns(candidates: Candidates, servers: Iterable[int], left: Left) -> dict[int, Share]:
    """Each server takes one replica in its turn, of the accelerator settled on in its first."""
    settled: dict[int, int] = {}
    received: dict[int, int] = {}
    by_type: dict[int, list[int]] = {}
    for server in servers:
        position = _first_with_room(candidates, server, left)
        if position is None:
            continue
        left.take([position], 1)
        settled[server] = position
        received[server] = 1
        by_type.setdefault(candidates.card_type[position], []).append(server)
    # After the first round nobody switches: the types no longer touch one another.
    for members in by_type.values():
        full = {server: candidates.replicas[settled[server]] for server in members}
        _further_turns(members, settled, full, received, left)
    return {
        server: Share(candidates.row[position], received[server])
        for server, position in settled.items()
    }


def _further_turns(
    members: list[int],
    settled: dict[int, int],
    full: dict[int, int],
    received: dict[int, int],
    left: Left,
) -> None:
    """Go on in turns within one card type; add to `received` and take off what is left.

    Rounds in which everybody is given a replica are taken together: a round at a time would cost
    time in proportion to the cards.
    """
    active = [server for server in members if received[server] < full[server]]
    while active:
        everybody = [settled[server] for server in active]
        rounds = left.most(everybody, min(full[server] - received[server] for server in active))
        if rounds:
            for server in active:
                received[server] += rounds
            left.take(everybody, rounds)
            active = [server for server in active if received[server] < full[server]]
            continue
        staying = []
        for server in active:
            if not left.most([settled[server]], 1):
                continue  # the type is full for it: it stops for good
            left.take([settled[server]], 1)
            received[server] += 1
            if received[server] < full[server]:
                staying.append(server)
        active = staying


def _first_with_room(candidates: Candidates, server: int, left: Left) -> int | None:
    """Return the position of a server's first candidate with room for one replica."""
    return next(
        (position for position in candidates.of(server) if left.most([position], 1)),
        None,
    )
