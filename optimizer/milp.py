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
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.at_hand import keeping_what_runs, plans_at_hand
from optimizer.configurations.shared_cards import with_shared_cards
from optimizer.fallback import SEARCH_SHARE, with_plan_at_hand
from optimizer.formulation import NO_ROW, ExtraRow, Formulation, single_model
from optimizer.linear_model import SolveResult, SolveStatus
from optimizer.milp_core import plan_of_core
from optimizer.milp_session import (
    COUNT_TOLERANCE,
    EXACT_METHOD,
    Session,
    finish,
    out_of_time,
    priority_groups,
    whole_bound,
)
from optimizer.milp_weighted import FEW_SERVERS, place_weighted
from optimizer.mixed_formulation import mixed_model
from optimizer.placement import Outcome
from optimizer.solver import default_backend
from optimizer.table import BoolArray, CandidateTable, FloatArray, IntArray
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import OptimizerSettings

if TYPE_CHECKING:
    from optimizer.fitting.places import Places

Build = Callable[[CandidateTable, IntArray, IntArray | None], Formulation]

EXACT_GAP = 1e-6
_ANY_GAP = 0.5
"""Gap of a plan of which only whom it serves is asked."""
WEIGHTED_GAP = 1e-3
DEFAULT_TIME_LIMIT_S = 120.0
"""Time limit where none is asked for: the last thousandth of a scarce or mixed fleet may take
hours to prove, and the plan comes with its gap."""
SERVE_ALL_SHARE = 0.5
"""Share of the time for the attempt to serve everybody; the rest is for those who cannot be."""


