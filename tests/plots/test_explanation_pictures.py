"""Pictures of explanations and of differences between plans."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from data.fleets import read_fleet
from optimizer.explaining.difference import compare_plans
from optimizer.planner import plan_fleet
from stoker.cli.plots import difference_figure, write_explanation_plots
from stoker.cli.plots.difference import MOST_ROWS
from stoker.cli.plots.replica_ranges import replica_ranges_figure
from stoker.cli.plots.shadow_prices import shadow_prices_figure
from stoker.domain.explanation import (
    AllocationExplanation,
    CountLimit,
    Explanation,
    ReplicaRange,
    ShadowPrice,
)
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.plan_change import Evidence, PlanChange
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import Analysis

SAVES = PlanChange(Evidence.RESOLVED, value_change=-1.25)
NOTHING = PlanChange(Evidence.PROVEN)
ABOUT = PlanChange(Evidence.RELAXED, value_change=-0.5)
SERVES = PlanChange(Evidence.RESOLVED, {1: 1}, value_change=7.0, newly_served=("chat",))


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return found + [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]


def dots(figure: Figure, column: int, which: int) -> list[list[float]]:
    drawn = figure.axes[column].collections[which]
    assert isinstance(drawn, PathCollection)
    points: list[list[float]] = np.asarray(drawn.get_offsets()).tolist()
    return points


def item(server: str, replicas: int, span: ReplicaRange | None) -> AllocationExplanation:
    return AllocationExplanation(
        server, "H100", replicas, 4.0, True, "throughput", CountLimit.LOAD, replica_range=span
    )


def span(fewest: int | None, most: int | None) -> ReplicaRange:
    return ReplicaRange(0.1, "asked for", fewest, most, (), None, None, None)


def explanation(
    *prices: ShadowPrice, allocations: tuple[AllocationExplanation, ...] = ()
) -> Explanation:
    return Explanation("USD", 10.0, 10.0, "milp", allocations, (), prices)


def test_what_one_more_saves_is_a_bar_and_who_is_served_is_a_name() -> None:
    figure = shadow_prices_figure(
        "t",
        explanation(
            ShadowPrice("cards", "H100", 1.0, 8.0, 8.0, SAVES),
            ShadowPrice("cards", "L4", 1.0, 0.0, 4.0, NOTHING),
            ShadowPrice("pool", "east", 1.0, None, 4.0, ABOUT),
            ShadowPrice("limit", "power_w", 1000.0, 10.0, 20.0, SERVES),
        ),
    )
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == [1.25, 0.5]
    words = texts(figure)
    assert words[:4] == ["1.25", "nothing", "about 0.50", "serves chat"]
    assert "H100 (8 of 8 used)" in words
    assert "east (? of 4 used)" in words
    assert "power_w + 1,000 (10 of 20 used)" in words


def test_ranges_stand_around_the_replicas_planned() -> None:
    told = explanation(
        allocations=(item("a", 10, span(8, 12)), item("b", 4, None), item("c", 3, span(3, None)))
    )
    words = texts(replica_ranges_figure("t", told))
    assert "8 to 12, planned 10 (±10%)" in words
    assert "3 to no number, planned 3 (±10%)" in words
    assert not any(word.startswith("b:") for word in words)


def test_explanations_write_what_they_tell_and_nothing_stays(tmp_path: Path) -> None:
    price = ShadowPrice("cards", "H100", 1.0, 8.0, 8.0, SAVES)
    told = explanation(price, allocations=(item("a", 10, span(8, 12)),))
    written = write_explanation_plots(told, tmp_path / "new")
    assert [path.name for path in written] == ["shadow-prices.png", "replica-ranges.png"]
    again = write_explanation_plots(told, tmp_path / "again")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
    assert write_explanation_plots(explanation(), tmp_path / "new") == []
    assert list((tmp_path / "new").iterdir()) == []


@pytest.fixture(scope="module")
def plans() -> tuple[Plan, Plan]:
    fleet = read_fleet("small")
    settings = replace(fleet.settings, analysis=Analysis.REFERENCE)
    return plan_fleet(fleet, settings), plan_fleet(scale_capacity(fleet, 0.5), settings)


def test_a_difference_shows_cost_and_replicas_of_what_changed(plans: tuple[Plan, Plan]) -> None:
    difference = compare_plans(*plans)
    figure = difference_figure(difference)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [change.server for change in difference.servers]
    cost_dots, replica_dots = (dots(figure, column, -1) for column in (0, 1))
    for row, change in enumerate(difference.servers):
        after = change.after
        assert cost_dots[row][0] == (0.0 if after is None else after.cost_per_hour)
        assert replica_dots[row][0] == (0 if after is None else after.replicas)
    title = figure.get_suptitle()
    assert f"{plans[0].cost_per_hour:,.2f} → {plans[1].cost_per_hour:,.2f}" in title


def test_equal_plans_say_so(plans: tuple[Plan, Plan]) -> None:
    figure = difference_figure(compare_plans(plans[0], plans[0]))
    assert "15 servers as before: nothing changes." in [text.get_text() for text in figure.texts]


def test_of_many_changes_the_largest_are_drawn(plans: tuple[Plan, Plan]) -> None:
    difference = compare_plans(*plans)
    one = difference.servers[0]
    many = tuple(
        replace(one, server=f"s{number}", cost_change=float(number)) for number in range(50)
    )
    figure = difference_figure(replace(difference, servers=many))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == MOST_ROWS
    assert "s49" in names
    assert "s5" not in names


def test_a_server_that_is_new_has_nothing_before(small: tuple[Fleet, Plan]) -> None:
    _, plan = small
    fewer = replace(plan, allocations=plan.allocations[1:])
    figure = difference_figure(compare_plans(fewer, plan))
    assert dots(figure, 1, -2) == [[0.0, 0.0]]
