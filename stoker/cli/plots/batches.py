"""What a replica carries within its targets, against its batch limit."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from queueing.arrays import FloatArray
from queueing.concurrency import batch_throughput_curve
from stoker.cli.plots.replica import PlannedReplica
from stoker.cli.plots.style import (
    BLUE,
    INK,
    ORANGE,
    SKY,
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
    number,
)

TOLERANCE = 0.02
"""Share of the plateau that a near-peak batch limit may give up."""


def batch_figure(replica: PlannedReplica) -> Figure:
    """Return f(batch): the throughput at the largest rate within the targets, by batch limit.

    The band holds the limits within `TOLERANCE` of the plateau; the diamond is the smallest of
    them, the square the limit that was planned with, which is also the largest tried.
    """
    limits, throughput = batch_throughput_curve(replica.case, replica.targets, 0)
    return batch_curve_figure(replica.server, replica.accelerator, limits, throughput)


def batch_curve_figure(
    server: str, accelerator: str, limits: FloatArray, throughput_rps: FloatArray
) -> Figure:
    """Return the same picture from limits, ascending, and throughputs; NaN for none."""
    where = f"{label(server)} on {label(accelerator)}"
    if not np.isfinite(throughput_rps).any():
        return message_figure(where, "No batch limit keeps the targets.")
    plateau = float(np.nanmax(throughput_rps))
    near = int(np.argmax(throughput_rps >= (1.0 - TOLERANCE) * plateau))
    chosen, carried = int(limits[near]), float(throughput_rps[near])
    finding = _finding(chosen, int(limits[-1]), carried / plateau)
    figure = blank_figure(7.5, 3.8, f"{where}:\n{finding}")
    axes = figure.subplots()
    axes.axhspan(
        (1.0 - TOLERANCE) * plateau,
        plateau,
        color=SKY,
        alpha=0.45,
        linewidth=0,
        label=f"within {TOLERANCE:.0%} of the plateau, {number(plateau)} req/s",
    )
    axes.plot(
        limits, throughput_rps, color=BLUE, linewidth=1.8, label="largest throughput, f(batch)"
    )
    _mark_points(axes, limits, throughput_rps, chosen, carried)
    axes.set_ylim(0.0, plateau * 1.12)
    axes.set_xlim(0.0, max(float(limits[-1]) * 1.04, 2.0))
    dress(
        axes,
        xlabel="batch limit [requests in service]",
        ylabel="throughput of one replica [req/s]",
        grid="both",
    )
    axes.legend(loc="lower right", fontsize=SMALL, frameon=True, framealpha=0.9, edgecolor="none")
    return figure


def _finding(chosen: int, planned: int, share: float) -> str:
    if chosen == planned:
        return f"throughput within the targets rises up to the batch limit of the plan, {chosen}"
    return (
        f"a batch limit of {chosen} carries {share:.1%} of the most that any up to {planned} does"
    )


def _mark_points(
    axes: Axes, limits: FloatArray, throughput: FloatArray, chosen: int, carried: float
) -> None:
    planned = int(limits[-1])
    if np.isfinite(throughput[-1]):
        axes.plot(
            [planned],
            [throughput[-1]],
            linestyle="",
            marker="s",
            markersize=10,
            markerfacecolor="white",
            markeredgecolor=INK,
            label=f"limit in the plan: {planned}",
        )
    axes.plot(
        [chosen],
        [carried],
        linestyle="",
        marker="D",
        markersize=7,
        markerfacecolor=ORANGE,
        markeredgecolor=INK,
        label=f"smallest near the plateau: {chosen}",
    )
