"""Operating points of replicas whose iterations were measured."""

from __future__ import annotations

import numpy as np
import pytest

from data.simulation_lines import SimulationCase
from optimizer.replica_questions import answer_many
from queueing.engine import EngineCases, EnginePoint, IterationTimes, TokenWorkTimes, analyze_engine
from queueing.engine.build import iteration_times
from queueing.engine.closed import analyze_closed
from simulator import simulate, summarize
from stoker.cli.simulation_answer import scenario_of
from stoker.domain.curve import tabulate
from stoker.domain.profile import ServiceParameters, TokenWorkParameters
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.settings import Analysis

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


def test_questions_about_replicas_with_curves() -> None:
    curve, plain = (
        ReplicaCase(
            parameters=parameters,
            input_tokens=256.0,
            output_tokens=64.0,
            max_batch=16,
            max_queue=200,
            arrival_rate_rps=6.0,
            ttft_ms=80.0,
            itl_ms=20.0,
            input_cv=0.5,
        )
        for parameters in (TABLE, PLAIN)
    )
    for question in ReplicaQuestion:
        (told,) = answer_many(question, [curve])
        (expected,) = answer_many(question, [plain], Analysis.FULL)
        assert (told.analysis, told.status) == (Analysis.FULL, AnswerStatus.OK)
        assert told.ttft_ms == pytest.approx(expected.ttft_ms, rel=0.02)
        assert told.throughput_rps == pytest.approx(expected.throughput_rps, rel=0.02)
    refused, _ = answer_many(ReplicaQuestion.SOLVE, [curve, plain], Analysis.REFERENCE)
    assert refused.status is AnswerStatus.INVALID
    assert "curve is unknown to the analysis reference" in refused.message
    assert "(allowed: the analysis full)" in refused.message


def test_a_case_with_a_curve_is_simulated() -> None:
    def simulated(parameters: ServiceParameters) -> float:
        case = ReplicaCase(parameters, 64.0, 16.0, 8, 50, arrival_rate_rps=10.0)
        run = simulate(scenario_of(SimulationCase(case, requests=500, seed=3)))
        return summarize(run).e2e_ms.mean.value

    assert simulated(TABLE) == pytest.approx(simulated(PLAIN), rel=1e-9)


def test_points_beyond_the_knots_say_so() -> None:
    times = iteration_times([TABLE] * 3)
    within = analyze_engine(cases_of(times), RATES)
    assert not within.extrapolated.any()
    long = EngineCases.of(times, [256.0, 2000.0, 4000.0], 64.0, 16.0, 200.0)
    beyond = analyze_engine(long, 0.1)
    assert beyond.extrapolated.tolist() == [False, True, True]
    plain = TokenWorkTimes.of([ALPHA] * 3, BETA, GAMMA)
    assert not analyze_engine(cases_of(plain), RATES).extrapolated.any()
