"""What a run would show: TTFT, ITL, E2E and throughput from the offered load alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from profiler.fit.candidate import Candidate
from profiler.fit.first_token import first_token_ms
from profiler.fit.median import above_median_ms
from profiler.fit.mixture import Mixture, decode_steps, mixture
from profiler.fit.operating import Operating, operate
from profiler.fit.points import Points
from profiler.fit.ramp import ramp
from queueing.arrays import BoolArray, FloatArray, IntArray
from stoker.domain.measurement import Measurement


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Predictions; arrays (points,). NaN is unknown.

    Attributes:
        ttft_ms: mean; NaN where an open loop never settles and neither the length of the run nor
            a limit on requests in flight is known.
        ttft_p50_ms: median; in closed loops that of requests outside of waves is not told apart.
        itl_ms: mean time between tokens.
        e2e_ms: arrival to last token.
        throughput_rps: requests completed per second in the steady state.
        concurrency: requests in the system.
        saturated: whether more is offered than the engine carries.
    """

    ttft_ms: FloatArray
    ttft_p50_ms: FloatArray
    itl_ms: FloatArray
    e2e_ms: FloatArray
    throughput_rps: FloatArray
    concurrency: FloatArray
    saturated: BoolArray

    def typical_ttft_ms(self, rows: Sequence[Measurement]) -> FloatArray:
        """Return what `LatencyFigures.typical_ms` of the rows compares with, (points,).

        That is the median where a row has one, and the mean elsewhere.
        """
        median = [row.ttft.p50_ms is not None for row in rows]
        return np.where(median, self.ttft_p50_ms, self.ttft_ms)


def forecast(points: Points, candidate: Candidate) -> Forecast:
    """Predict runs from the load offered, the lengths and, where known, their duration."""
    steady = operate(points, candidate)
    ttft, gap = steady.ttft_ms + _queued_ms(points, steady), steady.iterations.gap_ms.copy()
    above = np.zeros(len(points))
    random = np.flatnonzero(~points.closed & (points.arrival_cv > 0.0))
    if len(random):
        above[random] = above_median_ms(
            points.take(random),
            candidate.take(random),
            steady.decoding[random],
            steady.iterations.take(random),
        )
    finite = np.flatnonzero(~points.closed & np.isfinite(points.duration_s))
    if len(finite):
        ttft[finite], gap[finite] = _finite(points, candidate, steady, finite)
    itl = np.maximum(gap + _beat_ms(points, steady.iterations, ttft), 0.1 * gap)
    e2e = ttft + decode_steps(points) * itl
    rate = 1000.0 * steady.iterations.rate_per_ms
    rate = np.where(points.closed | steady.saturated, rate, points.load)
    rate = np.where(points.static, points.load / e2e * 1000.0, rate)
    concurrency = np.where(points.closed, points.load, rate * e2e / 1000.0)
    return Forecast(ttft, ttft - above, itl, e2e, rate, concurrency, steady.saturated)


def itl_at_ms(
    points: Points, candidate: Candidate, decoding: FloatArray, ttft_ms: FloatArray
) -> FloatArray:
    """Return the mean ITL at a known decode batch: what the measured operating point implies."""
    iterations = mixture(points, candidate, decoding)
    gap = iterations.gap_ms
    return np.maximum(gap + _beat_ms(points, iterations, ttft_ms), 0.1 * gap)


def _queued_ms(points: Points, steady: Operating) -> FloatArray:
    """Return the wait for a place in the batch, where the load is more than it carries."""
    waiting = steady.excess / steady.iterations.rate_per_ms
    longest = _longest_ms(points, steady)
    endless = np.where(steady.saturated, np.where(np.isfinite(longest), longest, np.nan), 0.0)
    return np.where(points.closed, waiting, endless)


def _longest_ms(points: Points, steady: Operating) -> FloatArray:
    """Return the wait with as many requests in flight as the load generator allows."""
    rate = steady.iterations.rate_per_ms
    waiting = points.max_clients - steady.decoding - rate * steady.ttft_ms
    longest: FloatArray = np.maximum(waiting, 0.0) / rate
    return longest


def _finite(
    points: Points,
    candidate: Candidate,
    steady: Operating,
    rows: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Return TTFT and gap of open loops that were run for a known time."""
    some, assumed = points.take(rows), candidate.take(rows)
    settled = steady.take(rows)
    course = ramp(some, assumed, settled)
    ttft = first_token_ms(some, assumed, course.decoding, mixture(some, assumed, course.decoding))
    grown = np.minimum(1000.0 * settled.excess * course.queued_s, _longest_ms(some, settled))
    return ttft + grown, course.gap_ms


def _beat_ms(points: Points, iterations: Mixture, ttft_ms: FloatArray) -> FloatArray:
    """Return what constant arrivals add to the gap of a request, per token.

    A request that arrives on a beat of interval I meets the prefills at the beats between its
    TTFT and its E2E: E2E / I less a half on average if its TTFT is within the first interval, in
    place of the (E2E - TTFT) / I that it would meet at random.
    """
    regularity = np.clip(points.arrival_cv**2, 0.0, 1.0)
    beats = np.minimum(ttft_ms * points.load / 1000.0, 1.0) - 0.5
    prefill = iterations.loaded_ms - iterations.plain_ms
    extra = (1.0 - regularity) * beats * prefill / np.maximum(points.output_tokens - 1.0, 1.0)
    return np.where(points.closed | ~np.isfinite(ttft_ms), 0.0, extra)
