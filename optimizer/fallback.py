"""The plan that is at hand without a search, for when a time limit ends one.

Servers in turn, as the greedy method takes them: once for all candidates, and once with what runs
now first. The better of them, by served servers of each priority and then by value, is what a
search that ends early is held to; relaxations and what candidates cost at least bound both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.best_effort import CardsLeft, Left
from optimizer.fitting.places import Places
from optimizer.fitting.sharing import PlacesLeft
from optimizer.formulation import ExtraRow, Formulation
from optimizer.gap import bound_and_gap
from optimizer.greedy import place_greedy
from optimizer.linear_model import SolveStatus
from optimizer.milp_session import EXACT_METHOD, Session, whole_bound
from optimizer.ordering import Candidates, candidates_by_value
from optimizer.outcome import anything_for_the_loaded, cards_used, make_placement
from optimizer.placement import Outcome, Placement
from optimizer.table import EMPTY, BoolArray, CandidateTable, IntArray, rejection_code
from stoker.domain.plan import ClassService, PlanStatus, Rejection
from stoker.domain.settings import OptimizerSettings, SaturationPolicy

SEARCH_SHARE = 0.9
"""Share of the time for the search; the rest is for the bounds of a plan that it ends with."""
_TIE = 1e-9
_NOTHING = "the time limit ended the search before it found a plan"


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
    if np.any(runs & table.accepted):
        first = _only(table, runs)
        kept = _full(table, place_greedy(first, capacity, alone).placement)
        left = capacity - cards_used(table, kept, len(capacity))
        others = _only(table, ~kept.served[table.server])
        rest = _full(table, place_greedy(others, left, alone).placement)
        found.append(AtHand(_joined(table, kept, rest), _KEEPING))
    return tuple(found)


_GREEDY = "the greedy method"
_KEEPING = "keeping what runs as far as it fits, and serving the others in turn"


def with_plan_at_hand(session: Session, outcome: Outcome, at_hand: Iterable[AtHand]) -> Outcome:
    """Return what a search came to that ended early, or a plan at hand that is better; bounded.

    Args:
        session: The search, with time left for bounds.
        outcome: What it came to, not proven the best.
        at_hand: Plans to hold it to.
    """
    table = session.table
    counts = tuple(item.served for item in outcome.services)
    value = outcome.objective if outcome.status is not PlanStatus.TIME_LIMIT else np.inf
    origin = None
    placement = outcome.placement
    for plan in at_hand:
        own = tuple(int(np.sum(plan.placement.served & g.members)) for g in session.groups)
        cost = float(np.sum(table.value[plan.placement.row]))
        fewer = own < counts
        dearer = own == counts and cost >= value - _TIE * max(1.0, abs(cost))
        if fewer or dearer or not anything_for_the_loaded(table, plan.placement):
            continue
        counts, value, origin, placement = own, cost, plan.origin, plan.placement
    if origin is None and (outcome.status is PlanStatus.TIME_LIMIT or outcome.bound is not None):
        return outcome
    classes = _class_bounds(session, outcome, counts)
    least = _value_bound(session, outcome, counts)
    amounts = float(np.sum(np.abs(table.value[placement.row])))
    bound, gap = bound_and_gap(value, least, amounts)
    outcome = replace(
        outcome,
        objective=value,
        bound=bound,
        gap=gap,
        services=tuple(
            ClassService(group.priority, group.size, count, limit)
            for group, count, limit in zip(session.groups, counts, classes, strict=True)
        ),
    )
    if origin is None:
        return outcome
    none = outcome.status is PlanStatus.TIME_LIMIT
    ended = _NOTHING if none else "the time limit ended the search with no better plan"
    notes = () if none else outcome.notes
    return replace(
        outcome,
        placement=placement,
        status=PlanStatus.FEASIBLE,
        notes=(*notes, f"{ended}: this one is made by {origin}"),
    )


def made_without_search(notes: Iterable[str]) -> bool:
    """Whether a plan with these notes is one at hand since its search had found none in time."""
    return any(note.startswith(_NOTHING) for note in notes)


def _class_bounds(
    session: Session, outcome: Outcome, counts: tuple[int, ...]
) -> tuple[int | None, ...]:
    """Return, by group, how many could be served at most if higher groups keep their counts."""
    rows: tuple[ExtraRow, ...] = ()
    bounds: list[int | None] = []
    known = True  # while higher groups keep at least what the outcome's bounds are for
    for group, count, told in zip(session.groups, counts, outcome.services, strict=True):
        able = int(np.unique(session.form.serves[group.columns]).size)
        most = able if not known or told.bound is None else min(able, told.bound)
        if count < most and not (known and told.bound is not None):
            cost = np.zeros(session.form.upper.size)
            cost[group.columns] = -1.0
            relaxed = session.run(cost, rows, relaxed=True)
            proven = relaxed.status is SolveStatus.OPTIMAL
            limit = whole_bound(relaxed.objective) if proven else None
            most = most if limit is None else min(most, limit)
        bounds.append(max(most, count))
        known = known and count >= told.served
        rows = (*rows, session.count_row(group, float(count)))
    return tuple(bounds)


def _value_bound(session: Session, outcome: Outcome, counts: tuple[int, ...]) -> float | None:
    """Return what a plan that serves as many of each group costs at least."""
    bounds = []
    # What weights bound is the value of whom they serve, not of as many others.
    proven = outcome.bound if outcome.method == EXACT_METHOD else None
    as_many = all(n >= item.served for n, item in zip(counts, outcome.services, strict=True))
    if as_many and proven is not None:
        bounds.append(proven)
    else:
        rows = tuple(
            session.count_row(group, float(count))
            for group, count in zip(session.groups, counts, strict=True)
        )
        relaxed = session.run(session.form.value, rows, relaxed=True)
        if relaxed.status is SolveStatus.OPTIMAL and relaxed.objective is not None:
            bounds.append(relaxed.objective)
    least = _least_value(session, counts)
    if least is not None:
        bounds.append(least)
    return max(bounds, default=None)


def _least_value(session: Session, counts: tuple[int, ...]) -> float | None:
    """Return what so many servers of each group cost at least, wherever the cards come from."""
    form: Formulation = session.form
    marks = form.serves >= 0
    if np.any(form.value[~marks] < 0):
        return None
    least = np.full(len(session.table.servers), np.inf)
    np.minimum.at(least, form.serves[marks], form.value[marks])
    total = 0.0
    for group, count in zip(session.groups, counts, strict=True):
        own = np.sort(least[group.members & np.isfinite(least)])
        total += float(own[:count].sum() + np.minimum(own[count:], 0.0).sum())
    return total


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
