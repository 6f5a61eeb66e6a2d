"""Output lengths by input bucket: from the window, from the nearest source, and saying which."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.lengths import LengthBasis, OutputLengths, PredictedLength, bucket_of


def filled(*told: tuple[str, float, float, int]) -> OutputLengths:
    """Requests as (model, input tokens, output tokens, how many), all at time 0."""
    lengths = OutputLengths(window_s=100.0, prior_tokens=256.0, fewest=10)
    for model, inputs, outputs, count in told:
        for _ in range(count):
            assert lengths.observe(model, inputs, outputs, 0.0)
    return lengths


@pytest.mark.parametrize(
    ("tokens", "bucket"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11)]
)
def test_buckets_are_powers_of_two(tokens: float, bucket: int) -> None:
    assert bucket_of(tokens) == bucket


def test_a_bucket_that_saw_enough_answers() -> None:
    lengths = filled(("a", 1000, 100, 8), ("a", 600, 300, 8), ("a", 100, 7, 50))
    found = lengths.predict("a", 900, 1.0)
    assert found == PredictedLength(200.0, 0.5, 300, 16, LengthBasis.BUCKET)


@pytest.mark.parametrize(
    ("told", "mean", "basis"),
    [
        ([("a", 3000, 80, 10)], 80, LengthBasis.NEAREST_BUCKET),
        ([("a", 3000, 80, 10), ("a", 400, 20, 10)], 20, LengthBasis.NEAREST_BUCKET),
        ([("a", 2000, 80, 10), ("a", 400, 20, 10)], 80, LengthBasis.NEAREST_BUCKET),
        ([("a", 9000, 80, 10)], 80, LengthBasis.MODEL),
        ([("a", 1000, 20, 5), ("a", 9000, 80, 5)], 50, LengthBasis.MODEL),
        ([("b", 1000, 20, 10), ("b", 9000, 80, 90)], 20, LengthBasis.ALL_MODELS),
        ([("b", 1000, 20, 5), ("c", 9000, 80, 5)], 50, LengthBasis.ALL_MODELS),
        ([("b", 1000, 20, 5)], 256, LengthBasis.PRIOR),
        ([], 256, LengthBasis.PRIOR),
    ],
)
def test_where_too_few_were_seen_the_next_best_source_answers(
    told: list[tuple[str, float, float, int]], mean: float, basis: LengthBasis
) -> None:
    found = filled(*told).predict("a", 900, 1.0)
    assert (found.mean, found.basis) == (mean, basis)


def test_old_requests_count_no_more() -> None:
    lengths = filled(("a", 1000, 100, 10))
    assert lengths.predict("a", 1000, 100.0).basis is LengthBasis.BUCKET
    assert lengths.predict("a", 1000, 101.0).basis is LengthBasis.PRIOR
    for _ in range(10):
        lengths.observe("a", 1000, 40, 90.0)
    assert lengths.predict("a", 1000, 101.0).mean == 40


def test_the_oldest_go_first_where_there_are_too_many() -> None:
    lengths = OutputLengths(most=20, fewest=10)
    for number in range(100):
        lengths.observe("a", 1000, number, 0.0)
    assert lengths.predict("a", 1000, 0.0).mean == pytest.approx(89.5)


def test_a_mean_of_many_requests_counts_as_many() -> None:
    lengths = OutputLengths(fewest=10)
    lengths.observe("a", 1000, 100, 0.0, requests=30)
    lengths.observe("a", 1000, 300, 0.0, requests=10)
    found = lengths.predict("a", 1000, 0.0)
    assert (found.mean, found.p90, found.requests) == (150, 300, 40)


@pytest.mark.parametrize(
    ("inputs", "outputs", "requests"),
    [
        (None, 5.0, 1.0),
        (5.0, None, 1.0),
        (math.nan, 5.0, 1.0),
        (5.0, math.nan, 1.0),
        (-1.0, 5.0, 1.0),
        (5.0, 5.0, 0.0),
    ],
)
def test_what_is_unknown_is_not_taken_for_zero(
    inputs: float | None, outputs: float | None, requests: float
) -> None:
    lengths = OutputLengths(fewest=1)
    assert not lengths.observe("a", inputs, outputs, 0.0, requests)
    assert lengths.predict("a", 5.0, 0.0).basis is LengthBasis.PRIOR


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="window_s is 0"):
        OutputLengths(window_s=0.0)
    with pytest.raises(ValueError, match="input_tokens is -1"):
        OutputLengths().predict("a", -1.0, 0.0)


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 500)), max_size=40),
    st.floats(0, 1e6),
    st.floats(0, 600),
)
def test_a_prediction_lies_within_what_was_seen(
    told: list[tuple[float, float, float]], inputs: float, at: float
) -> None:
    lengths = OutputLengths(window_s=100.0, fewest=3)
    for each in told:
        lengths.observe("a", *each)
    found = lengths.predict("a", inputs, at)
    recent = [outputs for _, outputs, seen in told if at - seen <= 100.0]
    if found.basis is LengthBasis.PRIOR:
        assert len(recent) < 3
    else:
        assert min(recent) - 1e-6 <= found.mean <= max(recent) + 1e-6
        assert found.p90 in recent
