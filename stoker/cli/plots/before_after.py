"""What each row was and what it is: two marks, a line between them, and words beside."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from stoker.cli.plots.style import BLUE, INK, ORANGE, RULE, SMALL, label


def draw_before_after(axes: Axes, before: Sequence[float], after: Sequence[float]) -> None:
    """Draw a row for each pair of values, labelled for a legend."""
    rows = range(len(before))
    axes.hlines(rows, before, after, color=RULE, linewidth=2.0, zorder=1)
    axes.scatter(
        before, rows, marker="o", s=38, facecolor="white", edgecolor=INK, zorder=2, label="before"
    )
    axes.scatter(
        after, rows, marker="D", s=34, facecolor=ORANGE, edgecolor=INK, zorder=3, label="after"
    )


def write_beside(
    axes: Axes, before: Sequence[float], after: Sequence[float], words: Sequence[str], most: int
) -> None:
    """Write words right of each row, shortened to so many characters."""
    for row, text in enumerate(words):
        axes.annotate(
            label(text, most),
            (max(before[row], after[row]), row),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=BLUE,
        )
