"""Pictures of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from benchmarks.fidelity.comparison import LOADED, Comparison
from benchmarks.fidelity.predicted import Figure
from benchmarks.fidelity.regimes import Regime, regimes
from queueing.arrays import FloatArray
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
    log_axis,
    spread,
)

_SHOWN: tuple[tuple[str, Figure], ...] = (
    ("mean TTFT", ("ttft", "mean")),
    ("p99 TTFT", ("ttft", "p99")),
    ("mean ITL", ("itl", "mean")),
    ("p95 ITL by request", ("itl", "p95")),
)
_LARGEST = 1.0
"""Errors beyond are drawn at the edge."""


def scatter_figure(comparison: Comparison) -> Picture:
    """Return predicted against simulated latencies, one dot for each point."""
    figure = blank_figure(
        8.5, 7.6, "Predicted against simulated latency (dotted: 25% over, 20% under)"
    )
    loaded = comparison.loads > LOADED
    for axes, (name, which) in zip(figure.subplots(2, 2).flat, _SHOWN, strict=True):
        truth = comparison.simulated(which)
        predicted = comparison.predicted(which)
        known = np.isfinite(truth) & np.isfinite(predicted)
        for rows, colour, marker, text in (
            (known & ~loaded, BLUE, "o", f"load up to {LOADED:g}"),
            (known & loaded, ORANGE, "^", "above"),
        ):
            axes.scatter(
                truth[rows], predicted[rows], s=11, color=colour, marker=marker, alpha=0.7,
                linewidths=0, label=text,
            )  # fmt: skip
        ends = _ends(np.concatenate([truth[known], predicted[known]]))
        axes.plot(ends, ends, color=INK, linewidth=0.8)
        for factor in (0.8, 1.25):
            axes.plot(ends, ends * factor, color=INK, linewidth=0.6, linestyle=":")
        log_axis(axes, "x", [*ends])
        log_axis(axes, "y", [*ends])
        axes.set_title(name, fontsize=SMALL + 1, loc="left")
        dress(axes, xlabel="simulated, ms", ylabel="predicted, ms", grid="both")
    figure.axes[0].legend(fontsize=SMALL, frameon=False, loc="upper left")
    return figure


def load_figure(comparison: Comparison) -> Picture:
    """Return signed errors over the load, with median and middle 80% of its tenths."""
    figure = blank_figure(8.5, 6.4, "Error by load")
    for axes, (name, which) in zip(figure.subplots(2, 2, sharex=True).flat, _SHOWN, strict=True):
        _draw_over_load(axes, comparison.loads, comparison.signed(which))
        axes.set_title(name, fontsize=SMALL + 1, loc="left")
        dress(
            axes, xlabel="share of the saturation throughput", ylabel="predicted / simulated - 1",
            grid="y",
        )  # fmt: skip
    return figure


def _draw_over_load(axes: Axes, loads: FloatArray, error: FloatArray) -> None:
    known = ~np.isnan(error)
    loads, error = loads[known], np.clip(error[known], -_LARGEST, _LARGEST)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.axvline(LOADED, color=RULE, linewidth=0.8, linestyle="--")
    axes.scatter(loads, error, s=9, color=BLUE, alpha=0.5, linewidths=0)
    edges = np.linspace(0.1, 0.95, 11)
    middles = (edges[1:] + edges[:-1]) / 2
    bands = [error[(loads > low) & (loads <= high)] for low, high in pairwise(edges)]
    filled = [index for index, band in enumerate(bands) if len(band)]
    low, median, high = (
        [float(np.percentile(bands[index], percent)) for index in filled]
        for percent in (10, 50, 90)
    )
    axes.fill_between(middles[filled], low, high, color=ORANGE, alpha=0.25, linewidth=0)
    axes.plot(middles[filled], median, color=VERMILION, linewidth=1.5)
    reach = max(0.1, 1.2 * float(np.percentile(np.abs(error), 97)))
    axes.set_ylim(-reach, reach)


def regimes_figure(comparison: Comparison) -> Picture:
    """Return median and 90th percentile of the errors by regime, up to the load of the limits."""
    shown: tuple[tuple[str, Figure, str, str], ...] = (
        ("mean ITL", ("itl", "mean"), BLUE, "o"),
        ("mean TTFT", ("ttft", "mean"), ORANGE, "s"),
        ("p99 TTFT", ("ttft", "p99"), VERMILION, "^"),
    )
    quiet = comparison.quiet()
    drawn: list[Regime] = [
        regime for regime in regimes() if (regime.rows(comparison.measured) & quiet).any()
    ]
    figure = blank_figure(8.5, 0.27 * len(drawn) + 1.4, f"Error by regime, loads up to {LOADED:g}")
    axes = figure.subplots()
    places = np.arange(len(drawn))[::-1]
    for offset, (name, which, colour, marker) in zip((0.22, 0.0, -0.22), shown, strict=True):
        errors = [
            comparison.errors(which, regime.rows(comparison.measured) & quiet) for regime in drawn
        ]
        median = np.minimum([item.median for item in errors], _LARGEST)
        high = np.minimum([item.high for item in errors], _LARGEST)
        axes.hlines(places + offset, median, high, color=colour, linewidth=1.2)
        axes.plot(
            median, places + offset, marker, color=colour, markersize=4.5, label=f"{name}: median"
        )
        axes.plot(high, places + offset, "|", color=colour, markersize=6)
    axes.plot([], [], "|", color=INK, markersize=6, label="90th percentile")
    axes.set_yticks(places, [f"{regime.group}: {regime.name}" for regime in drawn])
    for before, (one, two) in enumerate(pairwise(drawn)):
        if one.group != two.group:
            axes.axhline(places[before] - 0.5, color=RULE, linewidth=0.6)
    axes.set_xlim(0, None)
    axes.set_ylim(-0.8, len(drawn) - 0.2)
    dress(axes, xlabel="absolute relative error", grid="x")
    axes.legend(fontsize=SMALL, loc="lower right")
    return figure


@dataclass(frozen=True, slots=True)
class CurveData:
    """Latencies of one replica over its load.

    Attributes:
        loads: Where it was predicted, as shares of the saturation throughput.
        predicted: By figure, shape (loads,).
        simulated_loads: Where it was simulated.
        simulated: By figure, shape (simulated_loads,).
    """

    loads: FloatArray
    predicted: dict[Figure, FloatArray]
    simulated_loads: FloatArray
    simulated: dict[Figure, FloatArray]


def curves_figure(title: str, data: CurveData) -> Picture:
    """Return mean and percentiles of TTFT and ITL over the load: lines, with simulated dots."""
    figure = blank_figure(8.5, 3.9, title)
    styles = (
        ("mean", INK, "-"),
        ("p50", BLUE, "--"),
        ("p95", ORANGE, "-."),
        ("p99", VERMILION, ":"),
    )
    for axes, latency, name in zip(
        figure.subplots(1, 2), ("ttft", "itl"), ("TTFT", "ITL by request"), strict=True
    ):
        for key, colour, line in styles:
            which = (latency, key)
            axes.plot(data.loads, data.predicted[which], line, color=colour, label=key)
            axes.plot(
                data.simulated_loads, data.simulated[which], "o", color=colour, markersize=3.5
            )
        values = [*data.predicted[latency, "mean"], *data.simulated[latency, "p99"]]
        if spread(values) > LOG_FROM:
            log_axis(axes, "y", values)
        axes.set_title(name, fontsize=SMALL + 1, loc="left")
        dress(axes, xlabel="share of the saturation throughput", ylabel="ms", grid="both")
    figure.axes[0].plot([], [], "o", color=INK, markersize=3.5, label="simulated")
    figure.axes[0].legend(fontsize=SMALL, frameon=False, loc="upper left")
    return figure


def states_figure(title: str, panels: Sequence[tuple[str, FloatArray, FloatArray]]) -> Picture:
    """Return how often a replica serves 0, 1, ... requests: simulated bars, predicted dots.

    Args:
        title: Of the picture.
        panels: For each panel its name, and the share of time in each state, simulated and
            predicted.
    """
    figure = blank_figure(8.5, 3.6, title)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, simulated, predicted) in zip(row, panels, strict=True):
        places = np.arange(len(simulated))
        axes.bar(places, simulated, width=1.0, color=BLUE, alpha=0.45, label="simulated")
        axes.plot(places, predicted, "o-", color=VERMILION, markersize=3, linewidth=0.8,
            label="predicted")  # fmt: skip
        axes.set_title(name, fontsize=SMALL + 1, loc="left")
        dress(axes, xlabel="requests in service", ylabel="share of time", grid="y")
    row[0].legend(fontsize=SMALL, frameon=False)
    return figure


def _ends(values: FloatArray) -> FloatArray:
    return np.array([0.7 * values.min(initial=1e9), 1.4 * values.max(initial=1e-9)])
