"""The arrays against the same model written out in PuLP."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.support.pool_decisions import RELAXED, decision_of, pruned
from tests.support.pool_instances import instances
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Instance
from tests.support.readable_pools import ReadableModel


@given(instance=instances())
@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
def test_arrays_and_words_have_the_same_optimum(instance: Instance) -> None:
    question = question_of(instance)
    decision = decision_of(pruned(question))
    served, reached = ReadableModel(question, instance.nodes).solve()
    assert decision.counts == served
    if len(decision.stages) < len(reached):
        assert reached.pop(0) == pytest.approx(0.0, abs=1e-9)
    own = [stage.reached for stage in decision.stages]
    assert own == pytest.approx(reached, rel=1e-6, abs=1e-6)
