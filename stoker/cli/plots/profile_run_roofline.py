"""Timed iterations against what the specifications of the card say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stoker.cli.plots.profile_run_lines import Line, decode_lines, prefill_lines
from stoker.cli.plots.style import (
    BLUE,
    INK,
    ORANGE,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    log_axis,
    message_figure,
)
from stoker.domain.catalogue import Precision
from stoker.domain.timing import TimingRun

if TYPE_CHECKING:
    from queueing.roofline import Deployment


@dataclass(frozen=True, slots=True)
class _Compared:
    line: Line
    ideal_ms: tuple[float, ...]
    estimate_ms: tuple[float, ...]


def roofline_figure(run: TimingRun, accelerator: str) -> Figure:
    """Return measured times, the ideal ones of the roofline, and the estimate from specifications.

    Args:
        run: The timed iterations.
        accelerator: Name of the card in the catalogue; empty where it is none of them.
    """
    title = f"Measured against the roofline: {run.model.name} on {run.device.name}"
    deployment = _deployment(run, accelerator)
    if deployment is None:
        return message_figure(
            title, "The catalogue does not have this device or model: there is no roofline."
        )
    figure = blank_figure(10.0, 4.6, title)
    left, right = figure.subplots(1, 2)
    decodes, prefills = decode_lines(run.timings), prefill_lines(run.timings)
    if decodes:
        fullest = max(decodes, key=lambda line: (len(line.at), line.beside))
        _draw(left, _decodes(deployment, fullest), "sequences decoding")
        left.set_title(f"decodes, context {fullest.beside:,}", fontsize=SMALL + 1, color=INK)
    if prefills:
        whole = min(prefills, key=lambda line: line.beside)
        _draw(right, _prefills(deployment, whole), "prompt tokens computed")
        right.set_title("prefills", fontsize=SMALL + 1, color=INK)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False
    )
    return figure


def _deployment(run: TimingRun, accelerator: str) -> Deployment | None:
    from data.catalogue import UnknownNameError, load_catalogue
    from queueing.roofline import Deployment

    catalogue = load_catalogue()
    try:
        model, card = catalogue.model(run.model.name), catalogue.accelerator(accelerator)
        return Deployment(
            model,
            card,
            run.model.tensor_parallel,
            Precision(run.model.weight_precision),
            Precision(run.model.precision),
        )
    except (UnknownNameError, ValueError):
        return None


def _decodes(deployment: Deployment, line: Line) -> _Compared:
    from queueing.roofline import decode_time

    time = decode_time(deployment, line.at, line.beside)
    return _Compared(line, tuple(time.ideal_ms.tolist()), tuple(time.total_ms.tolist()))


def _prefills(deployment: Deployment, line: Line) -> _Compared:
    from queueing.roofline import prefill_time

    time = prefill_time(deployment, line.at, line.beside)
    return _Compared(line, tuple(time.ideal_ms.tolist()), tuple(time.total_ms.tolist()))


def _draw(axes: Axes, compared: _Compared, xlabel: str) -> None:
    line = compared.line
    axes.plot(
        line.at, compared.ideal_ms, color=VERMILION, linewidth=1.2, linestyle="--",
        label="roofline: peaks of the card",
    )  # fmt: skip
    axes.plot(
        line.at, compared.estimate_ms, color=ORANGE, linewidth=1.2, linestyle=":",
        label="estimate of an engine from specifications",
    )  # fmt: skip
    axes.plot(
        line.at, line.values, color=BLUE, marker="o", markersize=4.5, markeredgecolor=INK,
        markeredgewidth=0.4, linewidth=1.2, label="measured",
    )  # fmt: skip
    log_axis(axes, "x", line.at)
    log_axis(axes, "y", [*line.values, *compared.ideal_ms, *compared.estimate_ms])
    dress(
        axes,
        xlabel=f"{xlabel}, log scale",
        ylabel="time of an iteration [ms], log scale",
        grid="both",
    )
