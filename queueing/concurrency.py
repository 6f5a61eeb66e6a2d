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
from queueing.cases import ReplicaCases
from queueing.replica import OperatingPoint
from queueing.sizing import size
from queueing.targets import LatencyTargets

EXACT_UP_TO = 2048
"""Batch limits are all evaluated up to this one; above it one in a hundred at first."""

_ROWS_AT_ONCE = 1 << 17

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
    cases: ReplicaCases, targets: LatencyTargets, tolerance: float = 0.02
) -> NearPeakBatch:
    """Return, for each case, the smallest batch limit with throughput near the plateau.

    The limits tried are 1 up to ``cases.max_batch``. Beyond `EXACT_UP_TO` every hundredth part is
    tried, and then each limit between the last one below the answer and the answer.

    Args:
        cases: replicas; max_batch is the largest limit allowed.
        targets: what each must keep; one that is not set does not bind.
        tolerance: share of the plateau that may be given up, from 0 to below 1.

    Raises:
        ValueError: the tolerance is out of its range, or the lengths differ.
    """
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance {tolerance}: from 0 to below 1")
    if len(targets) != len(cases):
        raise ValueError(f"{len(targets)} rows of targets for {len(cases)} cases")
    valid = cases.usable()
    answer = np.full(len(cases), np.nan)
    plateau = np.full(len(cases), np.nan)
    for rows in _portions(cases, np.flatnonzero(valid)):
        answer[rows], plateau[rows] = _near_peak(
            cases.take(rows), targets.take(rows), 1.0 - tolerance
        )
    feasible = np.isfinite(answer)
    chosen = size(_with_limit(cases, np.arange(len(cases)), answer), targets)
    return NearPeakBatch(
        valid=valid,
        feasible=feasible,
        max_batch=answer,
        throughput_rps=chosen.throughput_rps,
        plateau_rps=plateau,
        itl_bracket=_bracket(cases, valid, targets.itl_ms, lambda part: part.service.itl_ms),
        ttft_bracket=_bracket(cases, valid, targets.ttft_ms, lambda part: part.service.prefill_ms),
        point=chosen.point,
    )


def batch_throughput_curve(
    cases: ReplicaCases, targets: LatencyTargets, row: int
) -> tuple[FloatArray, FloatArray]:
    """Return the batch limits 1..N tried for one case and f of each, NaN where infeasible.

    Above `EXACT_UP_TO` the limits are those a hundredth part apart.
    """
    case, target = cases.take(slice(row, row + 1)), targets.take(slice(row, row + 1))
    if not case.usable().all():
        return np.empty(0), np.empty(0)
    limits = _limits_to_try(case.max_batch[0])
    return limits, _throughput(case, target, np.zeros(len(limits), dtype=np.int64), limits)


def _near_peak(
    cases: ReplicaCases, targets: LatencyTargets, share: float
) -> tuple[FloatArray, FloatArray]:
    """Return the smallest near-peak limit and the plateau of usable cases, NaN if infeasible."""
    tried = [_limits_to_try(limit) for limit in cases.max_batch]
    owner = np.repeat(np.arange(len(cases)), [len(limits) for limits in tried])
    limits = np.concatenate(tried)
    throughput = _throughput(cases, targets, owner, limits)
    plateau = np.full(len(cases), -np.inf)
    np.fmax.at(plateau, owner, throughput)
    near = np.flatnonzero(throughput >= share * plateau[owner])
    answer = np.full(len(cases), np.inf)
    np.minimum.at(answer, owner[near], limits[near])
    missing = ~np.isfinite(answer)
    answer[missing] = plateau[missing] = np.nan

    for row in np.flatnonzero(answer > EXACT_UP_TO):
        below = tried[row][tried[row] < answer[row]][-1]
        between = np.arange(below + 1.0, answer[row])
        selected = np.full(len(between), row)
        kept = _throughput(cases, targets, selected, between) >= share * plateau[row]
        answer[row] = np.min(between[kept], initial=answer[row])
    return answer, plateau


def _limits_to_try(largest: float) -> FloatArray:
    exact = np.arange(1.0, min(largest, EXACT_UP_TO) + 1.0)
    if largest <= EXACT_UP_TO:
        return exact
    steps = int(np.ceil(np.log(largest / EXACT_UP_TO) / 0.01))
    sampled = np.unique(np.floor(np.geomspace(EXACT_UP_TO + 1.0, largest, steps + 1)))
    return np.concatenate([exact, sampled[:-1], [largest]])


def _throughput(
    cases: ReplicaCases, targets: LatencyTargets, owner: IntArray, limits: FloatArray
) -> FloatArray:
    return size(_with_limit(cases, owner, limits), targets.take(owner)).throughput_rps


def _with_limit(cases: ReplicaCases, owner: IntArray, limits: FloatArray) -> ReplicaCases:
    return ReplicaCases(
        service=cases.service.take(owner),
        input_tokens=cases.input_tokens[owner],
        output_tokens=cases.output_tokens[owner],
        max_batch=limits,
        max_queue=cases.max_queue[owner],
    )


def _portions(cases: ReplicaCases, rows: IntArray) -> list[IntArray]:
    """Cut the rows so that all batch limits of a portion make no more than so many sizings."""
    if not len(rows):
        return []
    total = np.cumsum(np.minimum(cases.max_batch[rows], 2.0 * EXACT_UP_TO))
    cuts = np.flatnonzero(np.diff(total // _ROWS_AT_ONCE) > 0.0) + 1
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
