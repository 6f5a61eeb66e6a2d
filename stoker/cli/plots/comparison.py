"""Plans side by side: what they cost, whom they serve, what they carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

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
from stoker.domain.plan import ClassService, Plan

_SERIES = ((BLUE, ""), (SKY, "///"), ("white", "..."), (ORANGE, "xx"), ("#999999", "\\\\\\"))
"""Fill and hatch by rank of priority; used again from the start where there are more."""

_LARGEST_SHARE_UNLABELLED = 0.07


@dataclass(frozen=True, slots=True)
class Carried:
    """Requests that a plan carries, by class.

    Attributes:
        plan: Name of the plan.
        shares: Requests completed over requests offered, by class, 0 to 1.
    """

    plan: str
    shares: tuple[tuple[str, float], ...]


def comparison_figure(title: str, plans: Sequence[tuple[str, Plan]]) -> Figure:
    """Return cost (left) and servers served in full by priority (right), a bar a plan.

    Args:
        title: What is compared, or what is seen.
        plans: Names and plans of one fleet, the first on top.
    """
    if not plans:
        return message_figure(title, "There are no plans to compare.")
    figure = blank_figure(9.0, 2.1 + 0.42 * len(plans), label(title, 120))
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_costs(left, [plan for _, plan in plans])
    _draw_services(right, [plan for _, plan in plans])
    name_rows(left, [name for name, _ in plans])
    handles, words = left.get_legend_handles_labels()
    figure.legend(handles, words, loc="outside lower left", ncols=2, fontsize=SMALL, frameon=False)
    handles, words = right.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, words, loc="outside lower right", ncols=5, fontsize=SMALL, frameon=False
        )
    return figure


def _draw_costs(axes: Axes, plans: Sequence[Plan]) -> None:
    rows = range(len(plans))
    full = [_cost(plan, fully_served=True) for plan in plans]
    rest = [_cost(plan, fully_served=False) for plan in plans]
    axes.barh(rows, full, 0.62, color=BLUE, edgecolor=INK, label="served in full")
    if any(rest):
        axes.barh(
            rows,
            rest,
            0.62,
            left=full,
            color=ORANGE,
            edgecolor=INK,
            hatch=HATCH,
            label="best effort",
        )
    totals = [done + more for done, more in zip(full, rest, strict=True)]
    for row, (plan, total) in enumerate(zip(plans, totals, strict=True)):
        axes.annotate(
            money(plan.cost_per_hour),
            (total, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=INK,
        )
    axes.set_xlim(0.0, max(totals) * 1.25 or 1.0)
    dress(axes, xlabel=f"cost [{label(plans[0].currency)}/h]", grid="x")


def _cost(plan: Plan, *, fully_served: bool) -> float:
    return sum(item.cost_per_hour for item in plan.allocations if item.fully_served is fully_served)


def _draw_services(axes: Axes, plans: Sequence[Plan]) -> None:
    priorities = sorted({item.priority for plan in plans for item in plan.services})
    most = max(sum(item.servers for item in plan.services) for plan in plans)
    start = [0] * len(plans)
    for rank, priority in enumerate(priorities):
        fill, hatch = _SERIES[rank % len(_SERIES)]
        counts = [_service(plan, priority) for plan in plans]
        served = [item.served for item in counts]
        axes.barh(
            range(len(plans)),
            served,
            0.62,
            left=start,
            color=fill,
            edgecolor=INK,
            hatch=hatch,
            label=f"priority {priority}",
        )
        for row, item in enumerate(counts):
            if item.served >= _LARGEST_SHARE_UNLABELLED * most:
                axes.text(
                    start[row] + item.served / 2,
                    row,
                    f"{item.served} of {item.servers}",
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                    color=INK,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9},
                )
        start = [done + more for done, more in zip(start, served, strict=True)]
    axes.set_xlim(0.0, most or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    dress(axes, xlabel=f"servers served in full, of {most:,}", grid="x")


def _service(plan: Plan, priority: int) -> ClassService:
    return next(
        (item for item in plan.services if item.priority == priority),
        ClassService(priority, servers=0, served=0, bound=None),
    )


def carried_figure(title: str, carried: Sequence[Carried]) -> Figure:
    """Return the share of requests carried by class, a group of bars a plan.

    Args:
        title: What is seen.
        carried: What the plans carry, the first on top.
    """
    if not carried:
        return message_figure(title, "There are no plans to compare.")
    classes = list(dict.fromkeys(name for item in carried for name, _ in item.shares))
    height = 0.8 / max(len(classes), 1)
    figure = blank_figure(8.0, 1.7 + 0.24 * (len(classes) + 1) * len(carried), label(title, 120))
    axes = figure.subplots()
    for rank, name in enumerate(classes):
        fill, hatch = _SERIES[rank % len(_SERIES)]
        shares = [dict(item.shares).get(name, 0.0) for item in carried]
        rows = [row - 0.4 + height * (rank + 0.5) for row in range(len(carried))]
        bars = axes.barh(
            rows, shares, height * 0.92, color=fill, edgecolor=INK, hatch=hatch, label=label(name)
        )
        axes.bar_label(
            bars, [f"{share:.1%}" for share in shares], padding=3, fontsize=SMALL, color=INK
        )
    name_rows(axes, [item.plan for item in carried])
    axes.set_xlim(0.0, 1.12)
    axes.set_xticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    dress(axes, xlabel="requests carried, share of those offered", grid="x")
    if classes:
        figure.legend(
            loc="outside lower center", ncols=min(len(classes), 6), fontsize=SMALL, frameon=False
        )
    return figure
