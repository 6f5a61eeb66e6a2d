"""Minimum up-times: replicas run on, or start early, and no more of them than that takes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.horizon.outlay import kept_up, started_early
from optimizer.horizon.question import UNLIMITED, Offer, Option, Question
from optimizer.horizon.run import Run
from optimizer.horizon.solution import COLUMNS, STRAIGHT, solve_question
from tests.support.naive_horizon import broken_rules, cheapest, may_stop

NEEDS = st.lists(st.integers(0, 3), min_size=1, max_size=8)


@given(NEEDS, st.integers(1, 4))
def test_replicas_that_run_on_or_start_early_keep_the_rule(need: list[int], min_up: int) -> None:
    running = np.array(need, dtype=np.int64)
    for lasting in (kept_up, started_early):
        found = lasting(running, min_up)
        assert (found >= running).all()
        assert may_stop(found.tolist(), min_up)


def test_one_starts_early_where_it_cannot_run_on() -> None:
    assert started_early(np.array([0, 2, 1]), 2).tolist() == [1, 2, 1]
    assert kept_up(np.array([0, 2, 1]), 2).tolist() == [0, 2, 2]


@pytest.mark.parametrize("method", [STRAIGHT, COLUMNS])
@pytest.mark.parametrize("start_hours", [0, 1, 2])
@pytest.mark.parametrize("min_up", [1, 2, 3])
def test_a_server_whose_replicas_must_start_early_is_served(
    method: str, start_hours: int, min_up: int
) -> None:
    offers = (Offer("t0", 1.0), Offer("t1", 1.0))
    limit = np.full((2, 3), UNLIMITED)
    limit[1, 2] = 1
    option = Option(0, "o0", 1, 1, 1.0, (0, 2, 1))
    question = Question(("s0",), offers, (option,), limit, start_hours, min_up, None, 0.9)
    run = Run("HiGHS", time.perf_counter() + 20.0, time.perf_counter)
    found = solve_question(question, [1], 0.01, run, method)
    assert not found.left_out
    assert found.cost == pytest.approx(cheapest(question))
    assert not [fault for one in found.schedules for fault in broken_rules(question, one)]
