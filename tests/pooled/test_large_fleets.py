"""Columns by pricing against the exact model: the bound holds for every plan."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings

from optimizer.pooled.columns import split_columns
from optimizer.pooled.coupling import Coupling, first_goal
from optimizer.pooled.generate import Generator
from optimizer.pooled.generating import can_generate
from optimizer.pooled.goals import stages_of
from optimizer.pooled.model import build_model
from optimizer.pooled.weights import weights_of
from optimizer.solver import HIGHS
from tests.support.pool_decisions import RELAXED, decision_of, pruned
from tests.support.pool_instances import instances
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Instance


@given(instance=instances())
@settings(max_examples=25, deadline=None, suppress_health_check=RELAXED)
def test_no_plan_is_below_the_bound_of_generated_columns(instance: Instance) -> None:
    question = pruned(question_of(instance))
    assume(can_generate(question, HIGHS))
    decision = decision_of(question)
    assume(decision.least_changes is None)
    assert decision.x is not None
    model = build_model(question, split_columns(question))
    first, goal = stages_of(model)[0], first_goal(question)
    assert first.name == goal.name
    weights = weights_of(question, 10.0)
    served = model.marks[(model.marks >= 0) & (decision.x > 0.5)]
    reached = float(first.values @ decision.x) - float(weights.price[served].sum())
    scale = float(weights.price.sum())
    for seconds in (0.0, 60.0):
        coupling = Coupling.of(question)
        generator = Generator(question, goal, weights.price, coupling, scale)
        found = generator.run(lambda: seconds, 0.0)  # noqa: B023 (used at once)
        assert found.bound <= reached + 1e-6 * max(1.0, scale)
        assert (found.share is None) == (seconds == 0.0)
        assert np.all(found.patterns.entry_replicas > 0)
