"""Leaving needless rows out never changes what the best plan is worth."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.configurations.pruning import (
    CARDS_AND_PRICE,
    EVERYTHING_TOLD,
    Visible,
    needless_rows,
    pruned,
)
from optimizer.milp import place_milp
from optimizer.table import CandidateTable
from stoker.domain.settings import OptimizerSettings
from tests.support.tables import Case, Option, make_table


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw servers with several options on each of two accelerators."""
    option = st.builds(
        Option,
        st.integers(0, 1),
        st.just(0),
        st.integers(1, 3),
        st.sampled_from([1.0, 1.5, 2.0, 3.0]),
        st.sampled_from([0.5, 1.0, 1.7, 2.0, 4.0]),
    )

    def options() -> tuple[Option, ...]:
        found = draw(st.lists(option, min_size=1, max_size=4))
        # Each accelerator is of a type of its own.
        own = [
            Option(item.accelerator, item.accelerator, item.cards, item.unit_cost, item.rate)
            for item in found
        ]
        return tuple(sorted(own, key=lambda item: item.accelerator))

    servers = tuple(
        (draw(st.integers(1, 2)), draw(st.sampled_from([1.0, 3.0, 5.0])), 0, options())
        for _ in range(draw(st.integers(1, 3)))
    )
    current = tuple((draw(st.integers(-1, 1)), 0.0) for _ in servers)
    current = tuple((now, 2.0 if now >= 0 else 0.0) for now, _ in current)
    return Case(servers, (draw(st.integers(0, 14)), draw(st.integers(0, 14))), current)


def best(table: CandidateTable, capacity: list[int]) -> tuple[tuple[int, ...], float]:
    """Return served vector and value of the best plan, by trying all rows of every server."""
    choices = [
        [None, *range(int(table.row_start[k]), int(table.row_start[k + 1]))]
        for k in range(len(table.servers))
    ]
    found: tuple[tuple[int, ...], float] | None = None
    for combination in itertools.product(*choices):
        rows = [row for row in combination if row is not None]
        used = [0] * len(capacity)
        for row in rows:
            used[int(table.card_type[row])] += int(table.cards[row])
        if any(u > c for u, c in zip(used, capacity, strict=True)):
            continue
        served = [0, 0]
        for row in rows:
            served[int(table.priority[table.server[row]]) - 1] -= 1
        plan = tuple(served), round(float(sum(table.value[row] for row in rows)), 9)
        if found is None or plan < found:
            found = plan
    assert found is not None
    return found


@settings(max_examples=400, deadline=None)
@given(cases())
def test_the_best_plan_is_worth_the_same(case: Case) -> None:
    table, capacity = make_table(case)
    for visible in (CARDS_AND_PRICE, EVERYTHING_TOLD):
        assert best(pruned(table, visible), capacity.tolist()) == best(table, capacity.tolist())


@settings(max_examples=25, deadline=None)
@given(cases())
def test_the_solver_finds_the_best_of_what_is_left(case: Case) -> None:
    table, capacity = make_table(case)
    left = pruned(table)
    outcome = place_milp(left, capacity, OptimizerSettings())
    served = [0, 0]
    for server in np.flatnonzero(outcome.placement.served):
        served[int(table.priority[server]) - 1] -= 1
    assert (tuple(served), round(outcome.objective, 9)) == best(table, capacity.tolist())


@settings(max_examples=100, deadline=None)
@given(cases())
def test_what_is_left_out_has_a_better_one_on_the_same_accelerator(case: Case) -> None:
    table, _ = make_table(case)
    needless = needless_rows(table)
    for row in np.flatnonzero(needless):
        assert any(
            not needless[other]
            and table.server[other] == table.server[row]
            and table.accelerator[other] == table.accelerator[row]
            and table.cards[other] <= table.cards[row]
            and table.cards_per_replica[other] <= table.cards_per_replica[row]
            and table.cost_per_hour[other] <= table.cost_per_hour[row]
            and table.value[other] <= table.value[row]
            for other in range(len(needless))
        )


@settings(max_examples=50, deadline=None)
@given(cases())
def test_nothing_is_left_out_where_slack_counts(case: Case) -> None:
    table, _ = make_table(case)
    assert not needless_rows(table, Visible(slack=True)).any()
    assert (needless_rows(table, EVERYTHING_TOLD) <= needless_rows(table)).all()
