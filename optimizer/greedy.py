"""The greedy method of the reference optimizer, made deterministic.

Servers are taken in the order of `optimizer.ordering`. The first takes its current candidate if
the cards of its type suffice for all replicas; otherwise it moves on to its next candidate and is
put back by the same order, before its equals. A server without a candidate left is unplaced.
"""

from __future__ import annotations

import heapq
from itertools import groupby

from optimizer.best_effort import CardsLeft, Share, share_cards
from optimizer.ordering import Candidates, candidates_by_value
from optimizer.outcome import make_outcome, make_placement
from optimizer.placement import Outcome
from optimizer.table import CandidateTable, IntArray
from stoker.domain.settings import OptimizerSettings


def place_greedy(table: CandidateTable, capacity: IntArray, settings: OptimizerSettings) -> Outcome:
    """Place servers one at a time, and give best effort to those left over.

    Args:
        table: The candidate table.
        capacity: Cards available, by card type of the table, shape (types,).
        settings: Saturation policy, and whether best effort waits for all priority groups.

    Returns:
        The placement, best effort included; nothing is proven about it.
    """
    candidates = candidates_by_value(table)
    available: list[int] = capacity.tolist()
    left = CardsLeft(candidates, available)
    full: dict[int, int] = {}
    shares: dict[int, Share] = {}
    waiting: list[int] = []
    servers = candidates.in_order(list(range(len(table.servers))))
    for _, group in groupby(servers, key=candidates.priority.__getitem__):
        taken, unplaced = _allocate(candidates, list(group), available)
        full |= taken
        if settings.delayed_best_effort:
            waiting += unplaced
        else:
            shares |= share_cards(candidates, unplaced, left, settings.saturation_policy)
    shares |= share_cards(candidates, waiting, left, settings.saturation_policy)
    placement = make_placement(table, full, shares)
    return make_outcome(table, placement, method="greedy", optimal=False)


def _allocate(
    candidates: Candidates, servers: list[int], available: list[int]
) -> tuple[dict[int, int], list[int]]:
    """Allocate one priority group in full; take the cards used off `available`.

    Args:
        candidates: All candidates.
        servers: Servers of the group, in their order.
        available: Cards left, by card type.

    Returns:
        Row taken, by server; and the servers left without, in the order in which they failed.
    """
    # A list sorted by key is a heap. The last number breaks ties: a server that is put back
    # counts down from -1 and so comes before its equals, the one put back last before all.
    queue = [
        (*candidates.key(server, candidates.start[server]), turn, server, candidates.start[server])
        for turn, server in enumerate(servers)
    ]
    turn = 0
    taken: dict[int, int] = {}
    unplaced: list[int] = []
    while queue:
        *_, server, position = queue[0]
        card_type = candidates.card_type[position]
        need = candidates.replicas[position] * candidates.cards_per_replica[position]
        if need == 0 or need <= available[card_type]:
            if need:
                available[card_type] -= need
            taken[server] = candidates.row[position]
            heapq.heappop(queue)
        elif position + 1 < candidates.start[server + 1]:
            turn -= 1
            key = candidates.key(server, position + 1)
            heapq.heapreplace(queue, (*key, turn, server, position + 1))
        else:
            unplaced.append(server)
            heapq.heappop(queue)
    return taken, unplaced
