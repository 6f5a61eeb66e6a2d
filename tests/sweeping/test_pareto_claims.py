"""A frontier claims what is proven of it, and refuses what its model does not know."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from optimizer.linear_model import LinearModel, SolveLimits, SolveResult, SolveStatus
from optimizer.planner import plan_prepared
from optimizer.preparation import Clock, Prepared
from optimizer.solver import solve
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.pools import Pool
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.workload import Load
from studies.sweeping import attainment, by_budget
from studies.sweeping.attainment import Measure
from studies.sweeping.pareto import pareto_attainment, pareto_priorities
from tests.support.small_fleets import make_fleet, make_server

FLEET = replace(
    make_fleet(*(make_server(f"s{k}", load=Load(1.0 + k, 128, 256)) for k in range(3))),
    settings=OptimizerSettings(analysis=Analysis.REFERENCE),
)
CUT = SolveResult(SolveStatus.NO_SOLUTION, None, None, None, 0.0)
Cutter = Callable[[int, SolveResult], SolveResult]


def cut_short(monkeypatch: pytest.MonkeyPatch, cut: Cutter) -> None:
    """Let solves end as a time limit would end them: told the number of each, and its result."""
    solves = 0

    def limited(model: LinearModel, backend: str, limits: SolveLimits) -> SolveResult:
        nonlocal solves
        solves += 1
        return cut(solves, solve(model, backend, limits))

    monkeypatch.setattr(attainment, "solve", limited)


def unproven(result: SolveResult) -> SolveResult:
    """Return the solution that gives nobody anything, without a proof."""
    assert result.x is not None
    return SolveResult(SolveStatus.FEASIBLE, np.zeros_like(result.x), 0.0, None, 0.0)


@pytest.mark.parametrize("end", [unproven, lambda _: CUT])
def test_a_maximum_that_is_not_proven_ends_no_frontier(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[SolveResult], SolveResult]
) -> None:
    whole = pareto_attainment(FLEET, Measure.SERVERS)
    assert len(whole.rows) == 4
    # The first solve looks for the most that can be served.
    cut_short(monkeypatch, lambda number, result: end(result) if number == 1 else result)
    results = pareto_attainment(FLEET, Measure.SERVERS)
    assert [row["served"] for row in results.rows] == [0, 1, 2, 3]
    assert results.claim == whole.claim
    assert "This is the whole frontier: no plan" in whole.claim


def test_a_frontier_whose_end_is_not_proven_does_not_say_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The most, then two solves a point: from the third point on, time is up.
    cut_short(monkeypatch, lambda number, result: result if 1 < number < 6 else CUT)
    results = pareto_attainment(FLEET, Measure.SERVERS)
    assert [row["served"] for row in results.rows] == [0, 1]
    assert "whole frontier" not in results.claim
    assert "more may be served than here, or more for as much (--time-limit)" in results.claim


def test_what_is_served_for_a_cost_must_be_proven_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(number: int, result: SolveResult) -> SolveResult:
        return unproven(result) if number == 5 else result

    cut_short(monkeypatch, cut)
    results = pareto_attainment(FLEET, Measure.SERVERS)
    assert [row["served"] for row in results.rows] == [0, 1, 2, 3]
    assert "whole frontier" not in results.claim
    assert "more for as much" in results.claim


def test_a_cost_that_is_not_proven_may_hide_points_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solutions: list[SolveResult] = []

    def cut(number: int, result: SolveResult) -> SolveResult:
        solutions.append(result)
        # The least cost of one server, cut short: the plan found serves all of them.
        if number != 4:
            return result
        return SolveResult(SolveStatus.FEASIBLE, solutions[0].x, 1e6, 0.0, 0.0)

    cut_short(monkeypatch, cut)
    results = pareto_attainment(FLEET, Measure.SERVERS)
    assert [row["served"] for row in results.rows] == [0, 3]
    assert "whole frontier" not in results.claim
    assert "but for the gaps shown; before one that is not proven, points may be" in results.claim


def test_evenly_spaced_points_say_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_short(monkeypatch, lambda number, result: CUT if number == 1 else result)
    results = pareto_attainment(FLEET, Measure.SERVERS, 2)
    assert "more points between them (--points)" in results.claim
    assert "more may be served than here" in results.claim
    assert results.rows[-1]["served"] == 1  # as far as the walk came


def test_no_time_at_all_is_an_empty_frontier_that_claims_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_short(monkeypatch, lambda number, result: CUT)
    results = pareto_attainment(FLEET, Measure.SERVERS)
    assert results.rows == ()
    assert "whole frontier" not in results.claim


def test_a_budget_without_a_plan_in_time_ends_no_frontier(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pareto_priorities(FLEET)
    assert "whole frontier" in whole.claim
    plans = 0

    def limited(prepared: Prepared, *, clock: Clock) -> Plan:
        nonlocal plans
        plans += 1
        plan = plan_prepared(prepared, clock=clock)
        return replace(plan, status=PlanStatus.TIME_LIMIT) if plans > 2 else plan

    monkeypatch.setattr(by_budget, "plan_prepared", limited)
    results = pareto_priorities(FLEET)
    assert len(results.rows) == 2 < len(whole.rows)
    assert "whole frontier" not in results.claim
    assert "cheaper plans may be missing (--time-limit)" in results.claim


def mixing(fleet: Fleet) -> Fleet:
    return replace(fleet, settings=replace(fleet.settings, heterogeneous=True))


@pytest.mark.parametrize("measure", Measure)
def test_servers_that_may_mix_accelerators_are_refused(measure: Measure) -> None:
    pooled = replace(FLEET, pools=(Pool("east", "C", 12),), capacity=())
    for fleet in (FLEET, pooled):
        with pytest.raises(InvalidInputError, match=r"optimizer\.heterogeneous: true, in "):
            pareto_attainment(mixing(fleet), measure)
    with pytest.raises(InvalidInputError, match=r"optimizer\.heterogeneous: true, in "):
        pareto_priorities(mixing(FLEET))


def test_where_plans_do_not_mix_either_the_setting_plays_no_part() -> None:
    free = replace(FLEET, settings=replace(FLEET.settings, unlimited=True))
    costs = [row["cost_per_hour"] for row in pareto_attainment(free, Measure.SERVERS).rows]
    mixed = pareto_attainment(mixing(free), Measure.SERVERS)
    assert [row["cost_per_hour"] for row in mixed.rows] == costs
