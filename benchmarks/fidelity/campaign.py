"""The whole comparison: draw, simulate, predict, size, simulate again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from benchmarks.fidelity.case import OperatingPoint
from benchmarks.fidelity.comparison import Comparison
from benchmarks.fidelity.drawing import published
from benchmarks.fidelity.predicted import Analysis
from benchmarks.fidelity.simulated import Effort, Precision
from benchmarks.fidelity.sizing import Checking, Sized, Sizer, promising
from benchmarks.fidelity.store import Store
from benchmarks.fidelity.work import Measuring, carried_out
from stoker.domain.profile import LinearParameters, TokenWorkParameters

Result = TypeVar("Result")

POINTS, SEED, SIZED = 400, 2026, 120

EFFORT = Effort(
    (
        Precision("ttft", "mean"),
        Precision("itl", "mean"),
        Precision("itl", "p95"),
        Precision("ttft", "p50"),
        Precision("ttft", "p90"),
        Precision("ttft", "p95"),
        Precision("ttft", "p99", 0.03),
        Precision("e2e", "mean"),
    )
)
"""A point is simulated until all judged figures are this precise."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to compare.

    Attributes:
        points: Operating points of the grid.
        seed: Of its drawing.
        sized: Replicas to size, the first of the grid.
        jobs: Processes that simulate.
        effort: How precisely the grid is simulated.
        most_runs: Independent runs of a point at most.
        store: Where results of simulations are kept.
    """

    points: int = POINTS
    seed: int = SEED
    sized: int = SIZED
    jobs: int = 1
    effort: Effort = EFFORT
    most_runs: int = 4
    store: Store = field(default_factory=Store)

    @property
    def is_published(self) -> bool:
        """Tell whether this is the published grid."""
        return (self.points, self.seed, self.sized, self.effort) == (POINTS, SEED, SIZED, EFFORT)


@dataclass(frozen=True, slots=True)
class Analyses:
    """What is judged.

    Attributes:
        full: The analysis of the engine.
        formulas: The same without its correction.
        reference: The one to compare with.
        size: Sizing by the analysis of the engine.
    """

    full: Analysis
    formulas: Analysis
    reference: Analysis
    size: Sizer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out.

    Attributes:
        settings: What was compared.
        full: The analysis of the engine beside the simulations.
        formulas: The same without its correction.
        reference: The other one, at the points whose parameters it knows.
        reference_rows: Which of all points those are.
        sized: Sized replicas in simulation.
        predicting_s: What predicting all points took.
    """

    settings: Settings
    full: Comparison
    formulas: Comparison
    reference: Comparison
    reference_rows: Sequence[int]
    sized: Sequence[Sized]
    predicting_s: float


class Progress(Protocol):
    """Shows how far a step is."""

    def __call__(self, title: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Show a step of that many tasks; the callback says that one is done."""
        ...


def run(settings: Settings, analyses: Analyses, progress: Progress) -> Outcome:
    """Carry out the comparison; what was simulated before is not simulated again."""
    points = published(settings.points, settings.seed)
    measured = _simulated(
        [Measuring(point, settings.effort, settings.store, settings.most_runs) for point in points],
        "operating points",
        settings,
        progress,
    )
    started = time.perf_counter()
    rates = np.array([item.truth.rate_rps for item in measured])
    full = Comparison(measured, analyses.full([point.replica for point in points], rates))
    predicting_s = time.perf_counter() - started
    formulas = Comparison(measured, analyses.formulas([point.replica for point in points], rates))
    known = [index for index, point in enumerate(points) if reference_knows(point)]
    reference = Comparison(
        [measured[index] for index in known],
        analyses.reference([points[index].replica for index in known], rates[known]),
    )
    promises = _simulated(
        promising(points[: settings.sized], settings.seed, settings.store),
        "targets",
        settings,
        progress,
    )
    sized = _simulated(
        [
            Checking(promise, float(rate), settings.store)
            for promise, rate in zip(promises, analyses.size(promises), strict=True)
        ],
        "sized replicas",
        settings,
        progress,
    )
    return Outcome(settings, full, formulas, reference, known, sized, predicting_s)


def reference_knows(point: OperatingPoint) -> bool:
    """Tell whether the reference has a formula for a point's parameters."""
    return isinstance(point.replica.parameters, TokenWorkParameters | LinearParameters)


def _simulated(
    tasks: Sequence[Callable[[], Result]], title: str, settings: Settings, progress: Progress
) -> list[Result]:
    with progress(title, len(tasks)) as on_done:
        return carried_out(tasks, settings.jobs, on_done)
