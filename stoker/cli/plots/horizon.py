"""A horizon: cards by kind over the hours with the demand, and what each kind costs."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stoker.cli.figures import money
from stoker.cli.plots.style import (
    BLUE,
    INK,
    ORANGE,
    PALE,
    SKY,
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
)
from stoker.domain.horizon import CardSchedule, HorizonPlan

MOST_TYPES = 4
"""Card types with axes of their own, the costliest ones."""

_DAY = 24


def horizon_figure(plan: HorizonPlan) -> Figure:
    """Return cards over the hours for each type, the costliest first, and costs by kind."""
    title = f"{money(plan.cost)} {label(plan.currency)} for {plan.hours} hours"
    if not plan.cards:
        return message_figure(title, "No card is used.")
    drawn = sorted(plan.cards, key=_cost, reverse=True)[:MOST_TYPES]
    if plan.static_cost is not None and plan.cost > 0:
        title += f"; the peak all the time would cost {money(plan.static_cost)}"
    if len(drawn) < len(plan.cards):
        title += f"\n{len(drawn)} of {len(plan.cards)} types of card are drawn"
    figure = blank_figure(9.0, 2.0 + 1.7 * len(drawn), title)
    grid = figure.add_gridspec(len(drawn) + 1, 1, height_ratios=[*(1.7 for _ in drawn), 1.0])
    hours = np.arange(plan.hours + 1)
    for row, item in enumerate(drawn):
        axes = figure.add_subplot(grid[row])
        used = np.array([item.reserved_used, item.on_demand, item.spot], dtype=np.float64)
        steps = np.concatenate([used, used[:, -1:]], axis=1)
        axes.stackplot(
            hours,
            steps,
            colors=[BLUE, ORANGE, SKY],
            step="post",
            edgecolor=INK,
            linewidth=0.3,
            labels=["reserved, in use", "on demand", "spot"],
        )
        if item.reserved:
            axes.axhline(item.reserved, color=BLUE, linewidth=1.2, linestyle="--", label="reserved")
        needed = _needed_cards(plan, item.card_type)
        axes.step(
            hours,
            [*needed, needed[-1]],
            where="post",
            color=INK,
            linewidth=1.2,
            label="needed by the demand",
        )
        axes.set_xlim(0, plan.hours)
        axes.set_ylim(bottom=0)
        if plan.hours > _DAY:
            axes.set_xticks(range(0, plan.hours + 1, _DAY if plan.hours <= 14 * _DAY else 168))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        last = row == len(drawn) - 1
        dress(
            axes,
            xlabel="hour" if last else "",
            ylabel=f"cards, {label(item.card_type, 14)}",
            grid="y",
        )
        if row == 0:
            figure.legend(
                *axes.get_legend_handles_labels(),
                loc="outside lower center",
                ncols=5,
                fontsize=SMALL,
                frameon=False,
            )
    _draw_costs(figure, grid[len(drawn)], plan)
    return figure


def _cost(item: CardSchedule) -> float:
    return item.reserved_cost + item.on_demand_cost + item.spot_cost


def _needed_cards(plan: HorizonPlan, card_type: str) -> list[int]:
    """Return the cards of a type that the servers on it need in each hour, without starts."""
    cards = [0] * plan.hours
    for schedule in plan.schedules:
        of = {run.accelerator: run for run in schedule.runs if run.card_type == card_type}
        for hour, told in enumerate(schedule.hours):
            if told.accelerator in of:
                cards[hour] += max(0, told.needed) * of[told.accelerator].cards_per_replica
    return cards


def _draw_costs(figure: Figure, place: object, plan: HorizonPlan) -> None:
    axes = figure.add_subplot(place)  # type: ignore[call-overload]
    kinds = [
        ("reserved", plan.reserved_cost, BLUE),
        ("on demand", plan.on_demand_cost, ORANGE),
        ("spot", plan.spot_cost, SKY),
        ("moves", plan.switch_cost, PALE),
    ]
    shown = [kind for kind in kinds if kind[1] > 0]
    start = 0.0
    for name, cost, colour in shown:
        axes.barh(0, cost, 0.6, left=start, color=colour, edgecolor=INK)
        if cost > 0.08 * plan.cost:
            axes.text(
                start + cost / 2,
                0,
                f"{name}\n{cost:,.0f}",
                ha="center",
                va="center",
                fontsize=SMALL,
                color=INK if colour != BLUE else "white",
            )
        start += cost
    axes.set_yticks([])
    dress(axes, xlabel=f"cost over the horizon [{label(plan.currency)}]", grid="x")
