"""The `curve`: a known table found again from rows, no bend without need, honest intervals."""

from dataclasses import replace

import numpy as np
import pytest

from profiler.fit import CrossValidation, FitResult, fit, predict
from queueing.arrays import FloatArray
from queueing.engine.curve import CurveTimes
from stoker.domain.curve import IterationTable, tabulate
from stoker.domain.measurement import Arrival, Measurement
from tests.support.predicted_rows import OVERLAP, grid, measured, point
from tests.support.simulated_rows import Run, measure

LOOPS = {"wave_share": 0.1, "turnover_share": 2e-5}
SHARED = 6.0


def decode_ms(batch: float, context: float) -> float:
    """Return a time that no parametric model has: from 32 sequences on another kernel runs."""
    slower = 1.0 + 0.15 * min(max(np.log2(batch / 16.0), 0.0), 1.0)
    return float((6.5 + 0.03 * batch) * slower + 4e-5 * batch * context)


def prefill_ms(tokens: float, reads: float) -> float:
    return 6.5 + max(0.022 * tokens - 4.0, 0.0) + 2e-5 * reads


STEP = tabulate(
    decode_ms,
    prefill_ms,
    batches=(1, 4, 8, 16, 32, 64, 128, 256),
    contexts=(1, 256, 1024, 8192),
    prefill_tokens=(1, 180, 256, 1024, 8192),
    prefill_contexts=(0, 8192),
    shared_ms=SHARED,
)
STAIRS = tabulate(
    lambda batch, context: (
        6.0 + 2.0 * min(np.log2(batch), 4.0) + 0.01 * batch + 4e-5 * batch * context
    ),
    prefill_ms,
    batches=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    contexts=(1, 8192),
    prefill_tokens=(1, 180, 256, 1024, 8192),
    prefill_contexts=(0, 8192),
    shared_ms=5.0,
)
"""Rises to a batch of 16 and hardly beyond, as where a batch wakes more and more experts."""
CLIENTS = [
    point(clients, inputs, outputs, clients=True)
    for inputs, outputs in ((128, 256), (1024, 256), (512, 1024), (4096, 512))
    for clients in (1, 2, 4, 8, 16, 32, 64, 128)
]
RUNS = (
    *(Run(128, 128, rate) for rate in (2.0, 10.0, 25.0, 45.0)),
    *(Run(1024, 128, rate) for rate in (1.0, 4.0, 9.0, 16.0)),
    *(Run(128, 512, rate) for rate in (0.5, 3.0, 7.0, 12.0)),
    *(Run(2048, 256, rate) for rate in (0.5, 2.0, 4.0, 6.5)),
    *(Run(512, 256, clients, clients=True) for clients in (1, 4, 16, 64)),
)


@pytest.fixture(scope="module")
def rows() -> list[Measurement]:
    return measure(STEP, RUNS, requests=1500)


@pytest.fixture(scope="module")
def fitted(rows: list[Measurement]) -> FitResult:
    return fit(rows, "curve", cross_validation=CrossValidation.NONE)


def table_of(result: FitResult) -> IterationTable:
    assert result.table is not None
    return result.table


def times_ms(table: IterationTable, batch: float, context: float, tokens: float) -> float:
    """Return what an iteration takes by a table; prompts of one chunk read their own tokens."""
    state = [np.array([value]) for value in (batch, context, float(tokens > 0), tokens, tokens)]
    return float(CurveTimes.of([table]).iteration_ms(*state)[0])


@pytest.mark.parametrize("batch", [1, 4, 16, 40, 64])
@pytest.mark.parametrize("context", [256, 1024])
def test_decode_times_of_a_known_curve_come_back(
    fitted: FitResult, batch: int, context: int
) -> None:
    told = times_ms(table_of(fitted), batch, context, 0.0)
    assert told == pytest.approx(times_ms(STEP, batch, context, 0.0), rel=0.05)


@pytest.mark.parametrize("tokens", [128, 512, 1024, 2048])
def test_prefill_times_of_a_known_curve_come_back(fitted: FitResult, tokens: int) -> None:
    told = times_ms(table_of(fitted), 8, 512, tokens)
    assert told == pytest.approx(times_ms(STEP, 8, 512, tokens), rel=0.08)


def test_the_rows_of_a_known_curve_are_explained(fitted: FitResult) -> None:
    assert fitted.refusal is None
    assert fitted.error.ttft is not None
    assert fitted.error.ttft < 0.06
    assert fitted.error.itl is not None
    assert fitted.error.itl < 0.02


def test_a_curve_explains_and_predicts_what_parameters_cannot() -> None:
    rows = measured("curve", LOOPS, CLIENTS, noise=0.01, table=STAIRS)
    curve, other = (fit(rows, model) for model in ("curve", "overlap"))
    assert curve.cross_validated is not None
    assert other.cross_validated is not None
    assert curve.error.score < 0.2 * other.error.score
    assert curve.cross_validated.score < 0.5 * other.cross_validated.score
    for batch in (1, 4, 16, 64):
        told = times_ms(table_of(curve), batch, 1000, 0)
        assert told == pytest.approx(times_ms(STAIRS, batch, 1000, 0), rel=0.06)


