"""Predictions of rows that split replicas between a prefill and a decode pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.configurations.pools import PoolFleet, PoolRows
from optimizer.configurations.split_figures import lightly_loaded, split_figures
from optimizer.configurations.splits import best_splits
from optimizer.counted import Predictions, replicas_of_pairs, sizing_rejections
from optimizer.fleet_columns import FleetArrays
from optimizer.pairs import Pairs
from optimizer.predictions import Predictor
from optimizer.table import ACCEPTED, FloatArray, IntArray
from stoker.domain.reasons import Rejection


def predict_split(
    arrays: FleetArrays,
    max_blocking: float | None,
    predictor: Predictor,
    pairs: Pairs,
    total_rate: FloatArray,
    predictions: Predictions,
) -> tuple[IntArray, IntArray]:
    """Predict the rows of two pools; return prefill and decode replicas of every row, 0 without.

    An accepted row is one deployment of both pools: its replicas are 1, and what it carries is
    what both carry together.
    """
    count = len(pairs.server)
    prefill, decode = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    rows = np.flatnonzero(pairs.disaggregated & (predictions.rejection == ACCEPTED))
    idle = rows[pairs.idle[rows]]
    if len(idle):
        prefill[idle], decode[idle] = 1, np.maximum(pairs.min_replicas[idle] - 1, 1)
        _predict_idle(arrays, predictor, pairs, idle, predictions)
        over = prefill[idle] + decode[idle] > pairs.max_replicas[idle]
        predictions.reject(idle, over, Rejection.REPLICA_BOUND)
    rows = rows[~pairs.idle[rows]]
    if not len(rows):
        return prefill, decode
    pools = PoolFleet(arrays, max_blocking)
    one = np.ones(len(rows), dtype=np.int64)
    asked = pool_rows(pairs, rows, one, one)
    light = lightly_loaded(pools, predictor.statistics, asked)
    predictions.best_ms[:, rows] = light.best_ms
    predictions.rejection[rows] = sizing_rejections(light, predictor.statistics)
    able = predictions.rejection[rows] == ACCEPTED
    rows, asked = rows[able], asked.take(able)
    rate = total_rate[pairs.server[rows]]
    found = best_splits(pools, asked, rate, pairs.min_replicas[rows], pairs.max_replicas[rows])
    predictions.reject(rows, found.prefill == 0, Rejection.REPLICA_BOUND)
    kept = found.prefill > 0
    rows, rate = rows[kept], rate[kept]
    prefill[rows], decode[rows] = found.prefill[kept], found.decode[kept]
    predictions.max_rate_rps[rows] = found.rate_rps[kept]
    predictions.replicas[rows] = 1
    sized = replace(asked.take(kept), prefill=prefill[rows], decode=decode[rows])
    predictions.figures.put(rows, split_figures(pools, predictor.statistics, sized, rate))
    figures = predictions.figures
    known = np.isfinite(figures.ttft_ms[rows]) & np.isfinite(figures.itl_ms[rows])
    predictions.reject(rows, ~known, Rejection.NUMERIC)
    return prefill, decode


def pool_rows(pairs: Pairs, rows: IntArray, prefill: IntArray, decode: IntArray) -> PoolRows:
    """Return the pools of rows, of these sizes."""
    return PoolRows(
        pairs.server[rows],
        pairs.profile[rows],
        pairs.max_batch[rows],
        pairs.prefill_batch[rows],
        pairs.max_queue[rows],
        prefill,
        decode,
    )


def _predict_idle(
    arrays: FleetArrays,
    predictor: Predictor,
    pairs: Pairs,
    rows: IntArray,
    predictions: Predictions,
) -> None:
    """Pools without requests: a lone one would meet an empty replica of each."""
    decoding = replicas_of_pairs(pairs, rows, np.ones(len(rows)))
    filling = replace(
        decoding,
        profile=arrays.profiles.prefill[decoding.profile],
        max_batch=pairs.prefill_batch[rows],
    )
    figures, rate = predictor.idle(decoding)
    first, _ = predictor.idle(filling)
    predictions.figures.put(rows, replace(figures, ttft_ms=first.ttft_ms))
    predictions.max_rate_rps[rows] = rate
    predictions.replicas[rows] = 1
    finite = np.isfinite(first.ttft_ms) & np.isfinite(figures.itl_ms) & np.isfinite(rate)
    predictions.reject(rows, ~finite, Rejection.NUMERIC)
