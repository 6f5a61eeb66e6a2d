"""Moments of lengths against lengths as the simulator draws them, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.lengths import WEIGHTS, step_strata
from queueing.engine.requests import Requests, more_than_one, whole_moments
from queueing.engine.times import TokenWorkTimes
from simulator.lengths import FixedLength, Length, LognormalLength

DRAWS = 200_000
LENGTHS = [
    (1.0, 0.0),
    (1.3, 0.0),
    (5.5, 0.0),
    (0.4, 0.0),
    (0.5, 1.0),
    (1.0, 1.0),
    (1.5, 0.2),
    (2.0, 0.5),
    (3.0, 2.0),
    (7.0, 0.05),
    (100.0, 0.3),
    (500.0, 1.0),
    (20.0, 3.0),
]


def draw(mean: float, cv: float) -> FloatArray:
    length: Length = LognormalLength(mean, cv) if cv else FixedLength(mean)
    return length.draw(DRAWS, np.random.default_rng(4)).astype(np.float64)


def requests(tokens_in: float, tokens_out: float, **more: float) -> Requests:
    return Requests.of(
        EngineCases.of(TokenWorkTimes.of(8.0, 0.03, 0.0003), tokens_in, tokens_out, 8, **more)
    )


@pytest.mark.parametrize(("mean", "cv"), LENGTHS)
def test_moments_are_those_of_drawn_lengths(mean: float, cv: float) -> None:
    drawn = draw(mean, cv)
    first, square = whole_moments(np.array([mean]), np.array([cv]))
    # Five standard errors of the sample.
    assert first[0] == pytest.approx(drawn.mean(), abs=5 * drawn.std() / DRAWS**0.5 + 1e-9)
    # Fractions of random lengths are taken as even from 0 to 1, which narrow ones' are not.
    error = 5 * (drawn**2).std() / DRAWS**0.5 + (0.03 if cv else 0.0)
    assert square[0] == pytest.approx((drawn**2).mean(), abs=error + 1e-9)


@pytest.mark.parametrize(("mean", "cv"), LENGTHS)
def test_the_share_of_longer_lengths_is_that_of_drawn_ones(mean: float, cv: float) -> None:
    share = (draw(mean, cv) > 1).mean()
    error = 5 * (share * (1 - share) / DRAWS) ** 0.5 + 1e-9
    assert more_than_one(np.array([mean]), np.array([cv]))[0] == pytest.approx(share, abs=error)


@given(st.floats(0.01, 1e5), st.floats(0.0, 10.0))
def test_moments_can_be_those_of_whole_lengths_of_one_at_least(mean: float, cv: float) -> None:
    first, square = (array[0] for array in whole_moments(np.array([mean]), np.array([cv])))
    share = more_than_one(np.array([mean]), np.array([cv]))[0]
    # Means of wide distributions far above a token keep to rounding.
    assert first >= max(1.0, mean) * (1 - 1e-9)
    assert square >= first**2 * (1 - 1e-9)
    assert -1e-9 <= share <= 1 + 1e-9
    assert first >= 1 + share - 1e-9


def test_the_prompt_of_zero_tokens_is_one_token() -> None:
    answer = requests(0, 10, input_cv=2)
    assert answer.held[0] == answer.held_square[0] == answer.computed[0] == 1
    assert answer.input_spread[0] == 0


def test_the_context_of_fixed_requests_is_that_of_their_iterations() -> None:
    L, K = 37, 12
    read = np.mean([L + done for done in range(1, K)])
    assert requests(L, K).context[0] == pytest.approx(read)
    assert requests(L, 1).context[0] == L


def test_long_answers_count_more_in_the_context() -> None:
    drawn = draw(60, 1.5)
    read = (100 * (drawn - 1) + drawn * (drawn - 1) / 2).sum() / (drawn - 1).sum()
    assert requests(100, 60, output_cv=1.5).context[0] == pytest.approx(read, rel=0.05)


@pytest.mark.parametrize("hit", [0.0, 0.3, 0.9, 1.0])
def test_the_prefix_hit_is_held_but_not_computed(hit: float) -> None:
    drawn = draw(400, 0.8)
    answer = requests(400, 60, input_cv=0.8, prefix_hit_rate=hit)
    computed = np.maximum(drawn - np.floor(hit * drawn), 1)
    assert answer.computed[0] == pytest.approx(computed.mean(), rel=0.01)
    assert answer.held[0] == pytest.approx(drawn.mean(), rel=0.01)


@pytest.mark.parametrize(("mean", "cv"), [(300.0, 0.0), (300.0, 0.5), (40.0, 1.5), (900.0, 1.0)])
def test_strata_have_the_mean_of_the_decodes_and_their_spread(mean: float, cv: float) -> None:
    cases = EngineCases.of(TokenWorkTimes.of(8.0, 0.03, 0.0003), 10, mean, 8, output_cv=cv)
    own = Requests.of(cases)
    strata = step_strata(cases, own)
    steps, variance = strata.mean, strata.variance
    assert WEIGHTS.sum() == pytest.approx(1)
    assert (np.diff(steps[:, 0]) >= -1e-9).all()
    assert WEIGHTS @ steps[:, 0] == pytest.approx(own.steps[0], rel=1e-9)
    second = WEIGHTS @ (variance[:, 0] + steps[:, 0] ** 2)
    assert second == pytest.approx((1 + own.steps_spread[0]) * own.steps[0] ** 2, rel=0.05)
