"""Plans that take no search: servers in turn, as the greedy method takes them.

Once for all candidates, once with what runs now first, and once with those first who need the
fewest cards. A search starts from the one that keeps what runs, and is held to the best of them
where a time limit ends it (`optimizer.fallback`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.best_effort import CardsLeft, Left
from optimizer.fitting.places import Places
from optimizer.fitting.sharing import PlacesLeft
from optimizer.greedy import place_greedy
from optimizer.ordering import Candidates, candidates_by_value
from optimizer.outcome import cards_used, make_placement
from optimizer.placement import Placement
from optimizer.table import EMPTY, BoolArray, CandidateTable, IntArray, rejection_code
from stoker.domain.reasons import Rejection
from stoker.domain.settings import OptimizerSettings, SaturationPolicy

_GREEDY = "the greedy method"
_KEEPING = "keeping what runs as far as it fits, and serving the others in turn"


@dataclass(frozen=True, slots=True)
class AtHand:
    """A plan that takes no search.

    Attributes:
        placement: Servers served in full, and nothing else.
        origin: Where it comes from, as the end of a sentence.
    """

    placement: Placement
    origin: str


def plans_at_hand(
    table: CandidateTable,
    capacity: IntArray,
    settings: OptimizerSettings,
    places: Places | None = None,
) -> tuple[AtHand, ...]:
    """Return plans that one pass over the servers makes.

    Args:
        table: Candidates that a server may take by itself.
        capacity: Cards available by type, shape (types,).
        settings: Those of the greedy method.
        places: What fits on nodes; None where cards of a type are all that counts.
    """
    runs = _as_it_runs(table)
    if places is not None:
        keeping = bool(np.any(runs & table.accepted))
        found = [AtHand(_first_fit(table, capacity, places, None), "servers in turn")]
        if keeping:
            found.append(AtHand(_first_fit(table, capacity, places, runs), _KEEPING))
        return tuple(found)
    alone = replace(settings, saturation_policy=SaturationPolicy.NONE)
    found = [AtHand(_full(table, place_greedy(table, capacity, alone).placement), _GREEDY)]
    if settings.saturation_policy is not SaturationPolicy.NONE:
        whole = place_greedy(table, capacity, settings).placement
        found.append(AtHand(_full(table, whole), _GREEDY))
    found.append(AtHand(_frugal(table, capacity), "serving those first who need the fewest cards"))
    kept = keeping_what_runs(table, capacity, settings)
    if kept is not None:
        found.append(AtHand(kept, _KEEPING))
    return tuple(found)


def keeping_what_runs(
    table: CandidateTable, capacity: IntArray, settings: OptimizerSettings
) -> Placement | None:
    """Return the plan that keeps servers where they run as far as that fits, others in turn.

    None where nothing runs that is a candidate.

    Args:
        table: Candidates that a server may take by itself.
        capacity: Cards available by type, shape (types,).
        settings: Those of the greedy method.
    """
    runs = _as_it_runs(table)
    if not np.any(runs & table.accepted):
        return None
    alone = replace(settings, saturation_policy=SaturationPolicy.NONE)
    kept = _full(table, place_greedy(_only(table, runs), capacity, alone).placement)
    left = capacity - cards_used(table, kept, len(capacity))
    others = _only(table, ~kept.served[table.server])
    rest = _full(table, place_greedy(others, left, alone).placement)
    return _joined(table, kept, rest)


def _as_it_runs(table: CandidateTable) -> BoolArray:
    """Mask the rows of the accelerator that their server runs on now."""
    if table.transitions is None:
        return np.zeros(len(table.server), dtype=np.bool_)
    now = table.transitions.accelerator[table.server]
    return np.asarray((now != EMPTY) & (table.accelerator == now), dtype=np.bool_)


def _only(table: CandidateTable, rows: BoolArray) -> CandidateTable:
    """Return a table in which only some rows may be taken."""
    out = rejection_code(Rejection.NO_CARDS)
    ruled = np.where(table.accepted & ~rows, out, table.rejection)
    return replace(table, rejection=ruled)


def _full(table: CandidateTable, placement: Placement) -> Placement:
    """Return a placement without what is not served in full."""
    kept = placement.served[table.server[placement.row]]
    return Placement(placement.row[kept], placement.replicas[kept], placement.served)


def _joined(table: CandidateTable, one: Placement, other: Placement) -> Placement:
    rows = np.concatenate([one.row, other.row]).tolist()
    return make_placement(table, {int(table.server[row]): row for row in rows}, {})


def _frugal(table: CandidateTable, capacity: IntArray) -> Placement:
    """Serve the servers of each priority by what candidates take of all cards of their type."""
    rows = np.flatnonzero(table.accepted)
    held = table.card_type[rows] >= 0
    cards = np.where(table.accelerator[rows] == EMPTY, 0, table.cards[rows])
    there = np.append(capacity, 0)[table.card_type[rows]]
    share = np.where(held, cards / np.maximum(there, 1), 0.0)
    order = rows[np.lexsort((rows, table.value[rows], share, table.priority[table.server[rows]]))]
    left = capacity.tolist()
    taken: dict[int, int] = {}
    for row, server, card_type, need in zip(
        order.tolist(),
        table.server[order].tolist(),
        table.card_type[order].tolist(),
        table.cards[order].tolist(),
        strict=True,
    ):
        if server in taken or (card_type >= 0 and need > left[card_type]):
            continue
        if card_type >= 0:
            left[card_type] -= need
        taken[server] = row
    return make_placement(table, taken, {})


def _first_fit(
    table: CandidateTable, capacity: IntArray, places: Places, first: BoolArray | None
) -> Placement:
    """Serve servers in turn, each by its first candidate all of whose replicas have a place."""
    candidates = candidates_by_value(table)
    nothing = np.zeros(0, dtype=np.int64)
    empty = Placement(nothing, nothing, np.zeros(len(table.servers), dtype=np.bool_))
    left = PlacesLeft(candidates, CardsLeft(candidates, capacity.tolist()), places, empty)
    taken: dict[int, int] = {}
    servers = candidates.in_order(list(range(len(table.servers))))
    if first is not None:
        _take(candidates, servers, left, taken, first.tolist())
    _take(candidates, servers, left, taken, None)
    return make_placement(table, taken, {})


def _take(
    candidates: Candidates,
    servers: list[int],
    left: Left,
    taken: dict[int, int],
    only: list[bool] | None,
) -> None:
    for server in servers:
        if server in taken:
            continue
        for position in candidates.of(server):
            row, replicas = candidates.row[position], candidates.replicas[position]
            if only is not None and not only[row]:
                continue
            if replicas and left.most([position], replicas) < replicas:
                continue
            if replicas:
                left.take([position], replicas)
            taken[server] = row
            break
