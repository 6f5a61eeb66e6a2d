"""Plans side by side: what each of a few servers costs in them, and what it runs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.plan import Plan

_SHADES = ((SKY, ""), ("white", ""), (ORANGE, ""), ("#BBBBBB", ""), (BLUE, HATCH))
"""Fill and hatch by order of the servers; used again from the start where there are more."""

_LETTER = 0.0085
"""Width of a letter over that of the axes, to tell what fits into a bar."""


def servers_figure(
    title: str,
    plans: Sequence[tuple[str, Plan]],
    words: Callable[[PlannedAllocation], str],
) -> Figure:
    """Return a bar a plan, a part a server, with what it runs on where that fits.

    Args:
        title: What is to be seen.
        plans: Plans with their names, drawn from top to bottom.
        words: What is written into the part of a server.
    """
    if not any(plan.allocations for _, plan in plans):
        return message_figure(title, "No server has anything.")
    figure = blank_figure(9.5, 1.5 + 0.5 * len(plans), title)
    axes = figure.subplots()
    longest = max(plan.cost_per_hour for _, plan in plans) * 1.12
    names = list(dict.fromkeys(item.server for _, plan in plans for item in plan.allocations))
    start = [0.0] * len(plans)
    for index, name in enumerate(names):
        fill, hatch = _SHADES[index % len(_SHADES)]
        own = [next((a for a in plan.allocations if a.server == name), None) for _, plan in plans]
        costs = [0.0 if item is None else item.cost_per_hour for item in own]
        axes.barh(
            range(len(plans)),
            costs,
            0.66,
            left=start,
            color=fill,
            hatch=hatch,
            edgecolor=INK,
            linewidth=0.6,
            label=label(name),
        )
        for row, (item, cost) in enumerate(zip(own, costs, strict=True)):
            text = "" if item is None else words(item)
            if text and cost / longest > _LETTER * (len(text) + 2):
                axes.text(
                    start[row] + cost / 2, row, text, ha="center", va="center", fontsize=SMALL
                )
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
    axes.set_xlim(0.0, longest)
    dress(axes, xlabel=f"cost [{label(plans[0][1].currency)}/h]", grid="x")
    name_rows(axes, [name for name, _ in plans])
    figure.legend(loc="outside lower center", ncols=5, fontsize=SMALL, frameon=False)
    return figure
