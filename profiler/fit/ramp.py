"""Open-loop runs that end before, or soon after, the engine reaches its steady state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from profiler.fit.candidate import Candidate
from profiler.fit.mixture import mixture
from profiler.fit.operating import Operating
from profiler.fit.points import Points
from queueing.arrays import FloatArray

_STATES = 48
_TIMES = 40


@dataclass(frozen=True, slots=True, eq=False)
class Ramp:
    """What the requests completed in a finite run see; arrays (points,).

    Attributes:
        gap_ms: mean gap between tokens, over the requests.
        decoding: decode batch that the median request arrives at.
        queued_s: how long, when the median request arrives, the batch has been full.
    """

    gap_ms: FloatArray
    decoding: FloatArray
    queued_s: FloatArray


def ramp(points: Points, candidate: Candidate, steady: Operating) -> Ramp:
    """Follow the decode batch from an empty engine to its steady state.

    With K output tokens and residual length K_r = K (1 + cv²) / 2 the batch n grows by
    λ - n / (K gap(n)) relaxed over K_r / K of a lifetime: dn/dt = (λ K gap(n) - n) / (K_r gap(n)).
    So the time to reach each n is an integral over n, one pass of the iteration model. Requests
    that start in the first lifetime or would end after the run count less: a trapezoid of weights
    over the run.
    """
    levels = 1.0 - (1.0 - np.linspace(0.0, 1.0, _STATES + 1)) ** 3
    levels[-1] = 1.0 - 1e-6
    batches = levels[:, None] * steady.decoding
    gaps = mixture(points, candidate, batches).gap_ms
    reach_s = _reach_s(points, batches, gaps)
    duration = points.duration_s
    life_s = np.minimum(points.output_tokens * steady.iterations.gap_ms / 1000.0, 0.5 * duration)
    when_s = ((np.arange(_TIMES) + 0.5) / _TIMES)[:, None] * duration
    weights = np.minimum(np.minimum(when_s, duration - when_s) / life_s, 1.0)
    passed = _interpolate(reach_s, gaps, when_s)
    arrival_s = 0.5 * (duration - life_s)
    return Ramp(
        np.sum(weights * passed, axis=0) / np.sum(weights, axis=0),
        _interpolate(reach_s, batches, arrival_s[None, :])[0],
        np.where(steady.saturated, np.maximum(arrival_s - reach_s[-1], 0.0), 0.0),
    )


def _reach_s(points: Points, batches: FloatArray, gaps: FloatArray) -> FloatArray:
    """Return when each batch is reached, in s."""
    output = points.output_tokens
    residual = 0.5 * output * (1.0 + points.output_cv**2)
    drive = points.load / 1000.0 * output * gaps - batches
    slow_ms = residual * gaps / np.maximum(drive, 1e-9 * np.maximum(batches[-1], 1e-9))
    steps = 0.5 * (slow_ms[1:] + slow_ms[:-1]) * np.diff(batches, axis=0)
    start = np.zeros((1, len(points)))
    reached: FloatArray = np.concatenate([start, np.cumsum(steps, axis=0)]) / 1000.0
    return reached


def _interpolate(x: FloatArray, y: FloatArray, at: FloatArray) -> FloatArray:
    """Return y at the given x, column by column, constant beyond the ends; x ascends."""
    above = np.clip(np.sum(x[:, None, :] <= at[None, :, :], axis=0), 1, len(x) - 1)
    column = np.arange(x.shape[1])
    x0, x1 = x[above - 1, column], x[above, column]
    y0, y1 = y[above - 1, column], y[above, column]
    share = np.clip((at - x0) / np.maximum(x1 - x0, 1e-300), 0.0, 1.0)
    value: FloatArray = y0 + share * (y1 - y0)
    return value
