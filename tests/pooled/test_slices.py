"""Slices of cards in the model over pools, against trying everything and against words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from optimizer.pooled.columns import split_columns
from optimizer.pooled.model import build_model
from tests.support.joined_instances import sliced_instances
from tests.support.naive_pools import best_plan
from tests.support.pool_decisions import RELAXED, decision_of, pruned
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Instance
from tests.support.readable_pools import ReadableModel


@given(instance=sliced_instances())
@settings(max_examples=200, deadline=None, suppress_health_check=RELAXED)
def test_the_model_with_slices_agrees_with_trying_everything(instance: Instance) -> None:
    best = best_plan(instance)
    question = pruned(question_of(instance))
    decision = decision_of(question)
    assert decision.x is not None
    assert decision.counts == best.served
    assert decision.bounds == best.served
    reached = [stage.reached for stage in decision.stages]
    expected = list(best.stages)
    if len(reached) < len(expected):
        # Nothing could be spilled: the stage was left out.
        assert expected.pop(0) == 0.0
    assert reached == pytest.approx(expected, rel=1e-9, abs=1e-9)
    model = build_model(question, split_columns(question))
    assert round(float(model.cards @ decision.x)) == best.cards


@given(instance=sliced_instances())
@settings(max_examples=30, deadline=None, suppress_health_check=RELAXED)
def test_arrays_and_words_agree_on_slices(instance: Instance) -> None:
    question = question_of(instance)
    decision = decision_of(pruned(question))
    served, reached = ReadableModel(question, instance.nodes).solve()
    assert decision.counts == served
    if len(decision.stages) < len(reached):
        assert reached.pop(0) == pytest.approx(0.0, abs=1e-9)
    own = [stage.reached for stage in decision.stages]
    assert own == pytest.approx(reached, rel=1e-6, abs=1e-6)
