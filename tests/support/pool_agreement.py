"""That the model over pools agrees with two independent ones on an instance."""

from __future__ import annotations

import pytest

from optimizer.pooled.columns import split_columns
from optimizer.pooled.model import build_model
from tests.support.naive_pools import best_plan
from tests.support.pool_decisions import decision_of, pruned
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Instance
from tests.support.readable_pools import ReadableModel


def agrees_with_trying_everything(instance: Instance) -> None:
    """Assert that counts, every stage and the cards are those of the best of all plans."""
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
    for stage in decision.stages:
        assert stage.proven
        assert stage.bound is not None
        assert stage.bound <= stage.reached + 1e-9
    model = build_model(question, split_columns(question))
    assert round(float(model.cards @ decision.x)) == best.cards


def agrees_with_words(instance: Instance) -> None:
    """Assert that the arrays and the same model written out in PuLP have the same optimum."""
    question = question_of(instance)
    decision = decision_of(pruned(question))
    served, reached = ReadableModel(question, instance.nodes).solve()
    assert decision.counts == served
    if len(decision.stages) < len(reached):
        assert reached.pop(0) == pytest.approx(0.0, abs=1e-9)
    own = [stage.reached for stage in decision.stages]
    assert own == pytest.approx(reached, rel=1e-6, abs=1e-6)
