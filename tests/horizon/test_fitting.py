"""Who is left out of a horizon: only servers that the cards are proven not to suffice for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from optimizer.horizon.fitting import better, fitting, in_plenty
from optimizer.horizon.plan import plan_horizon
from optimizer.horizon.question import UNLIMITED, Offer, Option, Question
from optimizer.horizon.run import Run
from optimizer.horizon.solution import COLUMNS, STRAIGHT, Solution, solve_question
from stoker.domain.plan import PlanStatus
from tests.horizon.test_plan import TERMS, demand, fleet
from tests.support.naive_horizon import broken_rules, cheapest

RUN_S = 20.0


def run(seconds: float = RUN_S) -> Run:
    return Run("HiGHS", time.perf_counter() + seconds, time.perf_counter)


def solved(question: Question, priority: Sequence[int], method: str | None) -> Solution:
    found = solve_question(question, priority, 0.01, run(), method)
    assert not [fault for one in found.schedules for fault in broken_rules(found.question, one)]
    return found


def asked(options: Sequence[Option], scarce: Sequence[int], start_hours: int = 2) -> Question:
    """Return a question of a type in plenty, and one with so many cards in each hour."""
    offers = (Offer("plenty", 1.0), Offer("scarce", 1.0))
    limit = np.array([[UNLIMITED] * len(scarce), scarce], dtype=np.int64)
    servers = 1 + max(option.server for option in options)
    names = tuple(f"s{at}" for at in range(servers))
    return Question(names, offers, tuple(options), limit, start_hours, 2, None, 0.9)


def on(server: int, offer: int, need: Sequence[int]) -> Option:
    return Option(server, f"o{offer}", offer, 1, 1.0, tuple(need))


@pytest.mark.parametrize("method", [STRAIGHT, COLUMNS])
def test_one_that_must_start_early_keeps_nobody_out(method: str) -> None:
    options = (
        Option(0, "o0", 1, 1, 1.25, (0, 2, 1)),
        Option(1, "o0", 0, 2, 2.25, (2, 2, 0)),
        Option(1, "o1", 1, 2, 2.0, (0, 0, 2), 2),
    )
    question = asked(options, (UNLIMITED, UNLIMITED, 1))
    found = solved(question, [1, 2], method)
    assert not found.left_out
    assert found.cost == pytest.approx(cheapest(question))


@pytest.mark.parametrize("method", [STRAIGHT, COLUMNS])
@pytest.mark.parametrize("priority", [[1, 2, 2], [2, 1, 1], [1, 1, 1]])
def test_only_who_takes_the_short_type_is_left_out(method: str, priority: list[int]) -> None:
    # A replica that starts in the second hour runs in the third, in which there are no cards.
    blocked = on(0, 1, (0, 1, 0, 0))
    options = (blocked, on(1, 0, (1, 5, 5, 1)), on(2, 0, (2, 9, 1, 2)))
    question = asked(options, (0, 1, 0, 0), start_hours=0)
    found = solved(question, priority, method)
    assert found.left_out == (0,)
    assert found.unproven == ()


@pytest.mark.parametrize("method", [STRAIGHT, COLUMNS])
@pytest.mark.parametrize(("priority", "left_out"), [([1, 2], (1,)), ([2, 1], (0,))])
def test_the_last_priority_is_left_out_where_cards_suffice_for_one(
    method: str, priority: list[int], left_out: tuple[int, ...]
) -> None:
    # Each hour has the cards for both; the first one's replica runs on into the hour of the second.
    options = (on(0, 1, (0, 1, 0, 0)), on(1, 1, (0, 0, 1, 0)))
    question = asked(options, (0, 1, 1, 0), start_hours=0)
    found = solved(question, priority, method)
    assert found.left_out == left_out
    assert found.unproven == ()


def test_a_week_of_many_servers_is_kept_whole_by_the_default() -> None:
    hours, servers = 168, 20
    draw = np.random.default_rng(0)
    needs = draw.integers(1, 5, (servers, hours)).tolist()
    needs[0] = [0, 2] + [1] * (hours - 2)
    options = [on(server, int(server == 0), need) for server, need in enumerate(needs)]
    question = asked(options, [UNLIMITED] * 2 + [1] * (hours - 2))
    found = solved(question, [1] + [2] * (servers - 1), None)
    assert found.method == COLUMNS
    assert not found.left_out


def test_types_in_plenty_hold_nobody() -> None:
    options = (on(0, 1, (0, 2, 1)), on(1, 0, (1, 2, 1)), on(1, 1, (1, 1, 1)))
    assert set(in_plenty(asked(options, (1, 1, 1)))) == {1}
    assert set(in_plenty(asked(options, (99, 99, 99)))) == {0, 1}


def test_out_of_time_nobody_is_proven_not_to_fit() -> None:
    options = (on(0, 1, (0, 2, 1)), on(1, 0, (1, 2, 1)))
    found = fitting(asked(options, (1, 1, 1)), [1, 1], run(-1.0))
    assert found.unproven == {0}
    assert found.servers == {1}


@pytest.mark.parametrize("method", [STRAIGHT, COLUMNS])
def test_out_of_time_nothing_is_called_impossible(method: str) -> None:
    question = asked((on(0, 1, (0, 1, 0, 0)),), (0, 1, 0, 0), start_hours=0)
    assert not solve_question(question, [1], 0.01, run(), method).timed_out
    assert solve_question(question, [1], 0.01, run(-1.0), method).timed_out


def test_who_is_left_out_without_proof_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    known = fleet(B=0, C=12)

    def unsure(*args: object, **named: object) -> Solution:
        found = solve_question(*args, **named)  # type: ignore[arg-type]
        return replace(found, unproven=found.left_out)

    sure = plan_horizon(known, demand(known), TERMS)
    assert sure.status is PlanStatus.OPTIMAL
    assert [item.reason for item in sure.unscheduled] == ["capacity"]
    monkeypatch.setattr("optimizer.horizon.plan.solve_question", unsure)
    plan = plan_horizon(known, demand(known), TERMS)
    assert plan.status is PlanStatus.FEASIBLE
    assert [item.reason for item in plan.unscheduled] == ["time_limit"]
    assert "no schedule was found" in plan.unscheduled[0].detail


def test_servers_that_may_move_fit_where_they_need_not() -> None:
    options = (on(0, 1, (1, 1, 1)), on(1, 1, (1, 1, 1)), on(2, 0, (1, 2, 1)))
    question = replace(asked(options, (2, 2, 2)), switch_cost=0.5)
    found = fitting(question, [1, 1, 1], run())
    assert found.servers == {0, 1, 2}
    short = fitting(replace(question, limit=np.array([[9] * 3, [1] * 3])), [2, 1, 1], run())
    assert short.servers == {1, 2}
    assert not short.unproven


def test_of_two_answers_the_one_with_more_of_the_first_priority_counts() -> None:
    question = asked((on(0, 0, (1, 1)), on(1, 0, (1, 1))), (1, 1))
    one, both = (fitting(question.within(who), [1, 2], run()) for who in ({1}, {0, 1}))
    unsure = replace(one, unproven=frozenset({0}))
    assert better(both, unsure, [1, 2]) is both
    assert better(unsure, both, [1, 2]) is both
    assert better(both, one, [1, 2]) is one
