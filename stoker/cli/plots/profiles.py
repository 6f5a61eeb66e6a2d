"""Pictures of profiles: timed iterations over their axes, and two profiles beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from stoker.cli.plots.style import (
    BLUE,
    INK,
    LOG_FROM,
    ORANGE,
    SKY,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    label,
    log_axis,
    message_figure,
    spread,
)
from stoker.domain.timing import IterationKind

if TYPE_CHECKING:
    from data.profile_document import ProfileDocument, TimedCurve
    from profiler.judging import Compared

_COLOURS = (BLUE, ORANGE, SKY, VERMILION, INK)
_MARKERS = ("o", "s", "^", "D", "v")
_FIGURES = (("ttft_ms", "TTFT [ms]"), ("itl_ms", "ITL [ms]"), ("throughput_rps", "requests/s"))


def profile_figures(document: ProfileDocument) -> Iterator[tuple[str, Picture]]:
    """Yield names and pictures of the timed iterations of a document."""
    on = document.measured_on
    name = document.name or (document.profiles[0].model if document.profiles else "profile")
    title = name if on is None else f"{on.model.name} on {on.device.name}"
    decodes = [curve for curve in document.curves if curve.kind is IterationKind.DECODE]
    prefills = [curve for curve in document.curves if curve.kind is IterationKind.PREFILL]
    if not decodes and not prefills:
        yield "profile", message_figure(title, "the document holds no timed iterations")
        return
    if decodes:
        yield "decode", _curves_figure(f"{title}: decode", decodes, "sequences in the batch")
    if prefills:
        yield "prefill", _curves_figure(f"{title}: prefill", prefills, "prompt tokens computed")


def _curves_figure(title: str, curves: Sequence[TimedCurve], axis: str) -> Picture:
    """Return times on the left and throughput on the right, a line for each curve."""
    figure = blank_figure(9.0, 3.8, title)
    left, right = figure.subplots(1, 2)
    for index, curve in enumerate(curves):
        colour = _COLOURS[index % len(_COLOURS)]
        marker = _MARKERS[index % len(_MARKERS)]
        half = [(value or 0.0) / 2 for value in curve.spread_ms]
        left.errorbar(
            curve.at,
            curve.median_ms,
            yerr=half,
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.2,
            capsize=2,
            label=_curve_label(curve),
        )
        right.plot(
            curve.at, curve.tokens_per_s, color=colour, marker=marker, markersize=4, linewidth=1.2
        )
    _scale(left, [curve.at for curve in curves], [curve.median_ms for curve in curves])
    _scale(right, [curve.at for curve in curves], [curve.tokens_per_s for curve in curves])
    dress(left, xlabel=axis, ylabel="time of an iteration [ms]", grid="both")
    dress(right, xlabel=axis, ylabel="tokens per second", grid="both")
    left.legend(fontsize=SMALL, frameon=False)
    return figure


def _curve_label(curve: TimedCurve) -> str:
    if curve.context_tokens is not None:
        return f"context {curve.context_tokens:,}"
    return f"after {curve.prefix_tokens or 0:,} tokens in the cache"


def _scale(axes: Axes, across: Sequence[Sequence[float]], up: Sequence[Sequence[float]]) -> None:
    """Make axes logarithmic where values spread far, else let them start at 0."""
    x = [value for values in across for value in values]
    y = [value for values in up for value in values]
    if spread(x) > LOG_FROM:
        log_axis(axes, "x", x)
    if spread(y) > LOG_FROM:
        log_axis(axes, "y", y)
    else:
        axes.set_ylim(bottom=0)


def comparison_figure(names: tuple[str, str], answer: Compared) -> Picture:
    """Return predictions of two profiles over clients: a row for each shape, a column a figure."""
    shapes = list(dict.fromkeys((p.in_tokens, p.out_tokens) for p, _ in answer.points))
    figure = blank_figure(10.0, 1.2 + 2.3 * len(shapes), f"{names[0]} and {names[1]}")
    grid = figure.subplots(len(shapes), len(_FIGURES), squeeze=False)
    for row, shape in enumerate(shapes):
        points = [
            (point.clients, {item.name: item for item in figures})
            for point, figures in answer.points
            if (point.in_tokens, point.out_tokens) == shape
        ]
        for column, (name, words) in enumerate(_FIGURES):
            axes = grid[row][column]
            drawn: list[float] = []
            for side, colour, marker in (("one", BLUE, "o"), ("other", ORANGE, "s")):
                pairs = [
                    (clients, value)
                    for clients, figures in points
                    if (value := getattr(figures[name], side)) is not None
                ]
                drawn += [value for _, value in pairs]
                axes.plot(
                    [clients for clients, _ in pairs],
                    [value for _, value in pairs],
                    color=colour,
                    marker=marker,
                    markersize=4,
                    linewidth=1.3,
                    label=label(names[0] if side == "one" else names[1]),
                )
            _scale(axes, [[clients for clients, _ in points]], [drawn])
            last = row == len(shapes) - 1
            dress(axes, xlabel="clients" if last else "", ylabel=words, grid="both")
            if column == 0:
                axes.set_title(
                    f"{shape[0]:,} in, {shape[1]:,} out", fontsize=SMALL + 1, loc="left", color=INK
                )
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False
    )
    return figure
