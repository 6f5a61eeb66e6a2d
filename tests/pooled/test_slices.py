"""Slices of cards in the model over pools, against trying everything and against words."""

from __future__ import annotations

from hypothesis import given, settings

from tests.support.joined_instances import sliced_instances
from tests.support.pool_agreement import agrees_with_trying_everything, agrees_with_words
from tests.support.pool_decisions import RELAXED
from tests.support.pool_terms import Instance


@given(instance=sliced_instances())
@settings(max_examples=200, deadline=None, suppress_health_check=RELAXED)
def test_the_model_with_slices_agrees_with_trying_everything(instance: Instance) -> None:
    agrees_with_trying_everything(instance)


@given(instance=sliced_instances())
@settings(max_examples=30, deadline=None, suppress_health_check=RELAXED)
def test_arrays_and_words_agree_on_slices(instance: Instance) -> None:
    agrees_with_words(instance)
