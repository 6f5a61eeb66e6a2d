"""Results of a sweep: lines over one parameter, heat maps over two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from stoker.cli.plots.style import (
    BLUE,
    INK,
    LOG_FROM,
    ORANGE,
    PALE,
    RULE,
    SKY,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    label,
    log_axis,
    message_figure,
    number,
    spread,
)
from studies.sweeping.rows import FAILED, Cell, Column, Row

_LINES = (
    (BLUE, "o", "-"),
    (ORANGE, "s", "--"),
    (VERMILION, "^", ":"),
    (SKY, "D", "-."),
    ("#999999", "v", "-"),
    (INK, "P", "--"),
)
"""Colour, marker and line by the order of a series; used again where there are more."""

_MOST_LINES = 6
_MOST_WRITTEN = 120
"""Largest number of cells of a heat map that have their figures in them."""

_MAP = LinearSegmentedColormap.from_list("cost", ["#F7FBFF", "#9ECAE1", "#2171B5", "#08306B"])
_DARK_FROM = 0.5


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter that varies.

    Attributes:
        name: Its name.
        cells: Its values, in the order of the sweep.
        numbers: The same as numbers; empty where one of them is a word.
        multiples: Whether the numbers multiply the fleet's own figure.
    """

    name: str
    cells: tuple[Cell, ...]
    numbers: tuple[float, ...]
    multiples: bool

    @property
    def title(self) -> str:
        """What an axis of a picture says."""
        return f"{label(self.name, 40)}{' [× the fleet’s own]' if self.multiples else ''}"

    def words(self, cell: Cell) -> str:
        """Return a value as a tick says it."""
        return number(cell) if isinstance(cell, float) else label(str(cell), 20)


def axis_of(name: str, rows: Sequence[Row]) -> Axis:
    """Return a parameter of a sweep as an axis."""
    cells = tuple(dict.fromkeys(row[name] for row in rows))
    multiples = all(_is_multiple(cell) for cell in cells)
    numbers: list[float] = []
    for cell in cells:
        if isinstance(cell, int | float):
            numbers.append(float(cell))
        elif multiples and isinstance(cell, str):
            numbers.append(float(cell[1:]))
    if len(numbers) < len(cells):
        return Axis(name, cells, (), multiples=False)
    return Axis(name, cells, tuple(numbers), multiples)


def _is_multiple(cell: Cell) -> bool:
    return isinstance(cell, str) and cell.startswith("x") and cell[1:2] in "-+.0123456789"


def sweep_figure(columns: Sequence[Column], rows: Sequence[Row]) -> Figure:
    """Return the picture of a sweep: cost, and the share of servers and of load that is served.

    One parameter gives lines; two give a heat map, or a line for each value of one that takes few
    words. Points that failed are left out.

    Args:
        columns: Columns of the results.
        rows: The results.
    """
    names = [column.name for column in columns]
    axes = [axis_of(name, rows) for name in names[1 : names.index("status")]]
    varying = [axis for axis in axes if len(axis.cells) > 1] or axes[:1]
    planned = [row for row in rows if row["status"] != FAILED]
    if not planned:
        return message_figure("Sweep", "No point has a plan.")
    if len(varying) == 1 or (len(varying[0].cells) == len(rows) and len(rows) > 1):
        beside = ", ".join(label(axis.name) for axis in varying[1:])
        return _lines(varying[0], None, planned, f" (with {beside} in step)" if beside else "")
    if len(varying) == 2 and len(rows) == math.prod(len(axis.cells) for axis in varying):
        first, second = varying
        worded = [axis for axis in varying if not axis.numbers and len(axis.cells) <= _MOST_LINES]
        if len(worded) == 1:
            (series,) = worded
            return _lines(second if series is first else first, series, planned)
        return _maps(first, second, planned)
    several = ", ".join(label(axis.name) for axis in varying)
    return message_figure(
        "Sweep", f"{len(varying)} parameters vary ({several}): pictures show one or two."
    )


def _lines(x: Axis, series: Axis | None, rows: Sequence[Row], beside: str = "") -> Figure:
    figure = blank_figure(7.5, 5.6, f"{_cost_words(rows)} as {label(x.name, 40)} varies{beside}")
    top, bottom = figure.subplots(2, 1, sharex=True)
    cells: tuple[Cell, ...] = series.cells if series else (None,)
    for rank, cell in enumerate(cells):
        mine = [row for row in rows if series is None or row[series.name] == cell]
        name = f"{label(series.name)} = {series.words(cell)}" if series else ""
        _draw_line(top, x, mine, "cost_per_hour", rank, name)
        if series is None:
            _draw_line(bottom, x, mine, "served", 0, "servers")
            _draw_line(bottom, x, mine, "served_rps", 1, "load")
        else:
            _draw_line(bottom, x, mine, "served_rps", rank, name)
    top.set_ylim(bottom=0.0)
    dress(top, ylabel=f"cost [{_currency(rows)}/h]", grid="both")
    scale = _draw_x(bottom, x)
    bottom.set_ylim(-0.04, 1.06)
    bottom.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    share = "share of the load\nwithin its targets" if series else "share within\nall targets"
    dress(bottom, xlabel=x.title + scale, ylabel=share, grid="both")
    (top if series else bottom).legend(
        loc="best", fontsize=SMALL, frameon=True, framealpha=0.9, edgecolor=RULE
    )
    return figure


