"""How far predictions are from measurements, also of rows that the fit did not see."""

from __future__ import annotations

import numpy as np

from profiler.fit.forecast import forecast
from profiler.fit.observations import Observations
from profiler.fit.parameters import Family
from profiler.fit.points import Points
from profiler.fit.result import FitError
from profiler.fit.solve import Fitted, solve
from queueing.arrays import FloatArray, IntArray

_LARGEST = 1e4


def errors(fitted: Fitted, points: Points, observed: Observations) -> tuple[FloatArray, FloatArray]:
    """Return the relative errors of TTFT and ITL, (points,); NaN where nothing was measured.

    A load that the model takes for endless counts with the excess of what it can carry.
    """
    predicted = forecast(points, fitted.candidate(len(points)))
    typical = np.where(observed.median, predicted.ttft_p50_ms, predicted.ttft_ms)
    ttft = np.abs(typical / observed.ttft_ms - 1.0)
    endless = np.isfinite(observed.ttft_ms) & ~np.isfinite(predicted.ttft_ms)
    ttft = np.where(endless, np.maximum(points.load / predicted.throughput_rps, 1.0), ttft)
    itl = np.abs(predicted.itl_ms / observed.itl_ms - 1.0)
    return np.minimum(ttft, _LARGEST), np.minimum(itl, _LARGEST)


def summarize(ttft: FloatArray, itl: FloatArray) -> FitError:
    """Return the means over the points where something was measured."""
    known = np.isfinite(ttft) | np.isfinite(itl)
    return FitError(_mean(ttft), _mean(itl), int(np.sum(known)))


def cross_validate(
    family: Family,
    points: Points,
    observed: Observations,
    folds: IntArray,
    whole: Fitted,
) -> tuple[FitError, int]:
    """Return the errors of rows predicted by fits without their fold, and the number of folds.

    Each is solved anew from a rough start and from the fit to all rows, which saves time; that of
    the lower cost on its own rows counts.
    """
    ttft, itl = np.full(len(points), np.nan), np.full(len(points), np.nan)
    numbers = np.unique(folds[observed.scored])
    for number in numbers:
        out = folds == number
        kept = np.flatnonzero(~out)
        held = np.flatnonzero(out)
        fitted = solve(family, points.take(kept), observed.take(kept), near=whole)
        ttft[held], itl[held] = errors(fitted, points.take(held), observed.take(held))
    return summarize(ttft, itl), len(numbers)


def _mean(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.mean(known)) if len(known) else None
