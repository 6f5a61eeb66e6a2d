"""The spread of tokens behind a histogram, against the tokens themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.prometheus.histograms import in_powers_of_two, spread_of

BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, math.inf)
"""Those of vLLM's histograms of tokens."""


def cumulative(tokens: Sequence[float]) -> Mapping[float, float]:
    """Counts by bound, as an engine exports them."""
    return {bound: float(sum(each <= bound for each in tokens)) for bound in BOUNDS}


def true_cv(tokens: Sequence[float]) -> float:
    return float(np.std(tokens) / np.mean(tokens))


@pytest.mark.parametrize("length", [1, 100, 128, 300, 512, 1024])
def test_requests_of_one_length_have_no_spread(length: int) -> None:
    found = spread_of(cumulative([length] * 50), float(length))
    assert found is not None
    assert found.mean == length
    assert found.cv == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("lengths", "close"), [((100, 1000), 1e-6), ((128, 2048), 0.06)])
def test_requests_of_two_lengths_have_the_spread_between_them(
    lengths: tuple[int, int], close: float
) -> None:
    tokens = [*[lengths[0]] * 30, *[lengths[1]] * 10]
    found = spread_of(cumulative(tokens), float(np.mean(tokens)))
    assert found is not None
    assert found.cv == pytest.approx(true_cv(tokens), rel=close)


@pytest.mark.parametrize("cv", [0.5, 0.7, 1.0])
@pytest.mark.parametrize("mean", [150.0, 300.0, 700.0])
def test_spread_of_everyday_requests_is_close_and_rather_too_large(mean: float, cv: float) -> None:
    sigma = math.sqrt(math.log(1 + cv * cv))
    drawn = np.random.default_rng(1).lognormal(math.log(mean) - sigma**2 / 2, sigma, 5000)
    tokens = np.ceil(drawn).tolist()
    found = spread_of(cumulative(tokens), float(np.mean(tokens)))
    assert found is not None
    assert 0.95 * true_cv(tokens) <= found.cv <= 1.25 * true_cv(tokens)


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=40))
def test_bounds_hold_whatever_came(tokens: list[int]) -> None:
    found = spread_of(cumulative(tokens), float(np.mean(tokens)))
    assert found is not None
    assert found.least_cv - 1e-9 <= found.cv <= found.most_cv + 1e-9
    # Above the last bound nobody knows how long requests are.
    if max(tokens) <= BOUNDS[-2]:
        assert found.mean == pytest.approx(np.mean(tokens))
        assert found.least_cv <= true_cv(tokens) + 1e-6
        assert true_cv(tokens) <= found.most_cv + 1e-6


def test_a_few_requests_beside_do_not_make_a_bucket_wide() -> None:
    tokens = [*[512] * 990, *[100] * 10]
    found = spread_of(cumulative(tokens), float(np.mean(tokens)))
    assert found is not None
    assert found.cv < 0.12
    assert found.least_cv <= true_cv(tokens) + 1e-9
    assert true_cv(tokens) <= found.most_cv + 1e-9


def test_without_a_mean_requests_are_in_the_middle_of_their_buckets() -> None:
    found = spread_of({50.0: 0.0, 100.0: 5.0, 200.0: 10.0, math.inf: 10.0})
    assert found is not None
    assert found.mean == pytest.approx((75 + 150) / 2)


def test_no_requests_have_no_spread() -> None:
    assert spread_of({100.0: 0.0, math.inf: 0.0}, 10.0) is None
    assert in_powers_of_two({100.0: 0.0}, 60.0) is None
