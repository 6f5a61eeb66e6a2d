"""Replicas planned, and those that it would take if profiles are off by their error."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stoker.cli.explanation_words import statistic_words
from stoker.cli.plots.style import (
    BLUE,
    INK,
    ORANGE,
    RULE,
    SMALL,
    blank_figure,
    dress,
    message_figure,
    name_rows,
)
from stoker.domain.explanation import AllocationExplanation, Explanation, ReplicaRange

MOST_ROWS = 40
"""Servers that are drawn; of more, those whose range is widest."""

_Drawn = Sequence[tuple[AllocationExplanation, ReplicaRange]]


def replica_ranges_figure(title: str, explanation: Explanation) -> Figure:
    """Return for each server the replicas planned within the range that its profile's error means.

    Args:
        title: What is to be seen.
        explanation: Servers whose profile tells no error are left out.
    """
    known = [
        (item, item.replica_range)
        for item in explanation.allocations
        if item.replica_range is not None
    ]
    if not known:
        return message_figure(title, "No profile tells its error: give one with --profile-error.")
    if len(known) > MOST_ROWS:
        widest = sorted(known, key=lambda pair: -_width(*pair))[:MOST_ROWS]
        kept = {item.server for item, _ in widest}
        known = [pair for pair in known if pair[0].server in kept]
        title = f"{title} (the {MOST_ROWS} widest ranges)"
    figure = blank_figure(8.5, 1.9 + 0.32 * len(known), title)
    axes = figure.subplots()
    _draw(axes, known)
    name_rows(axes, [f"{item.server}: {item.accelerator}" for item, _ in known], 48)
    dress(axes, xlabel="replicas, over those planned", grid="x")
    handles, words = axes.get_legend_handles_labels()
    figure.legend(
        handles, words, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False
    )
    return figure


def _draw(axes: Axes, drawn: _Drawn) -> None:
    """Draw relative to the plan, so that large and small servers can be compared."""
    rows = range(len(drawn))
    low = [_over(item, span.fewest) for item, span in drawn]
    high = [_over(item, span.most) for item, span in drawn]
    known = [value for value in (*low, *high) if value is not None]
    least, most = min((1.0, *known)), max((1.0, *known))
    room = max(most - least, 0.1)
    left = [least - 0.1 * room if value is None else value for value in low]
    right = [most + 0.1 * room if value is None else value for value in high]
    axes.hlines(rows, left, right, color=RULE, linewidth=5.0, zorder=1)
    axes.scatter([1.0] * len(drawn), rows, marker="|", s=130, color=INK, zorder=3, label="planned")
    for values, marker, fill, name in (
        (low, "o", "white", "enough if faster by the error"),
        (high, "D", ORANGE, "needed if slower by the error"),
    ):
        at = [(value, row) for row, value in enumerate(values) if value is not None]
        if at:
            x, y = zip(*at, strict=True)
            axes.scatter(
                x, y, marker=marker, s=30, facecolor=fill, edgecolor=INK, zorder=2, label=name
            )
    for row, (item, span) in enumerate(drawn):
        axes.annotate(
            _words(item, span),
            (max(right[row], 1.0), row),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=BLUE,
        )
    axes.set_xlim(least - 0.15 * room, most + 1.1 * room)


def _over(item: AllocationExplanation, replicas: int | None) -> float | None:
    return None if replicas is None or not item.replicas else replicas / item.replicas


def _width(item: AllocationExplanation, span: ReplicaRange) -> float:
    if span.fewest is None or span.most is None:
        return float("inf")
    return (span.most - span.fewest) / max(1, item.replicas)


def _words(item: AllocationExplanation, span: ReplicaRange) -> str:
    few = "?" if span.fewest is None else f"{span.fewest:,}"
    most = "no number" if span.most is None else f"{span.most:,}"
    words = f"{few} to {most}, planned {item.replicas:,}"
    if span.missed:
        words += (
            f"; slower misses {', '.join(statistic_words(each.statistic) for each in span.missed)}"
        )
    return f"{words} (±{span.error:.0%})"
