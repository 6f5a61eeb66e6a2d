"""Pictures of what plans over pools use: their pools, and their limits."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from data.fleets import read_fleet
from optimizer.planner import plan_fleet
from stoker.cli.plots.limits import limits_figure
from stoker.cli.plots.plan_pools import MOST_ROWS, plan_pools_figure
from stoker.cli.plots.write import LIMITS, POOLS, write_plan_plots
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool, PriceKind
from stoker.domain.settings import Analysis, SaturationPolicy
from stoker.domain.usage import LimitUse


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return found + [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]


@pytest.fixture(scope="module")
def pooled() -> tuple[Fleet, Plan]:
    small = read_fleet("small")
    settings = replace(
        small.settings, analysis=Analysis.REFERENCE, saturation_policy=SaturationPolicy.NONE
    )
    fleet = replace(
        small,
        servers=small.servers[:3],
        settings=settings,
        capacity=(),
        pools=(
            Pool("owned", "A100", 40, "west", "a", None, PriceKind.RESERVED, price_factor=0.6),
            Pool("rented", "A100", 200, "west", "b"),
            Pool("spare", "A100", 100, "east", "a", None, PriceKind.SPOT, price_factor=0.9),
        ),
        limits=Limits(budget_per_hour=100.0, max_replicas=400),
    )
    return fleet, plan_fleet(fleet)


def test_every_pool_has_its_cards_and_its_cost(pooled: tuple[Fleet, Plan]) -> None:
    _, plan = pooled
    figure = plan_pools_figure(plan)
    words = texts(figure)
    assert len(plan.pools) == 3
    for pool in plan.pools:
        assert f"{pool.used:,} of {pool.available:,}" in words
        assert f"{pool.cost_per_hour:,.2f}" in words
        assert any(word.startswith(f"{pool.pool} (A100 in") for word in words)
    used = sum(1 for pool in plan.pools if pool.used)
    title = figure.get_suptitle().replace("\n", " ")
    assert title.startswith(f"{plan.cost_per_hour:,.2f} USD per hour: {used} of 3 pools used")


def test_of_many_pools_the_dearest_are_drawn(pooled: tuple[Fleet, Plan]) -> None:
    _, plan = pooled
    first = plan.pools[0]
    many = tuple(
        replace(first, pool=f"pool-{number}", cost_per_hour=float(number)) for number in range(60)
    )
    words = texts(plan_pools_figure(replace(plan, pools=many)))
    assert sum(word.startswith("pool-") for word in words) == MOST_ROWS
    assert any(word.startswith("pool-59 ") for word in words)
    assert not any(word.startswith("pool-19 ") for word in words)


def test_limits_show_what_is_used_of_them(pooled: tuple[Fleet, Plan]) -> None:
    _, plan = pooled
    words = texts(limits_figure(plan))
    assert f"{plan.cost_per_hour:,.2f} of 100.00 USD/h" in words
    replicas = sum(item.replicas for item in plan.allocations)
    assert f"{replicas:,} of 400 replicas" in words


def test_a_limit_that_is_exceeded_is_told(pooled: tuple[Fleet, Plan]) -> None:
    _, plan = pooled
    over = replace(plan, limits=(LimitUse("max_changes", 3.0, 0.0, "servers"),))
    figure = limits_figure(over)
    assert figure.get_suptitle() == "Beyond its limit: max_changes"
    assert "3 of 0 servers" in texts(figure)
    full = replace(plan, limits=(LimitUse("max_replicas", 8.0, 8.0, "replicas"),))
    assert limits_figure(full).get_suptitle() == "Used up: max_replicas"


def test_they_are_written_beside_the_others_and_do_not_stay(
    pooled: tuple[Fleet, Plan], small: tuple[Fleet, Plan], tmp_path: Path
) -> None:
    names = [path.name for path in write_plan_plots(*pooled, tmp_path)]
    assert {POOLS, LIMITS} <= set(names)
    write_plan_plots(*small, tmp_path)
    assert not (tmp_path / POOLS).exists()
    assert not (tmp_path / LIMITS).exists()
