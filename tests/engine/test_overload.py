"""Replicas offered more than they can do: a full queue, and the rest turned away."""

from __future__ import annotations

import numpy as np
import pytest

from queueing.engine import EngineCases, TokenWorkTimes, analyze_engine
from simulator import (
    Engine,
    FixedLength,
    GammaArrivals,
    Pool,
    Scenario,
    SeparateLengths,
    simulate,
    summarize,
)
from stoker.domain.profile import TokenWorkParameters


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
    # Whoever is let in waits for a whole queue to be served. Just beyond saturation clumps of
    # arrivals leave it time to shrink: that is held against the simulator below.
    whole_ms = 1000.0 * queue / saturation
    np.testing.assert_allclose(point.wait.mean_ms[1:], whole_ms[1:], rtol=0.1)
    least = 0.9 if arrival_cv == 1.0 else 0.8
    assert least * whole_ms[0] < point.wait.mean_ms[0] < 1.1 * whole_ms[0]
    assert np.all(np.isfinite(point.ttft.at_ms))
    assert np.all(np.diff(point.ttft.mean_ms) >= 0.0)


def test_a_queue_that_clumps_of_arrivals_fill_waits_as_simulated() -> None:
    parameters = TokenWorkParameters(8.0, 0.03, 0.0003)
    times = TokenWorkTimes.of([8.0], 0.03, 0.0003)
    cases = EngineCases.of(times, 128.0, 256.0, 8, 80, arrival_cv=2.0)
    rate = 1.2 * float(analyze_engine(cases, 1.0, ()).saturation_rps[0])
    lengths = SeparateLengths(FixedLength(128), FixedLength(256))
    pool = Pool(Engine(parameters, max_batch=8, max_queue=80))
    run = simulate(Scenario(GammaArrivals(rate, 2.0), lengths, pool, requests=60_000, seed=3))
    simulated_ms = summarize(run).wait_ms.mean.value
    assert analyze_engine(cases, rate).wait.mean_ms[0] == pytest.approx(simulated_ms, rel=0.03)
