"""The MILP against brute force, against itself by other means, and at its limits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import milp_session, mixed_formulation
from optimizer.formulation import fitting_rows, undominated_rows
from optimizer.milp import place_milp
from optimizer.placement import Outcome
from optimizer.table import CandidateTable, IntArray
from stoker.domain.errors import SolverUnavailableError
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import OptimizerSettings
from tests.support.tables import Case, Option, brute_force, cases, make_table

EXACT = OptimizerSettings()
MIXED = OptimizerSettings(heterogeneous=True)


def served_vector(outcome: Outcome) -> tuple[int, ...]:
    return tuple(service.served for service in outcome.services)


def cards_used(table: CandidateTable, outcome: Outcome) -> IntArray:
    row, replicas = outcome.placement.row, outcome.placement.replicas
    used = np.zeros(len(table.card_types), dtype=np.int64)
    typed = table.card_type[row] >= 0
    np.add.at(used, table.card_type[row][typed], (replicas * table.cards_per_replica[row])[typed])
    return used


def check_against_brute_force(case: Case, chosen: OptimizerSettings) -> None:
    table, capacity = make_table(case)
    outcome = place_milp(table, capacity, chosen)
    best = brute_force(case, mixed=chosen.heterogeneous)
    assert served_vector(outcome) == best.served
    assert outcome.objective == pytest.approx(best.value, rel=1e-9, abs=1e-9)
    used = cards_used(table, outcome)
    assert (used <= capacity).all()
    assert used.sum() == best.cards
    assert outcome.status is PlanStatus.OPTIMAL
    assert outcome.bound is not None
    assert outcome.bound <= outcome.objective + 1e-9
    assert outcome.gap is not None
    assert outcome.gap <= 1e-6
    assert [s.bound for s in outcome.services] == [s.served for s in outcome.services]


@given(case=cases())
@settings(max_examples=120)
def test_one_accelerator_agrees_with_brute_force(case: Case) -> None:
    check_against_brute_force(case, EXACT)


@given(case=cases(servers=3))
@settings(max_examples=120)
def test_mix_agrees_with_brute_force(case: Case) -> None:
    check_against_brute_force(case, MIXED)


@given(case=cases(servers=3))
@settings(max_examples=15)
def test_the_bundled_fallback_agrees(case: Case) -> None:
    check_against_brute_force(case, replace(EXACT, backend="cbc"))


@given(case=cases(servers=6, options=4))
@settings(max_examples=60)
def test_pruning_never_changes_the_optimum(case: Case) -> None:
    table, capacity = make_table(case)
    rows = fitting_rows(table, capacity)
    kept = undominated_rows(table, rows)
    assert set(kept) <= set(rows)
    for row in set(rows) - set(kept):
        same = kept[
            (table.server[kept] == table.server[row])
            & (table.card_type[kept] == table.card_type[row])
        ]
        assert (
            (table.cards[same] <= table.cards[row]) & (table.value[same] <= table.value[row])
        ).any()


@given(case=cases(servers=5))
@settings(max_examples=40)
def test_a_mix_is_never_worse_than_one_accelerator(case: Case) -> None:
    table, capacity = make_table(case)
    one, mix = place_milp(table, capacity, EXACT), place_milp(table, capacity, MIXED)
    assert served_vector(mix) >= served_vector(one)
    if served_vector(mix) == served_vector(one):
        assert mix.objective <= one.objective + 1e-9


@given(case=cases(servers=5))
@settings(max_examples=60)
def test_weights_stay_within_their_bounds(case: Case) -> None:
    table, capacity = make_table(case)
    weighted = place_milp(table, capacity, replace(EXACT, exact_servers=0))
    exact = place_milp(table, capacity, EXACT)
    assert served_vector(weighted) <= served_vector(exact)
    higher_equal = True
    for by_weight, best in zip(weighted.services, exact.services, strict=True):
        assert by_weight.bound is not None
        assert by_weight.served <= by_weight.bound <= by_weight.servers
        if higher_equal:
            assert best.served <= by_weight.bound
        higher_equal = higher_equal and by_weight.served == best.served
    assert (cards_used(table, weighted) <= capacity).all()
    if (weighted.placement.served == exact.placement.served).all():
        assert weighted.bound is not None
        assert weighted.bound <= exact.objective + 1e-6 * abs(exact.objective) + 1e-9


@given(case=cases(), factor=st.sampled_from([1e-4, 1e5]))
@settings(max_examples=25)
def test_the_unit_of_money_does_not_matter(case: Case, factor: float) -> None:
    table, capacity = make_table(case)
    transitions = table.transitions
    assert transitions is not None
    scaled = replace(
        table,
        unit_cost_per_hour=table.unit_cost_per_hour * factor,
        cost_per_hour=table.cost_per_hour * factor,
        value=table.value * factor,
        transitions=replace(transitions, cost_per_hour=transitions.cost_per_hour * factor),
    )
    plain = place_milp(table, capacity, EXACT)
    outcome = place_milp(scaled, capacity, EXACT)
    assert served_vector(outcome) == served_vector(plain)
    assert outcome.objective == pytest.approx(plain.objective * factor, rel=1e-9)


@given(case=cases(servers=6))
@settings(max_examples=20)
def test_same_input_same_output(case: Case) -> None:
    table, capacity = make_table(case)
    for chosen in (EXACT, MIXED, replace(EXACT, exact_servers=0)):
        first, second = place_milp(table, capacity, chosen), place_milp(table, capacity, chosen)
        assert first.placement.row.tolist() == second.placement.row.tolist()
        assert first.placement.replicas.tolist() == second.placement.replicas.tolist()
        assert (first.objective, first.bound) == (second.objective, second.bound)


ONE = Option(accelerator=0, card_type=0, cards=1, unit_cost=1.0, rate=1.0)
NOTHING_RUNS = ((-1, 0.0),)


def test_priority_beats_any_number_of_lower_servers() -> None:
    big = ((1, 4.0, 0, (ONE,)),)
    small = tuple((2, 1.0, 0, (ONE,)) for _ in range(4))
    table, capacity = make_table(Case(big + small, (4,), NOTHING_RUNS * 5))
    assert served_vector(place_milp(table, capacity, EXACT)) == (1, 0)
    assert served_vector(place_milp(table, capacity, replace(EXACT, exact_servers=0))) == (1, 0)


def test_no_cards_and_no_candidates_is_an_answer() -> None:
    table, capacity = make_table(
        Case(((1, 1.0, 0, (ONE,)), (2, 1.0, 0, ())), (0,), NOTHING_RUNS * 2)
    )
    for chosen in (EXACT, MIXED, replace(EXACT, exact_servers=0)):
        outcome = place_milp(table, capacity, chosen)
        assert served_vector(outcome) == (0, 0)
        assert outcome.placement.row.size == 0
        assert outcome.objective == 0.0


def test_fewest_cards_among_equal_values() -> None:
    frugal = Option(accelerator=1, card_type=1, cards=1, unit_cost=1.0, rate=1.0)
    greedy = Option(accelerator=0, card_type=0, cards=3, unit_cost=1.0, rate=1.0)
    case = Case(((1, 2.0, 0, (greedy, frugal)),), (9, 9), NOTHING_RUNS)
    table, capacity = make_table(case)
    outcome = place_milp(table, capacity, EXACT)
    assert table.accelerator[outcome.placement.row].tolist() == [1]


def test_many_classes_keep_their_order_within_the_weight_limit() -> None:
    one_each = tuple((priority, 1.0, 0, (ONE,)) for priority in range(1, 31))
    table, capacity = make_table(Case(one_each, (7,), NOTHING_RUNS * 30))
    outcome = place_milp(table, capacity, replace(EXACT, exact_servers=0))
    assert served_vector(outcome) == (1,) * 7 + (0,) * 23
    assert outcome.method == "milp-weighted"
    assert any("priority 1:" in note for note in outcome.notes)


def test_unknown_solver_is_refused_by_name() -> None:
    table, capacity = make_table(Case(((1, 2.0, 0, (ONE,)),), (9,), NOTHING_RUNS))
    with pytest.raises(SolverUnavailableError, match="'no-such-solver' is not known"):
        place_milp(table, capacity, replace(EXACT, backend="no-such-solver"))


def test_gap_is_stated_when_it_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
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
        for _ in range(12)
    )
    table, capacity = make_table(Case(servers, (60, 60), NOTHING_RUNS * 12))
    loose = place_milp(table, capacity, replace(EXACT, relative_gap=0.2))
    tight = place_milp(table, capacity, EXACT)
    assert loose.bound is not None
    assert loose.gap is not None
    assert loose.bound <= tight.objective * (1 + 1e-9)
    assert loose.objective <= tight.objective * 1.25
    assert math.isclose(
        loose.gap, (loose.objective - loose.bound) / abs(loose.objective), abs_tol=1e-12
    )
    monkeypatch.setattr(milp_session, "TIE_NODES", 0)
    assert place_milp(table, capacity, EXACT).objective == tight.objective


def test_weights_never_call_an_unproven_vector_optimal() -> None:
    # One server of high demand outweighs two small ones of its class, which count for more.
    big = Option(accelerator=0, card_type=0, cards=1, unit_cost=1.0, rate=1.0)
    servers = ((1, 4.0, 0, (big,)), (1, 1.0, 0, (big,)), (1, 1.0, 0, (big,)))
    table, capacity = make_table(Case(servers, (4,), NOTHING_RUNS * 3))
    weighted = place_milp(table, capacity, replace(EXACT, exact_servers=0))
    exact = place_milp(table, capacity, EXACT)
    assert served_vector(exact) == (2,)
    for outcome in (weighted, exact):
        reached = all(s.bound == s.served for s in outcome.services)
        assert (outcome.status is PlanStatus.OPTIMAL) == reached
    assert served_vector(weighted) == (1,)
    assert weighted.status is PlanStatus.FEASIBLE


@given(case=cases(servers=4, options=4))
@settings(max_examples=60)
def test_dropping_replaceable_parts_never_changes_a_mix(case: Case) -> None:
    table, capacity = make_table(case)
    pruned = place_milp(table, capacity, MIXED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed_formulation, "useful_parts", lambda _, parts: parts)
        whole = place_milp(table, capacity, MIXED)
    assert served_vector(pruned) == served_vector(whole)
    assert pruned.objective == pytest.approx(whole.objective, rel=1e-9, abs=1e-9)
