"""What a plan is when the time limit ends the search: no less than one pass over the servers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.complete import completed
from optimizer.fallback import made_without_search
from optimizer.greedy import place_greedy
from optimizer.milp import place_milp
from optimizer.milp_parts import place_in_parts
from optimizer.placement import Outcome
from optimizer.planner import plan_fleet
from optimizer.table import CandidateTable, IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.settings import OptimizerSettings, SolverKind
from tests.support.small_fleets import fleets
from tests.support.tables import Case, Option, cases, make_table

EXACT = OptimizerSettings(time_limit_s=1.0)
WEIGHTED = replace(EXACT, exact_servers=0)
MIXED = replace(EXACT, heterogeneous=True)
ONE = Option(accelerator=0, card_type=0, cards=1, unit_cost=1.0, rate=1.0)


def late_after(calls: int) -> Callable[[], float]:
    """Return a clock that stands for so many readings, and is past every limit then."""
    readings = itertools.count()
    return lambda: 0.0 if next(readings) < calls else 1e6


def measure(outcome: Outcome) -> tuple[tuple[int, ...], float]:
    """Return what plans are compared by: the less the better."""
    return tuple(-item.served for item in outcome.services), outcome.objective


def greedy_measure(table: CandidateTable, capacity: IntArray) -> tuple[tuple[int, ...], float]:
    return measure(place_greedy(table, capacity, OptimizerSettings()))


def served(plan: Plan) -> tuple[int, ...]:
    return tuple(item.served for item in plan.services)


@given(
    case=cases(servers=6, options=4),
    chosen=st.sampled_from([EXACT, WEIGHTED, MIXED]),
    calls=st.integers(1, 24),
)
@settings(max_examples=150)
def test_a_search_cut_short_is_never_worse_than_greedy(
    case: Case, chosen: OptimizerSettings, calls: int
) -> None:
    table, capacity = make_table(case)
    hurried = completed(table, place_milp(table, capacity, chosen, clock=late_after(calls)))
    (vector, value), (counts, worth) = measure(hurried), greedy_measure(table, capacity)
    assert vector <= counts
    if vector == counts:
        assert value <= worth + 1e-9
    used = [0] * capacity.size
    for row, replicas in zip(
        hurried.placement.row.tolist(), hurried.placement.replicas.tolist(), strict=True
    ):
        if table.card_type[row] >= 0:
            used[table.card_type[row]] += replicas * int(table.cards_per_replica[row])
    assert all(n <= most for n, most in zip(used, capacity.tolist(), strict=True))


@given(case=cases(servers=6, options=4), chosen=st.sampled_from([EXACT, MIXED]))
@settings(max_examples=100)
def test_bounds_of_a_search_cut_short_hold_for_the_best_plan(
    case: Case, chosen: OptimizerSettings
) -> None:
    table, capacity = make_table(case)
    best = place_milp(table, capacity, replace(chosen, time_limit_s=None))
    assert best.status is PlanStatus.OPTIMAL
    for calls in (1, 6, 9, 12, 16):
        hurried = place_milp(table, capacity, chosen, clock=late_after(calls))
        if hurried.status is not PlanStatus.FEASIBLE:
            continue
        pairs = list(zip(best.services, hurried.services, strict=True))
        for own, found in pairs:
            assert found.bound is not None
            # Lower priorities are bounded where higher ones keep what they have.
            assert found.bound >= own.served
            if found.served != own.served:
                break
        if all(own.served == found.served for own, found in pairs) and hurried.bound is not None:
            assert hurried.bound <= best.objective + 1e-6
            assert hurried.gap is not None
            assert hurried.gap >= 0.0


@given(fleet=fleets(), calls=st.integers(1, 60))
@settings(max_examples=6)
def test_a_hurried_plan_of_a_fleet_serves_as_many_as_the_greedy_one(
    fleet: Fleet, calls: int
) -> None:
    greedy = plan_fleet(fleet, OptimizerSettings(solver=SolverKind.GREEDY))
    hurried = plan_fleet(fleet, EXACT, clock=late_after(calls))
    assert served(hurried) >= served(greedy)
    if served(hurried) == served(greedy):
        assert hurried.objective <= greedy.objective + 1e-9


def test_the_plan_says_that_time_ended_the_search_and_where_it_is_from() -> None:
    table, capacity = make_table(Case(((1, 2.0, 0, (ONE,)),), (9,), ((-1, 0.0),)))
    outcome = place_milp(table, capacity, EXACT, clock=late_after(1))
    assert outcome.status is PlanStatus.FEASIBLE
    assert outcome.placement.replicas.tolist() == [2]
    assert (outcome.bound, outcome.gap) == (outcome.objective, 0.0)
    assert outcome.notes == (
        "the time limit ended the search before it found a plan: "
        "this one is made by the greedy method",
    )


def test_nothing_that_fits_is_not_called_infeasible_unproven() -> None:
    table, capacity = make_table(Case(((1, 2.0, 0, (ONE,)),), (1,), ((-1, 0.0),)))
    outcome = place_milp(table, capacity, EXACT, clock=late_after(1))
    assert outcome.status is PlanStatus.TIME_LIMIT
    assert (outcome.placement.row.size, outcome.bound, outcome.gap) == (0, None, None)
    assert any("time limit" in note for note in outcome.notes)


def test_what_runs_is_kept_where_that_serves_more() -> None:
    # The greedy method moves the first to the cheap cards, on which alone the second can be.
    cheap = Option(accelerator=0, card_type=0, cards=2, unit_cost=0.5, rate=1.0)
    runs = Option(accelerator=1, card_type=1, cards=2, unit_cost=2.0, rate=1.0)
    case = Case(
        ((1, 1.0, 0, (cheap, runs)), (1, 1.0, 0, (cheap,))), (2, 4), ((1, 1.9), (-1, 0.0)), 0.01
    )
    table, capacity = make_table(case)
    outcome = place_milp(table, capacity, EXACT, clock=late_after(1))
    assert [item.served for item in outcome.services] == [2]


@pytest.mark.parametrize("limit_s", [1e-9, 1e-3])
def test_a_real_clock_past_the_limit_gives_a_plan(limit_s: float) -> None:
    servers = tuple((1 + k % 3, 1.0 + 0.1 * k, 0, (ONE,)) for k in range(40))
    table, capacity = make_table(Case(servers, (60,), ((-1, 0.0),) * 40))
    outcome = place_milp(table, capacity, replace(EXACT, time_limit_s=limit_s))
    assert measure(outcome) <= greedy_measure(table, capacity)
    assert outcome.placement.row.size


def test_a_plan_of_which_one_part_was_not_searched_for_says_so() -> None:
    # Three types of cards, each of which one of three servers has to go without.
    servers = tuple(
        (1, rate, 0, (replace(ONE, accelerator=index, card_type=index),))
        for index in range(3)
        for rate in (4.0, 1.0, 1.0)
    )
    table, capacity = make_table(Case(servers, (4, 4, 4), ((-1, 0.0),) * 9))
    chosen = replace(EXACT, exact_servers=3)
    cut = [place_in_parts(table, capacity, chosen, clock=late_after(n)) for n in range(1, 40)]
    some = [each for each in cut if any(note.startswith("in 1 of 3 parts:") for note in each.notes)]
    assert some
    assert all(made_without_search(each.notes) for each in some)
    assert not made_without_search(place_in_parts(table, capacity, chosen).notes)
