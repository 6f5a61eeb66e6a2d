"""Fitted models against measurements."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from stoker.cli.compared import ComparedPoint, itl_error, mean_error, ttft_error
from stoker.cli.plots.fitted import against_measured_figure, residuals_figure
from stoker.domain.measurement import LatencyFigures
from tests.support.figures import check_figure, draw, points, title_of, ys
from tests.support.measured import measured_rows


def compared(ttft: float = 1.1, itl: float = 0.95) -> list[ComparedPoint]:
    return [
        ComparedPoint(row, ttft * (row.ttft.mean_ms or 0.0), itl * (row.itl.mean_ms or 0.0))
        for row in measured_rows()
    ]


def without_itl(point: ComparedPoint) -> ComparedPoint:
    return replace(point, row=replace(point.row, itl=LatencyFigures()))


def words(figure: Figure) -> str:
    draw(figure)
    return " ".join(
        axes.get_title(loc="left") + axes.get_xlabel() for axes in figure.axes
    ) + " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_marks_stand_at_measured_and_predicted() -> None:
    figure = against_measured_figure(compared(), "a fit")
    check_figure(figure)
    assert title_of(figure) == "a fit"
    rows = measured_rows()
    expected = {(row.ttft.mean_ms, 1.1 * (row.ttft.mean_ms or 0.0)) for row in rows}
    assert set(points(figure.axes[0])) == expected
    assert "TTFT: mean error 10.0%, median 10.0%; 100% within 20%" in words(figure)
    assert "ITL: mean error 5.0%" in words(figure)


def test_residuals_stand_over_the_requests_in_the_system() -> None:
    made = compared()
    figure = residuals_figure(made, "a fit")
    check_figure(figure)
    assert {round(y, 6) for _, y in points(figure.axes[0])} == {0.1}
    assert {x for x, _ in points(figure.axes[1])} == {point.requests_held for point in made}
    trend = next(line for line in figure.axes[1].get_lines() if "median" in str(line.get_label()))
    assert ys(trend) == pytest.approx([-0.05] * len(ys(trend)))


def test_rows_not_fitted_to_do_not_set_the_scale() -> None:
    made = compared()
    wild = replace(made[0], ttft_ms=1e6, used=False)
    for figure in (
        against_measured_figure([*made, wild], "t"),
        residuals_figure([*made, wild], "t"),
    ):
        check_figure(figure)
        assert "mean error 10.0%" in words(figure)
        assert figure.axes[0].get_ylim()[1] < 1e5
    assert "(1 not fitted to lie outside)" in words(against_measured_figure([*made, wild], "t"))
    assert "(1 beyond ±30%, at the edge)" in words(residuals_figure([*made, wild], "t"))


def test_one_point_and_one_latency_are_enough() -> None:
    one = [without_itl(compared()[0])]
    for figure in (against_measured_figure(one, "t"), residuals_figure(one, "t")):
        check_figure(figure)
        assert "no ITL to compare" in words(figure)


def test_nothing_to_compare() -> None:
    unknown = [replace(point, ttft_ms=None, itl_ms=None) for point in compared()]
    for figure in (against_measured_figure(unknown, "t"), residuals_figure(unknown, "t")):
        check_figure(figure)
        assert any("Nothing measured" in text.get_text() for text in figure.texts)


def test_requests_held_are_measured_or_follow_from_littles_law() -> None:
    open_loop, _, alone, crowd = compared()[:4]
    assert crowd.requests_held == 16
    assert alone.requests_held == 1
    row = open_loop.row
    response_ms = (row.ttft.mean_ms or 0.0) + 127 * (row.itl.mean_ms or 0.0)
    assert open_loop.requests_held == pytest.approx(0.5 * response_ms / 1000)
    assert replace(open_loop, row=replace(row, concurrency_mean=7.0)).requests_held == 7.0
    assert without_itl(open_loop).requests_held is None


def test_mean_errors() -> None:
    made = compared()
    assert mean_error(made, ttft_error) == pytest.approx(0.1)
    assert mean_error(made, itl_error) == pytest.approx(0.05)
    assert mean_error([without_itl(point) for point in made], itl_error) is None
