"""The arrays against the same model written out in PuLP."""

from __future__ import annotations

from hypothesis import given, settings

from tests.support.pool_agreement import agrees_with_words
from tests.support.pool_decisions import RELAXED
from tests.support.pool_instances import instances
from tests.support.pool_terms import Instance


@given(instance=instances())
@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
def test_arrays_and_words_have_the_same_optimum(instance: Instance) -> None:
    agrees_with_words(instance)
