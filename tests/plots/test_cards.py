from dataclasses import replace

import pytest

from stoker.cli.plots import cards_figure
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.usage import CardUsage
from tests.support.figures import bars, check_figure, row_names, title_of, words_of
from tests.support.plans import mixed_plan

Planned = tuple[Fleet, Plan]


def test_every_type_has_its_use_and_its_cost(scarce: Planned) -> None:
    _, plan = scarce
    figure = cards_figure(plan)
    check_figure(figure)
    use, cost = figure.axes
    assert row_names(use) == [item.card_type for item in plan.usage]
    assert words_of(use) == [f"{item.used:,} of {item.available:,}" for item in plan.usage]
    drawn = bars(use)[len(plan.usage) :]
    for bar, item in zip(drawn, plan.usage, strict=True):
        assert item.available
        assert bar.get_width() == pytest.approx(item.used / item.available)
    widths = [bar.get_width() for bar in bars(cost)]
    assert widths == pytest.approx([item.cost_per_hour for item in plan.usage])
    assert "[USD/h]" in cost.get_xlabel()


def test_title_names_the_types_that_are_used_up() -> None:
    usage = (CardUsage("A100", 8, 8, 10.0), CardUsage("L4", 1, 4, 2.0))
    assert title_of(cards_figure(mixed_plan(usage=usage))).endswith("used up: A100")
    many = tuple(CardUsage(f"T{index}", 1, 1, 1.0) for index in range(5))
    assert "5 of them used up" in title_of(cards_figure(mixed_plan(usage=many)))
    few = (CardUsage("A100", 3, 8, 10.0), CardUsage("L4", 3, 4, 2.0))
    assert "L4, is 75.0% used" in title_of(cards_figure(mixed_plan(usage=few)))


def test_unlimited_plan_shows_counts() -> None:
    usage = (CardUsage("A100", 1200, None, 10.0), CardUsage("L4", 0, None, 0.0))
    figure = cards_figure(mixed_plan(usage=usage))
    check_figure(figure)
    assert [bar.get_width() for bar in bars(figure.axes[0])] == [1200]
    assert words_of(figure.axes[0]) == ["1,200"]


def test_type_of_unknown_count_among_known_ones_is_not_drawn_as_zero() -> None:
    usage = (CardUsage("A100", 4, 8, 10.0), CardUsage("L4", 2, None, 1.0))
    figure = cards_figure(mixed_plan(usage=usage))
    check_figure(figure)
    assert "2 of ?" in words_of(figure.axes[0])


def test_no_cards_at_all() -> None:
    figure = cards_figure(mixed_plan(usage=()))
    check_figure(figure)
    assert not figure.axes
    assert "No card" in figure.texts[-1].get_text()


def test_nothing_used(cardless: Planned) -> None:
    _, plan = cardless
    check_figure(cards_figure(plan))
    idle = replace(plan, usage=(CardUsage("A100", 0, 5, 0.0),))
    figure = cards_figure(idle)
    check_figure(figure)
    assert "no card is used" in title_of(figure)
