"""What the plans of parts prove together, and what a pass over all servers may take their place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer import joined_parts
from optimizer.at_hand import AtHand
from optimizer.joined_parts import Piece, PieceTerms, held_to_one_pass, joined
from optimizer.milp_session import EXACT_METHOD
from optimizer.outcome import class_services, make_placement
from optimizer.placement import Outcome, Placement
from optimizer.table import CandidateTable, IntArray
from stoker.domain.plan import ClassService, PlanStatus
from stoker.domain.settings import OptimizerSettings
from tests.support.tables import Case, Option, make_table

ONE = Option(accelerator=0, card_type=0, cards=1, unit_cost=1.0, rate=1.0)
NO_ROWS = np.zeros(0, dtype=np.int64)
TERMS = PieceTerms(gap=1e-6, parts=2, exact_servers=100, backend="HiGHS", notes=())


def four_servers() -> tuple[CandidateTable, IntArray]:
    servers = tuple((priority, 1.0, 0, (ONE,)) for priority in (1, 2, 1, 2))
    return make_table(Case(servers, (4,), ((-1, 0.0),) * 4))


def piece(first: int, *counts: tuple[int, int | None]) -> Piece:
    """Return a plan of two servers by what it serves of priorities 1 and 2, and its bounds."""
    outcome = Outcome(
        placement=Placement(NO_ROWS, NO_ROWS, np.zeros(2, dtype=np.bool_)),
        status=PlanStatus.FEASIBLE,
        objective=1.0,
        bound=1.0,
        gap=0.0,
        services=tuple(
            ClassService(priority, 1, served, bound)
            for priority, (served, bound) in enumerate(counts, start=1)
        ),
        method=EXACT_METHOD,
    )
    two = np.array([first, first + 1], dtype=np.int64)
    return Piece(outcome, two, two)


@pytest.mark.parametrize(
    ("first", "second", "bounds"),
    [
        (((1, 1), (0, 1)), ((1, 1), (1, 1)), [2, 2]),
        (((0, 1), (0, 0)), ((1, 1), (0, 0)), [2, None]),
        (((0, None), (0, 0)), ((1, 1), (0, 0)), [None, None]),
        (((1, 1), (0, None)), ((1, 1), (0, 0)), [2, None]),
    ],
)
def test_bounds_below_an_unproven_priority_are_unknown(
    first: tuple[tuple[int, int | None], ...],
    second: tuple[tuple[int, int | None], ...],
    bounds: list[int | None],
) -> None:
    table, _ = four_servers()
    outcome = joined(table, NO_ROWS, [piece(0, *first), piece(2, *second)], TERMS)
    assert [item.bound for item in outcome.services] == bounds


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([((0, 1), (1, 1)), ((1, 1), (0, 0))], True),
        ([((1, 1), (1, 1)), ((1, 1), (0, 0))], False),
        ([((0, 1), (1, 1))], False),  # what is fixed in the only part is fixed in all
    ],
)
def test_a_bound_of_unproven_parts_says_which_plans_it_is_of(
    counts: list[tuple[tuple[int, int | None], ...]], told: bool
) -> None:
    table, _ = four_servers()
    outcome = joined(table, NO_ROWS, [piece(2 * k, *own) for k, own in enumerate(counts)], TERMS)
    assert outcome.bound is not None
    assert any("in every part" in note for note in outcome.notes) is told


def nobody(table: CandidateTable) -> Outcome:
    outcome = joined(table, NO_ROWS, [piece(0, (0, 1), (0, 1)), piece(2, (0, 1), (0, 1))], TERMS)
    assert class_services(table, outcome.placement.served, proven=False)[0].served == 0
    return outcome


@pytest.mark.parametrize(
    ("late", "words"),
    [
        (True, "the time limit ended the search with no better plan: it is made by"),
        (False, "the search ended with an open gap, and with no better plan: it is made by"),
    ],
)
def test_a_better_pass_tells_what_ended_the_search(late: bool, words: str) -> None:
    table, capacity = four_servers()
    best = held_to_one_pass(table, capacity, OptimizerSettings(), nobody(table), late=late)
    assert [item.served for item in best.services] == [2, 2]
    assert any(note.startswith(words) for note in best.notes)


def test_a_pass_that_gives_nothing_to_the_loaded_is_no_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One server asks for nothing, and the pass serves none but it.
    servers = ((1, 0.0, 0, (ONE,)), (2, 1.0, 0, (ONE,)), (1, 1.0, 0, (ONE,)), (2, 1.0, 0, (ONE,)))
    table, capacity = make_table(Case(servers, (4,), ((-1, 0.0),) * 4))
    idle = make_placement(table, {0: 0}, {})
    monkeypatch.setattr(joined_parts, "plans_at_hand", lambda *_: (AtHand(idle, "chance"),))
    outcome = replace(nobody(table), objective=5.0)
    kept = held_to_one_pass(table, capacity, OptimizerSettings(), outcome, late=True)
    assert kept is outcome
