"""How many replicas each loaded pair takes, and what they do at their shares of the load."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.pairs import Pairs
from optimizer.predictions import (
    Predictor,
    ReplicaFigures,
    Replicas,
    ReplicaSizes,
    of_latency,
)
from optimizer.table import ACCEPTED, EMPTY, BoolArray, FloatArray, IntArray, rejection_code
from stoker.domain.latency import Latency, Statistic
from stoker.domain.reasons import Rejection

TARGET_TOLERANCE = 1e-6
"""Relative amount by which a prediction may exceed its target and still counts as keeping it."""

_FURTHER_REPLICAS = 32
_ROUNDING = 1e-9

UNREACHABLE = {
    Latency.TTFT: Rejection.TTFT_UNREACHABLE,
    Latency.ITL: Rejection.ITL_UNREACHABLE,
    Latency.E2E: Rejection.E2E_UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions to be filled in, row by row of the table; arrays (rows,), best_ms (.., rows)."""

    rejection: IntArray
    replicas: IntArray
    max_rate_rps: FloatArray
    best_ms: FloatArray
    figures: ReplicaFigures

    @classmethod
    def unknown(cls, rejection: IntArray, statistics: int) -> Predictions:
        """Return predictions of which nothing is known but why some pairs are ruled out."""
        count = len(rejection)
        return cls(
            rejection=rejection.copy(),
            replicas=np.zeros(count, dtype=np.int64),
            max_rate_rps=np.full(count, np.nan),
            best_ms=np.full((statistics, count), np.nan),
            figures=ReplicaFigures.unknown(count),
        )

    def reject(self, rows: IntArray, beyond: BoolArray, reason: Rejection) -> None:
        """Reject some of the rows."""
        self.rejection[rows[beyond]] = rejection_code(reason)


def predict_loaded(
    predictor: Predictor, pairs: Pairs, total_rate: FloatArray, predictions: Predictions
) -> None:
    """Count the replicas of each pair, and predict each of them at its equal share of the load.

    Rows of two pools are left to `optimizer.configurations.splits`.
    """
    loaded = ~pairs.idle & (pairs.accelerator != EMPTY) & (predictions.rejection == ACCEPTED)
    rows = np.flatnonzero(loaded & ~pairs.disaggregated)
    pooled = predictor.pooled(pairs.server[rows])
    _count_alone(predictor, pairs, total_rate, rows[~pooled], predictions)
    _count_pooled(predictor, pairs, total_rate, rows[pooled], predictions)

    rows = rows[predictions.rejection[rows] == ACCEPTED]
    figures, replicas = predictions.figures, predictions.replicas
    share = total_rate[pairs.server[rows]] / replicas[rows]
    figures.put(rows, predictor.figures(replicas_of_pairs(pairs, rows, replicas[rows]), share))
    known = np.isfinite(figures.ttft_ms[rows]) & np.isfinite(figures.itl_ms[rows])
    known &= np.isfinite(figures.target_use[rows])
    predictions.reject(rows, ~known, Rejection.NUMERIC)
    _mend_shares(predictor, pairs, total_rate, rows[known], predictions)


def replicas_of_pairs(pairs: Pairs, rows: IntArray, count: FloatArray | IntArray) -> Replicas:
    """Return one replica of each row, of as many as are counted."""
    return Replicas(
        pairs.server[rows],
        pairs.profile[rows],
        pairs.max_batch[rows],
        pairs.max_queue[rows],
        count.astype(np.float64),
    )


def _count_alone(
    predictor: Predictor,
    pairs: Pairs,
    total_rate: FloatArray,
    rows: IntArray,
    predictions: Predictions,
) -> None:
    """Count replicas of which each carries the same, beside however many others."""
    sizes = predictor.size(replicas_of_pairs(pairs, rows, np.ones(len(rows))))
    _put_sizes(predictor, sizes, rows, predictions)
    rows = rows[predictions.rejection[rows] == ACCEPTED]
    needed = _replicas_needed(
        total_rate[pairs.server[rows]], predictions.max_rate_rps[rows], pairs.min_replicas[rows]
    )
    over = needed > pairs.max_replicas[rows]
    predictions.reject(rows, over, Rejection.REPLICA_BOUND)
    predictions.replicas[rows[~over]] = needed[~over].astype(np.int64)


