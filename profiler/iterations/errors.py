"""How far a fitted model is off each iteration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from profiler.iterations.fitting import times_of
from profiler.iterations.result import IterationFit
from profiler.iterations.states import States
from stoker.domain.timing import CaseTiming, IterationKind


@dataclass(frozen=True, slots=True)
class Residual:
    """The error of one iteration.

    Attributes:
        kind: What it computes.
        time_ms: Its measured time.
        error: Predicted over measured, less 1.
    """

    kind: IterationKind
    time_ms: float
    error: float


def residuals(fit: IterationFit, timings: Iterable[CaseTiming]) -> tuple[Residual, ...]:
    """Return the errors of a fit over timed iterations; none where the fit was refused."""
    states = States.of(timings)
    if fit.parameters is None or not len(states):
        return ()
    times = times_of(fit.parameters, len(states)).iteration_ms(*states.places)
    kinds = [
        next(kind for kind in IterationKind if states.of_kind(kind)[row])
        for row in range(len(states))
    ]
    return tuple(
        Residual(kind, float(measured), float(time / measured - 1.0))
        for kind, measured, time in zip(kinds, states.time_ms, times, strict=True)
    )
