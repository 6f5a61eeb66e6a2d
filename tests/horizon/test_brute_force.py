"""Horizons of a few hours against trying everything, by both methods."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.horizon.baselines import cost_alone
from optimizer.horizon.outlay import outlay_of
from optimizer.horizon.question import IMPOSSIBLE, UNLIMITED, Offer, Option, Question
from optimizer.horizon.run import Run
from optimizer.horizon.solution import COLUMNS, STRAIGHT, solve_question
from tests.support.naive_horizon import broken_rules, cheapest

RUN_S = 20.0


def run() -> Run:
    return Run("HiGHS", time.perf_counter() + RUN_S, time.perf_counter)


@st.composite
def offers(draw: st.DrawFn, hours: int, name: str, start_hours: int) -> Offer:
    price = draw(st.sampled_from([1.0, 1.5, 2.25]))
    factor = draw(st.sampled_from([None, 0.4, 0.6, 0.8]))
    spot = draw(st.sampled_from([None, None, 0.25, 0.5]))
    return Offer.with_rate(
        draw(st.sampled_from([0.0, 0.05, 0.05 if start_hours else 0.3])),
        start_hours,
        name=name,
        price=price,
        committed=None if factor is None else factor * price * hours,
        most_committed=draw(st.sampled_from([UNLIMITED, 1])),
        spot_factor=spot,
        spot_share=draw(st.sampled_from([0.5, 1.0])),
        most_spot=draw(st.sampled_from([UNLIMITED, 2])),
        most_on_demand=draw(st.sampled_from([UNLIMITED, UNLIMITED, 1])),
    )


@st.composite
def questions(draw: st.DrawFn, *, switching: bool | None = None) -> Question:
    hours = draw(st.integers(1, 4))
    moving = draw(st.booleans()) if switching is None else switching
    if moving:
        hours = min(hours, 3)
    start_hours = draw(st.integers(0, 2))
    types = tuple(draw(offers(hours, f"t{at}", start_hours)) for at in range(2))
    options = []
    servers = draw(st.integers(1, 2))
    for server in range(servers):
        for at in range(draw(st.integers(1, 2))):
            offer = draw(st.integers(0, 1))
            cards = draw(st.integers(1, 2))
            most_need = 1 if moving or hours == 4 else 2
            need = draw(st.lists(st.integers(0, most_need), min_size=hours, max_size=hours))
            if moving and draw(st.booleans()) and at:
                need[draw(st.integers(0, hours - 1))] = IMPOSSIBLE
            extra = draw(st.sampled_from([0.0, 0.25]))
            options.append(
                Option(
                    server,
                    f"o{at}",
                    offer,
                    cards,
                    cards * types[offer].price + extra,
                    tuple(need),
                    draw(st.sampled_from([UNLIMITED, 2])),
                )
            )
    limit = np.full((2, hours), UNLIMITED, dtype=np.int64)
    if draw(st.booleans()):
        limit[draw(st.integers(0, 1)), draw(st.integers(0, hours - 1))] = draw(st.integers(0, 4))
    return Question(
        tuple(f"s{at}" for at in range(servers)),
        types,
        tuple(options),
        limit,
        start_hours,
        draw(st.integers(1, 3)),
        draw(st.sampled_from([0.0, 0.3])) if moving else None,
        draw(st.sampled_from([0.85, 0.9])),
    )


EXAMPLES = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(questions())
def test_the_integer_program_is_as_cheap_as_trying_everything(question: Question) -> None:
    least = cheapest(question)
    found = solve_question(question, [1, 1], 0.0, run(), STRAIGHT)
    if math.isinf(least):
        assert found.left_out
        return
    assert not found.left_out
    assert found.cost == pytest.approx(least, rel=1e-9, abs=1e-9)
    assert found.bound is not None
    assert found.bound <= least * (1 + 1e-6) + 1e-6
    outlay = outlay_of(found.question, found.schedules)
    assert outlay.fits(found.question)
    assert not [fault for one in found.schedules for fault in broken_rules(found.question, one)]


@settings(EXAMPLES, max_examples=100)
@given(questions())
def test_the_decomposition_never_claims_more_than_is_true(question: Question) -> None:
    least = cheapest(question)
    found = solve_question(question, [1, 1], 1e-6, run(), COLUMNS)
    assert not [fault for one in found.schedules for fault in broken_rules(found.question, one)]
    if math.isinf(least):
        assert found.left_out
        return
    assert not found.left_out
    assert not found.timed_out
    assert found.cost >= least * (1 - 1e-9) - 1e-9
    assert found.bound is None or found.bound <= least * (1 + 1e-9) + 1e-9


@settings(EXAMPLES, max_examples=150)
@given(questions(), st.sampled_from([STRAIGHT, COLUMNS]), st.sampled_from([0.0, 0.2]))
def test_never_dearer_than_each_hour_alone(question: Question, method: str, gap: float) -> None:
    found = solve_question(question, [1, 1], gap, run(), method)
    alone = cost_alone(found.question, found.alone)
    if alone is not None:
        assert found.cost <= alone * (1 + 1e-12)
        schedules = found.alone or []
        assert not [fault for one in schedules for fault in broken_rules(found.question, one)]


@settings(EXAMPLES, max_examples=100)
@given(questions(), st.sampled_from([STRAIGHT, COLUMNS]), st.permutations([1, 2]))
def test_nobody_is_left_out_who_fits(question: Question, method: str, ranks: list[int]) -> None:
    for priority in ([1, 1], ranks):
        found = solve_question(question, priority, 0.1, run(), method)
        assert not found.timed_out
        assert not found.unproven
        served = {schedule.server for schedule in found.schedules}
        for server in found.left_out:
            before = {other for other in served if priority[other] <= priority[server]}
            alone = question.within(before | {server})
            assert math.isinf(cheapest(alone))
