"""Iterations timed on a device: times, throughput, residuals of the models, and the roofline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from stoker.cli.plots.profile_run_lines import Line, decode_lines, draw_lines, prefill_lines
from stoker.cli.plots.profile_run_roofline import roofline_figure
from stoker.cli.plots.style import (
    BLUE,
    INK,
    ORANGE,
    RULE,
    SKY,
    SMALL,
    blank_figure,
    dress,
    label,
    log_axis,
    message_figure,
)
from stoker.domain.timing import IterationKind, TimingRun
from stoker.domain.units import MS_PER_SECOND

if TYPE_CHECKING:
    from profiler.iterations import IterationFit

_MARKS = {
    IterationKind.DECODE: ("o", BLUE),
    IterationKind.PREFILL: ("^", ORANGE),
    IterationKind.MIXED: ("s", SKY),
}
_LEAST_LIMIT, _MOST_LIMIT = 0.1, 1.0


def run_figures(
    run: TimingRun, fits: Sequence[IterationFit], accelerator: str
) -> Mapping[str, Figure]:
    """Return the pictures of a run by name of file.

    Args:
        run: The timed iterations.
        fits: Models fitted to them.
        accelerator: Name of the device in the catalogue; empty where it is none of them.
    """
    return {
        "decode-time": decode_figure(run),
        "throughput": throughput_figure(run),
        "prefill-time": prefill_figure(run),
        "residuals": residuals_figure(run, fits),
        "roofline": roofline_figure(run, accelerator),
    }


def title_of(run: TimingRun) -> str:
    """Return what was timed on what, for titles."""
    model, device = run.model, run.device
    formats = model.precision
    if model.weight_precision != model.precision:
        formats += f", weights {model.weight_precision}"
    scaled = "" if model.whole else f", scaled up from {_counts(run)} of {model.layers} layers"
    cards = "" if device.count == 1 else f"{device.count} × "
    return f"{model.name} ({formats}) on {cards}{device.name}{scaled}"


def _counts(run: TimingRun) -> str:
    return " and ".join(str(count) for count in run.model.layers_timed)


def decode_figure(run: TimingRun) -> Figure:
    """Return the time of decode iterations over the batch, a line for each context."""
    lines = decode_lines(run.timings)
    title = f"Decode iterations: {title_of(run)}"
    if not lines:
        return message_figure(title, "No decode iteration was timed.")
    figure = blank_figure(7.5, 4.8, title)
    axes = figure.subplots()
    draw_lines(axes, lines, "context", "tokens")
    _finish(axes, lines, "sequences decoding", "time of an iteration [ms]")
    return figure


def throughput_figure(run: TimingRun) -> Figure:
    """Return output tokens per second over the batch, a line for each context."""
    title = f"Decode throughput: {title_of(run)}"
    lines = [
        Line(
            line.beside,
            line.at,
            tuple(n / ms * MS_PER_SECOND for n, ms in zip(line.at, line.values, strict=True)),
            (),
            (),
        )
        for line in decode_lines(run.timings)
    ]
    if not lines:
        return message_figure(title, "No decode iteration was timed.")
    figure = blank_figure(7.5, 4.8, title)
    axes = figure.subplots()
    draw_lines(axes, lines, "context", "tokens")
    _finish(axes, lines, "sequences decoding", "output tokens per second")
    return figure


def prefill_figure(run: TimingRun) -> Figure:
    """Return the time of prefill iterations over prompt tokens, a line for each prefix."""
    lines = prefill_lines(run.timings)
    title = f"Prefill iterations: {title_of(run)}"
    if not lines:
        return message_figure(title, "No prefill iteration was timed.")
    figure = blank_figure(7.5, 4.8, title)
    axes = figure.subplots()
    draw_lines(axes, lines, "behind", "tokens")
    _finish(axes, lines, "prompt tokens computed", "time of an iteration [ms]")
    return figure


def _finish(axes: Axes, lines: Sequence[Line], xlabel: str, ylabel: str) -> None:
    places = [place for line in lines for place in (*line.at, *line.failed_at)]
    values = [value for line in lines for value in line.values]
    log_axis(axes, "x", places)
    log_axis(axes, "y", values)
    dress(axes, xlabel=f"{xlabel}, log scale", ylabel=f"{ylabel}, log scale", grid="both")
    axes.legend(fontsize=SMALL, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))


def residuals_figure(run: TimingRun, fits: Sequence[IterationFit]) -> Figure:
    """Return the relative errors of each fitted model over the time measured."""
    title = f"Fitted models against what was timed: {title_of(run)}"
    told = [fit for fit in fits if fit.parameters is not None]
    if not told:
        return message_figure(title, "The iterations tell the parameters of no model.")
    figure = blank_figure(10.0, 2.6 * ((len(told) + 1) // 2) + 0.9, title)
    panels = figure.subplots((len(told) + 1) // 2, min(2, len(told)), squeeze=False)
    for panel in panels.flat[len(told) :]:
        panel.set_visible(False)
    for panel, fit in zip(panels.flat, told, strict=False):
        _draw_residuals(panel, run, fit)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False
    )
    return figure


def _draw_residuals(axes: Axes, run: TimingRun, fit: IterationFit) -> None:
    from profiler.iterations.errors import residuals

    errors = residuals(fit, run.timings)
    largest = max((abs(each.error) for each in errors), default=_LEAST_LIMIT)
    limit = min(max(1.1 * largest, _LEAST_LIMIT), _MOST_LIMIT)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    for kind, (marker, colour) in _MARKS.items():
        some = [each for each in errors if each.kind is kind]
        axes.scatter(
            [each.time_ms for each in some],
            [min(max(each.error, -limit), limit) for each in some],
            marker=marker,
            s=22,
            facecolor=colour,
            edgecolor=INK,
            linewidth=0.5,
            label=kind.value,
            clip_on=False,
            zorder=3,
        )
    log_axis(axes, "x", [each.time_ms for each in errors])
    axes.set_ylim(-1.06 * limit, 1.06 * limit)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    dress(axes, xlabel="measured time [ms], log scale", ylabel="predicted − measured", grid="y")
    mean = "" if fit.error is None else f": mean error {fit.error:.1%}"
    axes.set_title(label(f"{fit.model}{mean}", 60), fontsize=SMALL + 1, color=INK, loc="left")
    if largest > limit:
        axes.text(
            0.99, 0.97, f"beyond ±{limit:.0%} at the edge", fontsize=SMALL - 1, color=RULE,
            ha="right", va="top", transform=axes.transAxes,
        )  # fmt: skip
