"""Latency of one replica over its load, means and percentiles, by the analysis of the engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from queueing.arrays import FloatArray
from queueing.engine import analyze_engine, size_engine
from stoker.cli.plots.engine_replica import EngineReplica
from stoker.cli.plots.style import (
    BLUE,
    INK,
    LOG_FROM,
    ORANGE,
    RULE,
    SKY,
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
from stoker.domain.latency import Latency, Statistic

_SHOWN = (50.0, 95.0)
"""Percentiles that are drawn in any case; those that are promised come with them."""

_POINTS = 120
_LAST = 0.995
"""Share of the saturation throughput up to which curves are drawn."""

_LINES = {None: (BLUE, "-"), 50.0: (SKY, "--"), 95.0: (VERMILION, "-.")}
_OTHER = (ORANGE, (0, (5, 1, 1, 1, 1, 1)))


def engine_load_figure(replica: EngineReplica) -> Figure:
    """Return mean, p50 and p95 of TTFT and of ITL by request over the arrival rate.

    E2E has a panel where it is promised. Horizontal lines are the targets; upright ones the rate
    in the plan, the largest rate within the targets, and saturation.
    """
    where = f"{label(replica.server)} on {label(replica.accelerator)}"
    percentiles = tuple(
        sorted({*_SHOWN, *(s.percentile for s, _ in replica.limits_ms if s.percentile)})
    )
    saturation = float(analyze_engine(replica.case, replica.arrival_rate_rps, ()).saturation_rps[0])
    if not (replica.case.usable()[0] and np.isfinite(saturation) and saturation > 0.0):
        return message_figure(where, "The replica cannot be analysed.")
    rates = np.linspace(0.01, _LAST, _POINTS) * saturation
    cases = replica.case.take(np.zeros(_POINTS, dtype=np.int64))
    point = analyze_engine(cases, rates, percentiles)
    sizing = size_engine(replica.case, replica.targets())
    largest = float(sizing.rate_rps[0]) if sizing.feasible[0] and replica.limits_ms else None
    promised = {statistic.latency for statistic, _ in replica.limits_ms}
    shown = [Latency.TTFT, Latency.ITL, *({Latency.E2E} & promised)]
    figure = blank_figure(
        7.5, 1.1 + 2.7 * len(shown), f"{where}:\n{_finding(replica, largest, saturation)}"
    )
    answers = {Latency.TTFT: point.ttft, Latency.ITL: point.itl, Latency.E2E: point.e2e}
    panels: list[Axes] = list(figure.subplots(len(shown), 1, sharex=True))
    for axes, latency in zip(panels, shown, strict=True):
        answer = answers[latency]
        curves: dict[float | None, FloatArray] = {None: answer.mean_ms}
        curves.update(zip(percentiles, answer.at_ms, strict=True))
        _draw(axes, replica, latency, rates, curves)
        _mark(axes, replica.arrival_rate_rps, largest, saturation, named=axes is panels[0])
        axes.legend(loc="best", fontsize=SMALL, frameon=True, framealpha=0.9, edgecolor=RULE)
    panels[0].set_xlim(0.0, max(saturation, replica.arrival_rate_rps) * 1.04)
    panels[-1].set_xlabel("arrival rate [req/s]", fontsize=9.0, color=INK)
    return figure


def _finding(replica: EngineReplica, largest: float | None, saturation: float) -> str:
    carries = f"saturated at {number(saturation)} req/s"
    if not replica.limits_ms:
        return f"no targets; {carries}"
    if largest is None:
        return f"no rate keeps its targets; {carries}"
    return f"targets kept up to {number(largest)} req/s, {carries}"


def _draw(
    axes: Axes,
    replica: EngineReplica,
    latency: Latency,
    rates_rps: FloatArray,
    curves: Mapping[float | None, FloatArray],
) -> None:
    """Draw the curves of one latency and its targets; points without a figure are left out."""
    levels: list[float] = []
    for percentile, values_ms in curves.items():
        known = np.isfinite(values_ms)
        colour, style = _LINES.get(percentile, _OTHER)
        axes.plot(
            rates_rps[known],
            values_ms[known],
            color=colour,
            linestyle=style,
            linewidth=1.8,
            label=Statistic(latency, percentile).name,
        )
        levels.extend(values_ms[known].tolist())
    if not levels:
        axes.text(0.5, 0.5, "none: one output token", transform=axes.transAxes, ha="center")
    for statistic, limit_ms in replica.limits_ms:
        if statistic.latency is latency:
            colour = _LINES.get(statistic.percentile, _OTHER)[0]
            axes.axhline(
                limit_ms,
                color=colour,
                linestyle=":",
                linewidth=1.6,
                label=f"target: {statistic.name} ≤ {number(limit_ms)} ms",
            )
            levels.append(limit_ms)
    name = f"{latency.short} by request" if latency is Latency.ITL else latency.short
    scale = ""
    if spread(levels) > LOG_FROM:
        log_axis(axes, "y", levels)
        scale = ", log scale"
    elif levels:
        axes.set_ylim(0.0, max(levels) * 1.15)
    dress(axes, ylabel=f"{name} [ms]{scale}", grid="both")


def _mark(
    axes: Axes, planned: float, largest: float | None, saturation: float, *, named: bool
) -> None:
    """Draw the upright lines; one panel names them for all."""
    marks = [("in the plan", planned, "--", 1.0), ("saturation", saturation, "-", 2.2)]
    if largest is not None:
        marks.insert(1, ("targets kept up to", largest, "-.", 1.0))
    for words, rate_rps, style, width in marks:
        axes.axvline(
            rate_rps,
            color=INK,
            linestyle=style,
            linewidth=width,
            label=words if named else "_nolegend_",
        )