def place_milp(
    table: CandidateTable,
    capacity: IntArray,
    settings: OptimizerSettings,
    *,
    places: Places | None = None,
    build: Build | None = None,
    alone: CandidateTable | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Return the best placement within capacity, with what is proven about it.

    A search that the time limit ends comes to no less than a plan made in one pass over the
    servers (`optimizer.fallback`).

    Args:
        table: Candidates.
        capacity: Cards available by type, shape (types,).
        settings: Solver, gap, time limit, and whether servers may mix accelerators.
        places: What fits on nodes; None where cards of a type are all that counts.
        build: Returns the model of the candidates; None for the one of these settings.
        alone: The candidates with those that a server cannot take by itself rejected; None where
            there are none of that kind.
        clock: Seconds, for deadline and timings.

    Raises:
        SolverUnavailableError: The solver asked for cannot be used.
    """
    start = clock()
    backend, note = default_backend(settings.backend)
    notes = (note,) if note else ()
    if build is None:
        build = mixed_model if settings.heterogeneous else single_model
    form = build(table, capacity, None if places is None else places.shapes.like)
    if not settings.heterogeneous:
        form = with_shared_cards(form, table, capacity)
    if places is not None:
        form = places.within(form)
    exact = len(table.servers) <= settings.exact_servers
    gap = settings.relative_gap
    limit = DEFAULT_TIME_LIMIT_S if settings.time_limit_s is None else settings.time_limit_s
    session = Session(
        table=table,
        form=form,
        groups=priority_groups(table, form),
        backend=backend,
        gap=(EXACT_GAP if exact else WEIGHTED_GAP) if gap is None else gap,
        deadline=start + limit,
        clock=clock,
        known=None if places is not None else _known(table, form, capacity, settings),
    )
    built = clock()
    search = session.within(SEARCH_SHARE)
    outcome = _serve_all(search)
    if outcome is None:
        outcome = _staged(search) if exact else place_weighted(search, settings.class_weight_ratio)
    if _ended_early(session, outcome, exact=exact):
        at_hand = plans_at_hand(table if alone is None else alone, capacity, settings, places)
        outcome = with_plan_at_hand(session, outcome, at_hand)
    timings = {"formulate": (built - start) * 1e3, "solve": (clock() - built) * 1e3}
    return replace(outcome, backend=backend, notes=notes + outcome.notes, timings_ms=timings)


def _known(
    table: CandidateTable, form: Formulation, capacity: IntArray, settings: OptimizerSettings
) -> FloatArray | None:
    """Return the plan that keeps what runs, the one of last time, as values of the columns."""
    few = len(table.servers) <= FEW_SERVERS and not settings.heterogeneous
    if not few or np.any(form.table_row == NO_ROW):
        return None
    kept = keeping_what_runs(table, capacity, settings)
    if kept is None:
        return None
    return np.isin(form.table_row, kept.row).astype(np.float64)


def _ended_early(session: Session, outcome: Outcome, *, exact: bool) -> bool:
    """Return whether a search ended before it had proven what was asked of it."""
    if exact:
        return outcome.status is not PlanStatus.OPTIMAL
    # Of a large fleet the gap is promised, not whom of each priority a plan serves.
    return outcome.gap is None or outcome.gap > session.gap * (1 + 1e-9)


def can_serve(
    table: CandidateTable,
    capacity: IntArray,
    settings: OptimizerSettings,
    wanted: BoolArray,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Return whether some plan serves all servers that have candidates, and these among them.

    No plan is made to be good: that is all that is asked. False where the time passes undecided.

    Args:
        table: Candidates, one accelerator a server.
        capacity: Cards available by type, shape (types,).
        settings: Solver and time limit.
        wanted: Servers that must be served, shape (servers,).
        clock: Seconds.

    Raises:
        SolverUnavailableError: The solver asked for cannot be used.
    """
    backend, _ = default_backend(settings.backend)
    form = with_shared_cards(single_model(table, capacity), table, capacity)
    able = np.zeros(wanted.size, dtype=np.bool_)
    able[form.serves[form.serves >= 0]] = True
    able[table.server[table.accepted & (table.card_type < 0)]] = True
    if not np.all(able[wanted]):
        return False
    limit = DEFAULT_TIME_LIMIT_S if settings.time_limit_s is None else settings.time_limit_s
    groups = priority_groups(table, form)
    session = Session(table, form, groups, backend, _ANY_GAP, clock() + limit, clock)
    return _serve_all(session) is not None


def _serve_all(session: Session) -> Outcome | None:
    """Return the outcome if every server that has a candidate can be served, else None."""
    form = session.form
    everyone = form.served_columns(np.ones(len(session.table.servers), dtype=np.bool_))
    goal = np.unique(form.serves[everyone]).size
    cost = np.zeros(form.upper.size)
    cost[everyone] = -1.0
    relaxation = session.run(cost, (), relaxed=True)
    if relaxation.objective is None or -relaxation.objective < goal - COUNT_TOLERANCE:
        return None
    session = replace(session, form=form.serving_all())
    part = session.within(SERVE_ALL_SHARE)
    result = part.run(form.value, (), gap=session.gap, start=session.known)
    if result.x is None:
        return None
    counts = tuple(session.served(group, result.x) for group in session.groups)
    return finish(session, result, (), counts, counts, EXACT_METHOD)


def _staged(session: Session) -> Outcome:
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
        start = session.known if best is None else best.x
        result = session.run(cost, rows, gap=0.5 / max(group.columns.size, 1), start=start)
        if result.x is None:
            if best is None or best.x is None:
                return out_of_time(session)
            counts.append(session.served(group, best.x))
            bounds.append(None)
        else:
            best = result
            counts.append(session.served(group, result.x))
            bounds.append(whole_bound(result.bound))
        if bounds[-1] != counts[-1]:
            notes = ("the time limit passed before the served counts were proven",)
        if counts[-1] == session.form.served_rows(group.members).size:
            # The same as a count of all, which slows the solver down.
            session = replace(session, form=session.form.serving(group.members))
        else:
            most = counts[-1] if bounds[-1] == counts[-1] else np.inf
            rows = (*rows, session.count_row(group, float(counts[-1]), float(most)))
    value = session.form.value
    start = plan_of_core(session, session.form.model(value, rows))
    if start is None and best is not None:
        start = best.x
    result = session.run(value, rows, gap=session.gap, restarts=False, start=start)
    if result.x is None:
        if best is None or best.x is None:
            return out_of_time(session)
        result = SolveResult(SolveStatus.FEASIBLE, best.x, float(value @ best.x), None, 0.0)
    outcome = finish(session, result, rows, tuple(counts), tuple(bounds), EXACT_METHOD)
    return replace(outcome, notes=notes + outcome.notes)