def test_fitted_times_never_fall(fitted: FitResult) -> None:
    table = table_of(fitted)
    for values in (table.decode_ms, table.prefill_ms):
        assert (np.diff(np.array(values), axis=0) >= 0).all()
        assert (np.diff(np.array(values), axis=1) >= 0).all()
    assert table.shared_ms <= min(min(row) for row in table.prefill_ms)


def test_every_time_has_an_interval_that_holds_it(fitted: FitResult) -> None:
    curve = fitted.curve
    assert curve is not None
    for values, (low, high) in (
        (curve.table.decode_ms, curve.decode_ms),
        (curve.table.prefill_ms, curve.prefill_ms),
    ):
        assert np.shape(low) == np.shape(values) == np.shape(high)
        assert (np.array(low) < np.array(values)).all()
        assert (np.array(values) < np.array(high)).all()
    assert curve.shared_ms[0] < curve.table.shared_ms < curve.shared_ms[1]


def test_intervals_are_wider_where_no_row_went(fitted: FitResult) -> None:
    curve = fitted.curve
    assert curve is not None
    width: FloatArray = np.array(curve.decode_ms[1]) / np.array(curve.decode_ms[0])
    contexts = np.array(curve.table.contexts)
    near = int(np.argmin(np.abs(np.log(contexts / 600.0))))
    middle = int(np.argmin(np.abs(np.log(np.array(curve.table.batches) / 16.0))))
    assert width[middle, near] < width[-1, near]


def test_no_table_bends_without_need() -> None:
    base = fit(
        measured("overlap", OVERLAP | LOOPS, grid()), "curve", cross_validation=CrossValidation.NONE
    )
    rows = measured("curve", LOOPS, grid(), noise=0.02, seed=1, table=table_of(base))
    result = fit(rows, "curve", cross_validation=CrossValidation.NONE)
    known, again = table_of(base), table_of(result)
    for batch, context, tokens in ((1, 600, 0), (16, 600, 0), (60, 600, 0), (8, 600, 1024)):
        told = times_ms(again, batch, context, tokens)
        assert told == pytest.approx(times_ms(known, batch, context, tokens), rel=0.03)
    assert again.first_token_ms == pytest.approx(known.first_token_ms, rel=0.15)


def test_conditions_of_runs_are_told_beside_the_table(fitted: FitResult) -> None:
    assert set(fitted.parameters) == set(fitted.confidence)
    assert {"shared_ms", "first_token_ms", "wave_share"} <= set(fitted.parameters)
    assert not any(name.startswith(("decode_", "prefill_")) for name in fitted.parameters)
    assert fitted.condition_number is not None


def test_a_curve_is_refused_where_rows_tell_too_little() -> None:
    rows = measured("overlap", OVERLAP, [point(2.0, 512, 128)] * 8, noise=0.01)
    result = fit(rows, "curve")
    assert result.refusal is not None
    assert result.curve is None
    assert any("concurrency" in remedy for remedy in result.refusal.remedies)
    assert all("decode_" not in name for name in result.refusal.parameters)


def test_what_a_curve_predicts_is_what_its_table_says(
    rows: list[Measurement], fitted: FitResult
) -> None:
    with pytest.raises(ValueError, match="curve with a table"):
        predict("curve", fitted.parameters, rows)
    with pytest.raises(ValueError, match="others without"):
        predict("overlap", OVERLAP, rows, table_of(fitted))
    forecast = predict("curve", fitted.parameters, rows, fitted.table)
    told = forecast.typical_ttft_ms(rows)
    errors = [
        abs(told[index] / typical - 1.0)
        for index, row in enumerate(rows)
        if (typical := row.ttft.typical_ms) is not None
    ]
    assert np.mean(errors) == pytest.approx(fitted.error.ttft, rel=1e-9)


def test_static_batches_tell_iteration_times_directly() -> None:
    points = [
        replace(point(batch, prompt, output, clients=True), arrival=Arrival.STATIC_BATCH)
        for batch in (1, 2, 4, 8, 16, 32, 64)
        for prompt, output in ((128, 64), (512, 64), (1024, 64), (128, 4096))
        if batch * prompt <= 8192
    ]
    rows = measured("curve", {}, points, table=STAIRS)
    result = fit(rows, "curve", cross_validation=CrossValidation.NONE)
    assert result.refusal is None
    for batch, context in ((1, 160), (4, 544), (16, 160), (16, 544), (64, 160), (8, 2176)):
        told = times_ms(table_of(result), batch, context, 0)
        assert told == pytest.approx(times_ms(STAIRS, batch, context, 0), rel=0.05)
    for tokens in (512, 1024, 4096, 8192):
        told = times_ms(table_of(result), 0, 1, tokens)
        assert told == pytest.approx(times_ms(STAIRS, 0, 1, tokens), rel=0.08)
