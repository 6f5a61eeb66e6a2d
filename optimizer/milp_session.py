"""One planning run: the model, the solver and its deadline, and how a solution is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.formulation import NO_ROW, ExtraRow, Formulation
from optimizer.gap import bound_and_gap
from optimizer.linear_model import SolveLimits, SolveResult, SolveStatus
from optimizer.placement import Outcome, Placement
from optimizer.scaled_solve import solve_in_scale
from optimizer.table import BoolArray, CandidateTable, FloatArray, IntArray
from stoker.domain.plan import ClassService, PlanStatus

EXACT_METHOD = "milp-exact"
WEIGHTED_METHOD = "milp-weighted"
NO_PLAN_IN_TIME = "the time limit passed before the solver found a plan"
TIE_NODES = 1000
"""Nodes spent on the tie-break by cards; within it nearly all ties are settled for good."""

TIE_SERVERS = 200
"""Largest fleet whose ties of value are broken by cards: above it they hardly ever occur, and
the tie-break would cost as much as the plan."""
TIE_GAP = 1e-5
"""Largest gap that a plan may be asked for and have its ties broken: where a plan of less value is
as good, there is no tie to break."""

COUNT_TOLERANCE = 1e-6
_VALUE_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Group:
    """Servers of one priority.

    Attributes:
        priority: Priority of the group, 1 the highest.
        members: Which servers belong to it, shape (servers,).
        columns: Columns that mark one of them as served.
    """

    priority: int
    members: BoolArray
    columns: IntArray

    @property
    def size(self) -> int:
        """Number of servers in the group."""
        return int(self.members.sum())


@dataclass(frozen=True, slots=True)
class Session:
    """One planning run: the model, the solver and its deadline.

    Attributes:
        table: Candidates.
        form: The model without objective.
        groups: Priority groups, highest first.
        backend: PuLP's name of the solver.
        gap: Relative gap of value at which a plan counts as optimal.
        deadline: Reading of the clock at which to stop.
        clock: Seconds.
        known: A plan to start from, as values of the columns; None where there is none.
    """

    table: CandidateTable
    form: Formulation
    groups: tuple[Group, ...]
    backend: str
    gap: float
    deadline: float
    clock: Callable[[], float]
    known: FloatArray | None = None

    def within(self, share: float) -> Session:
        """Return the session with only a share of the time that is left."""
        now = self.clock()
        return replace(self, deadline=now + share * (self.deadline - now))

    def run(
        self,
        cost: FloatArray,
        rows: tuple[ExtraRow, ...],
        *,
        gap: float = 0.0,
        relaxed: bool = False,
        max_nodes: int | None = None,
        restarts: bool = True,
        start: FloatArray | None = None,
    ) -> SolveResult:
        """Solve with the time that is left, in a scale that the solver's tolerances suit."""
        left = self.deadline - self.clock()
        limits = SolveLimits(gap, left, max_nodes, restarts=restarts)
        model = self.form.model(cost, rows)
        return solve_in_scale(
            model, self.backend, limits, relaxed=relaxed, start=start, clock=self.clock
        )

    def count_row(self, group: Group, low: float, high: float = np.inf) -> ExtraRow:
        """Return the row that bounds the number of served servers of a group."""
        return ExtraRow(group.columns, np.ones(group.columns.size), low, high)

    def served(self, group: Group, x: FloatArray) -> int:
        """Return how many servers of a group a solution serves."""
        return round(float(x[group.columns].sum()))


def priority_groups(table: CandidateTable, form: Formulation) -> tuple[Group, ...]:
    """Return the priority groups, highest (smallest number) first."""
    groups = []
    for priority in np.unique(table.priority):
        members = np.equal(table.priority, priority)
        groups.append(Group(int(priority), members, form.served_columns(members)))
    return tuple(groups)


def whole_bound(bound: float | None) -> int | None:
    """Return the largest count that a lower bound on minus the count allows."""
    return None if bound is None else int(np.floor(-bound + COUNT_TOLERANCE))


