"""One replica under rising load: latency and throughput against the arrival rate."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from queueing.arrays import FloatArray
from queueing.replica import OperatingPoint, analyze
from queueing.sizing import size
from stoker.cli.plots.replica import PlannedReplica
from stoker.cli.plots.style import (
    BLUE,
    INK,
    LOG_FROM,
    ORANGE,
    RULE,
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


def load_figure(replica: PlannedReplica, rates_rps: FloatArray) -> Figure:
    """Return TTFT, ITL and throughput of a replica at these arrival rates.

    Dashed lines are the targets; the dotted vertical one is the largest rate within all of them.

    Args:
        replica: The replica; its own arrival rate is not used.
        rates_rps: Requests offered per second, ascending, shape (points,).
    """
    where = f"{label(replica.server)} on {label(replica.accelerator)}"
    cases = replica.case.take(np.zeros(len(rates_rps), dtype=np.int64))
    point = analyze(cases, rates_rps)
    if not point.valid.any():
        return message_figure(where, "The replica cannot be analysed at these rates.")
    sizing = size(replica.case, replica.targets)
    largest = float(sizing.arrival_rate_rps[0]) if sizing.feasible[0] else None
    carries = (
        "no rate keeps its targets"
        if largest is None
        else f"one replica keeps its targets up to {number(largest)} req/s"
    )
    figure = blank_figure(7.5, 7.0, f"{where}:\n{carries}")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    _draw_latency(top, rates_rps, point.ttft_ms, replica.ttft_target_ms, "TTFT", BLUE)
    _draw_latency(middle, rates_rps, point.itl_ms, replica.itl_target_ms, "ITL", VERMILION)
    _draw_throughput(bottom, rates_rps, point)
    for axes in (top, middle, bottom):
        if largest is not None:
            axes.axvline(
                largest,
                color=INK,
                linestyle=":",
                linewidth=1.2,
                label="largest rate within the targets",
            )
        axes.legend(loc="best", fontsize=SMALL, frameon=True, framealpha=0.9, edgecolor=RULE)
    bottom.set_xlim(0.0, float(rates_rps[-1]))
    return figure


def _draw_latency(
    axes: Axes,
    rates_rps: FloatArray,
    values_ms: FloatArray,
    target_ms: float | None,
    name: str,
    colour: str,
) -> None:
    axes.plot(rates_rps, values_ms, color=colour, linewidth=1.8, label=f"mean {name}")
    if target_ms is not None:
        axes.axhline(
            target_ms, color=INK, linestyle="--", linewidth=1.0, label=f"target {target_ms:g} ms"
        )
    known = values_ms[np.isfinite(values_ms)].tolist()
    if spread(known) > LOG_FROM:
        log_axis(axes, "y", known)
        scale = ", log scale"
    else:
        axes.set_ylim(0.0, max([*known, target_ms or 0.0]) * 1.1)
        scale = ""
    dress(axes, ylabel=f"mean {name} [ms]{scale}", grid="both")


def _draw_throughput(axes: Axes, rates_rps: FloatArray, point: OperatingPoint) -> None:
    axes.plot(rates_rps, rates_rps, color=INK, linestyle="--", linewidth=1.0, label="offered")
    axes.plot(rates_rps, point.throughput_rps, color=BLUE, linewidth=1.8, label="completed")
    axes.fill_between(
        rates_rps,
        point.throughput_rps,
        rates_rps,
        facecolor=ORANGE,
        alpha=0.5,
        hatch="///",
        edgecolor=INK,
        linewidth=0.0,
        label="turned away",
    )
    axes.set_ylim(0.0, float(rates_rps[-1]) * 1.05)
    dress(axes, xlabel="arrival rate [req/s]", ylabel="rate of one replica [req/s]", grid="both")
