"""Replicas that make no sense, or that could never serve, beside others."""

from __future__ import annotations

import numpy as np
import pytest

from queueing.engine import EngineCases, TokenWorkTimes, analyze_engine


def test_cases_that_make_no_sense_leave_the_others_alone() -> None:
    times = TokenWorkTimes.of([8.0, np.nan, 8.0], [0.03] * 3, [3e-4] * 3)
    cases = EngineCases.of(times, 256, 64, [8, 8, 0])
    point = analyze_engine(cases, 5.0)
    alone = analyze_engine(cases.take(np.array([0])), 5.0)
    assert point.ttft.mean_ms[0] == alone.ttft.mean_ms[0]
    assert point.ttft.at_ms[:, 0] == pytest.approx(alone.ttft.at_ms[:, 0], rel=1e-12)
    assert np.isnan(point.ttft.mean_ms[1:]).all()
    assert np.isnan(point.e2e.at_ms[:, 1:]).all()
    assert point.stable.tolist() == [True, False, False]


def test_a_rate_that_makes_no_sense_is_told_apart() -> None:
    cases = EngineCases.of(TokenWorkTimes.of([8.0] * 3, [0.03] * 3, [3e-4] * 3), 256, 64, 8)
    point = analyze_engine(cases, [5.0, np.nan, -1.0])
    assert np.isnan(point.throughput_rps).tolist() == [False, True, True]


@pytest.mark.parametrize("max_queue", [10.0, np.inf])
def test_requests_that_memory_cannot_hold_are_never_served(max_queue: float) -> None:
    times = TokenWorkTimes.of([8.0], [0.03], [3e-4])
    cases = EngineCases.of(times, 1000, 64, 8, max_queue, kv_tokens=160.0)
    point = analyze_engine(cases, 1.0)
    assert point.saturation_rps[0] == 0.0
    assert not point.stable[0]
    assert np.isinf(point.ttft.mean_ms[0])
    assert point.throughput_rps[0] == 0.0
