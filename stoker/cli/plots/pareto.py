"""A frontier of cost: a staircase, with what lies beside it in grey."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from stoker.cli.plots.style import (
    BLUE,
    INK,
    LOG_FROM,
    RULE,
    SMALL,
    blank_figure,
    dress,
    label,
    log_axis,
    message_figure,
    number,
    spread,
)
from studies.sweeping.pareto import PLACE, PRIORITIES, ParetoResults, Place
from studies.sweeping.rows import Cell

_GREY = "#999999"
_SERVED = "served_priority_"
_TITLES = {
    "attainment_servers": "share of the servers served within all targets",
    "attainment_load": "share of the load served within all targets",
    "targets": "latency targets [× the fleet’s own]",
}
_BESIDE = {Place.DOMINATED: ("o", "dominated"), Place.INCOMPLETE: ("x", "serves fewer servers")}


def pareto_figure(results: ParetoResults) -> Figure:
    """Return the frontier as a staircase: what is reached for no more than a cost."""
    if results.against == PRIORITIES:
        return _by_priority(results)
    frontier = _points(results, Place.FRONTIER)
    title = _title(results, frontier)
    if not frontier:
        return message_figure("Frontier", "No point lies on the frontier.")
    figure = blank_figure(7.5, 4.6, title)
    axes = figure.subplots()
    latency = results.against == "targets"
    _draw_staircase(axes, frontier, latency=latency)
    for place, (marker, name) in _BESIDE.items():
        beside = _points(results, place)
        if beside:
            axes.scatter(
                [x for x, _ in beside],
                [y for _, y in beside],
                marker=marker,
                s=26,
                color=_GREY,
                zorder=2,
                label=name,
            )
    costs = [cost for place in (*_BESIDE, Place.FRONTIER) for _, cost in _points(results, place)]
    scale = ""
    if not latency and spread(costs) > LOG_FROM:
        positive = [cost for cost in costs if cost > 0]
        log_axis(axes, "y", positive)
        scale = ", log scale"
    elif not latency:
        axes.set_ylim(bottom=0.0)
    if not latency:
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    currency = label(str(results.rows[0]["currency"] or "cost"))
    dress(
        axes,
        xlabel=_TITLES[results.against],
        ylabel=f"cost [{currency}/h]{scale}",
        grid="both",
    )
    axes.legend(loc="best", fontsize=SMALL, frameon=True, framealpha=0.9, edgecolor=RULE)
    return figure


def _by_priority(results: ParetoResults) -> Figure:
    """Return what a budget serves of each priority: steps, a panel for each."""
    names = [item.name for item in results.columns if item.name.startswith(_SERVED)]
    rows = sorted(results.rows, key=lambda row: _number(row["cost_per_hour"]))
    costs = [_number(row["cost_per_hour"]) for row in rows]
    currency = label(str(rows[0]["currency"] or "cost"))
    last = rows[-1]
    served = f"{last['served']} of {last['servers']} servers"
    title = f"{number(costs[-1])} {currency}/h serve {served}"
    figure = blank_figure(7.5, max(2.6, 0.9 + 1.2 * len(names)), title)
    end = 1.04 * costs[-1] if costs[-1] > 0 else 1.0
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        counts = [_number(row[name]) for row in rows]
        steps = ([*costs, end], [*counts, counts[-1]])
        axes.fill_between(*steps, step="post", color=BLUE, alpha=0.25, linewidth=0)
        axes.step(*steps, where="post", color=BLUE, linewidth=1.2)
        axes.set_xlim(left=0.0, right=end)
        axes.set_ylim(bottom=0.0, top=1.1 * max(*counts, 1.0))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        dress(axes, ylabel=f"priority {name.removeprefix(_SERVED)}", grid="both")
    panels[-1].set_xlabel(f"budget [{currency}/h]", fontsize=SMALL + 1, color=INK)
    figure.supylabel("servers served", fontsize=SMALL + 1, color=INK)
    return figure


def _points(results: ParetoResults, place: Place) -> list[tuple[float, float]]:
    return sorted(
        (_number(row[results.against]), _number(row["cost_per_hour"]))
        for row in results.rows
        if row[PLACE] == place.value
    )


def _draw_staircase(axes: Axes, frontier: Sequence[tuple[float, float]], *, latency: bool) -> None:
    """Draw steps: a point reaches all that is easier than what it reaches."""
    axes.step(
        [x for x, _ in frontier],
        [y for _, y in frontier],
        where="post" if latency else "pre",
        color=BLUE,
        linewidth=1.6,
        zorder=1,
    )
    axes.scatter(
        [x for x, _ in frontier],
        [y for _, y in frontier],
        marker="o",
        s=30,
        facecolor=BLUE,
        edgecolor=INK,
        linewidth=0.6,
        zorder=3,
        label="frontier",
    )


def _title(results: ParetoResults, frontier: Sequence[tuple[float, float]]) -> str:
    if not frontier:
        return "Frontier"
    currency = label(str(results.rows[0]["currency"] or ""))
    if results.against == "targets":
        (tight, dear), (loose, cheap) = frontier[0], frontier[-1]
        if tight == loose:
            return f"{number(dear)} {currency}/h at {number(tight)} × the targets"
        return (
            f"{number(dear)} {currency}/h at {number(tight)} × the targets, {number(cheap)} at "
            f"{number(loose)} ×"
        )
    most, cost = frontier[-1]
    half = next(((x, y) for x, y in frontier if x >= most / 2), frontier[-1])
    what = "servers" if results.against == "attainment_servers" else "load"
    share = f"{number(cost)} {currency}/h to serve {most:.0%} of the {what}"
    if math.isclose(half[0], most) or cost <= 0:
        return share
    return f"{share}; {half[0]:.0%} costs {number(half[1])}"


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else math.nan
