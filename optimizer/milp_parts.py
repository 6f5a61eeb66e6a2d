"""The proven plan of a fleet, part by part where servers take no cards from one another.

`optimizer.parts` tells the parts; each is planned by `optimizer.milp` with its share of the time,
and their plans are joined (`optimizer.joined_parts`). The joined plan is as good as that of the
fleet as a whole, since served vectors, values and cards add up; and whether a served vector is
proven in exact stages depends on the size of a part, not on that of the fleet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.configurations.cut_cards import alike, on_slices
from optimizer.formulation import NO_ROW, fitting_rows, undominated_rows
from optimizer.joined_parts import Piece, PieceTerms, held_to_one_pass, joined
from optimizer.milp import DEFAULT_TIME_LIMIT_S, EXACT_GAP, WEIGHTED_GAP, place_milp
from optimizer.milp_weighted import SEARCH_SHARE
from optimizer.mixed_formulation import mixed_model
from optimizer.part_table import part_of_table
from optimizer.parts import NO_PART, Parts, Ways, parts_of
from optimizer.placement import Outcome
from optimizer.solver import default_backend
from optimizer.table import EMPTY, CandidateTable, IntArray
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import OptimizerSettings

FEW_SERVERS = 24
"""Servers up to which small parts are planned together, as a solver's start takes its time."""
_LEAST_S = 1e-9
_MORE = 1.5
"""Times what a part had of the time from which it is tried again with what is left."""

Clock = Callable[[], float]


def place_in_parts(
    table: CandidateTable,
    capacity: IntArray,
    settings: OptimizerSettings,
    *,
    clock: Clock = time.perf_counter,
) -> Outcome:
    """Return the best placement within capacity, with what is proven about it.

    It is as good as that of `optimizer.milp.place_milp`, and proven to the same gap of the whole
    fleet. Servers may not share replicas, and replicas are not placed on nodes.

    Args:
        table: Candidates.
        capacity: Cards available by type, shape (types,).
        settings: Solver, gap, time limit, and whether servers may mix accelerators.
        clock: Seconds, for deadline and timings.

    Raises:
        SolverUnavailableError: The solver asked for cannot be used.
    """
    start = clock()
    rows, ways = _ways(table, capacity, settings)
    parts = parts_of(ways, capacity)
    if parts.count <= 1 and not parts.best.size:
        return place_milp(table, capacity, settings, clock=clock)
    backend, note = default_backend(settings.backend)
    exact = len(table.servers) <= settings.exact_servers
    gap = settings.relative_gap
    terms = PieceTerms(
        gap=(EXACT_GAP if exact else WEIGHTED_GAP) if gap is None else gap,
        parts=parts.count,
        exact_servers=settings.exact_servers,
        backend=backend,
        notes=(note,) if note else (),
    )
    limit = DEFAULT_TIME_LIMIT_S if settings.time_limit_s is None else settings.time_limit_s
    search = _Search(table, settings, start + limit, terms, clock)
    questions = tuple(_questions(table, capacity, settings, rows, parts))
    split = clock()
    pieces = search.pieces(questions)
    outcome = joined(table, rows[parts.best], pieces, terms)
    if outcome.status is not PlanStatus.OPTIMAL:
        late = clock() - start >= SEARCH_SHARE * limit
        outcome = held_to_one_pass(table, capacity, settings, outcome, late=late)
    timings = {"formulate": (split - start) * 1e3, "solve": 0.0}
    for piece in pieces:
        for name, spent in piece.outcome.timings_ms.items():
            timings[name] = timings.get(name, 0.0) + spent
    return replace(outcome, timings_ms=timings)


@dataclass(frozen=True, slots=True)
class _Question:
    """One part, or several small ones together, as a table of its own.

    Attributes:
        table: Its candidates.
        capacity: Cards by type that are its own, (types,).
        servers: Its servers, of the whole table.
        rows: Its rows, of the whole table.
    """

    table: CandidateTable
    capacity: IntArray
    servers: IntArray
    rows: IntArray

    @property
    def size(self) -> int:
        """Columns, which the time is shared by."""
        return max(1, self.rows.size)


