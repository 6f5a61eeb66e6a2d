"""Operating points of replicas whose iterations were measured."""

from __future__ import annotations

import numpy as np
import pytest

from queueing.engine import EngineCases, EnginePoint, IterationTimes, TokenWorkTimes, analyze_engine
from queueing.engine.build import iteration_times
from queueing.engine.closed import analyze_closed
from stoker.domain.curve import tabulate
from stoker.domain.profile import ServiceParameters, TokenWorkParameters

ALPHA, BETA, GAMMA = 8.0, 0.05, 5e-4
PLAIN = TokenWorkParameters(ALPHA, BETA, GAMMA)

# The same engine as a table: bilinear in batch and context, so that no knots are needed between.
TABLE = tabulate(
    lambda batch, context: ALPHA + BETA * batch + GAMMA * batch * context,
    lambda tokens, reads: ALPHA + BETA * tokens + GAMMA * reads,
    batches=(1, 32),
    contexts=(16, 2048),
    prefill_tokens=(1, 1024),
    prefill_contexts=(1, 4096),
    shared_ms=ALPHA,
)
RATES = np.array([4.0, 6.0, 8.0])


def cases_of(times: IterationTimes) -> EngineCases:
    return EngineCases.of(times, 256.0, 64.0, 16.0, 200.0, input_cv=0.5, output_cv=0.5)


def assert_same(found: EnginePoint, expected: EnginePoint) -> None:
    for name in ("ttft", "itl", "e2e"):
        got, wanted = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(got.mean_ms, wanted.mean_ms, rtol=0.01, err_msg=name)
        np.testing.assert_allclose(got.at_ms, wanted.at_ms, rtol=0.02, err_msg=name)
    np.testing.assert_allclose(found.saturation_rps, expected.saturation_rps, rtol=0.01)


def test_a_table_of_a_formula_gives_its_latencies() -> None:
    point = analyze_engine(cases_of(iteration_times([TABLE] * 3)), RATES)
    expected = analyze_engine(cases_of(TokenWorkTimes.of([ALPHA] * 3, BETA, GAMMA)), RATES)
    assert point.stable.all()
    assert_same(point, expected)


def test_kinds_beside_each_other_do_not_change_each_other() -> None:
    mixed: list[ServiceParameters] = [PLAIN, TABLE, PLAIN]
    point = analyze_engine(cases_of(iteration_times(mixed)), RATES)
    for row, parameters in enumerate(mixed):
        alone = analyze_engine(cases_of(iteration_times([parameters])), RATES[row])
        assert point.ttft.mean_ms[row] == pytest.approx(alone.ttft.mean_ms[0], rel=1e-3)
        assert point.itl.at_ms[:, row] == pytest.approx(alone.itl.at_ms[:, 0], rel=1e-3)


def test_closed_loops_take_tables_as_well() -> None:
    clients = np.array([1.0, 8.0, 24.0])
    point = analyze_closed(cases_of(iteration_times([TABLE] * 3)), clients)
    expected = analyze_closed(cases_of(TokenWorkTimes.of([ALPHA] * 3, BETA, GAMMA)), clients)
    np.testing.assert_allclose(point.throughput_rps, expected.throughput_rps, rtol=0.01)
    np.testing.assert_allclose(point.ttft.mean_ms, expected.ttft.mean_ms, rtol=0.02)


def test_points_beyond_the_knots_say_so() -> None:
    times = iteration_times([TABLE] * 3)
    within = analyze_engine(cases_of(times), RATES)
    assert not within.extrapolated.any()
    long = EngineCases.of(times, [256.0, 2000.0, 4000.0], 64.0, 16.0, 200.0)
    beyond = analyze_engine(long, 0.1)
    assert beyond.extrapolated.tolist() == [False, True, True]
    plain = TokenWorkTimes.of([ALPHA] * 3, BETA, GAMMA)
    assert not analyze_engine(cases_of(plain), RATES).extrapolated.any()
