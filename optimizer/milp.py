"""The proven plan: served vector by priority first, then value, then cards.

The *served vector* is the number of fully served servers in each priority group, highest first.
Plans are compared by it lexicographically, then by total value, then by cards used.

* If all servers with candidates fit together (a relaxation says whether it is worth trying), one
  solve settles the vector and the value.
* Otherwise, up to `OptimizerSettings.exact_servers` servers, each group's count is maximized in
  turn and fixed (exact stages).
* Above that, unserved servers are priced in one weighted solve, and each group's count comes with
  a bound from a relaxation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.formulation import (
    NO_ROW,
    ExtraRow,
    Formulation,
    mixed_model,
    single_model,
)
from optimizer.placement import Outcome, Placement
from optimizer.solver import (
    LinearModel,
    SolveLimits,
    SolveResult,
    SolveStatus,
    default_backend,
    solve,
)
from optimizer.table import BoolArray, CandidateTable, FloatArray, IntArray
from stoker.domain.plan import ClassService, PlanStatus
from stoker.domain.settings import OptimizerSettings

EXACT_GAP = 1e-6
WEIGHTED_GAP = 1e-3
WEIGHTED_TIME_LIMIT_S = 60.0
"""Time limit of the weighted method where none is asked for: a scarce large fleet may take hours
to prove the last thousandth, and the plan comes with its gap."""

LARGEST_WEIGHT = 1e7
"""Ratio between the weights of the highest and the lowest class, at most: beyond it a solver's
tolerances would drown the lowest classes."""

TIE_NODES = 1000
"""Nodes spent on the tie-break by cards; within it nearly all ties are settled for good."""

TIE_SERVERS = 200
"""Largest fleet whose ties of value are broken by cards: above it they hardly ever occur, and
the tie-break would cost as much as the plan."""

_COUNT_TOLERANCE = 1e-6
_VALUE_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class _Group:
    """Servers of one priority."""

    priority: int
    members: BoolArray
    columns: IntArray

    @property
    def size(self) -> int:
        return int(self.members.sum())


@dataclass(frozen=True, slots=True)
class _Session:
    """One planning run: the model, the solver and its deadline."""

    table: CandidateTable
    form: Formulation
    groups: tuple[_Group, ...]
    backend: str
    gap: float
    deadline: float | None
    clock: Callable[[], float]

    def within(self, share: float) -> _Session:
        """Return the session with only a share of the time that is left."""
        if self.deadline is None:
            return self
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
    ) -> SolveResult:
        """Solve with the time that is left, in a scale that the solver's tolerances suit."""
        left = None if self.deadline is None else self.deadline - self.clock()
        if left is not None and left <= 0:
            return SolveResult(SolveStatus.NO_SOLUTION, None, None, None, 0.0)
        largest = float(np.max(np.abs(cost), initial=0.0))
        scale = 1e3 / largest if largest > 0 else 1.0
        model: LinearModel = self.form.model(cost * scale, rows)
        limits = SolveLimits(relative_gap=gap, time_limit_s=left, max_nodes=max_nodes)
        result = solve(model, self.backend, limits, relaxed=relaxed, clock=self.clock)
        if result.x is None:
            return result
        bound = None if result.bound is None else result.bound / scale
        return replace(result, objective=float(cost @ result.x), bound=bound)

    def count_row(self, group: _Group, low: float, high: float = np.inf) -> ExtraRow:
        """Return the row that bounds the number of served servers of a group."""
        return ExtraRow(group.columns, np.ones(group.columns.size), low, high)

    def served(self, group: _Group, x: FloatArray) -> int:
        """Return how many servers of a group a solution serves."""
        return round(float(x[group.columns].sum()))


