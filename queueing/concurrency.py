"""Concurrency search: the smallest batch limit that carries nearly as much as any.

f(N) is the throughput at the largest rate that keeps the targets with batch limit N. It levels
off: a limit below the level loses throughput, one far above it gains nothing and lets ITL slip
further in a surge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.batch_search import EXACT_UP_TO, SETTLED, Sized, search_limits
from queueing.block import STABLE_SHARE
from queueing.cases import ReplicaCases
from queueing.replica import OperatingPoint
from queueing.sizing import TPS_MARGIN, size
from queueing.targets import LatencyTargets

_ROWS_AT_ONCE = 1 << 17
_LIMITS_AT_ONCE = 1 << 19
_DRAWN_UP_TO = 512

_ClosedForm = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class NearPeakBatch:
    """Smallest near-peak batch limits: arrays (cases,), NaN and false where unknown.

    Attributes:
        valid: the case makes sense (`ReplicaCases.usable`).
        feasible: the targets can be kept with some batch limit.
        max_batch: the smallest limit whose throughput is within the tolerance of the plateau.
        throughput_rps: requests per second that it carries, f(max_batch).
        plateau_rps: the largest f over all limits.
        itl_bracket, ttft_bracket: largest batch whose closed-form ITL, and whose closed-form
            prefill, is within the target (at least 1; the case's limit without a target).
        point: all figures at the answer.
    """

    valid: BoolArray
    feasible: BoolArray
    max_batch: FloatArray
    throughput_rps: FloatArray
    plateau_rps: FloatArray
    itl_bracket: FloatArray
    ttft_bracket: FloatArray
    point: OperatingPoint


def smallest_near_peak_batch(
    cases: ReplicaCases,
    targets: LatencyTargets,
    tolerance: float = 0.02,
    *,
    exact_up_to: int = EXACT_UP_TO,
) -> NearPeakBatch:
    """Return, for each case, the smallest batch limit with throughput near the plateau.

    The limits are 1 up to ``cases.max_batch``; `queueing.batch_search` says which of them are
    sized, and why the others need not be.

    Args:
        cases: replicas; max_batch is the largest limit allowed.
        targets: what each must keep; one that is not set does not bind.
        tolerance: share of the plateau that may be given up, from 0 to below 1.
        exact_up_to: largest limit, at least 1, up to which every limit is sized.

    Raises:
        ValueError: the tolerance is out of its range, or the lengths differ.
    """
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance {tolerance}: from 0 to below 1")
    if len(targets) != len(cases):
        raise ValueError(f"{len(targets)} rows of targets for {len(cases)} cases")
    valid = cases.usable()
    itl_bracket = _bracket(cases, valid, targets.itl_ms, lambda part: part.service.itl_ms)
    ttft_bracket = _bracket(cases, valid, targets.ttft_ms, lambda part: part.service.prefill_ms)
    kept_up_to = np.minimum(itl_bracket, ttft_bracket)
    answer = np.full(len(cases), np.nan)
    plateau = np.full(len(cases), np.nan)
    for rows in _portions(cases, np.flatnonzero(valid)):
        answer[rows], plateau[rows] = _near_peak(
            cases.take(rows), targets.take(rows), kept_up_to[rows], 1.0 - tolerance, exact_up_to
        )
    feasible = np.isfinite(answer)
    chosen = size(_with_limit(cases, np.arange(len(cases)), answer), targets)
    return NearPeakBatch(
        valid=valid,
        feasible=feasible,
        max_batch=answer,
        throughput_rps=chosen.throughput_rps,
        plateau_rps=plateau,
        itl_bracket=itl_bracket,
        ttft_bracket=ttft_bracket,
        point=chosen.point,
    )


def batch_throughput_curve(
    cases: ReplicaCases, targets: LatencyTargets, row: int
) -> tuple[FloatArray, FloatArray]:
    """Return batch limits from 1 to N of one case and f of each, NaN where infeasible.

    All up to 512, and above it one in a hundred and N: a curve to draw.
    """
    case, target = cases.take(slice(row, row + 1)), targets.take(slice(row, row + 1))
    if not case.usable().all():
        return np.empty(0), np.empty(0)
    limits = _limits_to_draw(case.max_batch[0])
    owner = np.zeros(len(limits), dtype=np.int64)
    return limits, size(_with_limit(case, owner, limits), target.take(owner)).throughput_rps


def _near_peak(
    cases: ReplicaCases,
    targets: LatencyTargets,
    kept_up_to: FloatArray,
    share: float,
    exact_up_to: int,
) -> tuple[FloatArray, FloatArray]:
    """Return the smallest near-peak limit and the plateau of usable cases, NaN if infeasible.

    All cases are searched side by side: one sizing answers what each of them asks next.
    """
    answer, plateau = np.full((2, len(cases)), np.nan)
    caps = [_caps_rps(cases, targets, row) for row in range(len(cases))]
    least_above = [np.minimum.accumulate(cap[::-1])[::-1] for cap in caps]
    with np.errstate(all="ignore"):
        rises = cases.service.itl_rises_with_load(
            cases.max_batch, cases.input_tokens, cases.output_tokens
        )
    rises |= np.isnan(targets.itl_ms)
    searches = {
        row: search_limits(
            caps[row], int(kept_up_to[row]), share, exact_up_to, itl_rises=bool(rises[row])
        )
        for row in range(len(cases))
    }
    asked = {row: next(search) for row, search in searches.items()}
    while asked:
        owner = np.repeat(list(asked), [len(limits) for limits in asked.values()])
        limits = np.concatenate(list(asked.values()))
        least = np.array(
            [least_above[row][limit - 1] for row, limit in zip(owner, limits, strict=True)]
        )
        sized = _sized(cases, targets, owner, limits, least)
        start = 0
        for row, wanted in list(asked.items()):
            part = slice(start, start + len(wanted))
            start += len(wanted)
            try:
                asked[row] = searches[row].send(
                    Sized(sized.throughput_rps[part], sized.settled[part])
                )
            except StopIteration as end:
                answer[row], plateau[row] = end.value
                del asked[row]
    return answer, plateau


def _caps_rps(cases: ReplicaCases, targets: LatencyTargets, row: int) -> FloatArray:
    """Return the largest rate considered with each batch limit of one case."""
    states = np.arange(1.0, cases.max_batch[row] + 1.0)[:, None]
    one = cases.take(slice(row, row + 1))
    margin = TPS_MARGIN if targets.tps[row] > 0.0 else 1.0
    with np.errstate(all="ignore"):
        times: FloatArray = np.broadcast_to(one.service_time_ms(states), states.shape)
        caps: FloatArray = (1000.0 * STABLE_SHARE * margin) * (states / times)[:, 0]
    return caps


def _sized(
    cases: ReplicaCases,
    targets: LatencyTargets,
    owner: IntArray,
    limits: IntArray,
    least_cap_rps: FloatArray,
) -> Sized:
    """Size limits of cases, given the smallest cap of each limit and those above it.

    A request finds all slots busy with probability P(n ≥ N) = P(n = N) + P(n > N), which the mean
    in queue bounds: it is at least P(n > N) ≥ P(n = N + 1) = ρ·P(n = N). Without a queue it is
    the blocking. In a longer chain the states from N on have at most P/(1 - r) of it, r the rate
    over the smallest μ there, and requests in them at most N·P/(1 - r)².
    """
    goal = targets.take(owner)
    found = size(_with_limit(cases, owner, limits.astype(np.float64)), goal)
    point = found.point
    with np.errstate(all="ignore"):
        ratio = STABLE_SHARE * point.arrival_rate_rps / found.max_rate_rps
        queued = point.mean_in_queue * (1.0 + 1.0 / ratio)
        busy = np.where(cases.max_queue[owner] > 0.0, queued, point.blocking)
        room = 1.0 - point.arrival_rate_rps / least_cap_rps
        settled = (room > 0.0) & (limits * busy <= SETTLED * room * room)
    return Sized(found.throughput_rps, settled)


def _limits_to_draw(largest: float) -> FloatArray:
    exact = np.arange(1.0, min(largest, _DRAWN_UP_TO) + 1.0)
    if largest <= _DRAWN_UP_TO:
        return exact
    steps = int(np.ceil(np.log(largest / _DRAWN_UP_TO) / 0.01))
    sampled = np.unique(np.floor(np.geomspace(_DRAWN_UP_TO + 1.0, largest, steps + 1)))
    return np.concatenate([exact, sampled[:-1], [largest]])


def _with_limit(cases: ReplicaCases, owner: IntArray, limits: FloatArray) -> ReplicaCases:
    return ReplicaCases(
        service=cases.service.take(owner),
        input_tokens=cases.input_tokens[owner],
        output_tokens=cases.output_tokens[owner],
        max_batch=limits,
        max_queue=cases.max_queue[owner],
    )


def _portions(cases: ReplicaCases, rows: IntArray) -> list[IntArray]:
    """Cut the rows so that the batch limits of a portion are no more than fit in some megabytes."""
    if not len(rows):
        return []
    total = np.cumsum(cases.max_batch[rows])
    cuts = np.flatnonzero(np.diff(total // _LIMITS_AT_ONCE) > 0.0) + 1
    return np.split(rows, cuts)


def _bracket(
    cases: ReplicaCases,
    valid: BoolArray,
    target_ms: FloatArray,
    closed_form: Callable[[ReplicaCases], _ClosedForm],
) -> FloatArray:
    """Return the largest batch whose closed form is within the target."""
    bracket = np.where(valid, cases.max_batch, np.nan)
    for rows in _portions(cases, np.flatnonzero(valid & ~np.isnan(target_ms))):
        part = cases.take(rows)
        largest = np.ones(len(rows))
        step = max(1, _ROWS_AT_ONCE // len(rows))
        for first in range(1, int(part.max_batch.max()) + 1, step):
            batches = np.arange(first, first + step, dtype=np.float64)[:, None]
            value = closed_form(part)(batches, part.input_tokens, part.output_tokens)
            within = (value <= target_ms[rows]) & (batches <= part.max_batch)
            largest = np.maximum(largest, np.where(within, batches, 1.0).max(axis=0))
        bracket[rows] = largest
    return bracket
