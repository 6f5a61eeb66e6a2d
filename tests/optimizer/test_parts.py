"""Plans made part by part: as good as those of the fleet as a whole, and as well proven."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.complete import completed
from optimizer.configurations.cut_cards import alike
from optimizer.formulation import fitting_rows, undominated_rows
from optimizer.greedy import place_greedy
from optimizer.milp import place_milp
from optimizer.milp_parts import place_in_parts
from optimizer.outcome import cards_used
from optimizer.parts import Parts, Ways, parts_of
from optimizer.placement import Outcome
from optimizer.table import CandidateTable, IntArray
from stoker.domain.errors import SolverUnavailableError
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import OptimizerSettings
from tests.support.tables import Case, Option, brute_force, cases, make_table

EXACT = OptimizerSettings()
MIXED = replace(EXACT, heterogeneous=True)
WEIGHTED = replace(EXACT, exact_servers=0)
ONE = Option(accelerator=0, card_type=0, cards=1, unit_cost=1.0, rate=1.0)
NOTHING_RUNS = (-1, 0.0)


def beside(*parts: Case) -> Case:
    """Return fleets side by side as one, each with its own card types and accelerators."""
    servers: list[tuple[int, float, int, tuple[Option, ...]]] = []
    current: list[tuple[int, float]] = []
    capacity: list[int] = []
    for index, part in enumerate(parts):
        types, first = len(capacity), 10 * index

        def moved(option: Option, types: int = types, first: int = first) -> Option:
            return replace(
                option,
                card_type=types + option.card_type,
                accelerator=first + option.accelerator,
            )

        for priority, total, least, options in part.servers:
            servers.append((priority, total, least, tuple(map(moved, options))))
        for now, cost in part.current:
            current.append((now if now < 0 else first + now, cost))
        capacity += part.capacity
    return Case(tuple(servers), tuple(capacity), tuple(current))


def several(servers: int) -> st.SearchStrategy[Case]:
    return st.lists(cases(servers=servers), min_size=1, max_size=4).map(
        lambda parts: beside(*parts)
    )


def vector(outcome: Outcome) -> tuple[int, ...]:
    return tuple(item.served for item in outcome.services)


def used(table: CandidateTable, outcome: Outcome) -> IntArray:
    return cards_used(table, outcome.placement, len(table.card_types))


def check_equal(table: CandidateTable, capacity: IntArray, chosen: OptimizerSettings) -> None:
    parts, whole = (
        completed(table, method(table, capacity, chosen)) for method in (place_in_parts, place_milp)
    )
    assert vector(parts) == vector(whole)
    assert parts.objective == pytest.approx(whole.objective, rel=1e-9, abs=1e-9)
    assert (used(table, parts) <= capacity).all()
    assert used(table, parts).sum() <= used(table, whole).sum()
    assert parts.status is whole.status
    if parts.status is PlanStatus.OPTIMAL:
        assert parts.gap is not None
        assert parts.gap <= 1e-6
    assert [item.bound for item in parts.services] == [item.bound for item in whole.services]
    assert [item.servers for item in parts.services] == [item.servers for item in whole.services]


@given(case=several(4))
@settings(max_examples=60)
def test_one_accelerator_a_server_is_as_good_as_the_whole(case: Case) -> None:
    check_equal(*make_table(case), EXACT)


@given(case=several(2))
@settings(max_examples=30)
def test_mixes_are_as_good_as_the_whole(case: Case) -> None:
    check_equal(*make_table(case), MIXED)


@given(
    case=st.one_of(cases(), st.tuples(cases(servers=2), cases(servers=2)).map(lambda p: beside(*p)))
)
@settings(max_examples=60)
def test_parts_agree_with_brute_force(case: Case) -> None:
    table, capacity = make_table(case)
    outcome = place_in_parts(table, capacity, EXACT)
    best = brute_force(case, mixed=False)
    assert vector(outcome) == best.served
    assert outcome.objective == pytest.approx(best.value, rel=1e-9, abs=1e-9)
    assert used(table, outcome).sum() == best.cards
    assert outcome.status is PlanStatus.OPTIMAL


@given(case=several(3), limit=st.integers(1, 4))
@settings(max_examples=40)
def test_parts_within_the_limit_are_exact_in_a_fleet_above_it(case: Case, limit: int) -> None:
    table, capacity = make_table(case)
    outcome = place_in_parts(table, capacity, replace(EXACT, exact_servers=limit))
    exact = place_milp(table, capacity, EXACT)
    if outcome.method == "milp-exact":
        assert vector(outcome) == vector(exact)
    assert vector(outcome) <= vector(exact)
    for found, best in zip(outcome.services, exact.services, strict=True):
        assert found.bound is not None
        assert found.served <= found.bound
        if found.served != best.served:
            break
        assert best.served <= found.bound
        if found.served != found.bound:
            break


def late_after(calls: int) -> Callable[[], float]:
    """Return a clock that stands for so many readings, and is past every limit then."""
    readings = itertools.count()
    return lambda: 0.0 if next(readings) < calls else 1e6


@given(case=several(3), chosen=st.sampled_from([EXACT, MIXED, WEIGHTED]), calls=st.integers(1, 60))
@settings(max_examples=40)
def test_parts_cut_short_are_never_worse_than_greedy(
    case: Case, chosen: OptimizerSettings, calls: int
) -> None:
    table, capacity = make_table(case)
    hurried = replace(chosen, time_limit_s=1.0)
    outcome = completed(table, place_in_parts(table, capacity, hurried, clock=late_after(calls)))
    greedy = place_greedy(table, capacity, OptimizerSettings())
    best = completed(
        table, place_milp(table, capacity, replace(EXACT, heterogeneous=chosen is MIXED))
    )
    assert vector(greedy) <= vector(outcome) <= vector(best)
    if vector(outcome) == vector(greedy):
        assert outcome.objective <= greedy.objective + 1e-9
    if vector(outcome) == vector(best) and outcome.bound is not None and chosen is not WEIGHTED:
        assert outcome.bound <= best.objective + 1e-6
    for found, own in zip(outcome.services, best.services, strict=True):
        assert found.bound is None or found.bound >= own.served
        if found.served != own.served:
            break
    assert (used(table, outcome) <= capacity).all()


def ways_of(table: CandidateTable, capacity: IntArray) -> tuple[IntArray, Ways]:
    rows = undominated_rows(table, fitting_rows(table, capacity), alike(table, None))
    none = np.zeros(rows.size, dtype=np.bool_)
    figures = (table.server[rows], table.card_type[rows], table.cards[rows], table.value[rows])
    return rows, Ways(*figures, servers=len(table.servers), together=False, cut=none)


def parts_in(case: Case) -> Parts:
    table, capacity = make_table(case)
    return parts_of(ways_of(table, capacity)[1], capacity)


@given(case=several(4))
@settings(max_examples=60)
def test_parts_ask_for_no_more_cards_than_there_are(case: Case) -> None:
    table, capacity = make_table(case)
    rows, ways = ways_of(table, capacity)
    parts = parts_of(ways, capacity)
    settled = np.zeros(capacity.size, dtype=np.int64)
    held = rows[parts.best][table.card_type[rows[parts.best]] >= 0]
    np.add.at(settled, table.card_type[held], table.cards[held])
    assert (settled + parts.cards.sum(axis=0) <= capacity).all()
    able = np.unique(table.server[rows])
    decided = table.server[rows[parts.best]]
    assert set(able) == set(decided) | set(np.flatnonzero(parts.part >= 0))
    assert not set(decided) & set(np.flatnonzero(parts.part >= 0))


def two_on(count: int, *options: Option) -> Case:
    return Case(((1, 2.0, 0, options), (1, 2.0, 0, options)), (count, 9), (NOTHING_RUNS,) * 2)


DEARER = Option(accelerator=1, card_type=1, cards=1, unit_cost=2.0, rate=1.0)


def test_cards_for_everybody_leave_nothing_to_decide() -> None:
    parts = parts_in(two_on(4, ONE))
    assert (parts.count, parts.best.size) == (0, 2)


def test_servers_that_compete_for_cards_are_one_part() -> None:
    parts = parts_in(two_on(3, ONE))
    assert (parts.count, parts.best.size) == (1, 0)
    assert parts.part.tolist() == [0, 0]
    assert parts.cards.tolist() == [[3, 0]]


def test_servers_on_scarce_cards_of_different_types_are_apart() -> None:
    parts = parts_in(beside(two_on(3, ONE), two_on(3, ONE)))
    assert parts.part.tolist() == [0, 0, 1, 1]
    assert parts.cards.tolist() == [[3, 0, 0, 0], [0, 0, 3, 0]]


def test_a_cheaper_way_on_ample_cards_leaves_scarce_ones_to_nobody() -> None:
    cheaper = replace(DEARER, unit_cost=0.5)
    parts = parts_in(two_on(3, ONE, cheaper))
    assert (parts.count, parts.best.size, parts.needed.sum()) == (0, 2, 2)


def test_a_dearer_way_on_ample_cards_does_not() -> None:
    parts = parts_in(two_on(3, ONE, DEARER))
    assert (parts.count, parts.needed.sum()) == (1, 4)


def test_cards_that_are_cut_link_whoever_takes_parts_of_them() -> None:
    table, capacity = make_table(two_on(9, ONE))
    _, ways = ways_of(table, capacity)
    parts = parts_of(replace(ways, cut=np.ones_like(ways.cut)), capacity)
    assert (parts.count, parts.best.size) == (1, 0)


def scarce_regions(count: int) -> Case:
    """Return regions of one big and two small servers, with cards for the small ones alone."""
    servers = ((1, 4.0, 0, (ONE,)), (1, 1.0, 0, (ONE,)), (1, 1.0, 0, (ONE,)))
    return beside(*[Case(servers, (4,), (NOTHING_RUNS,) * 3)] * count)


def test_the_limit_of_exact_stages_is_that_of_a_part() -> None:
    table, capacity = make_table(scarce_regions(8))
    chosen = replace(EXACT, exact_servers=3)
    outcome = place_in_parts(table, capacity, chosen)
    assert (outcome.method, outcome.status) == ("milp-exact", PlanStatus.OPTIMAL)
    assert vector(outcome) == (16,)
    assert outcome.notes == (
        "the fleet falls into 8 parts that take no cards from one another: each was planned by "
        "itself",
    )
    # By weights a big server is worth more than two small ones.
    assert vector(place_milp(table, capacity, chosen)) < (16,)


def test_weights_are_those_of_the_fleet_and_told_once() -> None:
    other = Case(((2, 1.0, 0, (ONE,)), (3, 1.0, 0, (ONE,))), (1,), (NOTHING_RUNS,) * 2)
    table, capacity = make_table(beside(scarce_regions(8), other))
    chosen = replace(EXACT, exact_servers=2)
    parts, whole = place_in_parts(table, capacity, chosen), place_milp(table, capacity, chosen)
    assert parts.method == "milp-weighted"
    (told,) = (note for note in parts.notes if "exact stages" in note)
    (before,) = (note for note in whole.notes if "exact stages" in note)
    assert told.startswith("24 servers are above the limit")
    assert told.partition("priced")[2] == before.partition("priced")[2]
    assert [item.servers for item in parts.services] == [24, 1, 1]
    assert vector(parts)[1:] == (1, 0)


def test_an_unknown_solver_is_refused_though_nothing_is_left_to_solve() -> None:
    table, capacity = make_table(two_on(4, ONE))
    with pytest.raises(SolverUnavailableError, match="'no-such-solver' is not known"):
        place_in_parts(table, capacity, replace(EXACT, backend="no-such-solver"))


def test_gaps_of_parts_whose_values_cancel_are_closed_further() -> None:
    rng = np.random.default_rng(5)

    def region(now: float) -> Case:
        servers = tuple(
            (
                1,
                float(rng.uniform(1, 9)),
                0,
                tuple(
                    Option(a, a % 2, int(rng.integers(1, 4)), float(rng.uniform(1, 3)), 1.0)
                    for a in range(4)
                ),
            )
            for _ in range(30)
        )
        return Case(servers, (90, 90), ((9, now),) * 30)

    # What runs now is worth less than the plan in one region, and more in the other.
    table, capacity = make_table(beside(region(0.0), region(22.0)))
    chosen = replace(EXACT, relative_gap=0.02)
    outcome = place_in_parts(table, capacity, chosen)
    assert outcome.status is PlanStatus.OPTIMAL
    assert outcome.gap is not None
    assert outcome.gap <= 0.02
