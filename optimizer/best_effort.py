"""Best effort: cards left over, shared among servers that could not be served in full.

A server takes replicas of one accelerator only, of its first candidate (by value) that has room
for one replica, and never more than it would need to be served in full.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from optimizer.ordering import Candidates
from stoker.domain.settings import SaturationPolicy


@dataclass(frozen=True, slots=True)
class Share:
    """What a server received: a row of the table and replicas of it."""

    row: int
    replicas: int


def share_cards(
    candidates: Candidates,
    servers: list[int],
    available: list[int],
    policy: SaturationPolicy,
) -> dict[int, Share]:
    """Share the cards left over by a saturation policy.

    Args:
        candidates: All candidates, in the order in which they are tried.
        servers: Servers to share among, in their order of turn (priority first).
        available: Cards left, by card type; what is given away is taken off in place.
        policy: Who gets how much.

    Returns:
        What each server received; a server that received nothing is left out.
    """
    match policy:
        case SaturationPolicy.NONE:
            return {}
        case SaturationPolicy.PRIORITY_EXHAUSTIVE:
            return _one_after_another(candidates, servers, available)
        case SaturationPolicy.PRIORITY_ROUND_ROBIN:
            shares: dict[int, Share] = {}
            for _, group in groupby(servers, key=candidates.priority.__getitem__):
                shares |= _in_turns(candidates, group, available)
            return shares
        case SaturationPolicy.ROUND_ROBIN:
            return _in_turns(candidates, servers, available)


def _one_after_another(
    candidates: Candidates, servers: Iterable[int], available: list[int]
) -> dict[int, Share]:
    """Each server takes as many replicas as fit, before the next one's turn."""
    shares: dict[int, Share] = {}
    for server in servers:
        position = _first_with_room(candidates, server, available)
        if position is None:
            continue
        card_type = candidates.card_type[position]
        per_replica = candidates.cards_per_replica[position]
        replicas = min(available[card_type] // per_replica, candidates.replicas[position])
        available[card_type] -= replicas * per_replica
        shares[server] = Share(candidates.row[position], replicas)
    return shares


def _in_turns(
    candidates: Candidates, servers: Iterable[int], available: list[int]
) -> dict[int, Share]:
    """Each server takes one replica in its turn, of the accelerator settled on in its first."""
    settled: dict[int, int] = {}
    received: dict[int, int] = {}
    by_type: dict[int, list[int]] = {}
    for server in servers:
        position = _first_with_room(candidates, server, available)
        if position is None:
            continue
        card_type = candidates.card_type[position]
        available[card_type] -= candidates.cards_per_replica[position]
        settled[server] = position
        received[server] = 1
        by_type.setdefault(card_type, []).append(server)
    # After the first round nobody switches: the types no longer touch one another.
    for card_type, members in by_type.items():
        cards = {server: candidates.cards_per_replica[settled[server]] for server in members}
        full = {server: candidates.replicas[settled[server]] for server in members}
        available[card_type] = _further_turns(members, cards, full, received, available[card_type])
    return {
        server: Share(candidates.row[position], received[server])
        for server, position in settled.items()
    }


def _further_turns(
    members: list[int],
    cards: dict[int, int],
    full: dict[int, int],
    received: dict[int, int],
    available: int,
) -> int:
    """Go on in turns within one card type; add to `received` and return the cards left.

    Rounds in which everybody is given a replica are taken together: a round at a time would cost
    time in proportion to the cards.
    """
    active = [server for server in members if received[server] < full[server]]
    while active:
        round_cards = sum(cards[server] for server in active)
        rounds = min(
            available // round_cards,
            min(full[server] - received[server] for server in active),
        )
        if rounds:
            for server in active:
                received[server] += rounds
            available -= rounds * round_cards
            active = [server for server in active if received[server] < full[server]]
            continue
        staying = []
        for server in active:
            if cards[server] > available:
                continue  # the type is full for it: it stops for good
            available -= cards[server]
            received[server] += 1
            if received[server] < full[server]:
                staying.append(server)
        active = staying
    return available


def _first_with_room(candidates: Candidates, server: int, available: list[int]) -> int | None:
    """Return the position of a server's first candidate with room for one replica."""
    return next(
        (
            position
            for position in candidates.of(server)
            if candidates.cards_per_replica[position] <= available[candidates.card_type[position]]
        ),
        None,
    )
