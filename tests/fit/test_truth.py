"""Measurements on real accelerators that a fit did not see, where their files are at hand."""

import pytest

from benchmarks.fidelity.truth import LOOPS, SHAPES, table
from benchmarks.fidelity.truth_rows import TRUTH, TruthRow, rows_of
from profiler.fit import CrossValidation, fit, predict
from profiler.fit.points import Points
from profiler.fit.shapes import shapes
from stoker.domain.measurement import Measurement

needs_truth = pytest.mark.skipif(not TRUTH.is_dir(), reason="no measurements at hand")


@pytest.fixture(scope="module")
def sixteen_shapes() -> list[Measurement]:
    return rows_of(TRUTH / SHAPES)


@needs_truth
def test_sixteen_shapes_are_told_apart(sixteen_shapes: list[Measurement]) -> None:
    assert sorted(set(shapes(Points.of(sixteen_shapes)).tolist())) == list(range(16))


@needs_truth
def test_four_shapes_predict_the_other_twelve(sixteen_shapes: list[Measurement]) -> None:
    usable = [row for row in sixteen_shapes if "saturated" not in row.quality]
    near = [row for row in usable if 0.6 < row.out_tokens / row.in_tokens < 1.7]
    far = [row for row in usable if row not in near]
    assert (len(near), len(far)) == (36, 108)
    result = fit(near, "overlap", cross_validation=CrossValidation.NONE)
    told = predict("overlap", result.parameters, far)
    ttft = [
        abs(told.ttft_p50_ms[index] / typical - 1)
        for index, row in enumerate(far)
        if (typical := row.ttft.typical_ms) is not None
    ]
    itl = [
        abs(told.itl_ms[index] / mean - 1)
        for index, row in enumerate(far)
        if (mean := row.itl.mean_ms) is not None
    ]
    assert len(ttft) == len(itl) == 108
    assert sum(ttft) / 108 < 0.20
    assert sum(itl) / 108 < 0.10


@needs_truth
def test_a_shape_left_out_of_closed_loops_is_predicted() -> None:
    rows = [row for row in rows_of(TRUTH / LOOPS) if "Llama-3.1-70B" in row.model]
    for cards in (8,):
        members = [row for row in rows if row.n_gpus == cards]
        assert len(members) == 15
        error = fit(members, "overlap").cross_validated
        assert error is not None
        assert error.n == 15
        assert error.ttft is not None
        assert error.ttft < 0.20
        assert error.itl is not None
        assert error.itl < 0.08


def test_errors_above_their_limit_are_told() -> None:
    good = TruthRow("a", "b", "overlap", 3, {"TTFT": 0.1, "ITL": 0.05}, {"TTFT": 0.13})
    bad = TruthRow("a", "b", "overlap", 3, {"TTFT": 0.14, "ITL": 0.05}, {"TTFT": 0.13})
    unknown = TruthRow("a", "b", "overlap", 0, {"TTFT": float("nan")}, {"TTFT": 0.13})
    assert good.missed == []
    assert bad.missed == ["TTFT"]
    assert unknown.missed == ["TTFT"]
    assert "missed: TTFT" in table([good, bad]).markdown()