def place_milp(
    table: CandidateTable,
    capacity: IntArray,
    settings: OptimizerSettings,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Return the best placement within capacity, with what is proven about it.

    Args:
        table: Candidates.
        capacity: Cards available by type, shape (types,).
        settings: Solver, gap, time limit, and whether servers may mix accelerators.
        clock: Seconds, for deadline and timings.

    Raises:
        SolverUnavailableError: The solver asked for cannot be used.
    """
    start = clock()
    backend, note = default_backend(settings.backend)
    notes = (note,) if note else ()
    build = mixed_model if settings.heterogeneous else single_model
    form = build(table, capacity)
    exact = len(table.servers) <= settings.exact_servers
    gap = settings.relative_gap
    limit = settings.time_limit_s
    if limit is None and not exact:
        limit = WEIGHTED_TIME_LIMIT_S
    session = _Session(
        table=table,
        form=form,
        groups=_groups(table, form),
        backend=backend,
        gap=(EXACT_GAP if exact else WEIGHTED_GAP) if gap is None else gap,
        deadline=None if limit is None else start + limit,
        clock=clock,
    )
    built = clock()
    outcome = _serve_all(session)
    if outcome is None:
        outcome = _staged(session) if exact else _weighted(session, settings.class_weight_ratio)
    timings = {"formulate": (built - start) * 1e3, "solve": (clock() - built) * 1e3}
    return replace(outcome, backend=backend, notes=notes + outcome.notes, timings_ms=timings)


def _groups(table: CandidateTable, form: Formulation) -> tuple[_Group, ...]:
    """Return the priority groups, highest (smallest number) first."""
    groups = []
    for priority in np.unique(table.priority):
        members = np.equal(table.priority, priority)
        groups.append(_Group(int(priority), members, form.served_columns(members)))
    return tuple(groups)


def _serve_all(session: _Session) -> Outcome | None:
    """Return the outcome if every server that has a candidate can be served, else None."""
    form = session.form
    everyone = form.served_columns(np.ones(len(session.table.servers), dtype=np.bool_))
    goal = np.unique(form.serves[everyone]).size
    cost = np.zeros(form.upper.size)
    cost[everyone] = -1.0
    relaxation = session.run(cost, (), relaxed=True)
    if relaxation.objective is None or -relaxation.objective < goal - _COUNT_TOLERANCE:
        return None
    session = replace(session, form=form.serving_all())
    result = session.run(form.value, (), gap=session.gap)
    if result.x is None:
        return None
    counts = tuple(session.served(group, result.x) for group in session.groups)
    return _finish(session, result, (), counts, counts, "milp-exact")


def _staged(session: _Session) -> Outcome:
    """Maximize the served count of each group in turn, then minimize value, then cards."""
    rows: tuple[ExtraRow, ...] = ()
    counts: list[int] = []
    bounds: list[int | None] = []
    best: SolveResult | None = None
    notes: tuple[str, ...] = ()
    for group in session.groups:
        cost = np.zeros(session.form.upper.size)
        cost[group.columns] = -1.0
        # Counts are whole numbers, so a gap below one of them proves the maximum.
        result = session.run(cost, rows, gap=0.5 / max(group.columns.size, 1))
        if result.x is None:
            if best is None or best.x is None:
                return _out_of_time(session)
            counts.append(session.served(group, best.x))
            bounds.append(None)
        else:
            best = result
            counts.append(session.served(group, result.x))
            bounds.append(_whole_bound(result.bound))
        if bounds[-1] != counts[-1]:
            notes = ("the time limit passed before the served counts were proven",)
        rows = (*rows, session.count_row(group, float(counts[-1])))
    result = session.run(session.form.value, rows, gap=session.gap)
    if result.x is None:
        if best is None or best.x is None:
            return _out_of_time(session)
        value = float(session.form.value @ best.x)
        result = SolveResult(SolveStatus.FEASIBLE, best.x, value, None, 0.0)
    outcome = _finish(session, result, rows, tuple(counts), tuple(bounds), "milp-exact")
    return replace(outcome, notes=notes + outcome.notes)


def _weighted(session: _Session, ratio: float) -> Outcome:
    """Price unserved servers by class in one solve, and bound each class by a relaxation."""
    form = session.form
    price, weights = _unserved_prices(session, ratio)
    cost = form.value.copy()
    marks = form.serves >= 0
    cost[marks] -= price[form.serves[marks]]
    gap = session.gap
    relaxation = session.run(cost, (), relaxed=True)
    if relaxation.x is not None and relaxation.objective is not None:
        # The gap is promised on value alone, so the solver's own, which counts prices, is scaled.
        value = abs(float(form.value @ relaxation.x))
        gap *= 0.9 * min(1.0, value / max(abs(relaxation.objective), 1e-12))
    # The rest of the time is for the bounds of the classes.
    result = session.within(0.8).run(cost, (), gap=gap)
    if result.x is None:
        return _out_of_time(session)
    x = result.x
    value = float(form.value @ x)
    bound = None
    if result.bound is not None and result.objective is not None:
        bound = value - (result.objective - result.bound)
    counts = tuple(session.served(group, x) for group in session.groups)
    result = SolveResult(result.status, x, value, bound, result.runtime_s)
    outcome = _finish(
        session, result, None, counts, _class_bounds(session, counts), "milp-weighted"
    )
    told = ", ".join(
        f"priority {group.priority}: {weight:g}"
        for group, weight in zip(session.groups, weights, strict=True)
    )
    note = (
        f"{len(session.table.servers)} servers are above the limit for exact stages: unserved "
        f"demand was priced at a multiple of each server's cheapest candidate ({told})"
    )
    return replace(outcome, notes=(note, *outcome.notes))


def _unserved_prices(session: _Session, ratio: float) -> tuple[FloatArray, FloatArray]:
    """Return the price of leaving each server unserved, and the weight of each group."""
    ranks = np.arange(len(session.groups), 0, -1, dtype=np.float64)
    most = max(len(session.groups) - 1, 1)
    step = min(np.log(ratio), np.log(LARGEST_WEIGHT) / most)
    weights = ratio * np.exp(step * (ranks - 1.0))
    table = session.table
    cheapest = np.full(len(table.servers), np.inf)
    accepted = np.flatnonzero(table.accepted)
    np.minimum.at(cheapest, table.server[accepted], table.cost_per_hour[accepted])
    typical = cheapest[np.isfinite(cheapest) & (cheapest > 0)]
    # A free candidate must still be worth serving.
    least = float(typical.min()) if typical.size else 1.0
    cheapest = np.where(np.isfinite(cheapest), np.maximum(cheapest, least), 0.0)
    price = np.zeros(len(table.servers))
    for group, weight in zip(session.groups, weights, strict=True):
        price[group.members] = weight * cheapest[group.members]
    return price, weights


def _class_bounds(session: _Session, counts: tuple[int, ...]) -> tuple[int | None, ...]:
    """Return, by group, how many could be served at most if higher groups keep their counts."""
    rows: tuple[ExtraRow, ...] = ()
    bounds: list[int | None] = []
    for group, count in zip(session.groups, counts, strict=True):
        columns = np.unique(session.form.serves[group.columns])
        if count == columns.size:
            bounds.append(count)
        else:
            cost = np.zeros(session.form.upper.size)
            cost[group.columns] = -1.0
            relaxed = session.run(cost, rows, relaxed=True)
            if relaxed.objective is None or relaxed.status is not SolveStatus.OPTIMAL:
                bounds.append(None)
            else:
                bounds.append(_whole_bound(relaxed.objective))
        rows = (*rows, session.count_row(group, float(count)))
    return tuple(bounds)


def _whole_bound(bound: float | None) -> int | None:
    """Return the largest count that a lower bound on minus the count allows."""
    return None if bound is None else int(np.floor(-bound + _COUNT_TOLERANCE))


def _finish(
    session: _Session,
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
        return _out_of_time(session)
    if rows is not None and result.status is SolveStatus.OPTIMAL and method == "milp-exact":
        x, notes = _fewest_cards(session, x, value, rows)
        value = float(session.form.value @ x)
    bound = None if result.bound is None else min(result.bound, value)
    gap = None if bound is None else (value - bound) / max(abs(value), _VALUE_TOLERANCE)
    proven = gap is not None and gap <= session.gap * (1 + 1e-9)
    counted = all(bound == count for bound, count in zip(bounds, counts, strict=True))
    optimal = proven and (counted or method == "milp-weighted")
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


def _fewest_cards(
    session: _Session, x: FloatArray, value: float, rows: tuple[ExtraRow, ...]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return a solution of the same value with the fewest cards, and a note if unproven."""
    form = session.form
    if len(session.table.servers) > TIE_SERVERS:
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


def _placement(session: _Session, x: FloatArray) -> Placement:
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


def _out_of_time(session: _Session) -> Outcome:
    """Return the outcome of a solve that found nothing within its time."""
    nothing = np.zeros(0, dtype=np.int64)
    return Outcome(
        placement=Placement(nothing, nothing, np.zeros(len(session.table.servers), dtype=np.bool_)),
        status=PlanStatus.TIME_LIMIT,
        objective=0.0,
        bound=None,
        gap=None,
        services=tuple(ClassService(g.priority, g.size, 0, None) for g in session.groups),
        method="milp-exact" if len(session.groups) == 0 else "milp",
        notes=("the time limit passed before the solver found a plan",),
    )
