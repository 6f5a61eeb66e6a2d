"""Replicas offered more than they can do: a full queue, and the rest turned away."""

from __future__ import annotations

import numpy as np
import pytest

from queueing.engine import EngineCases, TokenWorkTimes, analyze_engine


@pytest.mark.parametrize(("slots", "queue"), [(16, 160), (64, 640), (256, 2560), (8, 80)])
@pytest.mark.parametrize("arrival_cv", [1.0, 2.0])
def test_what_is_beyond_saturation_is_turned_away(
    slots: int, queue: int, arrival_cv: float
) -> None:
    offered = np.array([1.2, 1.5, 2.0, 5.0, 20.0, 100.0])
    times = TokenWorkTimes.of(np.full(6, 8.0), 0.03, 0.0003)
    cases = EngineCases.of(times, 128.0, 256.0, slots, queue, arrival_cv=arrival_cv)
    saturation = analyze_engine(cases, 1.0, ()).saturation_rps
    point = analyze_engine(cases, offered * saturation, (50.0, 99.0))
    np.testing.assert_allclose(point.throughput_rps / saturation, 1.0, rtol=0.02)
    np.testing.assert_allclose(point.blocking, 1.0 - 1.0 / offered, rtol=0.02)
    # Whoever is let in waits for a whole queue to be served, a bit less where clumps of arrivals
    # leave it time to shrink.
    whole_ms = 1000.0 * queue / saturation
    np.testing.assert_allclose(point.wait.mean_ms[1:], whole_ms[1:], rtol=0.1)
    assert 0.8 * whole_ms[0] < point.wait.mean_ms[0] < 1.02 * whole_ms[0]
    assert np.all(np.isfinite(point.ttft.at_ms))
    assert np.all(np.diff(point.ttft.mean_ms) >= 0.0)
