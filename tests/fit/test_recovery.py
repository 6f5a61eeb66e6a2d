"""Known parameters come back from operating points measured on the simulator."""

from dataclasses import replace

import pytest

from profiler.fit import CrossValidation, FitResult, fit, predict
from stoker.domain.measurement import LatencyFigures, Measurement
from stoker.domain.profile import TokenWorkParameters
from tests.support.simulated_rows import Run, measure

TRUE = TokenWorkParameters(8.0, 0.03, 1e-4)
RUNS = (
    *(Run(128, 128, rate, arrival_cv=cv) for rate, cv in ((4.0, 1.0), (12.0, 0.0), (21.0, 1.0))),
    *(Run(1024, 128, rate, arrival_cv=cv) for rate, cv in ((2.0, 1.0), (6.0, 0.0), (10.0, 1.0))),
    *(Run(128, 512, rate, arrival_cv=cv) for rate, cv in ((1.0, 1.0), (3.0, 0.0), (5.0, 1.0))),
    *(Run(2048, 256, rate, arrival_cv=cv) for rate, cv in ((0.9, 1.0), (2.6, 0.0), (4.3, 1.0))),
    Run(512, 128, 1, clients=True),
    Run(512, 128, 16, clients=True),
    Run(1024, 256, 48, clients=True),
)


@pytest.fixture(scope="module")
def rows() -> list[Measurement]:
    return measure(TRUE, RUNS)


@pytest.fixture(scope="module")
def fitted(rows: list[Measurement]) -> FitResult:
    return fit(rows, "token-work")


def test_parameters_come_back(fitted: FitResult) -> None:
    assert fitted.refusal is None
    assert fitted.parameters["alpha_ms"] == pytest.approx(TRUE.alpha_ms, rel=0.01)
    assert fitted.parameters["beta_ms"] == pytest.approx(TRUE.beta_ms, rel=0.06)
    assert fitted.parameters["gamma_ms"] == pytest.approx(TRUE.gamma_ms, rel=0.10)


def test_errors_are_small_where_the_model_is_true(fitted: FitResult) -> None:
    assert fitted.error.n == len(RUNS)
    assert fitted.error.ttft is not None
    assert fitted.error.ttft < 0.05
    assert fitted.error.itl is not None
    assert fitted.error.itl < 0.01


def test_shapes_left_out_are_predicted_as_well(fitted: FitResult) -> None:
    validated = fitted.cross_validated
    assert validated is not None
    assert fitted.folds == 6
    assert validated.n == len(RUNS)
    assert validated.ttft is not None
    assert validated.ttft < 0.07
    assert validated.itl is not None
    assert validated.itl < 0.02


def test_true_parameters_predict_what_the_simulator_shows(rows: list[Measurement]) -> None:
    true = {"alpha_ms": TRUE.alpha_ms, "beta_ms": TRUE.beta_ms, "gamma_ms": TRUE.gamma_ms}
    predicted = predict("token-work", true, rows)
    for index, row in enumerate(rows):
        assert predicted.itl_ms[index] == pytest.approx(row.itl.mean_ms, rel=0.04)
        assert predicted.ttft_ms[index] == pytest.approx(row.ttft.mean_ms, rel=0.12)
        assert predicted.ttft_p50_ms[index] == pytest.approx(row.ttft.p50_ms, rel=0.16)
        assert predicted.throughput_rps[index] == pytest.approx(row.throughput_rps, rel=0.06)
        assert predicted.concurrency[index] == pytest.approx(row.concurrency_mean, rel=0.06)


def test_intervals_hold_the_truth_up_to_the_error_of_the_model(fitted: FitResult) -> None:
    for name, true in (("alpha_ms", 8.0), ("beta_ms", 0.03), ("gamma_ms", 1e-4)):
        low, high = fitted.confidence[name]
        assert low < fitted.parameters[name] < high
        assert low * 0.9 < true < high * 1.1


def test_an_outlier_in_ten_moves_little(rows: list[Measurement], fitted: FitResult) -> None:
    spoiled = [
        replace(row, itl=_slower(row.itl, 3.0), ttft=_slower(row.ttft, 5.0)) if index == 4 else row
        for index, row in enumerate(rows)
    ]
    result = fit(spoiled, "token-work", cross_validation=CrossValidation.NONE)
    for name, value in fitted.parameters.items():
        if name.endswith("_ms"):
            assert result.parameters[name] == pytest.approx(value, rel=0.10)


def _slower(figures: LatencyFigures, factor: float) -> LatencyFigures:
    def times(value: float | None) -> float | None:
        return None if value is None else factor * value

    return LatencyFigures(times(figures.mean_ms), times(figures.p50_ms))
