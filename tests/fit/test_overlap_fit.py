"""The `overlap` model: found again from its own predictions, with honest intervals."""

import numpy as np
import pytest

from profiler.fit import CrossValidation, fit
from tests.support.predicted_rows import OVERLAP, grid, measured

LOOPS = {"wave_share": 0.1, "turnover_share": 2e-5}
TOLD = ("weights_ms", "token_ms", "kv_token_ms", "sequence_ms", "first_token_ms")


def test_exact_rows_are_explained() -> None:
    rows = measured("overlap", OVERLAP | LOOPS, grid())
    result = fit(rows, "overlap", cross_validation=CrossValidation.NONE)
    assert result.refusal is None
    assert result.error.ttft is not None
    assert result.error.ttft < 0.005
    assert result.error.itl is not None
    assert result.error.itl < 0.002
    assert result.parameters["token_ms"] == pytest.approx(OVERLAP["token_ms"], rel=0.03)
    assert result.parameters["kv_token_ms"] == pytest.approx(OVERLAP["kv_token_ms"], rel=0.06)
    floor = OVERLAP["base_ms"] + OVERLAP["weights_ms"]
    found = result.parameters["base_ms"] + result.parameters["weights_ms"]
    assert found == pytest.approx(floor, rel=0.02)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = []
    for seed in range(6):
        rows = measured("overlap", OVERLAP | LOOPS, grid(), noise=0.03, seed=seed)
        result = fit(rows, "overlap", cross_validation=CrossValidation.NONE)
        for name in TOLD:
            low, high = result.confidence[name]
            covered.append(low <= OVERLAP[name] <= high)
    assert 0.80 <= np.mean(covered) <= 1.0


def test_noise_widens_intervals() -> None:
    widths = []
    for noise in (0.01, 0.1):
        rows = measured("overlap", OVERLAP | LOOPS, grid(), noise=noise)
        low, high = fit(rows, "overlap", cross_validation=CrossValidation.NONE).confidence[
            "token_ms"
        ]
        widths.append(high / low)
    assert widths[1] > widths[0]


def test_best_model_is_the_one_that_predicts_left_out_shapes() -> None:
    rows = measured("overlap", OVERLAP, grid()[:20:2], noise=0.01)
    best = fit(rows)
    assert best.model == "overlap"
    plain = fit(rows, "token-work")
    assert best.cross_validated is not None
    assert plain.cross_validated is not None
    assert best.cross_validated.score < plain.cross_validated.score
