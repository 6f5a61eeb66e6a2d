"""Rows that cannot tell a model are refused, with the points that would."""

from dataclasses import replace

import pytest

from profiler.fit import CrossValidation, fit, fit_groups
from stoker.domain.measurement import LatencyFigures, Measurement
from tests.support.predicted_rows import OVERLAP, grid, measured, point

LINE = {"alpha_ms": 8.0, "beta_ms": 0.03, "gamma_ms": 1e-4}


def test_one_point_tells_nothing() -> None:
    rows = measured("token-work", LINE, [point(2.0, 512, 128)])
    result = fit(rows, "token-work")
    assert result.refusal is not None
    assert result.parameters == {}
    assert "1 usable" in result.refusal.reason
    assert set(result.refusal.parameters) == {"alpha_ms", "beta_ms", "gamma_ms"}
    assert result.refusal.remedies


def test_same_point_again_and_again_tells_no_more() -> None:
    rows = measured("token-work", LINE, [point(2.0, 512, 128)] * 8, noise=0.01)
    result = fit(rows, "token-work")
    assert result.refusal is not None
    assert any("concurrency" in remedy for remedy in result.refusal.remedies)


def test_remedies_help() -> None:
    poor = [point(2.0, 512, 128)] * 4
    rich = [*poor, point(0.05, 64, 64), point(0.05, 4096, 64), point(40, 512, 2048, clients=True)]
    assert fit(measured("token-work", LINE, poor), "token-work").refusal is not None
    result = fit(
        measured("token-work", LINE | {"wave_share": 0.1, "turnover_share": 2e-5}, rich),
        "token-work",
    )
    assert result.refusal is None
    assert result.parameters["gamma_ms"] == pytest.approx(LINE["gamma_ms"], rel=0.05)


def test_usual_values_may_stand_in_if_asked() -> None:
    rows = measured("overlap", OVERLAP, [point(0.1, 512, 128), point(8.0, 512, 128)])
    assert fit(rows, "overlap", cross_validation=CrossValidation.NONE).refusal is not None
    result = fit(rows, "overlap", cross_validation=CrossValidation.NONE, assume_usual=True)
    assert result.refusal is None
    low, high = result.confidence["kv_token_ms"]
    assert high / low > 4.0


def test_best_takes_a_model_that_the_rows_tell() -> None:
    rows = measured("token-work", LINE, grid()[:15:2])
    assert fit(rows, cross_validation=CrossValidation.NONE).refusal is None


def test_saturated_rows_tell_capacity_and_nothing_else() -> None:
    rows = measured("overlap", OVERLAP, grid()[:20])
    burst = point(512, 128, 128, clients=True)
    queue = LatencyFigures(mean_ms=9e5)
    saturated = replace(burst, quality="saturated-burst", throughput_rps=100.0, ttft=queue)
    result = fit([*rows, saturated], "overlap", cross_validation=CrossValidation.NONE)
    assert result.n == 21
    assert result.error.n == 20
    (excluded,) = result.excluded
    assert "only its throughput" in excluded.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quality": "leftover-load"}, "leftover-load"),
        ({"ttft": LatencyFigures(), "itl": LatencyFigures()}, "neither TTFT nor ITL"),
        ({"itl": LatencyFigures(mean_ms=0.0)}, "not above 0"),
        ({"out_tokens": 0.0}, "out_tokens"),
        ({"quality": "overload", "throughput_rps": 3.0}, "growing queue"),
    ],
)
def test_useless_rows_are_left_out_with_a_reason(change: dict[str, object], reason: str) -> None:
    rows = measured("overlap", OVERLAP, grid()[:20])
    bad = replace(rows[0], name="bad", **change)  # type: ignore[arg-type]
    result = fit([bad, *rows[1:]], "overlap", cross_validation=CrossValidation.NONE)
    (excluded,) = result.excluded
    assert excluded.row == "bad"
    assert reason in excluded.reason
    assert result.n == 19


def test_deployments_are_fitted_apart() -> None:
    rows = measured("overlap", OVERLAP, grid()[:20])
    faster = measured("overlap", OVERLAP | {"weights_ms": 2.0}, grid()[:20])
    both: list[Measurement] = [*rows, *(replace(row, n_gpus=2) for row in faster)]
    one, two = fit_groups(both, "overlap", cross_validation=CrossValidation.NONE)
    assert (one.group["n_gpus"], two.group["n_gpus"]) == (1, 2)
    assert two.parameters["weights_ms"] < 0.7 * one.parameters["weights_ms"]


def test_unknown_words_are_named() -> None:
    with pytest.raises(ValueError, match=r"cubic.*allowed: linear"):
        fit([], "cubic")
    with pytest.raises(ValueError, match="no grouping by colour"):
        fit_groups(grid(), group_by=("colour",))
