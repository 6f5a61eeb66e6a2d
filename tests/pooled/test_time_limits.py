"""Plans over pools when the time limit ends the search: one pass over the servers is the least."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.pooled.columns import split_columns
from optimizer.pooled.decide import decide
from optimizer.pooled.fallback import ended_early, with_decision_at_hand
from optimizer.pooled.model import build_model
from optimizer.pooled.question import Question
from optimizer.pooled.run import Run
from optimizer.pooled.taken import read_solution
from stoker.domain.limits import Limits
from stoker.domain.pools import Pool, PoolWishes
from tests.support.joined_instances import shared_instances
from tests.support.naive_pools import best_plan
from tests.support.pool_decisions import RELAXED, decision_of, pruned
from tests.support.pool_instances import instances
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Client, Instance, Now, Offer


def late(question: Question) -> Run:
    model = build_model(question, split_columns(question))
    return Run(model, "HiGHS", 1e-9, -1.0, time.perf_counter)


def check_hurried(instance: Instance) -> bool:
    """Check what one pass makes against the best plan; return whether it serves anybody."""
    best = best_plan(instance)
    question = pruned(question_of(instance))
    run = late(question)
    decision = decide(run)
    assert decision.x is None
    assert ended_early(decision, exact=True)
    found_by, found = with_decision_at_hand(run, decision, exact=True)
    if found.x is None:
        assert not any(found.counts)
        return False
    assert found.counts <= best.served
    for count, bound, most in zip(found.counts, found.bounds, best.served, strict=True):
        assert bound is not None
        assert bound >= max(count, most)
        if count != most:
            break
    assert found_by.model.linear(found_by.model.cards).upper.size == found.x.size
    if found.counts == best.served and found.least_changes is None:
        own = decision_of(question)
        reached = {stage.name: stage for stage in own.stages}
        for index, stage in enumerate(found.stages):
            assert not stage.proven
            if index == 0 and stage.name in reached:
                assert stage.value >= reached[stage.name].reached - 1e-6
            if stage.bound is not None and index == 0 and stage.name in reached:
                assert stage.bound <= reached[stage.name].reached + 1e-6
    return True


@given(instance=instances())
@settings(max_examples=40, deadline=None, suppress_health_check=RELAXED)
def test_one_pass_keeps_every_rule_and_its_bounds_hold(instance: Instance) -> None:
    check_hurried(instance)


@given(instance=shared_instances())
@settings(max_examples=15, deadline=None, suppress_health_check=RELAXED)
def test_one_pass_over_those_who_may_share(instance: Instance) -> None:
    check_hurried(instance)


def cut_after(question: Question, readings: int) -> Run:
    """Return a run whose time is up once its clock was read so often."""
    count = itertools.count()
    model = build_model(question, split_columns(question))
    return Run(model, "HiGHS", 1e-9, 60.0, lambda: 0.0 if next(count) < readings else 1e6)


def costs_what_its_plan_does(question: Question, readings: int) -> bool:
    """Check the cost that a search tells when it is cut off; return whether it found a plan."""
    run = cut_after(question, readings)
    decision = decide(run)
    told = [stage for stage in decision.stages if stage.name in ("cost", "tie")]
    if decision.x is None or not told:
        return False
    own = float(read_solution(run.model, decision.x).value.sum())
    assert told[0].value == pytest.approx(own, abs=1e-6)
    assert told[0].bound is None or told[0].bound <= own + 1e-6
    return True


def test_a_search_that_is_cut_off_counts_no_starts_that_its_plan_has_not() -> None:
    """One of two cannot be served, so that counts are found before anything is priced."""
    spread = PoolWishes(max_zone_share=0.5)
    served = Client(1, 1.0, (Offer(0, "A", 1, 1.0, 2),), wishes=spread, now=Now(0, 1))
    large = Client(1, 1.0, (Offer(0, "A", 3, 1.0, 2),))
    pools = (Pool("p", "A", 4, zone="x"), Pool("q", "A", 3, zone="y"))
    limits = Limits(replica_start_s=450.0, plan_hours=1.0)
    question = question_of(Instance((served, large), pools, limits=limits))
    found = [costs_what_its_plan_does(question, readings) for readings in range(2, 30)]
    assert any(found)


@given(instance=instances(), readings=st.integers(4, 40))
@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
def test_what_a_search_that_is_cut_off_tells_is_what_its_plan_costs(
    instance: Instance, readings: int
) -> None:
    costs_what_its_plan_does(pruned(question_of(instance)), readings)
