"""Windows of the number in service: numbers they cover, sums over coarse and fine ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.engine.window import COARSE, FINE, Window


def windows() -> st.SearchStrategy[Window]:
    row = st.tuples(st.floats(0.0, 4000.0), st.floats(0.5, 200.0), st.integers(0, 4095))

    def build(rows: list[tuple[float, float, int]]) -> Window:
        centre, deviation, most = np.array(rows, dtype=np.float64).T
        return Window.around(np.minimum(centre, most), deviation, most)

    return st.lists(row, min_size=1, max_size=6).map(build)


@given(windows(), st.integers(0, 2**32 - 1))
def test_gather_is_the_adjoint_of_spread(window: Window, seed: int) -> None:
    random = np.random.default_rng(seed)
    count = len(window.first)
    weights, values = random.normal(size=(FINE, count)), random.normal(size=(COARSE, count))
    gathered = (window.gather(weights) * values).sum(axis=0)
    spread = (weights * window.spread(values)).sum(axis=0)
    assert gathered == pytest.approx(spread, rel=1e-9, abs=1e-9)


@given(windows())
def test_linear_functions_are_exact(window: Window) -> None:
    assert window.spread(window.coarse) == pytest.approx(window.fine, rel=1e-12)
    assert window.spread(3.0 - 2.0 * window.coarse) == pytest.approx(
        3.0 - 2.0 * window.fine, rel=1e-12
    )


@given(windows())
def test_probabilities_keep_their_sum_and_mean(window: Window) -> None:
    weights = np.where(window.inside, 1.0 / (1.0 + window.fine), 0.0)
    gathered = window.gather(weights)
    assert (gathered >= 0).all()
    assert gathered.sum(axis=0) == pytest.approx(weights.sum(axis=0), rel=1e-12)
    mean = (gathered * window.coarse).sum(axis=0)
    assert mean == pytest.approx((weights * window.fine).sum(axis=0), rel=1e-12)


@given(st.floats(0.0, 100.0), st.floats(0.5, 40.0), st.integers(0, FINE))
def test_every_number_is_a_node_where_they_fit(centre: float, deviation: float, most: int) -> None:
    window = Window.around(np.array([min(centre, most)]), np.array([deviation]), np.array([most]))
    inside = window.fine[window.inside[:, 0], 0]
    assert inside.tolist() == list(range(1, max(most, 1) + 1))


@given(windows())
def test_nodes_lie_within_the_limits(window: Window) -> None:
    for case in range(len(window.first)):
        inside = window.fine[window.inside[:, case], case]
        assert inside[0] == window.first[case] >= 1
        assert len(inside) == window.last[case] + 1
        assert np.diff(inside) == pytest.approx(window.step[case])
        assert window.near[case] == (inside[0] == 1 and window.step[case] == 1)


@given(st.floats(0.0, 4000.0), st.floats(0.5, 200.0), st.integers(1, 4095))
def test_six_deviations_are_covered(centre: float, deviation: float, most: int) -> None:
    centre = min(centre, most)
    window = Window.around(np.array([centre]), np.array([deviation]), np.array([float(most)]))
    inside = window.fine[window.inside[:, 0], 0]
    assert inside[0] <= max(centre - 6 * deviation, 1.0)
    # The last node is the end itself, or less than a step below it.
    assert inside[-1] > min(centre + 6 * deviation, most) - window.step[0]
    assert inside[-1] <= most + 1e-9


def test_rows_do_not_depend_on_each_other() -> None:
    centre, deviation, most = np.array([[3.0, 2.0, 7.0], [200.0, 9.0, 255.0], [40.0, 7.0, 64.0]]).T
    values = np.random.default_rng(5).normal(size=(COARSE, 3))
    weights = np.random.default_rng(6).normal(size=(FINE, 3))
    every = Window.around(centre, deviation, most)
    for case in range(3):
        part = slice(case, case + 1)
        one = Window.around(centre[part], deviation[part], most[part])
        assert one.spread(values[:, part])[:, 0] == pytest.approx(every.spread(values)[:, case])
        assert one.gather(weights[:, part])[:, 0] == pytest.approx(every.gather(weights)[:, case])
