"""Plans of independent parts as the plan of the fleet: what adds up, and what that proves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.at_hand import plans_at_hand
from optimizer.gap import bound_and_gap
from optimizer.milp_session import EXACT_METHOD, WEIGHTED_METHOD
from optimizer.milp_weighted import ABOVE_THE_LIMIT
from optimizer.outcome import anything_for_the_loaded, class_services
from optimizer.placement import Outcome, Placement
from optimizer.table import CandidateTable, IntArray
from stoker.domain.plan import ClassService, PlanStatus
from stoker.domain.settings import OptimizerSettings

_TIE = 1e-9
_BY_PARTS = (
    "how many servers can be served is not proven: bound and gap of the value are of plans that "
    "serve as many in every part as this one"
)


@dataclass(frozen=True, slots=True)
class PieceTerms:
    """What is promised of a plan of parts, and told with it.

    Attributes:
        gap: Relative gap of the value of all at which the plan counts as optimal.
        parts: Number of parts that were left to decide.
        exact_servers: Largest number of servers that are planned in exact stages.
        backend: PuLP's name of the solver.
        notes: Sentences about the solver.
    """

    gap: float
    parts: int
    exact_servers: int
    backend: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """The plan of a part.

    Attributes:
        outcome: The plan, its servers and rows numbered within the part.
        servers: Those servers, of the whole table.
        rows: Those rows, of the whole table.
    """

    outcome: Outcome
    servers: IntArray
    rows: IntArray

    def behind(self, other: Piece) -> bool:
        """Whether another plan of the part serves more, or costs less, or is better proven."""
        return _key(self) > _key(other)


def _key(piece: Piece) -> tuple[tuple[int, ...], float, bool, float]:
    outcome = piece.outcome
    unproven = outcome.status is not PlanStatus.OPTIMAL
    gap = math.inf if outcome.gap is None else outcome.gap
    return tuple(-item.served for item in outcome.services), outcome.objective, unproven, gap


def joined(
    table: CandidateTable, settled: IntArray, pieces: Sequence[Piece], terms: PieceTerms
) -> Outcome:
    """Return the outcome of all parts together.

    Args:
        table: Candidates of all.
        settled: Rows of servers that need no search, which are their best.
        pieces: Plans of the parts that were searched.
        terms: What is promised and told.
    """
    outcomes = [piece.outcome for piece in pieces]
    placement = _placement(table, settled, pieces)
    sure = table.value[settled].tolist()
    objective = math.fsum([*sure, *(item.objective for item in outcomes)])
    known = [item.bound for item in outcomes if item.bound is not None]
    least = math.fsum([*sure, *known]) if len(known) == len(outcomes) else None
    amounts = math.fsum([*map(abs, sure), *(abs(item.objective) for item in outcomes)])
    bound, gap = bound_and_gap(objective, least, amounts)
    services = _services(table, settled, pieces)
    counted = all(item.served == item.bound for item in services)
    proven = gap is not None and gap <= terms.gap * (1 + 1e-9)
    late = [item.status is PlanStatus.TIME_LIMIT for item in outcomes]
    status = PlanStatus.OPTIMAL if counted and proven else PlanStatus.FEASIBLE
    notes = [*terms.notes, *_notes(table, pieces, terms)]
    if bound is not None and len(pieces) > 1 and not counted:
        notes.append(_BY_PARTS)
    if late and all(late) and not settled.size:
        status = PlanStatus.TIME_LIMIT
    weighted = any(item.method == WEIGHTED_METHOD for item in outcomes)
    return Outcome(
        placement=placement,
        status=status,
        objective=objective,
        bound=bound,
        gap=gap,
        services=services,
        method=WEIGHTED_METHOD if weighted else EXACT_METHOD,
        backend=terms.backend,
        notes=tuple(notes),
    )


def held_to_one_pass(
    table: CandidateTable,
    capacity: IntArray,
    settings: OptimizerSettings,
    outcome: Outcome,
    *,
    late: bool,
) -> Outcome:
    """Return an unproven outcome, or a plan of one pass over all servers that is better.

    Parts leave out candidates that the best plan does not need, but one pass may do better with.

    Args:
        table: Candidates of all.
        capacity: Cards available by type, shape (types,).
        settings: Those of the greedy method.
        outcome: The plan of all parts.
        late: Whether the time limit ended the search for it.
    """
    best = outcome
    ended = "the time limit ended the search" if late else "the search ended with an open gap, and"
    for plan in plans_at_hand(table, capacity, settings):
        services = class_services(table, plan.placement.served, proven=False)
        value = math.fsum(table.value[plan.placement.row])
        ours = tuple(-item.served for item in best.services)
        theirs = tuple(-item.served for item in services)
        if not anything_for_the_loaded(table, plan.placement):
            continue
        if (theirs, value) >= (ours, best.objective - _TIE * max(1.0, abs(value))):
            continue
        # Bounds of lower priorities are of plans that serve as many of the higher ones.
        bounds: list[int | None] = []
        same = True
        for own, found in zip(outcome.services, services, strict=True):
            bounds.append(own.bound if same else None)
            same = same and own.served == found.served
        note = f"{ended} with no better plan: it is made by {plan.origin}"
        best = replace(
            outcome,
            placement=plan.placement,
            status=PlanStatus.FEASIBLE,
            objective=value,
            bound=None,
            gap=None,
            services=tuple(
                replace(item, bound=limit) for item, limit in zip(services, bounds, strict=True)
            ),
            notes=(*outcome.notes, note),
        )
    return best


def _placement(table: CandidateTable, settled: IntArray, pieces: Sequence[Piece]) -> Placement:
    row = np.concatenate([settled, *(item.rows[item.outcome.placement.row] for item in pieces)])
    replicas = np.concatenate(
        [table.replicas[settled], *(item.outcome.placement.replicas for item in pieces)]
    )
    served = np.zeros(len(table.servers), dtype=np.bool_)
    served[table.server[settled]] = True
    for piece in pieces:
        own = piece.outcome.placement.served[: piece.servers.size]
        served[piece.servers[own]] = True
    order = np.argsort(row, kind="stable")
    return Placement(row[order], replicas[order], served)


def _services(
    table: CandidateTable, settled: IntArray, pieces: Sequence[Piece]
) -> tuple[ClassService, ...]:
    """Return served servers and their bounds by priority, each the sum over the parts.

    A part's bound is of plans that serve as many of its higher priorities as its own plan does.
    Where that is not the most there can be, as many in all may be others in other parts: nothing is
    known of the priorities below.
    """
    sure = Counter(table.priority[table.server[settled]].tolist())
    services = []
    proven = True
    for priority, servers in zip(*np.unique(table.priority, return_counts=True), strict=True):
        own = [
            item for piece in pieces for item in piece.outcome.services if item.priority == priority
        ]
        bounds = [item.bound for item in own if item.bound is not None]
        counted = sure[int(priority)]
        served = counted + sum(item.served for item in own)
        bound = counted + sum(bounds) if proven and len(bounds) == len(own) else None
        services.append(ClassService(int(priority), int(servers), served, bound))
        proven = proven and bound == served
    return tuple(services)


def _notes(table: CandidateTable, pieces: Sequence[Piece], terms: PieceTerms) -> tuple[str, ...]:
    """Return what the parts tell, each sentence once, and how many parts there are."""
    notes: list[str] = []
    above = [piece for piece in pieces if piece.outcome.method == WEIGHTED_METHOD]
    if len(table.servers) > terms.exact_servers and terms.parts > 1:
        notes.append(
            f"the fleet falls into {terms.parts:,} parts that take no cards from one another: "
            "each was planned by itself"
        )
    told = Counter(note for piece in pieces for note in dict.fromkeys(piece.outcome.notes))
    weights = [note for note in told if ABOVE_THE_LIMIT in note]
    if weights:
        servers = sum(piece.servers.size for piece in above)
        notes.append(f"{servers:,}{ABOVE_THE_LIMIT}{weights[0].partition(ABOVE_THE_LIMIT)[2]}")
    for note, times in told.items():
        if note in terms.notes or note in weights:
            continue
        everywhere = times == len(pieces)
        where = "" if everywhere else f"in {times:,} of {len(pieces):,} parts: "
        notes.append(where + note)
    return tuple(notes)
