"""A simulated replica: latency over time, and its distributions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulator import RequestStatus, Run, Summary
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
    message_figure,
    number,
    spread,
)

_WINDOWS = 60
_DOTS = 4000
_MARKED = (50.0, 95.0)


def over_time_figure(run: Run) -> Figure:
    """Return TTFT and ITL of the requests over their arrival, and the state of the replicas.

    Dots are single requests (of many, evenly chosen ones), lines the median and the 95th
    percentile of windows of equal numbers of requests; grey ends are left out of all statistics.
    """
    records = run.records
    done = np.flatnonzero(records.status == RequestStatus.DONE)
    title = f"Simulation of {len(records):,} requests over time"
    if not len(done):
        return message_figure(title, "No request was completed.")
    figure = blank_figure(8.0, 8.0, title)
    rows = figure.subplots(4, 1, sharex=True, height_ratios=(3, 3, 2, 2))
    arrival_s = records.arrival_ms / 1000
    _draw_requests(rows[0], arrival_s[done], records.ttft_ms[done], "TTFT", BLUE)
    _draw_requests(rows[1], arrival_s[done], records.itl_ms[done], "ITL", VERMILION)
    series = run.series
    at_s = series.at_ms / 1000
    rows[2].plot(at_s, series.batch, color=BLUE, linewidth=0.8, label="in service")
    rows[2].plot(at_s, series.waiting, color=ORANGE, linewidth=0.8, linestyle="--", label="waiting")
    dress(rows[2], ylabel="requests", grid="both")
    rows[3].plot(at_s, series.kv_blocks, color=INK, linewidth=0.8, label="KV blocks in use")
    if run.kv_blocks is not None:
        rows[3].axhline(
            run.kv_blocks, color=VERMILION, linestyle=":", label="KV blocks of a replica"
        )
    dress(rows[3], xlabel="time of arrival [s]", ylabel="KV blocks", grid="both")
    left_out = (arrival_s[: run.measured.start], arrival_s[run.measured.stop :])
    for axes in rows:
        for part in left_out:
            if len(part) > 1:
                axes.axvspan(float(part.min()), float(part.max()), color=RULE, alpha=0.3, zorder=0)
        axes.legend(loc="upper right", fontsize=SMALL, framealpha=0.9, edgecolor=RULE)
    return figure


def _draw_requests(
    axes: Axes,
    arrival_s: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    values_ms: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    name: str,
    colour: str,
) -> None:
    known = np.isfinite(values_ms)
    arrival_s, values_ms = arrival_s[known], values_ms[known]
    if not len(values_ms):
        dress(axes, ylabel=f"{name} [ms]")
        axes.plot([], [], label="no request of two tokens or more")
        return
    some = slice(None, None, max(1, len(values_ms) // _DOTS))
    axes.plot(
        arrival_s[some], values_ms[some], ".", color=RULE, markersize=2, label="requests", zorder=1
    )
    windows = [part for part in np.array_split(np.argsort(arrival_s), _WINDOWS) if len(part)]
    middle = [float(arrival_s[part].mean()) for part in windows]
    for percent, style in zip(_MARKED, ("-", "--"), strict=True):
        line = [float(np.percentile(values_ms[part], percent)) for part in windows]
        axes.plot(middle, line, style, color=colour, linewidth=1.5, label=f"p{percent:g}")
    _scale(axes, values_ms[some].tolist(), name)


def _scale(axes: Axes, values: list[float], name: str) -> None:
    if spread(values) > LOG_FROM:
        log_axis(axes, "y", values)
        dress(axes, ylabel=f"{name} [ms], log scale", grid="both")
    else:
        axes.set_ylim(0.0, max(values) * 1.15)
        dress(axes, ylabel=f"{name} [ms]", grid="both")


def distributions_figure(run: Run, summary: Summary) -> Figure:
    """Return the share of requests (for the ITL, also of tokens) above any latency.

    The vertical axis is logarithmic: 0.05 is the 95th percentile, 0.01 the 99th.
    """
    title = f"Latency of {summary.requests:,} measured requests"
    records, part = run.records, run.measured
    served = records.status[part] == RequestStatus.DONE
    if not served.any():
        return message_figure(title, "No request was completed.")
    figure = blank_figure(11.0, 3.8, title)
    left, middle, right = figure.subplots(1, 3, sharey=True)
    _draw_tail(left, records.ttft_ms[part][served], BLUE, "requests")
    _draw_tail(middle, records.itl_ms[part][served], VERMILION, "of a request")
    gaps = run.token_gaps
    total = int(gaps.tokens.sum())
    if total:
        above = 1 - np.cumsum(gaps.tokens) / total
        held = np.flatnonzero(gaps.tokens)
        shown = slice(int(held[0]), int(held[-1]) + 1)
        edges_ms = gaps.edges_ms[1:][shown]
        middle.plot(edges_ms, above[shown], "--", color=INK, linewidth=1.2, label="of a token")
        if spread(edges_ms.tolist()) > LOG_FROM:
            log_axis(middle, "x", edges_ms.tolist())
    _draw_tail(right, records.e2e_ms[part][served], ORANGE, "requests")
    left.set_yscale("log")
    left.set_ylim(max(0.5 / int(served.sum()), 1e-5), 1.0)
    for axes, name in ((left, "TTFT"), (middle, "ITL"), (right, "E2E")):
        ylabel = "share above" if axes is left else ""
        dress(axes, xlabel=f"{name} [ms]", ylabel=ylabel, grid="both")
        axes.legend(loc="lower left", fontsize=SMALL, framealpha=0.9, edgecolor=RULE)
    return figure


def _draw_tail(
    axes: Axes,
    values_ms: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    colour: str,
    label: str,
) -> None:
    known = np.sort(values_ms[np.isfinite(values_ms)])
    if not len(known):
        return
    above = 1 - np.arange(1, len(known) + 1) / len(known)
    mean = number(float(known.mean()))
    axes.plot(known, above, color=colour, linewidth=1.6, label=f"{label}, mean {mean} ms")
    if spread(known[:: max(1, len(known) // 100)].tolist()) > LOG_FROM:
        log_axis(axes, "x", [float(known[known > 0][0]), float(known[-1])])