@dataclass(frozen=True, slots=True)
class _Search:
    """Plans questions one after another, each in its share of the time that is left.

    Attributes:
        table: Candidates of all.
        settings: How to plan.
        deadline: Reading of the clock at which to stop.
        terms: What is promised of the whole.
        clock: Seconds.
    """

    table: CandidateTable
    settings: OptimizerSettings
    deadline: float
    terms: PieceTerms
    clock: Clock

    def pieces(self, questions: tuple[_Question, ...]) -> tuple[Piece, ...]:
        """Return the plan of each question; those not proven in their time are tried again."""
        order = sorted(range(len(questions)), key=lambda k: questions[k].size)
        gaps = dict.fromkeys(order, self.terms.gap)
        given: dict[int, float] = {}
        found: dict[int, Piece] = {}
        self._plan(questions, order, gaps, given, found)
        open_now = [k for k in order if found[k].outcome.status is not PlanStatus.OPTIMAL]
        left = self.deadline - self.clock()
        if open_now and left > _MORE * sum(given[k] for k in open_now):
            self._plan(questions, open_now, gaps, given, found)
        nearer = self._nearer([piece.outcome for piece in found.values()])
        loose = [k for k in order if (found[k].outcome.gap or 0.0) > nearer]
        if loose and self.deadline > self.clock():
            self._plan(questions, loose, dict.fromkeys(loose, nearer), given, found)
        return tuple(found[k] for k in range(len(questions)))

    def _nearer(self, outcomes: Sequence[Outcome]) -> float:
        """Return the gap that parts must have where the plan of all misses its own by theirs.

        Values of both signs cancel in the sum, but what they may be off by does not.
        """
        apart = sum((item.gap or 0.0) * abs(item.objective) for item in outcomes)
        total = abs(sum(item.objective for item in outcomes))
        amounts = sum(abs(item.objective) for item in outcomes)
        if apart <= self.terms.gap * total:
            return np.inf
        return self.terms.gap * total / amounts

    def _plan(
        self,
        questions: tuple[_Question, ...],
        order: list[int],
        gaps: dict[int, float],
        given: dict[int, float],
        found: dict[int, Piece],
    ) -> None:
        """Plan some questions, and keep the better of two plans of one."""
        columns = sum(questions[k].size for k in order)
        for done, k in enumerate(order):
            question = questions[k]
            share = max(question.size / columns, 1 / (len(order) - done))
            columns -= question.size
            given[k] = max(_LEAST_S, share * (self.deadline - self.clock()))
            chosen = replace(self.settings, relative_gap=gaps[k], time_limit_s=given[k])
            outcome = place_milp(question.table, question.capacity, chosen, clock=self.clock)
            piece = Piece(outcome, question.servers, question.rows)
            if k not in found or not piece.behind(found[k]):
                found[k] = piece


def _ways(
    table: CandidateTable, capacity: IntArray, settings: OptimizerSettings
) -> tuple[IntArray, Ways]:
    """Return the rows that may be placed, and what they take of cards."""
    if settings.heterogeneous:
        form = mixed_model(table, capacity)
        columns = np.flatnonzero(form.table_row != NO_ROW)
        empty = np.flatnonzero(table.accepted & (table.accelerator == EMPTY))
        rows = np.concatenate([form.table_row[columns], empty])
        most = form.cards[columns] * np.rint(form.upper[columns]).astype(np.int64)
        cards = np.concatenate([most, np.zeros(empty.size, dtype=np.int64)])
    else:
        rows = undominated_rows(table, fitting_rows(table, capacity), alike(table, None))
        cards = table.cards[rows]
    return rows, Ways(
        server=table.server[rows],
        card_type=table.card_type[rows],
        cards=cards,
        value=table.value[rows],
        servers=len(table.servers),
        together=settings.heterogeneous,
        cut=on_slices(table)[rows],
    )


def _questions(
    table: CandidateTable,
    capacity: IntArray,
    settings: OptimizerSettings,
    rows: IntArray,
    parts: Parts,
) -> Iterable[_Question]:
    """Yield the parts that are left to decide, small ones together."""
    size = np.bincount(parts.part[parts.part != NO_PART], minlength=parts.count)
    most = min(FEW_SERVERS, settings.exact_servers) if settings.exact_servers else FEW_SERVERS
    # Which rows a mix may need is for its model to say.
    usable = np.flatnonzero(table.accepted) if settings.heterogeneous else rows[parts.needed]
    bundles = tuple(_bundles(size, most))
    bundle = np.full(parts.count + 1, NO_PART, dtype=np.int64)  # the last is that of no part
    for index, together in enumerate(bundles):
        bundle[together] = index
    of_row = bundle[parts.part[table.server[usable]]]
    of_server = bundle[parts.part]
    row_groups, server_groups = _grouped(of_row, len(bundles)), _grouped(of_server, len(bundles))
    for together, servers, own in zip(bundles, server_groups, row_groups, strict=True):
        absent: tuple[int, ...] = ()
        if servers.size > settings.exact_servers:
            # Weights count the priorities of the fleet, so that they are the same in all parts.
            absent = tuple(np.setdiff1d(table.priority, table.priority[servers]).tolist())
        yield _Question(
            table=part_of_table(table, servers, usable[own], absent),
            capacity=np.minimum(capacity, parts.cards[together].sum(axis=0)),
            servers=servers,
            rows=usable[own],
        )


def _grouped(group: IntArray, groups: int) -> list[IntArray]:
    """Return the places of each group's number, ascending; other numbers are below zero."""
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(groups + 1))
    return np.split(order, edges)[1:-1]


def _bundles(size: IntArray, most: int) -> Iterable[list[int]]:
    """Yield parts, by index, together as long as they have no more servers than that."""
    bundle: list[int] = []
    held = 0
    for part in np.argsort(size, kind="stable").tolist():
        if bundle and held + size[part] > most:
            yield bundle
            bundle, held = [], 0
        bundle.append(part)
        held += int(size[part])
    if bundle:
        yield bundle