def finish(
    session: Session,
    result: SolveResult,
    rows: tuple[ExtraRow, ...] | None,
    counts: tuple[int, ...],
    bounds: tuple[int | None, ...],
    method: str,
) -> Outcome:
    """Break ties of value by cards where that was proven, and state what is known."""
    x, value = result.x, result.objective
    notes: tuple[str, ...] = ()
    if x is None or value is None:
        return out_of_time(session)
    x = _without_waste(session.form, x)
    value = float(session.form.value @ x)
    if rows is not None and result.status is SolveStatus.OPTIMAL and method == EXACT_METHOD:
        x, notes = _fewest_cards(session, x, value, rows)
        value = float(session.form.value @ x)
    bound, gap = bound_and_gap(value, result.bound, float(np.abs(session.form.value) @ x))
    proven = gap is not None and gap <= session.gap * (1 + 1e-9)
    counted = all(bound == count for bound, count in zip(bounds, counts, strict=True))
    optimal = proven and counted
    return Outcome(
        placement=_placement(session, x),
        status=PlanStatus.OPTIMAL if optimal else PlanStatus.FEASIBLE,
        objective=value,
        bound=bound,
        gap=gap,
        services=tuple(
            ClassService(group.priority, group.size, count, limit)
            for group, count, limit in zip(session.groups, counts, bounds, strict=True)
        ),
        method=method,
        notes=notes,
    )


def _without_waste(form: Formulation, x: FloatArray) -> FloatArray:
    """Return a solution without replicas of servers that it does not serve.

    Serving is said by a mark in the mixed model, so that a solver stopped early may leave replicas
    on a server that is not marked.
    """
    served = np.zeros(int(form.server.max(initial=-1)) + 1, dtype=np.bool_)
    marks = form.serves >= 0
    served[form.serves[marks & (x > 0.5)]] = True
    nobodys = (form.table_row == NO_ROW) & ~marks
    return np.where(served[form.server] | nobodys, x, 0.0)


def _fewest_cards(
    session: Session, x: FloatArray, value: float, rows: tuple[ExtraRow, ...]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return a solution of the same value with the fewest cards, and a note if unproven."""
    form = session.form
    if len(session.table.servers) > TIE_SERVERS or session.gap > TIE_GAP:
        return x, ()
    priced = np.flatnonzero(form.value)
    slack = _VALUE_TOLERANCE * max(abs(value), 1.0)
    same = ExtraRow(priced, form.value[priced], -np.inf, value + slack)
    result = session.run(form.cards.astype(float), (*rows, same), max_nodes=TIE_NODES)
    notes: tuple[str, ...] = ()
    if result.status is not SolveStatus.OPTIMAL:
        notes = ("another plan of the same value may use fewer cards: the search was cut short",)
    if result.x is None:
        return x, notes
    better = float(form.cards @ result.x) < float(form.cards @ x)
    kept = float(form.value @ result.x) <= value + slack
    return (result.x if better and kept else x), notes


def _placement(session: Session, x: FloatArray) -> Placement:
    """Return the rows and replicas that a solution chooses; nothing for unserved servers."""
    table, form = session.table, session.form
    served = np.zeros(len(table.servers), dtype=np.bool_)
    marks = (form.serves >= 0) & (x > 0.5)
    served[form.serves[marks]] = True
    whole = np.rint(x).astype(np.int64)
    chosen = np.flatnonzero((form.table_row != NO_ROW) & (whole > 0) & served[form.server])
    row = form.table_row[chosen]
    # A column that marks its server as served stands for its whole row.
    replicas = np.where(form.serves[chosen] >= 0, table.replicas[row], whole[chosen])
    placed = np.isin(np.arange(len(table.servers)), table.server[row])
    empty = np.flatnonzero(
        table.accepted & (table.card_type < 0) & (served & ~placed)[table.server]
    )
    rows = np.concatenate([row, empty])
    counts = np.concatenate([replicas, np.zeros(empty.size, dtype=np.int64)])
    order = np.argsort(rows, kind="stable")
    return Placement(row=rows[order], replicas=counts[order], served=served)


def out_of_time(session: Session) -> Outcome:
    """Return the outcome of a solve that found nothing within its time."""
    nothing = np.zeros(0, dtype=np.int64)
    return Outcome(
        placement=Placement(nothing, nothing, np.zeros(len(session.table.servers), dtype=np.bool_)),
        status=PlanStatus.TIME_LIMIT,
        objective=0.0,
        bound=None,
        gap=None,
        services=tuple(ClassService(g.priority, g.size, 0, None) for g in session.groups),
        method=EXACT_METHOD if len(session.groups) == 0 else "milp",
        notes=(NO_PLAN_IN_TIME,),
    )
