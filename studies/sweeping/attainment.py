"""The cheapest fleets that serve so many servers, or so much load, within their targets.

Found by the epsilon-constraint method (`studies.sweeping.epsilon`), on the model of the fleet:
cards by type alone, or pools and limits (`studies.sweeping.pooled_attainment`).

Priorities play no part: which servers are left out is decided by cost alone. Nor does what runs
now: a change costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from optimizer.assemble import assemble_plan
from optimizer.check import check_plan
from optimizer.configurations.shared_cards import with_shared_cards
from optimizer.formulation import NO_ROW, ExtraRow, Formulation, single_model
from optimizer.kept import kept_allocations, kept_cards
from optimizer.linear_model import SolveLimits, SolveResult, SolveStatus
from optimizer.outcome import class_services, make_placement
from optimizer.placement import Outcome
from optimizer.preparation import effective_settings, may_mix
from optimizer.solver import default_backend, solve
from optimizer.table import EMPTY, CandidateTable, FloatArray, IntArray
from optimizer.usage import card_counts
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.settings import DEFAULT_ANALYSIS
from studies.sweeping.epsilon import SCALE, Bound, Efficient, efficient_solutions
from studies.sweeping.pooled_attainment import METHOD, pooled_fleet, pooled_plan
from studies.sweeping.reuse import is_plain, neutral_table, repriced

Report = Callable[[int], None]


class Measure(StrEnum):
    """What counts as attainment."""

    SERVERS = "servers"
    LOAD = "load"


@dataclass(frozen=True, slots=True)
class Frontier:
    """The plans on a frontier, by rising cost.

    Attributes:
        plans: The plans; the first serves nothing that costs anything.
        whole: Whether no other plan lies on the frontier; otherwise these are the efficient plans
            for evenly spaced amounts served.
        proven: Whether no time limit kept a search from proving that there is nothing beyond, and
            nothing that serves more at the cost of one of them.
    """

    plans: tuple[Plan, ...]
    whole: bool
    proven: bool = True


@dataclass(frozen=True, slots=True)
class _Model:
    """The model of who is served on what, and what it costs and serves by column.

    Attributes:
        fleet: The fleet.
        table: Its candidates, valued at their cost.
        form: The model, without objective.
        cost: Scaled cost, shape (columns,).
        amount: What counts as served, scaled, shape (columns,).
        cost_unit: Cost that a scaled cost of 1 stands for.
        backend: PuLP's name of the solver.
        time_limit_s: Limit of each solve.
    """

    fleet: Fleet
    table: CandidateTable
    form: Formulation
    cost: FloatArray
    amount: FloatArray
    cost_unit: float
    backend: str
    time_limit_s: float | None

    def minimize(self, objective: FloatArray, *bounds: Bound) -> SolveResult:
        limits = SolveLimits(relative_gap=0.0, time_limit_s=self.time_limit_s)
        return solve(self.form.model(objective, tuple(map(_row, bounds))), self.backend, limits)


def _row(bound: Bound) -> ExtraRow:
    columns = np.flatnonzero(bound.values)
    return ExtraRow(columns, bound.values[columns], bound.lower, bound.upper)


def attainment_frontier(
    fleet: Fleet,
    measure: Measure,
    most_points: int = 50,
    *,
    time_limit_s: float | None = 60.0,
    report: Report | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Frontier:
    """Return the frontier of cost against what is served within all targets.

    Args:
        fleet: The fleet; cards, pools, limits, prices and analysis are its own. Its objectives and
            the pools that it prefers play no part.
        measure: Whether servers count, or their requests.
        most_points: Largest number of plans; where the whole frontier has more, that many evenly
            spaced amounts are served, each at least cost.
        time_limit_s: Limit of each solve; a plan that it cuts short has an open gap.
        report: Told how many plans there are.
        clock: Seconds, for timings.

    Raises:
        InvalidInputError: The fleet uses what neither model knows.
        SolverUnavailableError: The MILP solver asked for cannot be used.
    """
    _refuse(fleet)
    ends = [clock()]

    def found(count: int) -> None:
        ends.append(clock())
        if report is not None:
            report(count)

    plans: list[Plan]
    if is_plain(fleet):
        plain = _model(fleet, measure, time_limit_s)
        walk = efficient_solutions(plain, most_points, found)
        plans = [_plan(plain, point) for point in walk.points]
    else:
        pooled = pooled_fleet(fleet, _counted(fleet, measure), time_limit_s, clock)
        walk = efficient_solutions(pooled.weighed, most_points, found)
        plans = [pooled_plan(pooled, point) for point in walk.points]
    took = np.diff(ends)[len(ends) - 1 - len(plans) :] * 1e3
    timed = [
        replace(plan, timings_ms={"total": float(spent)})
        for plan, spent in zip(plans, took, strict=True)
    ]
    kept = tuple(timed) if walk.whole else distinct_plans(timed)
    return Frontier(kept, walk.whole, walk.proven)


def _refuse(fleet: Fleet) -> None:
    """Refuse what is beyond the models of these frontiers; that over pools refuses more itself."""
    problems = []
    if fleet.sharing:
        message = "is beyond this frontier, where every server has replicas of its own"
        problems.append(Problem("sharing", message, "--against latency, or no sharing"))
    # Cheaper plans may mix: without them no point would be the least cost of what it serves.
    if fleet.is_plain and may_mix(effective_settings(fleet.settings)):
        message = "true, in this frontier, where a server may not mix accelerators"
        allowed = "false, or --against latency"
        problems.append(Problem("optimizer.heterogeneous", message, allowed))
    if problems:
        raise InvalidInputError(problems)


def distinct_plans(plans: list[Plan]) -> tuple[Plan, ...]:
    """Return plans without those that serve the same servers at the same cost again."""
    kept: dict[tuple[float, frozenset[str]], Plan] = {}
    for plan in plans:
        served = frozenset(item.server for item in plan.allocations if item.fully_served)
        kept.setdefault((plan.cost_per_hour, served), plan)
    return tuple(kept.values())


def _counted(fleet: Fleet, measure: Measure) -> FloatArray:
    """Return what each server counts when it is served, (servers,)."""
    if measure is Measure.SERVERS:
        return np.ones(len(fleet.servers))
    rates = [server.load.arrival_rate_rps if server.load else 0.0 for server in fleet.servers]
    return np.array(rates, dtype=np.float64)


def _model(fleet: Fleet, measure: Measure, time_limit_s: float | None) -> _Model:
    analysis = fleet.settings.analysis or DEFAULT_ANALYSIS
    table = repriced(neutral_table(fleet, analysis), fleet)
    table = replace(table, value=table.cost_per_hour, transitions=None)
    capacity = _capacity(fleet, table)
    form = with_shared_cards(single_model(table, capacity), table, capacity)
    served = form.serves
    counted = _counted(fleet, measure)
    whole = float(counted.sum())
    # Cut cards serve nobody by themselves.
    amount = np.where(served >= 0, counted[served], 0.0) if counted.size else np.zeros(served.size)
    backend, _ = default_backend(fleet.settings.backend)
    scaled = amount * (SCALE / whole) if whole > 0 else amount
    unit = float(form.value.max(initial=0.0)) / SCALE or 1.0
    return _Model(fleet, table, form, form.value / unit, scaled, unit, backend, time_limit_s)


def _capacity(fleet: Fleet, table: CandidateTable) -> IntArray:
    """Return the cards by type, less those that are kept; as many as it takes where unlimited."""
    if fleet.settings.unlimited:
        return np.full(len(table.card_types), max(1, int(table.cards.sum())), dtype=np.int64)
    counts, kept = card_counts(fleet), kept_cards(kept_allocations(fleet))
    left = [max(0, counts.get(name, 0) - kept.get(name, 0)) for name in table.card_types]
    return np.array(left, dtype=np.int64)


def _plan(model: _Model, point: Efficient) -> Plan:
    table, form, x, proof = model.table, model.form, point.x, point.proof
    chosen = form.table_row[(x > 0.5) & (form.table_row != NO_ROW)]
    rows = {int(table.server[row]): int(row) for row in chosen}
    for row in np.flatnonzero(table.accepted & (table.accelerator == EMPTY)):
        rows.setdefault(int(table.server[row]), int(row))  # what needs nothing is served
    placement = make_placement(table, rows, {})
    optimal = proof.status is SolveStatus.OPTIMAL
    outcome = Outcome(
        placement=placement,
        status=PlanStatus.OPTIMAL if optimal else PlanStatus.FEASIBLE,
        objective=float(form.value @ x),
        bound=None if proof.bound is None else proof.bound * model.cost_unit,
        gap=None,
        services=class_services(table, placement.served, proven=False),
        method=METHOD,
        backend=model.backend,
    )
    unlimited = model.fleet.settings.unlimited
    plan = assemble_plan(
        model.fleet,
        table,
        outcome,
        analysis=table.analysis,
        unlimited=unlimited,
        kept=kept_allocations(model.fleet),
    )
    plan = replace(plan, status=outcome.status)
    check_plan(model.fleet, plan, unlimited=unlimited, own_predictions=True)
    return plan
