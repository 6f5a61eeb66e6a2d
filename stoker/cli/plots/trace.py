"""A trace's load over time, and how many requests keep their targets with how many replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from stoker.cli.plots.style import (
    BLUE,
    INK,
    ORANGE,
    RULE,
    SKY,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    label,
    message_figure,
)

if TYPE_CHECKING:
    from studies.traces.requests import RequestTrace
    from studies.traces.search import MinimumFleet
    from studies.traces.study import TraceStudy

_WINDOWS = 120
_STYLES = ((BLUE, "o"), (VERMILION, "s"), (ORANGE, "^"), (SKY, "D"), (INK, "v"))
MOST_CURVES = len(_STYLES)
"""Fleets with a curve; the cheapest, where there are more."""


def trace_load_figure(trace: RequestTrace) -> Figure:
    """Return requests and tokens per second over time."""
    window = max(trace.span_ms, 1.0) / _WINDOWS
    title = f"{len(trace):,} requests in {trace.span_ms / 60_000:,.1f} minutes"
    figure = blank_figure(8.0, 4.6, title)
    above, below = figure.subplots(2, 1, sharex=True)
    place = np.minimum((trace.arrival_ms / window).astype(np.int64), _WINDOWS - 1)
    minutes = (np.arange(_WINDOWS) + 0.5) * window / 60_000
    seconds = window / 1000
    above.step(minutes, np.bincount(place, minlength=_WINDOWS) / seconds, where="mid", color=BLUE)
    dress(above, ylabel="requests per s", grid="y")
    for name, tokens, color, style in (
        ("in", trace.input_tokens, BLUE, "-"),
        ("out", trace.output_tokens, VERMILION, "--"),
    ):
        per_s = np.bincount(place, weights=tokens, minlength=_WINDOWS) / seconds / 1000
        below.step(minutes, per_s, where="mid", color=color, linestyle=style, label=name)
    dress(below, xlabel="minutes", ylabel="1,000 tokens per s", grid="y")
    below.legend(fontsize=SMALL, frameon=False, loc="upper left", ncols=2)
    for axes in (above, below):
        axes.set_ylim(bottom=0)
    return figure


def attainment_figure(study: TraceStudy, model: str) -> Figure:
    """Return the share of requests within their targets over replicas, by accelerator.

    Vertical lines are what no router goes below; a ring marks the answer.
    """
    goal = study.goal
    targets = ", ".join(f"{latency.short} {limit:g} ms" for latency, limit in goal.limits())
    title = f"{label(model)}: requests within {targets}"
    drawn = [item for item in study.of_model(model) if item.replicas is not None][:MOST_CURVES]
    if not drawn:
        return message_figure(title, "No fleet keeps the targets.")
    figure = blank_figure(8.0, 4.2, title)
    axes = figure.subplots()
    for item, (color, marker) in zip(drawn, _STYLES, strict=False):
        _curve(item, axes, color, marker)
    axes.axhline(goal.share, color=RULE, linewidth=1.0, zorder=0)
    axes.annotate(
        f"{100 * goal.share:g}% asked for",
        (1.0, goal.share),
        xycoords=("axes fraction", "data"),
        xytext=(-2, -10),
        textcoords="offset points",
        ha="right",
        fontsize=SMALL,
        color=INK,
    )
    dress(axes, xlabel="replicas", ylabel="requests that keep all targets", grid="y")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(-0.02, 1.04)
    axes.legend(
        fontsize=SMALL,
        frameon=False,
        title="ring: the smallest fleet\ndotted: the bound for any router",
        title_fontsize=SMALL,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    return figure


def _curve(item: MinimumFleet, axes: Axes, color: str, marker: str) -> None:
    numbers = [each.replicas for each in item.played]
    shares = [each.attainment for each in item.played]
    name = f"{item.option.accelerator.name}: {item.replicas:,}"
    axes.plot(
        numbers, shares, color=color, marker=marker, markersize=4, linewidth=1.2, label=label(name)
    )
    answer = item.answer
    if answer is not None:
        axes.plot(
            [answer.replicas],
            [answer.attainment],
            marker="o",
            markersize=11,
            markerfacecolor="none",
            color=color,
        )
    bound = item.patient or item.bound
    if bound.replicas is not None:
        axes.axvline(bound.replicas, color=color, linestyle=":", linewidth=1.2)
