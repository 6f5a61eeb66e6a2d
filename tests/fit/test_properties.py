"""What holds of every prediction and of every grouping of rows."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.fit import predict
from profiler.fit.points import Points
from profiler.fit.shapes import load_levels, shapes
from stoker.domain.measurement import Measurement
from tests.support.predicted_rows import OVERLAP, grid, point

loads = st.floats(0.01, 200.0)
lengths = st.floats(1.0, 16_000.0)
rows = st.builds(point, loads, lengths, lengths) | st.builds(
    lambda load, inputs, outputs: point(load, inputs, outputs, clients=True),
    st.integers(1, 512).map(float),
    lengths,
    lengths,
)
MODELS = {
    "overlap": OVERLAP,
    "token-work": {"alpha_ms": 7.0, "beta_ms": 0.02, "gamma_ms": 5e-5},
    "linear": {"alpha_ms": 7.0, "beta_ms": 0.1, "gamma_ms": 5.0, "delta_ms": 1e-4},
}
models = st.sampled_from(sorted(MODELS))


@given(models, st.lists(rows, min_size=1, max_size=8))
def test_predictions_are_positive_and_add_up(model: str, points: list[Measurement]) -> None:
    told = predict(model, MODELS[model], points)
    assert (told.itl_ms > 0).all()
    assert (told.throughput_rps > 0).all()
    known = np.isfinite(told.ttft_ms)
    open_loop = np.array([row.load_kind.value == "rate" for row in points])
    assert (known | (told.saturated & open_loop)).all()
    assert (told.ttft_ms[known] > 0).all()
    steps = np.array([row.out_tokens - 1.0 for row in points])
    assert np.allclose(
        told.e2e_ms[known], (told.ttft_ms + np.maximum(steps, 1e-6) * told.itl_ms)[known]
    )


@given(models, st.lists(rows, min_size=2, max_size=8))
def test_each_point_is_predicted_by_itself(model: str, points: list[Measurement]) -> None:
    together = predict(model, MODELS[model], points)
    alone = predict(model, MODELS[model], points[:1])
    assert np.allclose(together.itl_ms[0], alone.itl_ms[0], rtol=1e-6)
    assert np.allclose(together.ttft_ms[0], alone.ttft_ms[0], rtol=1e-6, equal_nan=True)


@given(lengths, lengths, st.integers(1, 200))
def test_more_clients_are_no_faster(inputs: float, outputs: float, clients: int) -> None:
    fewer, more = (
        point(float(count), inputs, outputs, clients=True) for count in (clients, 2 * clients)
    )
    told = predict("overlap", OVERLAP, [fewer, more])
    assert told.itl_ms[1] >= told.itl_ms[0] * (1 - 1e-6)
    assert told.ttft_ms[1] >= told.ttft_ms[0] * (1 - 1e-6)


@given(st.floats(0.01, 0.9), lengths, lengths)
def test_what_was_measured_is_not_looked_at(load: float, inputs: float, outputs: float) -> None:
    bare = point(load, inputs, outputs)
    rich = replace(bare, throughput_rps=123.0, concurrency_mean=77.0, output_tps=1e4)
    one, other = (predict("overlap", OVERLAP, [row]) for row in (bare, rich))
    assert np.array_equal(one.ttft_ms, other.ttft_ms, equal_nan=True)
    assert np.array_equal(one.itl_ms, other.itl_ms)


@given(st.permutations(range(24)))
@settings(max_examples=20)
def test_shapes_do_not_depend_on_the_order(order: list[int]) -> None:
    points = Points.of(grid())
    told = shapes(points)
    mixed = shapes(points.take(np.array(order)))
    same = told[order][:, None] == told[order][None, :]
    assert np.array_equal(same, mixed[:, None] == mixed[None, :])


def test_lengths_that_scatter_belong_to_one_shape() -> None:
    points = Points.of([point(1.0, 51, 976), point(2.0, 64, 1024), point(3.0, 260, 1030)])
    assert shapes(points).tolist() == [0, 0, 1]


def test_levels_of_load_are_those_of_each_shape() -> None:
    points = Points.of([point(rate, 64, 64) for rate in (5, 1, 3, 2, 4)])
    assert load_levels(points).tolist() == [4, 0, 2, 1, 3]
