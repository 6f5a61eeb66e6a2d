"""Fleet to candidate table: what each accelerator would take to carry each server's load."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.estimates import table_from_estimates
from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import MOST_CARDS, UNKNOWN, FleetArrays, pick, total_rate_rps
from optimizer.pairs import Pairs, fleet_pairs
from optimizer.predictions import (
    Predictor,
    ReplicaFigures,
    Replicas,
    ReplicaSizes,
    of_latency,
)
from optimizer.predictors import predictor_of, refuse_beyond
from optimizer.table import (
    ACCEPTED,
    EMPTY,
    BoolArray,
    CandidateTable,
    FloatArray,
    IntArray,
    rejection_code,
)
from optimizer.transition import candidate_values
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency, Statistic
from stoker.domain.plan import Rejection
from stoker.domain.settings import Analysis

__all__ = ["TARGET_TOLERANCE", "build_candidates", "table_from_estimates"]

TARGET_TOLERANCE = 1e-6
"""Relative amount by which a prediction may exceed its target and still counts as keeping it."""

_FURTHER_REPLICAS = 32

_UNREACHABLE = {
    Latency.TTFT: Rejection.TTFT_UNREACHABLE,
    Latency.ITL: Rejection.ITL_UNREACHABLE,
    Latency.E2E: Rejection.E2E_UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class _Predictions:
    """Predictions to be filled in, row by row of the table; arrays (rows,), best_ms (.., rows)."""

    rejection: IntArray
    replicas: IntArray
    max_rate_rps: FloatArray
    best_ms: FloatArray
    figures: ReplicaFigures


def build_candidates(fleet: Fleet, analysis: Analysis = Analysis.REFERENCE) -> CandidateTable:
    """Return the candidate table of a fleet: every server on every accelerator.

    A server without load and without minimum has one row, the empty allocation. Capacity plays no
    part here: a candidate may need more cards than there are.

    Args:
        fleet: What to plan for; its rules decide queue limits, TPS, blocking and bounds.
        analysis: Performance model behind the predictions.

    Raises:
        InvalidInputError: A target is beyond the analysis (see `refuse_beyond`).
    """
    refuse_beyond(fleet, analysis)
    arrays = fleet_arrays(fleet)
    pairs = fleet_pairs(arrays, fleet.rules, analysis)
    total_rate = total_rate_rps(arrays.servers, fleet.rules.tps_replaces_rate)
    count = len(pairs.server)
    predictor = predictor_of(analysis, arrays, fleet.rules)
    predictions = _Predictions(
        rejection=pairs.rejection.copy(),
        replicas=np.zeros(count, dtype=np.int64),
        max_rate_rps=np.full(count, np.nan),
        best_ms=np.full((len(predictor.statistics), count), np.nan),
        figures=ReplicaFigures.unknown(count),
    )
    _predict_empty(pairs, predictions)
    _predict_idle(predictor, pairs, predictions)
    _predict_loaded(predictor, pairs, total_rate, predictions)
    return replace(_table(arrays, pairs, total_rate, predictions), analysis=analysis)


def _predict_empty(pairs: Pairs, predictions: _Predictions) -> None:
    """An empty allocation has no replicas; there is nothing that could be late or lost."""
    rows = pairs.accelerator == EMPTY
    predictions.max_rate_rps[rows] = 0.0
    predictions.figures.utilization[rows] = 0.0
    predictions.figures.blocking[rows] = 0.0


def _predict_idle(predictor: Predictor, pairs: Pairs, predictions: _Predictions) -> None:
    """A server without load keeps its minimum of replicas."""
    rows = np.flatnonzero(pairs.idle & (predictions.rejection == ACCEPTED))
    figures, rate = predictor.idle(_replicas(pairs, rows))
    finite = np.isfinite(figures.ttft_ms) & np.isfinite(figures.itl_ms) & np.isfinite(rate)
    predictions.figures.put(rows, figures)
    predictions.max_rate_rps[rows] = rate
    predictions.replicas[rows] = pairs.min_replicas[rows]
    _reject(predictions, rows, pairs.min_replicas[rows] > pairs.max_replicas[rows])
    predictions.rejection[rows[~finite]] = rejection_code(Rejection.NUMERIC)


def _predict_loaded(
    predictor: Predictor, pairs: Pairs, total_rate: FloatArray, predictions: _Predictions
) -> None:
    """Size one replica, count the replicas, and predict each at its equal share of the load."""
    loaded = ~pairs.idle & (pairs.accelerator != EMPTY) & (predictions.rejection == ACCEPTED)
    rows = np.flatnonzero(loaded)
    sizes = predictor.size(_replicas(pairs, rows))
    predictions.max_rate_rps[rows] = sizes.max_rate_rps
    predictions.best_ms[:, rows] = sizes.best_ms
    predictions.rejection[rows] = _sizing_rejections(sizes, predictor.statistics)

    rows = rows[predictions.rejection[rows] == ACCEPTED]
    needed = _replicas_needed(
        total_rate[pairs.server[rows]], predictions.max_rate_rps[rows], pairs.min_replicas[rows]
    )
    over = needed > pairs.max_replicas[rows]
    _reject(predictions, rows, over)
    rows, needed = rows[~over], needed[~over].astype(np.int64)
    predictions.replicas[rows] = needed
    share = total_rate[pairs.server[rows]] / needed
    predictions.figures.put(rows, predictor.figures(_replicas(pairs, rows), share))
    figures = predictions.figures
    known = np.isfinite(figures.ttft_ms[rows]) & np.isfinite(figures.itl_ms[rows])
    known &= np.isfinite(figures.target_use[rows])
    predictions.rejection[rows[~known]] = rejection_code(Rejection.NUMERIC)
    _mend_shares(predictor, pairs, total_rate, rows[known], predictions)


def _mend_shares(
    predictor: Predictor,
    pairs: Pairs,
    total_rate: FloatArray,
    rows: IntArray,
    predictions: _Predictions,
) -> None:
    """Add replicas where the equal share breaks a target that the largest rate keeps.

    ITL is not always monotone in the rate (batch limit 1, and where the number of prefill chunks
    jumps), so that a replica may miss its target at the lower rate of an equal share. The smallest
    number of replicas that keeps the targets is looked for a little way up; failing that, the pair
    is rejected.
    """
    figures, replicas = predictions.figures, predictions.replicas
    touched = rows[_breaks_target(figures, rows)]
    pending = touched
    for _ in range(_FURTHER_REPLICAS):
        # With one request in service at a time ITL only rises as the rate falls.
        growing = pending[pairs.max_batch[pending] > 1]
        if not len(growing):
            break
        replicas[growing] += 1
        share = total_rate[pairs.server[growing]] / replicas[growing]
        figures.put(growing, predictor.figures(_replicas(pairs, growing), share))
        kept = growing[~_breaks_target(figures, growing)]
        pending = pending[~np.isin(pending, kept)]
    _reject(predictions, touched, replicas[touched] > pairs.max_replicas[touched])
    statistics = predictor.statistics
    reasons = np.array([rejection_code(_UNREACHABLE[item.latency]) for item in statistics])
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


def _sizing_rejections(sizes: ReplicaSizes, statistics: tuple[Statistic, ...]) -> IntArray:
    """Return what the sizing found, the most telling reason first."""
    found = np.isfinite(sizes.max_rate_rps) & (sizes.max_rate_rps > 0)
    code = np.full(len(found), rejection_code(Rejection.TARGETS_CONFLICT))
    code[sizes.blocking_unreachable] = rejection_code(Rejection.BLOCKING_UNREACHABLE)
    for latency in reversed(Latency):
        unreachable = sizes.unreachable[of_latency(statistics, latency)].any(axis=0)
        code[unreachable] = rejection_code(_UNREACHABLE[latency])
    code[~sizes.valid] = rejection_code(Rejection.NUMERIC)
    return np.where(found, ACCEPTED, code)


def _reject(predictions: _Predictions, rows: IntArray, beyond: BoolArray) -> None:
    """Reject rows that would need more replicas than allowed."""
    predictions.rejection[rows[beyond]] = rejection_code(Rejection.REPLICA_BOUND)


def _replicas(pairs: Pairs, rows: IntArray) -> Replicas:
    return Replicas(
        pairs.server[rows], pairs.profile[rows], pairs.max_batch[rows], pairs.max_queue[rows]
    )


def _table(
    arrays: FleetArrays, pairs: Pairs, total_rate: FloatArray, predictions: _Predictions
) -> CandidateTable:
    accelerators, profiles, servers = arrays.accelerators, arrays.profiles, arrays.servers
    units = pick(profiles.units, pairs.profile, 0)
    per_replica = pick(accelerators.cards, pairs.accelerator, 0) * units
    countless = per_replica.astype(np.float64) * predictions.replicas > MOST_CARDS
    rejection = np.where(countless, rejection_code(Rejection.NUMERIC), predictions.rejection)
    accepted = rejection == ACCEPTED
    replicas = np.where(accepted, predictions.replicas, 0)
    unit_cost = pick(accelerators.cost_per_hour, pairs.accelerator, 0.0) * units
    cost = unit_cost * replicas
    value = candidate_values(
        servers.transitions,
        servers.current_replicas,
        pairs.server,
        pairs.accelerator,
        replicas,
        cost,
    )
    figures = predictions.figures
    return CandidateTable(
        servers=servers.names,
        accelerators=accelerators.names,
        card_types=accelerators.card_types,
        priority=servers.priority,
        total_rate_rps=total_rate,
        row_start=pairs.row_start,
        server=pairs.server,
        accelerator=pairs.accelerator,
        card_type=pick(accelerators.card_type, pairs.accelerator, EMPTY),
        rejection=rejection,
        replicas=replicas,
        min_replicas=pairs.min_replicas,
        max_replicas=pairs.max_replicas,
        max_batch=pairs.max_batch,
        max_queue=pairs.max_queue,
        cards_per_replica=per_replica,
        unit_cost_per_hour=unit_cost,
        cost_per_hour=np.where(accepted, cost, np.nan),
        value=np.where(accepted, value, np.nan),
        ttft_ms=np.where(accepted, figures.ttft_ms, np.nan),
        itl_ms=np.where(accepted, figures.itl_ms, np.nan),
        utilization=np.where(accepted, figures.utilization, np.nan),
        blocking=np.where(accepted, figures.blocking, np.nan),
        max_rate_rps=predictions.max_rate_rps,
        estimate=pick(profiles.estimate, pairs.profile, UNKNOWN),
        statistics=servers.statistics,
        best_ms=predictions.best_ms,
        transitions=servers.transitions,
    )
