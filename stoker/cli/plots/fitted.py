"""A fitted model against what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from stoker.cli.compared import ComparedPoint, Error, itl_error, known_errors, ttft_error
from stoker.cli.plots.style import (
    BLUE,
    INK,
    ORANGE,
    PALE,
    RULE,
    SMALL,
    blank_figure,
    dress,
    log_axis,
    message_figure,
    spread,
    tick,
)
from stoker.domain.measurement import LoadKind

_BAND = 0.2
"""Share either side of the measured value that is shaded."""

_LARGEST_RESIDUAL = 1.0
"""Errors beyond this are drawn at the edge, so that the others keep their room."""

_WINDOWS = 8
_MARKS = ((LoadKind.RATE, "o", "open loop"), (LoadKind.CONCURRENCY, "D", "closed loop"))
GREY = "#8C8C8C"
"""Marks of a legend, which stand for every colour of the scale."""

_SCALE = LinearSegmentedColormap.from_list("tokens", (ORANGE, "#B7659A", BLUE, "#00263D"))
"""From light to dark, so that it stays a scale in print and for colour-blind eyes."""


def against_measured_figure(points: Sequence[ComparedPoint], title: str) -> Figure:
    """Return predicted over measured TTFT and ITL, a mark for each operating point.

    Colours tell input tokens (for the ITL, the tokens of context), shapes the kind of the load;
    hollow marks were not fitted to. The band is 20% either side.

    Args:
        points: What to compare.
        title: What was fitted to what.
    """
    if not _any_known(points):
        return message_figure(title, "Nothing measured has a prediction to compare with.")
    figure = blank_figure(11.0, 5.0, title)
    left, right = figure.subplots(1, 2)
    _draw_against(left, points, "TTFT", ttft_error)
    _draw_against(right, points, "ITL", itl_error)
    _explain(figure, left, points)
    return figure


def residuals_figure(points: Sequence[ComparedPoint], title: str) -> Figure:
    """Return the relative errors of TTFT and ITL over the requests in the system.

    The line is the median of windows of about equal numbers of points: it tells a bias that
    depends on the load. Errors beyond those of the points fitted to stand at the edge.

    Args:
        points: What to compare.
        title: What was fitted to what.
    """
    if not _any_known(points):
        return message_figure(title, "Nothing measured has a prediction to compare with.")
    figure = blank_figure(11.0, 5.0, title)
    left, right = figure.subplots(1, 2, sharey=True)
    limit = _limit(points)
    _draw_residuals(left, points, "TTFT", ttft_error, limit)
    _draw_residuals(right, points, "ITL", itl_error, limit)
    left.set_ylim(-1.06 * limit, 1.06 * limit)
    _explain(figure, left, points)
    return figure


def _limit(points: Sequence[ComparedPoint]) -> float:
    """Return the largest error drawn: that of the points fitted to, within reason."""
    used = [point for point in points if point.used] or list(points)
    sizes = [abs(value) for error in (ttft_error, itl_error) for value in known_errors(used, error)]
    return max(_BAND * 1.5, min(_LARGEST_RESIDUAL, max(sizes)))


def _any_known(points: Sequence[ComparedPoint]) -> bool:
    return any(known_errors(points, error) for error in (ttft_error, itl_error))


def _explain(figure: Figure, axes: Axes, points: Sequence[ComparedPoint]) -> None:
    """Add the scale of input tokens, and one legend for all axes below them."""
    norm = _norm(points)
    bar = figure.colorbar(ScalarMappable(norm, _SCALE), ax=figure.axes, pad=0.015, aspect=30)
    wanted = sorted({point.row.in_tokens for point in points if point.row.in_tokens >= 1})
    ticks = [value for value in (2.0**power for power in range(30)) if _within(value, norm)]
    bar.ax.yaxis.set_major_locator(FixedLocator(ticks or wanted[:1]))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    bar.ax.tick_params(labelsize=SMALL, color=RULE, labelcolor=INK)
    bar.set_label("input tokens", fontsize=SMALL, color=INK)
    bar.outline.set_edgecolor(RULE)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(labels),
        fontsize=SMALL,
        frameon=False,
    )


def _within(value: float, norm: LogNorm) -> bool:
    assert norm.vmin is not None
    assert norm.vmax is not None
    return norm.vmin <= value <= norm.vmax


def _norm(points: Sequence[ComparedPoint]) -> LogNorm:
    tokens = [_tokens(point) for point in points]
    low, high = min(tokens), max(tokens)
    return LogNorm(low, high) if high > low else LogNorm(low / 1.5, high * 1.5)


def _values(point: ComparedPoint, name: str) -> tuple[float | None, float | None]:
    """Return what was measured and what is predicted."""
    if name == "TTFT":
        return point.row.ttft.typical_ms, point.ttft_ms
    return point.row.itl.mean_ms, point.itl_ms


def _scatter(
    axes: Axes, marks: Sequence[tuple[ComparedPoint, float, float]], norm: LogNorm
) -> None:
    """Draw marks at (x, y): filled where fitted to, hollow where not."""
    cmap: Colormap = _SCALE
    for kind, marker, name in _MARKS:
        for used in (True, False):
            drawn = [
                mark for mark in marks if mark[0].row.load_kind is kind and mark[0].used is used
            ]
            if not drawn:
                continue
            colours = [to_hex(cmap(float(norm(_tokens(mark[0]))))) for mark in drawn]
            axes.scatter(
                [x for _, x, _ in drawn],
                [y for _, _, y in drawn],
                s=22,
                marker=marker,
                facecolors=colours if used else "none",
                edgecolors=[INK] if used else colours,
                linewidths=0.4 if used else 1.1,
                alpha=0.9,
                zorder=3,
            )
            axes.plot(
                [],
                [],
                marker,
                markersize=4.5,
                color=GREY if used else "none",
                markeredgecolor=INK,
                markeredgewidth=0.4 if used else 1.0,
                label=name if used else f"{name}, not fitted to",
            )


def _tokens(point: ComparedPoint) -> float:
    return max(1.0, point.row.in_tokens)


def _draw_against(axes: Axes, points: Sequence[ComparedPoint], name: str, error: Error) -> None:
    marks = []
    for point in points:
        measured, predicted = _values(point, name)
        if measured is not None and predicted is not None and predicted > 0:
            marks.append((point, measured, predicted))
    if not marks:
        _nothing(axes, name)
        return
    shown = [mark for mark in marks if mark[0].used] or marks
    values = [value for _, measured, predicted in shown for value in (measured, predicted)]
    low, high = min(values) / 1.3, max(values) * 1.3
    inside = [mark for mark in marks if low <= min(mark[1:]) and max(mark[1:]) <= high]
    ends = np.array([low, high])
    axes.fill_between(
        ends, ends * (1 - _BAND), ends * (1 + _BAND), color=PALE, zorder=1, label="within 20%"
    )
    axes.plot(ends, ends, color=INK, linewidth=1.0, linestyle="--", zorder=2, label="exact")
    _scatter(axes, inside, _norm(points))
    if spread(values) > 4:
        log_axis(axes, "x", [low, high])
        log_axis(axes, "y", [low, high])
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_title(f"{name}: {_summary(points, error)}", fontsize=SMALL + 1, color=INK, loc="left")
    outside = len(marks) - len(inside)
    tail = f" ({outside:,} not fitted to lie outside)" if outside else ""
    dress(axes, xlabel=f"measured {name} [ms]{tail}", ylabel=f"predicted {name} [ms]", grid="both")


def _summary(points: Sequence[ComparedPoint], error: Error) -> str:
    """Return the errors of the points fitted to; of all where none was."""
    used = known_errors((point for point in points if point.used), error)
    sizes = [abs(value) for value in used or known_errors(points, error)]
    near = sum(size <= _BAND for size in sizes) / len(sizes)
    mean, median = float(np.mean(sizes)), float(np.median(sizes))
    return f"mean error {mean:.1%}, median {median:.1%}; {near:.0%} within 20%"


def _nothing(axes: Axes, name: str) -> None:
    axes.text(0.5, 0.5, f"no {name} to compare", ha="center", transform=axes.transAxes)
    axes.set_xticks([])
    axes.set_yticks([])
    dress(axes)


def _draw_residuals(
    axes: Axes, points: Sequence[ComparedPoint], name: str, error: Error, limit: float
) -> None:
    marks = []
    for point in points:
        held, value = point.requests_held, error(point)
        if held is not None and value is not None:
            marks.append((point, held, max(-limit, min(value, limit))))
    if not marks:
        _nothing(axes, name)
        return
    held_all = [held for _, held, _ in marks]
    if spread(held_all) > 4:
        log_axis(axes, "x", held_all)
    axes.axhspan(-_BAND, _BAND, color=PALE, zorder=1, label="within 20%")
    axes.axhline(0.0, color=INK, linewidth=1.0, linestyle="--", zorder=2)
    _scatter(axes, marks, _norm(points))
    _draw_trend(axes, [(held, value) for point, held, value in marks if point.used])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_title(f"{name}: {_summary(points, error)}", fontsize=SMALL + 1, color=INK, loc="left")
    beyond = sum(abs(error(point) or 0.0) > limit for point, _, _ in marks)
    tail = f" ({beyond:,} beyond ±{limit:.0%}, at the edge)" if beyond else ""
    dress(
        axes,
        xlabel=f"mean requests in the system{tail}",
        ylabel="predicted / measured − 1" if name == "TTFT" else "",
        grid="y",
    )


def _draw_trend(axes: Axes, pairs: Sequence[tuple[float, float]]) -> None:
    """Draw the median error of windows of about equal numbers of points, each load in one."""
    loads = np.array([held for held, _ in pairs])
    windows = min(_WINDOWS, len(loads) // 4)
    if windows < 2:
        return
    edges = np.unique(np.quantile(loads, np.linspace(0.0, 1.0, windows + 1)))
    window = np.searchsorted(edges[1:-1], loads, side="right")
    errors = np.array([value for _, value in pairs])
    parts = [window == index for index in np.unique(window)]
    axes.plot(
        [float(np.median(loads[part])) for part in parts],
        [float(np.median(errors[part])) for part in parts],
        color=INK,
        linewidth=1.6,
        zorder=4,
        label="median of a window",
    )
