"""One server as its load grows: cost, and what it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    log_axis,
    message_figure,
)

_MARKS = (
    ("o", BLUE),
    ("s", ORANGE),
    ("^", SKY),
    ("D", VERMILION),
    ("v", "white"),
    ("P", "#999999"),
)
"""Marker and fill by accelerator, in order of appearance; used again where there are more."""


@dataclass(frozen=True, slots=True)
class ScalePoint:
    """What a server gets at a load.

    Attributes:
        arrival_rate_rps: Requests offered per second.
        accelerator: What it runs on; None where it is not placed.
        replicas: Number of replicas.
        cost_per_hour: Cost of all replicas.
    """

    arrival_rate_rps: float
    accelerator: str | None
    replicas: int
    cost_per_hour: float


def scaling_figure(title: str, points: Sequence[ScalePoint], currency: str) -> Figure:
    """Return cost per hour (top) and cost of a million requests (bottom) against the load.

    Args:
        title: What is seen.
        points: The server at rising loads above 0; loads at which it is not placed are left out.
        currency: Currency of the costs.
    """
    placed = [point for point in points if point.accelerator is not None]
    if not placed:
        return message_figure(title, "The server is placed at no load.")
    figure = blank_figure(7.5, 5.6, label(title, 120))
    top, bottom = figure.subplots(2, 1, sharex=True)
    _draw(top, placed, [point.cost_per_hour for point in placed])
    log_axis(top, "y", [point.cost_per_hour for point in placed])
    dress(top, ylabel=f"cost [{label(currency)}/h], log scale", grid="both")
    per_million = [point.cost_per_hour / (0.0036 * point.arrival_rate_rps) for point in placed]
    _draw(bottom, placed, per_million)
    log_axis(bottom, "x", [point.arrival_rate_rps for point in placed])
    bottom.set_ylim(0.0, max(per_million) * 1.1 or 1.0)
    dress(
        bottom,
        xlabel="arrival rate of the server [req/s], log scale",
        ylabel=f"cost of a million\nrequests [{label(currency)}]",
        grid="both",
    )
    top.legend(
        loc="upper left", fontsize=SMALL, frameon=False, title="runs on", title_fontsize=SMALL
    )
    return figure


def _draw(axes: Axes, points: Sequence[ScalePoint], values: Sequence[float]) -> None:
    rates = [point.arrival_rate_rps for point in points]
    axes.plot(rates, values, color=RULE, linewidth=1.0, zorder=1)
    names = list(dict.fromkeys(point.accelerator for point in points))
    for rank, name in enumerate(names):
        marker, fill = _MARKS[rank % len(_MARKS)]
        mine = [index for index, point in enumerate(points) if point.accelerator == name]
        axes.scatter(
            [rates[index] for index in mine],
            [values[index] for index in mine],
            marker=marker,
            s=34,
            facecolor=fill,
            edgecolor=INK,
            zorder=2,
            label=label(name or ""),
        )
