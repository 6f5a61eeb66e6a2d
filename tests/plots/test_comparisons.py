import pytest

from stoker.cli.plots import (
    Carried,
    Change,
    ScalePoint,
    carried_figure,
    changes_figure,
    comparison_figure,
    scaling_figure,
)
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from tests.support.figures import bars, check_figure, points, row_names, title_of, words_of
from tests.support.plans import mixed_plan

Planned = tuple[Fleet, Plan]


def test_plans_side_by_side(scarce: Planned, small: Planned) -> None:
    plans = [("scarce", scarce[1]), ("small", small[1])]
    figure = comparison_figure("Two plans", plans)
    check_figure(figure)
    cost, served = figure.axes
    assert row_names(cost) == ["scarce", "small"]
    full, rest = bars(cost)[:2], bars(cost)[2:]
    for index, (_, plan) in enumerate(plans):
        width = full[index].get_width() + rest[index].get_width()
        assert width == pytest.approx(plan.cost_per_hour)
        row = [bar for bar in bars(served) if bar.get_y() == full[index].get_y()]
        assert sum(bar.get_width() for bar in row) == sum(item.served for item in plan.services)
    labels = [f"{item.served} of {item.servers}" for _, plan in plans for item in plan.services]
    assert sorted(words_of(served)) == sorted(labels)


def test_plans_of_nothing(serverless: Planned) -> None:
    check_figure(comparison_figure("Nothing", [("empty", serverless[1])]))
    check_figure(comparison_figure("Nothing", []))
    check_figure(comparison_figure("By hand", [("mixed", mixed_plan())]))


def test_carried_shares() -> None:
    carried = [
        Carried("None", (("Premium", 1.0), ("Free", 0.25))),
        Carried("RoundRobin", (("Premium", 1.0), ("Free", 0.5))),
    ]
    figure = carried_figure("Carried", carried)
    check_figure(figure)
    assert sorted(bar.get_width() for bar in bars(figure.axes[0])) == [0.25, 0.5, 1.0, 1.0]
    assert {"25.0%", "50.0%", "100.0%"} == set(words_of(figure.axes[0]))
    check_figure(carried_figure("Nothing", []))
    check_figure(carried_figure("No classes", [Carried("None", ())]))


def test_changes() -> None:
    changes = [
        Change("one", "2 × A100", "3 × A100", 2.0, 3.0),
        Change("two", "4 × L4", "nothing", 5.0, 0.0),
    ]
    figure = changes_figure(changes, "EUR")
    check_figure(figure)
    assert title_of(figure) == "2 servers change: 4.00 EUR per hour less"
    assert sorted(points(figure.axes[0])) == [(0.0, 1.0), (2.0, 0.0), (3.0, 0.0), (5.0, 1.0)]
    assert words_of(figure.axes[0]) == ["2 × A100 → 3 × A100", "4 × L4 → nothing"]
    check_figure(changes_figure([], "EUR"))


def test_scaling_marks_each_accelerator() -> None:
    scale = [
        ScalePoint(0.5, "L4", 1, 1.0),
        ScalePoint(1.0, "L4", 2, 2.0),
        ScalePoint(2.0, "A100", 1, 3.0),
        ScalePoint(400.0, None, 0, 0.0),
    ]
    figure = scaling_figure("Scaling", scale, "USD")
    check_figure(figure)
    top, bottom = figure.axes
    assert sorted(points(top)) == [(0.5, 1.0), (1.0, 2.0), (2.0, 3.0)]
    per_million = dict(points(bottom))
    assert per_million[2.0] == pytest.approx(3.0 / 3600 / 2.0 * 1e6)
    legend = top.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["L4", "A100"]
    check_figure(scaling_figure("Nowhere", scale[-1:], "USD"))
