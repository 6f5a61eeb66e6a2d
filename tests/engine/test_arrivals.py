"""Counts of renewal arrivals against closed forms, limits and samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_after, count_variance

TIMES: FloatArray = np.array([0.01, 0.1, 0.4, 0.6, 1.0, 1.5, 2.0, 3.3, 10.0, 100.0, 1000.0])


def variance(times: FloatArray, cv: float) -> FloatArray:
    return count_variance(times[:, None], np.array([cv]))[:, 0]


def after(times: FloatArray, cv: float) -> FloatArray:
    return count_after(times[:, None], np.array([cv]))[:, 0]


def test_poisson_counts_have_their_mean_as_variance_and_no_memory() -> None:
    assert (variance(TIMES, 1.0) == TIMES).all()
    assert (after(TIMES, 1.0) == TIMES).all()


def test_poisson_is_one_row_of_the_table_like_any_other() -> None:
    # Beside a case of other arrivals the shortcut is not taken.
    both = np.array([1.0, 2.0])
    assert count_variance(TIMES[:, None], both)[:, 0] == pytest.approx(TIMES)
    assert count_after(TIMES[:, None], both)[:, 0] == pytest.approx(TIMES)


def test_regular_arrivals_vary_by_the_part_of_the_interval_only() -> None:
    # A time of t intervals holds floor(t) arrivals or one more: frac(1 - frac), smoothed as
    # regular arrivals are taken to have a coefficient of variation of a tenth, c² = 0.01.
    part = TIMES % 1.0
    exact = part * (1.0 - part)
    assert (np.abs(variance(TIMES, 0.0) - exact) < 0.19 + 0.0101 * TIMES).all()
    assert (np.abs(variance(TIMES, 0.0) - exact)[TIMES < 4] < 0.12).all()
    assert variance(TIMES[:3], 0.0) == pytest.approx(exact[:3], rel=1e-3)


def test_regular_arrivals_follow_each_other_at_full_intervals() -> None:
    assert after(TIMES[:4], 0.0) == pytest.approx(0, abs=1e-3)
    between = np.array([1.5, 2.5, 3.5])
    assert after(between, 0.0) == pytest.approx([1, 2, 3], rel=0.04)


@pytest.mark.parametrize("cv", [0.15, 0.3, 0.5, 0.7, 1.25, 1.5, 2.0, 3.0, 4.0])
def test_long_run_limits(cv: float) -> None:
    long = np.array([800.0])
    # V(t) = c² t + (1 - c⁴)/6 + c⁴/2 - ... : the slope is c²; m(t) - t tends to (c² - 1)/2.
    step = variance(2 * long, cv)[0] - variance(long, cv)[0]
    assert step / long[0] == pytest.approx(cv**2, rel=0.02)
    assert after(long, cv)[0] - long[0] == pytest.approx((cv**2 - 1) / 2, rel=0.02, abs=0.01)


@pytest.mark.parametrize("cv", [0.0, 0.3, 0.7, 1.5, 3.0])
def test_short_times_hold_an_arrival_or_none(cv: float) -> None:
    short = np.array([1e-4])
    if cv < 1:
        assert variance(short, cv)[0] == pytest.approx(short[0], rel=2e-3)
    else:
        assert variance(short, cv)[0] > short[0]


@pytest.mark.parametrize("cv", [0.3, 0.6, 1.25, 2.0, 3.0])
def test_counts_of_sampled_gamma_renewals(cv: float) -> None:
    random = np.random.default_rng(11)
    shape = 1 / cv**2
    times = np.cumsum(random.gamma(shape, 1 / shape, 600_000))
    for window in (0.3, 1.0, 3.0, 10.0):
        starts = random.uniform(times[0], times[-1] - window, 200_000)
        counts = np.searchsorted(times, starts + window) - np.searchsorted(times, starts)
        guess = variance(np.array([window]), cv)[0]
        assert guess == pytest.approx(counts.var(), rel=0.05, abs=0.02 * window)
        own = times[:200_000]
        following = np.searchsorted(times, own + window) - np.arange(1, len(own) + 1)
        assert after(np.array([window]), cv)[0] == pytest.approx(
            following.mean(), rel=0.05, abs=0.02 * window
        )


@given(st.floats(1e-6, 900.0), st.floats(1.0, 2.0), st.floats(0.0, 10.0))
def test_more_time_brings_more_arrivals(time: float, longer: float, cv: float) -> None:
    pair = np.array([time, time * longer])
    first, second = after(pair, cv)
    assert second >= first * (1 - 1e-9) >= 0
    assert (variance(pair, cv) >= 0).all()


@given(st.floats(1e-3, 900.0), st.floats(0.0, 10.0), st.floats(0.0, 10.0))
def test_more_variable_arrivals_vary_more(time: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    times = np.array([time])
    assert variance(times, high)[0] >= variance(times, low)[0] * (1 - 1e-9)
