"""Fleet to candidate table: what each accelerator would take to carry each server's load."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.batch_choice import with_chosen_batches
from optimizer.configurations.bundles import with_bundles
from optimizer.configurations.pruning import pruned
from optimizer.configurations.spare_splits import with_spare_splits
from optimizer.configurations.split_candidates import pool_rows, predict_split
from optimizer.configurations.visible import visible_in
from optimizer.counted import (
    TARGET_TOLERANCE,
    Predictions,
    predict_loaded,
    replicas_of_pairs,
)
from optimizer.estimates import table_from_estimates
from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import MOST_CARDS, UNKNOWN, FleetArrays, pick, total_rate_rps
from optimizer.pairs import Pairs, fleet_pairs
from optimizer.predictions import Predictor
from optimizer.predictors import predictor_of, refuse_beyond
from optimizer.sharing.refuse import refuse_shared
from optimizer.table import (
    ACCEPTED,
    EMPTY,
    CandidateTable,
    FloatArray,
    IntArray,
    rejection_code,
)
from optimizer.transition import candidate_values
from stoker.domain.fleet import Fleet
from stoker.domain.reasons import Rejection
from stoker.domain.settings import Analysis

__all__ = ["TARGET_TOLERANCE", "build_candidates", "every_candidate", "table_from_estimates"]


def build_candidates(fleet: Fleet, analysis: Analysis = Analysis.REFERENCE) -> CandidateTable:
    """Return the candidate table of a fleet: every server on every accelerator.

    Of the rows of `every_candidate` on one accelerator the ones that another is at least as good as
    in every respect are left out (see `optimizer.configurations.pruning`).

    Args:
        fleet: What to plan for; its rules decide queue limits, TPS, blocking and bounds.
        analysis: Performance model behind the predictions.

    Raises:
        InvalidInputError: A target is beyond the analysis (see `refuse_beyond`).
    """
    return pruned(every_candidate(fleet, analysis), visible_in(fleet))


def every_candidate(fleet: Fleet, analysis: Analysis = Analysis.REFERENCE) -> CandidateTable:
    """Return the candidates of a fleet, those included that others are at least as good as.

    There is a row for every configuration, way of serving and batch limit to choose from. A server
    without load and without minimum has one row, the empty allocation. Capacity plays no part here:
    a candidate may need more cards than there are.

    Args:
        fleet: What to plan for; its rules decide queue limits, TPS, blocking and bounds.
        analysis: Performance model behind the predictions.

    Raises:
        InvalidInputError: A target is beyond the analysis (see `refuse_beyond`).
    """
    refuse_shared(fleet, "candidates of each server alone")
    refuse_beyond(fleet, analysis)
    arrays = fleet_arrays(fleet)
    pairs = fleet_pairs(arrays, fleet.rules, analysis)
    total_rate = total_rate_rps(arrays.servers, fleet.rules.tps_replaces_rate)
    predictor = predictor_of(analysis, arrays, fleet.rules)
    pairs = with_chosen_batches(arrays, fleet.rules, predictor, pairs, total_rate)
    predictions = Predictions.unknown(pairs.rejection, len(predictor.statistics))
    _predict_empty(pairs, predictions)
    _predict_idle(predictor, pairs, predictions)
    predict_loaded(predictor, pairs, total_rate, predictions)
    prefill, decode = predict_split(
        arrays, fleet.rules.max_blocking, predictor, pairs, total_rate, predictions
    )
    table = _table(arrays, pairs, total_rate, predictions, prefill, decode)
    table = replace(table, analysis=analysis)
    if np.any(table.disaggregated):
        rows = np.arange(len(pairs.server))
        asked = pool_rows(pairs, rows, prefill, decode)
        table = with_spare_splits(table, fleet, arrays, asked, pairs.min_replicas)
    return with_bundles(table, fleet)


def _predict_empty(pairs: Pairs, predictions: Predictions) -> None:
    """An empty allocation has no replicas; there is nothing that could be late or lost."""
    rows = pairs.accelerator == EMPTY
    predictions.max_rate_rps[rows] = 0.0
    predictions.figures.utilization[rows] = 0.0
    predictions.figures.blocking[rows] = 0.0


def _predict_idle(predictor: Predictor, pairs: Pairs, predictions: Predictions) -> None:
    """A server without load keeps its minimum of replicas."""
    rows = np.flatnonzero(pairs.idle & ~pairs.disaggregated & (predictions.rejection == ACCEPTED))
    figures, rate = predictor.idle(replicas_of_pairs(pairs, rows, pairs.min_replicas[rows]))
    finite = np.isfinite(figures.ttft_ms) & np.isfinite(figures.itl_ms) & np.isfinite(rate)
    predictions.figures.put(rows, figures)
    predictions.max_rate_rps[rows] = rate
    predictions.replicas[rows] = pairs.min_replicas[rows]
    over = pairs.min_replicas[rows] > pairs.max_replicas[rows]
    predictions.reject(rows, over, Rejection.REPLICA_BOUND)
    predictions.reject(rows, ~finite, Rejection.NUMERIC)


def _table(
    arrays: FleetArrays,
    pairs: Pairs,
    total_rate: FloatArray,
    predictions: Predictions,
    prefill: IntArray,
    decode: IntArray,
) -> CandidateTable:
    accelerators, profiles, servers = arrays.accelerators, arrays.profiles, arrays.servers
    units = pick(profiles.units, pairs.profile, 0)
    split = bool(np.any(pairs.disaggregated))
    if split:
        # One deployment of both pools counts as one replica.
        first = pick(profiles.units, pick(profiles.prefill, pairs.profile, UNKNOWN), 0)
        both = np.maximum(prefill, 1) * first + np.maximum(decode, 1) * units
        units = np.where(pairs.disaggregated, both, units)
    per_replica = pick(accelerators.cards, pairs.accelerator, 0) * units
    countless = per_replica.astype(np.float64) * predictions.replicas > MOST_CARDS
    rejection = np.where(countless, rejection_code(Rejection.NUMERIC), predictions.rejection)
    accepted = rejection == ACCEPTED
    replicas = np.where(accepted, predictions.replicas, 0)
    unit_cost = pick(accelerators.cost_per_hour, pairs.accelerator, 0.0) * units
    cost = unit_cost * replicas
    configuration = pick(profiles.configuration, pairs.profile, UNKNOWN)
    value = candidate_values(
        servers.transitions,
        servers.current_replicas,
        pairs.server,
        pairs.accelerator,
        np.where(pairs.disaggregated, prefill + decode, replicas),
        cost,
        configuration=configuration,
        prefill_replicas=prefill,
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
        min_replicas=np.where(
            pairs.disaggregated, np.minimum(pairs.min_replicas, 1), pairs.min_replicas
        ),
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
        largest_batch=pairs.largest_batch,
        configurations=profiles.configurations,
        configuration=configuration if profiles.configurations else None,
        profile=pairs.profile,
        prefill_replicas=np.where(accepted, prefill, 0) if split else None,
        decode_replicas=np.where(accepted, decode, 0) if split else None,
    )
