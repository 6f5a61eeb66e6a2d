"""The analysis against the simulator at a few points: a small form of `make fidelity`."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fidelity import engine
from benchmarks.fidelity.comparison import LIMITED, Comparison, Judged
from benchmarks.fidelity.drawing import families
from benchmarks.fidelity.predicted import SATURATION, THROUGHPUT
from benchmarks.fidelity.simulated import Effort, Precision, saturation_rps, simulated
from benchmarks.fidelity.work import Measured

SHARES = {
    "plain": 4,
    "arrivals": 3,
    "linear": 3,
    "curve": 3,
    "chunked": 3,
    "memory": 3,
    "prefix": 2,
}
EFFORT = Effort(
    (Precision("ttft", "mean", 0.05),), requests=60_000, per_slot=300, most_requests=240_000
)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    measured = []
    for drawn in families(SHARES, 31):
        point = replace(drawn, load=min(drawn.load, 0.8))
        saturated = saturation_rps(point.replica, point.seed, requests=40_000)
        truth = simulated(point.replica, point.load * saturated, point.seed, EFFORT)
        measured.append(Measured(point, saturated, truth))
    rates = np.array([item.truth.rate_rps for item in measured])
    return Comparison(measured, engine.full([item.point.replica for item in measured], rates))


@pytest.mark.parametrize("judged", LIMITED, ids=lambda judged: judged.name)
def test_latencies_are_those_of_the_simulation(comparison: Comparison, judged: Judged) -> None:
    errors = comparison.errors(judged.figure, comparison.quiet())
    assert judged.median is not None
    assert judged.high is not None
    assert errors.points >= 18
    assert errors.median <= 1.5 * judged.median
    sizes = np.abs(comparison.signed(judged.figure))
    assert np.nanpercentile(sizes, 75) <= 1.5 * judged.high


def test_throughput_is_that_of_the_simulation(comparison: Comparison) -> None:
    assert comparison.errors(SATURATION, comparison.quiet()).median <= 0.02
    assert comparison.errors(THROUGHPUT, comparison.quiet()).high <= 0.05
