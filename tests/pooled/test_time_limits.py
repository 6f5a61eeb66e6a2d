"""Plans over pools when the time limit ends the search: one pass over the servers is the least."""

from __future__ import annotations

import time

from hypothesis import given, settings

from optimizer.pooled.columns import split_columns
from optimizer.pooled.decide import decide
from optimizer.pooled.fallback import ended_early, with_decision_at_hand
from optimizer.pooled.model import build_model
from optimizer.pooled.question import Question
from optimizer.pooled.run import Run
from tests.support.joined_instances import shared_instances
from tests.support.naive_pools import best_plan
from tests.support.pool_decisions import RELAXED, decision_of, pruned
from tests.support.pool_instances import instances
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Instance


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