def _count_pooled(
    predictor: Predictor,
    pairs: Pairs,
    total_rate: FloatArray,
    rows: IntArray,
    predictions: Predictions,
) -> None:
    """Count replicas of which each carries more or less with the number of them.

    The fewest that keep the targets are searched for each pair. Where no number does, what one of
    as many as are allowed carries tells whether more of them would, or which target is out of
    reach.
    """
    rate, least, most = total_rate[pairs.server[rows]], pairs.min_replicas[rows], pairs.max_replicas
    fewest = predictor.fewest(
        replicas_of_pairs(pairs, rows, np.ones(len(rows))), rate, least, most[rows]
    )
    found = ~np.isnan(fewest)
    count = np.where(found, fewest, most[rows])
    sizes = predictor.size(replicas_of_pairs(pairs, rows, count))
    _put_sizes(predictor, sizes, rows, predictions)
    predictions.rejection[rows[found]] = ACCEPTED
    carried = np.where(np.isnan(sizes.max_rate_rps), 0.0, sizes.max_rate_rps)
    # The search keeps a little off the targets; the share of the load is known to keep them.
    figures = predictor.figures(replicas_of_pairs(pairs, rows, count), rate / count)
    kept = np.where(found, (1.0 - figures.blocking) * rate / count, 0.0)
    carried = np.fmax(carried, kept)
    while True:
        short = np.flatnonzero(found & (carried * count < rate * (1.0 - _ROUNDING)))
        short = short[count[short] < most[rows[short]]]
        if not len(short):
            break
        # What is turned away does not count as carried.
        count[short] = np.minimum(
            np.maximum(count[short] + 1.0, np.ceil(rate[short] / carried[short])), most[rows[short]]
        )
        larger = predictor.size(replicas_of_pairs(pairs, rows[short], count[short])).max_rate_rps
        carried[short] = np.fmax(larger, carried[short])
    accepted = predictions.rejection[rows] == ACCEPTED
    predictions.max_rate_rps[rows[accepted]] = carried[accepted]
    over = accepted & (carried * count < rate * (1.0 - _ROUNDING))
    predictions.reject(rows, over, Rejection.REPLICA_BOUND)
    predictions.replicas[rows[accepted & ~over]] = count[accepted & ~over].astype(np.int64)


def _put_sizes(
    predictor: Predictor, sizes: ReplicaSizes, rows: IntArray, predictions: Predictions
) -> None:
    predictions.max_rate_rps[rows] = sizes.max_rate_rps
    predictions.best_ms[:, rows] = sizes.best_ms
    predictions.rejection[rows] = sizing_rejections(sizes, predictor.statistics)


def _mend_shares(
    predictor: Predictor,
    pairs: Pairs,
    total_rate: FloatArray,
    rows: IntArray,
    predictions: Predictions,
) -> None:
    """Add replicas where the equal share breaks a target that the largest rate keeps.

    ITL is not always monotone in the rate (batch limit 1, and where the number of prefill chunks
    jumps), so that a replica may miss its target at the lower rate of an equal share. The smallest
    number of replicas that keeps the targets is looked for a little way up; failing that, the pair
    is rejected.
    """
    figures, replicas = predictions.figures, predictions.replicas
    touched = rows[_breaks_target(figures, rows)]
    # With one request in service at a time ITL only rises as the rate falls.
    alone = pairs.max_batch[touched] <= 1
    hopeless, pending = touched[alone], touched[~alone]
    tried = 0
    while len(pending) and tried < _FURTHER_REPLICAS:
        # Ever more numbers at once: hardly any rows are left, and every call takes its time.
        more = 1 + np.arange(min(tried + 1, _FURTHER_REPLICAS - tried))
        row = np.repeat(pending, len(more))
        count = (replicas[pending][:, None] + more).ravel()
        share = total_rate[pairs.server[row]] / count
        found = predictor.figures(replicas_of_pairs(pairs, row, count), share)
        kept = ~_breaks_target(found, np.arange(len(row))).reshape(len(pending), len(more))
        chosen = np.where(kept.any(axis=1), np.argmax(kept, axis=1), len(more) - 1)
        replicas[pending] += more[chosen]
        figures.put(pending, found.take(np.arange(len(pending)) * len(more) + chosen))
        pending = pending[~kept.any(axis=1)]
        tried += len(more)
    pending = np.concatenate([hopeless, pending])
    predictions.reject(
        touched, replicas[touched] > pairs.max_replicas[touched], Rejection.REPLICA_BOUND
    )
    statistics = predictor.statistics
    reasons = np.array([rejection_code(UNREACHABLE[item.latency]) for item in statistics])
    predictions.best_ms[0, pending] = figures.ttft_ms[pending]
    predictions.best_ms[1, pending] = figures.itl_ms[pending]
    predictions.rejection[pending] = reasons[figures.tightest[pending]]


def _breaks_target(figures: ReplicaFigures, rows: IntArray) -> BoolArray:
    return ~(figures.target_use[rows] <= 1.0 + TARGET_TOLERANCE)


def _replicas_needed(
    total_rate: FloatArray, max_rate: FloatArray, min_replicas: IntArray
) -> FloatArray:
    """Return max(minimum, ceil(total / largest)), as floats because it may be astronomical."""
    with np.errstate(all="ignore"):
        needed = np.ceil(total_rate / max_rate)
    needed = np.where(np.isnan(needed), np.inf, needed)
    return np.maximum(np.maximum(needed, min_replicas), 1.0)


def sizing_rejections(sizes: ReplicaSizes, statistics: tuple[Statistic, ...]) -> IntArray:
    """Return what the sizing found, the most telling reason first."""
    found = np.isfinite(sizes.max_rate_rps) & (sizes.max_rate_rps > 0)
    code = np.full(len(found), rejection_code(Rejection.TARGETS_CONFLICT))
    code[sizes.blocking_unreachable] = rejection_code(Rejection.BLOCKING_UNREACHABLE)
    for latency in reversed(Latency):
        unreachable = sizes.unreachable[of_latency(statistics, latency)].any(axis=0)
        code[unreachable] = rejection_code(UNREACHABLE[latency])
    code[~sizes.valid] = rejection_code(Rejection.NUMERIC)
    return np.where(found, ACCEPTED, code)
