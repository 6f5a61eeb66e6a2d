"""Backtests: load and replicas over time, cost and attainment by the way replicas are provided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stoker.cli.plots.style import (
    BLUE,
    HATCH,
    INK,
    ORANGE,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    label,
    name_rows,
)

if TYPE_CHECKING:
    from studies.traces.backtest import Backtest

_WINDOWS = 200
_LOOKS = {
    "planned": (BLUE, "-", "planned every interval"),
    "hindsight": (VERMILION, "--", "best found in hindsight"),
    "static": (ORANGE, ":", "never changed"),
}


def replicas_figure(found: Backtest) -> Figure:
    """Return requests per second over time, and the replicas that take them."""
    trace = found.trace
    span = max(trace.span_ms, 1.0)
    figure = blank_figure(9.0, 5.0, f"{label(found.option.name, 60)}: load and replicas")
    above, below = figure.subplots(2, 1, sharex=True)
    window = span / _WINDOWS
    place = np.minimum((trace.arrival_ms / window).astype(np.int64), _WINDOWS - 1)
    minutes = (np.arange(_WINDOWS) + 0.5) * window / 60_000
    rates = np.bincount(place, minlength=_WINDOWS) * 1000 / window
    above.step(minutes, rates, where="mid", color=INK, linewidth=0.9)
    dress(above, ylabel="requests per s", grid="y")
    above.set_ylim(bottom=0)
    for item in found.policies:
        color, style, words = _LOOKS[item.name]
        times = [time / 60_000 for time, _ in item.schedule.steps] + [span / 60_000]
        counts = [count for _, count in item.schedule.steps]
        below.step(
            times,
            [*counts, counts[-1]],
            where="post",
            color=color,
            linestyle=style,
            linewidth=1.6,
            label=f"{words}: {item.attainment:.1%} within targets",
        )
    dress(below, xlabel="minutes", ylabel="replicas that take requests", grid="y")
    below.set_ylim(0, 1.05 * max(item.schedule.most for item in found.policies) + 0.5)
    below.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(
        *below.get_legend_handles_labels(),
        fontsize=SMALL,
        frameon=False,
        loc="outside lower center",
        ncols=3,
    )
    return figure


def cost_figure(found: Backtest, currency: str) -> Figure:
    """Return a bar of cost for each way to provide replicas, with its attainment beside it."""
    title = f"Cost of {found.trace.span_ms / 3.6e6:.3g} hours, and requests within their targets"
    figure = blank_figure(8.0, 1.5 + 0.5 * len(found.policies), title)
    axes = figure.subplots()
    most = max(item.cost for item in found.policies)
    for row, item in enumerate(found.policies):
        color, _, _ = _LOOKS[item.name]
        missed = item.attainment < found.goal.share
        axes.barh(
            row,
            item.cost,
            color="white" if missed else color,
            edgecolor=color,
            hatch=HATCH if missed else None,
            height=0.6,
        )
        words = f"{item.cost:,.2f} · {item.attainment:.1%}"
        if missed:
            words += f", less than {100 * found.goal.share:g}%"
        axes.text(item.cost + 0.01 * most, row, words, va="center", fontsize=SMALL, color=INK)
    if found.least_cost <= most:
        axes.axvline(found.least_cost, color=INK, linestyle=":", linewidth=1.2, zorder=3)
        axes.annotate(
            f"nothing costs less than {found.least_cost:,.2f}",
            (found.least_cost, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=SMALL,
            color=INK,
        )
    dress(axes, xlabel=currency, grid="x")
    axes.set_xlim(0, 1.45 * most or 1.0)
    name_rows(axes, [_LOOKS[item.name][2] for item in found.policies])
    return figure
