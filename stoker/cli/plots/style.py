"""What all pictures share: colours, sizes, and small pieces of text.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which stay apart for every
common kind of colour blindness; those used side by side also differ in lightness, for print.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

BLUE = "#0072B2"
ORANGE = "#E69F00"
SKY = "#56B4E9"
VERMILION = "#D55E00"
INK = "#222222"
PALE = "#F2F2F2"
RULE = "#BBBBBB"

HATCH = "////"
"""Hatch of a second series beside a plain first one."""

SMALL = 8.0
"""Size of labels within a picture, in points."""

LOG_FROM = 12.0
"""Ratio of largest to smallest value from which an axis is better logarithmic."""

_DENSE_BELOW = 300.0
_TITLE = 11.0
_LETTERS = 10.0
"""Letters of a title that fit in an inch."""
_TEXT = 9.0


def blank_figure(width: float, height: float, title: str) -> Figure:
    """Return a figure of that size in inches, with a title over all its axes."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    lines = [line for part in title.split("\n") for line in wrap(part, int(_LETTERS * width))]
    figure.suptitle("\n".join(lines), fontsize=_TITLE, fontweight="bold", color=INK)
    return figure


def message_figure(title: str, message: str) -> Figure:
    """Return a figure that says in words why there is nothing to draw."""
    figure = blank_figure(6.0, 1.6, title)
    figure.text(0.5, 0.35, message, ha="center", va="center", fontsize=_TEXT, color=INK)
    return figure


def dress(axes: Axes, *, xlabel: str = "", ylabel: str = "", grid: str = "") -> None:
    """Give axes the common look.

    Args:
        axes: What to dress.
        xlabel: What the x axis shows, with its unit.
        ylabel: What the y axis shows, with its unit.
        grid: ``x``, ``y`` or ``both`` for faint lines behind the marks; empty for none.
    """
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(RULE)
    axes.tick_params(which="both", labelsize=SMALL, color=RULE, labelcolor=INK)
    axes.set_xlabel(xlabel, fontsize=_TEXT, color=INK)
    axes.set_ylabel(ylabel, fontsize=_TEXT, color=INK)
    axes.set_axisbelow(True)
    if grid == "x":
        axes.grid(axis="x", color=RULE, linewidth=0.5, alpha=0.7)
    elif grid == "y":
        axes.grid(axis="y", color=RULE, linewidth=0.5, alpha=0.7)
    elif grid == "both":
        axes.grid(axis="both", color=RULE, linewidth=0.5, alpha=0.7)


def name_rows(axes: Axes, names: Sequence[str], longest: int = 34) -> None:
    """Label the rows 0, 1, ... of the y axis, the first one on top."""
    axes.set_yticks(range(len(names)), [label(name, longest) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    for shared in axes.get_shared_y_axes().get_siblings(axes):
        shared.tick_params(axis="y", length=0)


def label(text: str, longest: int = 34) -> str:
    """Return a name as matplotlib shows it literally, cut in the middle where it is too long."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    if len(clean) > longest:
        head = (longest - 1) // 2
        clean = f"{clean[:head]}…{clean[len(clean) - (longest - 1 - head) :]}"
    # A legend leaves out what starts with an underscore.
    return (" " + clean if clean.startswith("_") else clean).replace("$", r"\$")


def number(value: float) -> str:
    """Return a number to three digits, thousands separated, without needless zeros."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def tick(value: float) -> str:
    """Return a number for an axis, the large ones short: 20, 5,000, 20k, 3M."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e4 else f"{value:,.6g}"


def log_axis(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 where there is room for them.

    Args:
        axes: The axes.
        which: The axis of them.
        values: The positive values that it shows.
    """
    if which == "x":
        axes.set_xscale("log")
    else:
        axes.set_yscale("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    narrow = spread(values) < _DENSE_BELOW
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    axis.set_minor_formatter(NullFormatter())


def spread(values: Sequence[float]) -> float:
    """Return the ratio of the largest to the smallest positive value; 1 for fewer than two."""
    positive = [value for value in values if value > 0]
    return max(positive) / min(positive) if positive else 1.0
