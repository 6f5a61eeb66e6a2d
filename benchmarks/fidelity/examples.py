"""An example replica, for pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Picture

from benchmarks.fidelity.campaign import Progress, Settings
from benchmarks.fidelity.case import OperatingPoint, Replica
from benchmarks.fidelity.engine import in_service
from benchmarks.fidelity.plots import CurveData, curves_figure, states_figure
from benchmarks.fidelity.predicted import Analysis, Figure
from benchmarks.fidelity.report import Example
from benchmarks.fidelity.simulated import PERCENTS
from benchmarks.fidelity.work import Measured, Measuring, Watching, carried_out, saturation
from stoker.domain.profile import TokenWorkParameters

CHAT = Replica(
    family="example",
    parameters=TokenWorkParameters(7.0, 0.03, 3e-5),
    input_tokens=600.0,
    output_tokens=200.0,
    input_cv=1.0,
    output_cv=0.8,
    arrival_cv=1.0,
    max_batch=32,
    token_budget=2048,
    kv_tokens=None,
    prefix_hit_rate=0.0,
)
"""A chat of an 8B model on one card."""

SEED = 1
WATCHED = (0.4, 0.8, 0.94)
LOADS = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.88, 0.94)


def examples(settings: Settings, analysis: Analysis, progress: Progress) -> list[Example]:
    """Return the pictures of the example replica."""
    tasks = [
        Measuring(OperatingPoint(CHAT, load, SEED), settings.effort, settings.store)
        for load in LOADS
    ]
    with progress("the example", len(tasks)) as on_done:
        measured = carried_out(tasks, settings.jobs, on_done)
    return [
        Example(
            "example-load.png",
            _latency_over_load(measured, analysis),
            "One replica over its load: lines are predicted, dots simulated.",
        ),
        Example(
            "example-states.png",
            _states(settings, progress),
            "The same replica: share of time with each number of requests in service.",
        ),
    ]


def _states(settings: Settings, progress: Progress) -> Picture:
    points = [OperatingPoint(CHAT, load, SEED) for load in WATCHED]
    tasks = [Watching(point, 400_000, settings.store) for point in points]
    with progress("states", len(tasks)) as on_done:
        shares = carried_out(tasks, settings.jobs, on_done)
    panels = [
        (
            f"load {point.load:g}",
            np.array(simulated),
            in_service(CHAT, point.load * saturation(CHAT, SEED, settings.store)),
        )
        for point, simulated in zip(points, shares, strict=True)
    ]
    return states_figure(f"Requests in service, of {CHAT.max_batch} at most", panels)


def _latency_over_load(measured: Sequence[Measured], analysis: Analysis) -> Picture:
    saturated = measured[0].saturation_rps
    loads = np.linspace(0.02, 0.96, 48)
    predictions = analysis([CHAT] * len(loads), loads * saturated)
    figures: list[Figure] = [
        (latency, key)
        for latency in ("ttft", "itl")
        for key in ("mean", *(f"p{percent:g}" for percent in PERCENTS))
    ]
    data = CurveData(
        loads,
        {figure: predictions.figures[figure] for figure in figures},
        np.array([item.point.load for item in measured]),
        {figure: np.array([item.truth.value(*figure) for item in measured]) for figure in figures},
    )
    return curves_figure(
        f"Latency over load: batch limit {CHAT.max_batch}, {CHAT.input_tokens:g} tokens in "
        f"(CV {CHAT.input_cv:g}), {CHAT.output_tokens:g} out (CV {CHAT.output_cv:g})",
        data,
    )
