"""The model over pools against trying everything, over every kind of rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from optimizer.pooled.prune import needed_options
from stoker.domain.limits import Limits, Objective, ObjectiveName, Objectives
from stoker.domain.pools import Pool
from tests.support.naive_pools import best_plan
from tests.support.pool_agreement import agrees_with_trying_everything
from tests.support.pool_decisions import RELAXED, decision_of, pruned
from tests.support.pool_instances import instances, instances_at_need
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Client, Instance, Now, Offer


@given(instance=instances())
@settings(max_examples=500, deadline=None, suppress_health_check=RELAXED)
def test_the_model_agrees_with_trying_everything(instance: Instance) -> None:
    agrees_with_trying_everything(instance)


@given(instance=instances_at_need())
@settings(max_examples=200, deadline=None, suppress_health_check=RELAXED)
def test_servers_that_run_just_what_they_need_get_parts_of_it_too(instance: Instance) -> None:
    agrees_with_trying_everything(instance)


@pytest.mark.parametrize("now", [None, Now(0, 2), Now(0, 3), Now(0, 4), Now(0, 3, where=(3,))])
def test_fairness_gives_what_is_left_whatever_runs(now: Now | None) -> None:
    """Three replicas are needed and there are cards for two: a third goes without."""
    fair = Objectives((Objective(ObjectiveName.FAIRNESS),))
    client = Client(1, 1.0, (Offer(0, "A", 1, 1.0, 3),), now=now)
    instance = Instance((client,), (Pool("p", "A", 2),), objectives=fair)
    agrees_with_trying_everything(instance)
    assert decision_of(question_of(instance)).stages[0].reached == pytest.approx(1 / 3)


@given(instance=instances())
@settings(max_examples=100, deadline=None, suppress_health_check=RELAXED)
def test_pruning_never_changes_the_optimum(instance: Instance) -> None:
    question = question_of(instance)
    kept = pruned(question)
    full, less = decision_of(question), decision_of(kept)
    assert less.counts == full.counts
    assert [stage.name for stage in less.stages] == [stage.name for stage in full.stages]
    for one, other in zip(less.stages, full.stages, strict=True):
        assert one.reached == pytest.approx(other.reached, rel=1e-9, abs=1e-9)


def test_pruning_drops_something() -> None:
    """Few large replicas and many small ones in one pool: the dearer goes."""
    offers = (Offer(0, "A", 2, 1.0, 1), Offer(1, "A", 1, 0.5, 3))
    client = Client(1, 1.0, offers)
    question = question_of(Instance((client,), (Pool("p", "A", 4),)))
    assert needed_options(question).tolist() == [0]
    limits = Limits(max_spot_share=0.5)
    spotted = question_of(Instance((client,), (Pool("p", "A", 4),), limits=limits))
    assert needed_options(spotted).tolist() == [0, 1]


def test_fairness_goes_on_after_the_worst_class() -> None:
    """One class has no card at all; the others still share theirs as evenly as can be."""
    fair = Objectives((Objective(ObjectiveName.FAIRNESS),))
    cheap = Client(1, 1.0, (Offer(0, "A", 1, 0.5, 6),))
    dear = Client(1, 1.0, (Offer(0, "A", 1, 2.0, 6),), group=1)
    without = Client(2, 1.0, (Offer(1, "B", 1, 1.0, 1),))
    instance = Instance((cheap, dear, without), (Pool("p", "A", 4),), objectives=fair)
    decision = decision_of(question_of(instance))
    stages = {stage.name: stage.reached for stage in decision.stages}
    assert stages["fairness"] == pytest.approx(1.0)
    assert stages["fairness_2"] == pytest.approx(1.0 + 4 / 6)
    assert stages["fairness_3"] == pytest.approx(1.0 + 4 / 6 + 4 / 6)
    assert best_plan(instance).stages == pytest.approx([stage.reached for stage in decision.stages])
