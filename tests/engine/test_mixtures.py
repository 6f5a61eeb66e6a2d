"""Mixtures of latencies: distribution functions, percentiles and moments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from queueing.arrays import FloatArray
from queueing.engine.mixtures import Mixture, Parts, Shape, gamma_cdf, lognormal_cdf

NAMES = ("weight", "shift", "mean", "variance")
SHARES: FloatArray = np.linspace(0.005, 0.995, 100)


def part(
    weight: float, shift: float, mean: float, variance: float, shape: Shape = Shape.GAMMA
) -> Parts:
    array = np.array([[weight], [shift], [mean], [variance]])
    return Parts(array[:1], array[1:2], array[2:3], array[3:], shape)


@st.composite
def mixtures(draw: st.DrawFn) -> Mixture:
    count = draw(st.integers(1, 4))
    weights = [draw(st.floats(0.01, 1.0)) for _ in range(count)]
    parts = []
    for weight in weights:
        mean = draw(st.floats(0.01, 1e4))
        parts.append(
            part(
                weight / sum(weights),
                draw(st.floats(0.0, 1e3)),
                mean,
                draw(st.floats(0.0, 9.0)) * mean**2,
                draw(st.sampled_from(Shape)),
            )
        )
    return Mixture(tuple(parts))


@pytest.mark.parametrize("shape", [0.02, 0.1, 0.39, 0.4, 0.41, 0.7, 1.0, 2.0, 5.0, 40.0, 1e4])
@pytest.mark.parametrize("mean", [0.3, 700.0])
def test_gamma(shape: float, mean: float) -> None:
    exact = stats.gamma(shape, scale=mean / shape)
    values = exact.ppf(SHARES)
    own = gamma_cdf(values, np.full(100, mean), np.full(100, mean**2 / shape))
    error = np.abs(own - SHARES)
    assert error[SHARES >= 0.5].max() < (1e-9 if shape < 0.4 else 0.0075)
    assert error.max() < (1e-9 if shape < 0.4 else 0.0075 if shape > 1.2 else 0.09)


@pytest.mark.parametrize("cv", [0.01, 0.3, 1.0, 4.0])
def test_lognormal(cv: float) -> None:
    mean, sigma = 250.0, np.log1p(cv**2) ** 0.5
    exact = stats.lognorm(sigma, scale=mean * np.exp(-(sigma**2) / 2))
    values = exact.ppf(SHARES)
    own = lognormal_cdf(values, np.full(100, mean), np.full(100, (cv * mean) ** 2))
    assert own == pytest.approx(SHARES, abs=1e-9)


@pytest.mark.parametrize("shape", Shape)
def test_no_variance_is_a_step(shape: Shape) -> None:
    mixture = Mixture((part(1.0, 5.0, 20.0, 0.0, shape),))
    values = [mixture.cdf(np.array([value]))[0] for value in (-1.0, 4.9, 24.999, 25.001)]
    assert values == pytest.approx([0, 0, 0, 1], abs=1e-9)
    assert mixture.percentiles((1.0, 50.0, 99.0))[:, 0] == pytest.approx([25] * 3, rel=1e-6)


@pytest.mark.parametrize("shape", Shape)
def test_neither_mean_nor_variance_is_the_shift(shape: Shape) -> None:
    mixture = Mixture((part(1.0, 5.0, 0.0, 0.0, shape),))
    assert mixture.percentiles((1.0, 50.0, 99.0))[:, 0] == pytest.approx([5] * 3, rel=1e-6)


@given(mixtures(), st.lists(st.floats(0.0, 1e5), min_size=2, max_size=6))
def test_distribution_functions_rise_from_0_to_1(mixture: Mixture, values: list[float]) -> None:
    shares = [mixture.cdf(np.array([value]))[0] for value in sorted(values)]
    assert (np.diff(shares) >= -1e-12).all()
    assert shares[0] >= -1e-12
    assert shares[-1] <= 1 + 1e-9
    assert mixture.cdf(np.array([-1.0]))[0] == 0
    assert mixture.cdf(np.array([1e12]))[0] == pytest.approx(1, abs=1e-6)


@settings(max_examples=25)
@given(mixtures(), st.floats(1.0, 99.9))
def test_percentiles_invert_the_distribution_function(mixture: Mixture, percent: float) -> None:
    value = mixture.percentiles((percent,))[0]
    step = 1e-6 * value + 1e-9 * (mixture.average() + mixture.spread() ** 0.5)
    assert mixture.cdf(value)[0] >= percent / 100 - 1e-12
    assert mixture.cdf(value - step)[0] <= percent / 100 + 1e-12


@settings(max_examples=20)
@given(mixtures())
def test_percentiles_are_in_order(mixture: Mixture) -> None:
    rows = mixture.percentiles((1.0, 50.0, 90.0, 95.0, 99.0))
    assert rows.shape == (5, 1)
    assert (np.diff(rows[:, 0]) >= 0).all()


def test_moments_are_those_of_the_mixture() -> None:
    random = np.random.default_rng(2)
    mixture = Mixture(
        (part(0.3, 1.0, 4.0, 8.0), part(0.7, 0.0, 10.0, 30.0, Shape.LOGNORMAL)),
    )
    sigma = np.log1p(0.3) ** 0.5
    drawn = np.where(
        random.random(400_000) < 0.3,
        1.0 + random.gamma(2.0, 2.0, 400_000),
        random.lognormal(np.log(10.0) - sigma**2 / 2, sigma, 400_000),
    )
    assert mixture.average()[0] == pytest.approx(drawn.mean(), rel=0.01)
    assert mixture.spread()[0] == pytest.approx(drawn.var(), rel=0.02)
    percents = (10.0, 50.0, 90.0, 99.0)
    assert mixture.percentiles(percents)[:, 0] == pytest.approx(
        np.percentile(drawn, percents), rel=0.02
    )


def test_nothing_is_beyond_the_largest_value() -> None:
    parts = (part(1.0, 0.0, 10.0, 100.0),)
    free, held = Mixture(parts), Mixture(parts, np.array([12.0]))
    assert held.cdf(np.array([12.0]))[0] == 1
    below = np.array([11.0])
    assert held.cdf(below) == free.cdf(below)
    assert held.percentiles((99.0,))[0, 0] == pytest.approx(12, rel=1e-6)
    assert held.percentiles((50.0,)) == pytest.approx(free.percentiles((50.0,)), rel=1e-6)


def test_cases_are_independent_of_each_other() -> None:
    weight = np.array([[0.2, 1.0], [0.8, 0.0]])
    both = Mixture(
        (Parts(weight, np.zeros((2, 2)), np.array([[3.0, 1e4], [5.0, 1.0]]), np.ones((2, 2))),)
    )
    rows = both.percentiles((50.0, 99.0))
    for case in range(2):
        own = slice(case, case + 1)
        one = Mixture((Parts(*(getattr(both.parts[0], name)[:, own] for name in NAMES)),))
        assert one.percentiles((50.0, 99.0))[:, 0] == pytest.approx(rows[:, case], rel=1e-9)
