"""The cheapest fleets that serve so many servers, or so much load, within their targets.

The epsilon-constraint method (Haimes, Lasdon and Wismer, 1971): least cost under a bound on what is
served, then the most that is served at that cost. Each pair of solves gives a point that no other
plan dominates; the next bound lies just above what it serves, until nothing more can be served.

Priorities play no part: which servers are left out is decided by cost alone. Nor does what runs
now: a change costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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
from optimizer.solver import default_backend, solve
from optimizer.table import EMPTY, CandidateTable, FloatArray, IntArray
from optimizer.usage import card_counts
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.settings import DEFAULT_ANALYSIS
from studies.sweeping.reuse import is_plain, neutral_table, repriced

METHOD = "epsilon-constraint"

_SCALE = 1000.0
"""What all there is to serve, and the dearest candidate, are scaled to: far above the solver's
tolerance."""

RESOLUTION = 1e-6
"""Share of all that can be served by which points are told apart."""

_COST_ROOM = 1e-6
"""Room of the scaled cost while more is served for it: the solver's own rounding."""

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
    """

    plans: tuple[Plan, ...]
    whole: bool


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

    def run(self, objective: FloatArray, *rows: ExtraRow) -> SolveResult:
        limits = SolveLimits(relative_gap=0.0, time_limit_s=self.time_limit_s)
        return solve(self.form.model(objective, rows), self.backend, limits)

    def serving(self, least: float) -> ExtraRow:
        columns = np.flatnonzero(self.amount)
        return ExtraRow(columns, self.amount[columns], least, np.inf)

    def costing(self, most: float) -> ExtraRow:
        columns = np.flatnonzero(self.cost)
        return ExtraRow(columns, self.cost[columns], -np.inf, most)


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
        fleet: The fleet; cards, prices and analysis are its own.
        measure: Whether servers count, or their requests.
        most_points: Largest number of plans; where the whole frontier has more, that many evenly
            spaced amounts are served, each at least cost.
        time_limit_s: Limit of each solve; a plan that it cuts short has an open gap.
        report: Told how many plans there are.
        clock: Seconds, for timings.

    Raises:
        InvalidInputError: The fleet uses what this model does not know.
        SolverUnavailableError: The MILP solver asked for cannot be used.
    """
    if not is_plain(fleet):
        message = "the fleet has pools, limits or the like, which this frontier does not know"
        raise InvalidInputError([Problem("--against", message, "latency, for such a fleet")])
    begun = clock()
    model = _model(fleet, measure, time_limit_s)
    most = model.run(-model.amount)
    top = float(model.amount @ most.x) if most.x is not None else 0.0
    plans: list[Plan] = []
    for plan, served in _rising(model):
        plans.append(replace(plan, timings_ms={"total": (clock() - begun) * 1e3}))
        begun = clock()
        if report is not None:
            report(len(plans))
        if served >= top - _SCALE * RESOLUTION:
            return Frontier(tuple(plans), whole=True)
        if len(plans) >= most_points:
            break
    levels = np.linspace(0.0, top, most_points)
    evenly: list[Plan] = []
    for level in levels:
        found = _at_least(model, float(level) - _SCALE * RESOLUTION)
        if found is not None:
            evenly.append(replace(found[0], timings_ms={"total": (clock() - begun) * 1e3}))
        begun = clock()
        if report is not None:
            report(len(evenly))
    return Frontier(_distinct(evenly), whole=False)


def _distinct(plans: list[Plan]) -> tuple[Plan, ...]:
    """Return plans without those that serve the same servers at the same cost again."""
    kept: dict[tuple[float, frozenset[str]], Plan] = {}
    for plan in plans:
        served = frozenset(item.server for item in plan.allocations if item.fully_served)
        kept.setdefault((plan.cost_per_hour, served), plan)
    return tuple(kept.values())


def _model(fleet: Fleet, measure: Measure, time_limit_s: float | None) -> _Model:
    analysis = fleet.settings.analysis or DEFAULT_ANALYSIS
    table = repriced(neutral_table(fleet, analysis), fleet)
    table = replace(table, value=table.cost_per_hour, transitions=None)
    capacity = _capacity(fleet, table)
    form = with_shared_cards(single_model(table, capacity), table, capacity)
    served = form.serves
    if measure is Measure.SERVERS:
        amount = np.ones(served.size)
        whole = float(len(fleet.servers))
    else:
        rates = [server.load.arrival_rate_rps if server.load else 0.0 for server in fleet.servers]
        amount = np.array(rates, dtype=np.float64)[served]
        whole = sum(rates)
    amount = np.where(served >= 0, amount, 0.0)  # cut cards serve nobody by themselves
    backend, _ = default_backend(fleet.settings.backend)
    scaled = amount * (_SCALE / whole) if whole > 0 else amount
    unit = float(form.value.max(initial=0.0)) / _SCALE or 1.0
    return _Model(fleet, table, form, form.value / unit, scaled, unit, backend, time_limit_s)


def _capacity(fleet: Fleet, table: CandidateTable) -> IntArray:
    """Return the cards by type, less those that are kept; as many as it takes where unlimited."""
    if fleet.settings.unlimited:
        return np.full(len(table.card_types), max(1, int(table.cards.sum())), dtype=np.int64)
    counts, kept = card_counts(fleet), kept_cards(kept_allocations(fleet))
    left = [max(0, counts.get(name, 0) - kept.get(name, 0)) for name in table.card_types]
    return np.array(left, dtype=np.int64)


def _rising(model: _Model) -> Iterator[tuple[Plan, float]]:
    """Yield efficient plans by rising cost, each with what it serves, to the last."""
    least = 0.0
    while (found := _at_least(model, least)) is not None:
        yield found
        least = found[1] + _SCALE * RESOLUTION


def _at_least(model: _Model, least: float) -> tuple[Plan, float] | None:
    """Return the cheapest plan that serves so much, and more where it costs no more."""
    rows = (model.serving(least),) if least > 0 else ()
    cheapest = model.run(model.cost, *rows)
    if cheapest.x is None or cheapest.objective is None:
        return None
    costing = model.costing(cheapest.objective + _COST_ROOM)
    fullest = model.run(-model.amount, *rows, costing)
    x = cheapest.x if fullest.x is None else fullest.x
    if float(model.amount @ x) < float(model.amount @ cheapest.x):
        x = cheapest.x
    return _plan(model, x, cheapest), float(model.amount @ x)


def _plan(model: _Model, x: FloatArray, proof: SolveResult) -> Plan:
    table, form = model.table, model.form
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