def _draw_line(axes: Axes, x: Axis, rows: Sequence[Row], column: str, rank: int, name: str) -> None:
    colour, marker, style = _LINES[rank % len(_LINES)]
    places: Mapping[Cell, float] = dict(zip(x.cells, x.numbers or range(len(x.cells)), strict=True))
    points = sorted((places[row[x.name]], _figure(row, column)) for row in rows)
    axes.plot(
        [place for place, _ in points],
        [value for _, value in points],
        color=colour,
        marker=marker,
        markersize=4.5,
        markeredgecolor=INK,
        markeredgewidth=0.5,
        linestyle=style if x.numbers else "none",
        linewidth=1.6,
        label=name,
    )


def _draw_x(axes: Axes, x: Axis) -> str:
    """Lay out the x axis, and return what its title says of the scale."""
    if not x.numbers:
        axes.set_xticks(range(len(x.cells)), [x.words(cell) for cell in x.cells])
        axes.set_xlim(-0.5, len(x.cells) - 0.5)
    elif min(x.numbers) > 0 and spread(x.numbers) > LOG_FROM:
        log_axis(axes, "x", x.numbers)
        return ", log scale"
    return ""


def _maps(first: Axis, second: Axis, rows: Sequence[Row]) -> Figure:
    """Return heat maps of cost and of the share served, the first parameter on the y axis."""
    width = max(3.4, 1.2 + 0.52 * len(second.cells))
    height = 2.0 + 0.42 * len(first.cells)
    title = f"{_cost_words(rows)} as {label(first.name, 40)} and {label(second.name, 40)} vary"
    figure = blank_figure(min(2 * width, 16.0), min(max(height, 3.2), 12.0), title)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_map(figure, left, first, second, rows, "cost_per_hour", f"cost [{_currency(rows)}/h]")
    _draw_map(figure, right, first, second, rows, "served_rps", "share of the load served")
    left.set_ylabel(first.title, fontsize=9.0, color=INK)
    return figure


def _draw_map(
    figure: Figure,
    axes: Axes,
    first: Axis,
    second: Axis,
    rows: Sequence[Row],
    column: str,
    title: str,
) -> None:
    grid = np.full((len(first.cells), len(second.cells)), np.nan)
    places = [_places(axis) for axis in (first, second)]
    for row in rows:
        grid[places[0][row[first.name]], places[1][row[second.name]]] = _figure(row, column)
    share = column != "cost_per_hour"
    low = 0.0 if share else float(np.nanmin(grid))
    high = 1.0 if share else float(np.nanmax(grid))
    axes.set_facecolor(PALE)
    image = axes.imshow(grid, cmap=_MAP, aspect="auto", origin="lower", vmin=low, vmax=high or 1.0)
    dress(axes, xlabel=second.title)
    axes.set_title(title, fontsize=9.0, color=INK)
    for axis, ticks in ((second, axes.set_xticks), (first, axes.set_yticks)):
        ordered = sorted(places[0 if axis is first else 1].items(), key=lambda item: item[1])
        step = max(1, math.ceil(len(ordered) / 12))
        kept = ordered[::step]
        ticks([at for _, at in kept], [axis.words(_tick(axis, cell)) for cell, _ in kept])
    figure.colorbar(
        image, ax=axes, fraction=0.06, format=PercentFormatter(xmax=1.0) if share else None
    ).ax.tick_params(labelsize=SMALL)
    if grid.size <= _MOST_WRITTEN:
        _write_cells(axes, grid, share=share, low=low, high=high)


def _tick(axis: Axis, cell: Cell) -> Cell:
    return axis.numbers[axis.cells.index(cell)] if axis.numbers else cell


def _places(axis: Axis) -> dict[Cell, int]:
    """Return the place of each value along an axis: by number, or in the order given."""
    order = list(range(len(axis.cells)))
    if axis.numbers:
        order.sort(key=lambda index: axis.numbers[index])
    return {axis.cells[index]: place for place, index in enumerate(order)}


def _write_cells(
    axes: Axes,
    grid: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    *,
    share: bool,
    low: float,
    high: float,
) -> None:
    for (y, x), value in np.ndenumerate(grid):
        known = bool(np.isfinite(value))
        dark = known and (value - low) > _DARK_FROM * (high - low) > 0
        text = "failed" if not known else f"{value:.0%}" if share else number(float(value))
        axes.text(
            x, y, text, ha="center", va="center", fontsize=7.0, color="white" if dark else INK
        )


def _figure(row: Row, column: str) -> float:
    """Return a figure of a row: a cost, or what is served as a share of what is there."""
    whole = {"served": "servers", "served_rps": "offered_rps"}
    value = _number(row[column])
    if column not in whole:
        return value
    total = _number(row[whole[column]])
    return value / total if total > 0 else 1.0


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else math.nan


def _currency(rows: Sequence[Row]) -> str:
    return label(str(rows[0]["currency"]))


def _cost_words(rows: Sequence[Row]) -> str:
    costs = [_number(row["cost_per_hour"]) for row in rows]
    low, high = number(min(costs)), number(max(costs))
    currency = _currency(rows)
    return f"{low} {currency}/h" if low == high else f"{low} to {high} {currency}/h"
