"""Plans over pools side by side: what they cost by price kind, and where their cards stand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stoker.cli.figures import money
from stoker.cli.plots.style import (
    BLUE,
    HATCH,
    INK,
    ORANGE,
    SKY,
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
    name_rows,
)
from stoker.domain.plan import Plan
from stoker.domain.pools import PriceKind

_KINDS = (
    (PriceKind.RESERVED, BLUE, ""),
    (PriceKind.ON_DEMAND, SKY, ""),
    (PriceKind.SPOT, ORANGE, HATCH),
)
_SHADES = ((BLUE, ""), (SKY, ""), ("white", "..."), (ORANGE, HATCH), ("#999999", "xx"))
"""Fill and hatch by order of the pools; used again from the start where there are more."""


def pools_figure(title: str, plans: Sequence[tuple[str, Plan]]) -> Figure:
    """Return cost by price kind (left) and cards by pool (right), a bar a plan.

    Args:
        title: What is to be seen.
        plans: Plans with their names, drawn from top to bottom.
    """
    if not plans or not any(plan.pools for _, plan in plans):
        return message_figure(title, "There are no pools.")
    figure = blank_figure(9.5, 1.6 + 0.42 * len(plans), title)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_costs(left, [plan for _, plan in plans])
    _draw_cards(right, [plan for _, plan in plans])
    name_rows(left, [name for name, _ in plans])
    handles, words = left.get_legend_handles_labels()
    figure.legend(handles, words, loc="outside lower left", ncols=3, fontsize=SMALL, frameon=False)
    handles, words = right.get_legend_handles_labels()
    figure.legend(handles, words, loc="outside lower right", ncols=4, fontsize=SMALL, frameon=False)
    return figure


def _draw_costs(axes: Axes, plans: Sequence[Plan]) -> None:
    start = [0.0] * len(plans)
    for kind, fill, hatch in _KINDS:
        costs = [
            math.fsum(pool.cost_per_hour for pool in plan.pools if pool.price_kind is kind)
            for plan in plans
        ]
        if any(costs):
            _stack(axes, start, costs, fill, hatch, kind.value)
        start = [below + cost for below, cost in zip(start, costs, strict=True)]
    for row, total in enumerate(start):
        axes.annotate(
            money(total),
            (total, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=INK,
        )
    axes.set_xlim(0.0, max(start) * 1.2 or 1.0)
    dress(axes, xlabel=f"cost [{label(plans[0].currency)}/h]", grid="x")


def _draw_cards(axes: Axes, plans: Sequence[Plan]) -> None:
    # In the order of the plan that tells most of them.
    told = sorted(plans, key=lambda plan: -len(plan.pools))
    names = list(dict.fromkeys(pool.pool for plan in told for pool in plan.pools))
    start = [0.0] * len(plans)
    for index, name in enumerate(names):
        fill, hatch = _SHADES[index % len(_SHADES)]
        cards = [float(sum(p.used for p in plan.pools if p.pool == name)) for plan in plans]
        _stack(axes, start, cards, fill, hatch, label(name))
        start = [below + own for below, own in zip(start, cards, strict=True)]
    axes.set_xlim(0.0, max(start) * 1.05 or 1.0)
    dress(axes, xlabel="cards used", grid="x")


def _stack(
    axes: Axes,
    start: Sequence[float],
    lengths: Sequence[float],
    fill: str,
    hatch: str,
    name: str,
) -> None:
    axes.barh(
        range(len(start)),
        lengths,
        0.62,
        left=start,
        color=fill,
        edgecolor=INK,
        linewidth=0.6,
        hatch=hatch,
        label=name,
    )
