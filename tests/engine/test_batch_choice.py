"""The batch limit that carries the most, against sizing every limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.engine import EngineCases, EngineTargets, LatencyTarget, TokenWorkTimes, size_engine
from queueing.engine.batch_choice import TOLERANCE, best_limits

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Drawn:
    """Random replicas, and what they carry at batch limits."""

    def __init__(self, seed: int, count: int, largest: int) -> None:
        random = np.random.default_rng(seed)
        times = TokenWorkTimes.of(
            random.uniform(4.0, 20.0, count),
            random.choice([0.01, 0.05, 0.2], count),
            random.choice([0.0001, 0.0005], count),
        )
        self.largest = random.choice([1.0, largest // 2 - 1.0, float(largest)], count)
        self.cases = EngineCases.of(
            times,
            random.choice([64.0, 512.0, 2000.0], count),
            random.choice([1.0, 16.0, 128.0, 400.0], count),
            self.largest,
            input_cv=random.choice([0.0, 1.0], count),
            output_cv=random.choice([0.0, 1.0], count),
            kv_tokens=random.choice([np.inf, 20_000.0], count),
        )
        itl = LatencyTarget.of(
            count,
            random.choice([15.0, 25.0, 40.0, 80.0], count),
            random.choice([np.nan, 95.0], count),
        )
        ttft = LatencyTarget.of(count, random.choice([300.0, 800.0, 3000.0], count), 95.0)
        self.targets = EngineTargets.of(count, ttft=(ttft,), itl=(itl,), max_blocking=0.001)
        self.sized = 0

    def carried(self, rows: IntArray, limits: FloatArray) -> FloatArray:
        self.sized += len(rows)
        cases = replace(self.cases.take(rows).with_batch(limits), max_queue=10.0 * limits)
        found = size_engine(cases, self.targets.take(rows))
        return np.where(found.feasible, found.throughput_rps, 0.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_limit_tried_is_hardly_better(seed: int) -> None:
    drawn = Drawn(seed, 120, 48)
    limits, rates = best_limits(drawn.carried, drawn.largest)
    assert drawn.sized < 16 * 120
    every = np.zeros((48, 120))
    for limit in range(1, 49):
        rows = np.flatnonzero(drawn.largest >= limit)
        every[limit - 1, rows] = drawn.carried(rows, np.full(len(rows), float(limit)))
    most = every.max(axis=0)
    assert (most > 0.0).sum() > 80
    assert (rates >= 0.99 * most).all()
    assert ((limits >= 1.0) & (limits <= drawn.largest)).all()
    chosen = every[limits.astype(int) - 1, np.arange(120)]
    np.testing.assert_allclose(rates, chosen, rtol=5e-3)
    # The first limit that is as good is at most a little below.
    first = (every >= (1.0 - TOLERANCE) * most).argmax(axis=0) + 1.0
    served = most > 0.0
    assert np.median(limits[served] / first[served]) == 1.0
    assert (limits[served] < drawn.largest[served]).sum() > 20


@settings(max_examples=60, deadline=None)
@given(
    rises=st.floats(0.05, 1.0),
    peak=st.integers(1, 300),
    level=st.floats(0.05, 1.0),
    largest=st.integers(1, 512),
)
def test_curves_that_rise_to_a_peak_and_fall_to_a_level(
    rises: float, peak: int, level: float, largest: int
) -> None:
    """What replicas carry: in proportion at first, less beyond the limit that keeps ITL."""
    at = np.arange(1.0, largest + 1.0)
    curve = np.where(at <= peak, at**rises, level * float(peak) ** rises)
    curve = np.where(at > peak, np.maximum(curve, peak**rises * (peak / at)), curve)

    def carried(rows: IntArray, limits: FloatArray) -> FloatArray:
        assert (rows == 0).all()
        return np.asarray(curve[limits.astype(int) - 1])

    (limit,), (rate,) = best_limits(carried, np.array([float(largest)]))
    assert rate >= 0.99 * curve.max()
    assert rate == curve[int(limit) - 1]


def test_of_limits_that_carry_as_much_the_smallest() -> None:
    limits, rates = best_limits(
        lambda rows, limits: np.minimum(limits, 37.0), np.array([256.0, 37.0, 20.0])
    )
    assert limits.tolist() == [37.0, 37.0, 20.0]
    assert rates.tolist() == [37.0, 37.0, 20.0]


def test_where_no_limit_keeps_the_targets_the_largest_stays() -> None:
    limits, rates = best_limits(lambda rows, limits: 0.0 * limits, np.array([64.0, 1.0]))
    assert limits.tolist() == [64.0, 1.0]
    assert rates.tolist() == [0.0, 0.0]


def test_nothing_to_choose() -> None:
    limits, rates = best_limits(lambda rows, limits: limits, np.empty(0))
    assert len(limits) == len(rates) == 0
