"""Plans with different aims side by side: a column a measure, a row a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from stoker.cli.figures import money
from stoker.cli.plots.style import (
    HATCH,
    INK,
    ORANGE,
    SKY,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    label,
    name_rows,
)


class Measure(StrEnum):
    """What plans are compared by."""

    COST = "cost_per_hour"
    POWER = "power_w"
    SLACK = "share_of_targets"
    WITHOUT = "worst_class_without"
    CHANGES = "servers_changed"
    QUOTA = "quota_cards"


@dataclass(frozen=True, slots=True)
class Aim:
    """A plan and what it was made for.

    Attributes:
        name: What it is called.
        figures: Its figures.
        best: Measures that were minimized.
        limit: Measure that was limited; None for none.
        most: Its limit.
    """

    name: str
    figures: Mapping[Measure, float]
    best: tuple[Measure, ...]
    limit: Measure | None = None
    most: float | None = None


_HEADS = {
    Measure.COST: "cost [{currency}/h]",
    Measure.POWER: "power [kW]",
    Measure.SLACK: "target used",
    Measure.WITHOUT: "load not served,\nworst class",
    Measure.CHANGES: "servers changed",
    Measure.QUOTA: "A100 used",
}


def aims_figure(aims: Sequence[Aim], currency: str) -> Figure:
    """Return the figures of plans: hatched is what a plan was to be best at, a line is a limit."""
    title = "One fleet, too few cards, after a shift of load: what each aim and each limit costs"
    figure = blank_figure(12.0, 1.8 + 0.4 * len(aims), title)
    columns = figure.subplots(1, len(Measure), sharey=True)
    for axes, measure in zip(columns, Measure, strict=True):
        _draw(axes, aims, measure)
        dress(axes, xlabel=_HEADS[measure].format(currency=label(currency)), grid="x")
    name_rows(columns[0], [aim.name for aim in aims])
    handles = [
        Patch(facecolor=ORANGE, edgecolor=INK, hatch=HATCH, label="minimized"),
        Patch(facecolor=SKY, edgecolor=INK, label="what comes of it"),
        Patch(facecolor=VERMILION, edgecolor=VERMILION, label="limit (upright line)"),
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False
    )
    return figure


def _draw(axes: Axes, aims: Sequence[Aim], measure: Measure) -> None:
    unit = 1e-3 if measure is Measure.POWER else 1.0
    values = [aim.figures[measure] * unit for aim in aims]
    for row, (aim, value) in enumerate(zip(aims, values, strict=True)):
        best = measure in aim.best
        axes.barh(
            row,
            value,
            0.66,
            color=ORANGE if best else SKY,
            edgecolor=INK,
            linewidth=0.6,
            hatch=HATCH if best else "",
        )
        at = value
        if aim.limit is measure and aim.most is not None:
            most = aim.most * unit
            axes.vlines(most, row - 0.45, row + 0.45, color=VERMILION, linewidth=2.4)
            at = max(at, most)
        axes.annotate(
            _words(measure, value),
            (at, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=INK,
        )
    axes.set_xlim(0.0, 1.5 * max(values) or 1.0)


def _words(measure: Measure, value: float) -> str:
    match measure:
        case Measure.COST:
            return money(value)
        case Measure.POWER:
            return f"{value:.1f}"
        case Measure.SLACK | Measure.WITHOUT:
            return f"{value:.0%}"
        case Measure.CHANGES | Measure.QUOTA:
            return f"{value:.0f}"
